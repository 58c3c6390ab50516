// Two devices side by side, of two people or of one. Each signs in for itself and
// shows the rows of its user as they come: those that the user wrote, and the
// copies of other people's that the relay wrote, which have a sender.
import { Auth, createClient, KalamAuthError, type BoundFileRef, type KalamDBClient, type RowData } from '@kalamdb/client';

const url = new URLSearchParams(location.search).get('url') ?? 'http://localhost:8080';
const room = 'general';

addDevice('Phone', 'alice');
addDevice('Laptop', 'bob');

function addDevice(name: string, suggestion: string): void {
  const template = document.querySelector<HTMLTemplateElement>('#device')!;
  const device = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('.device')!;
  document.querySelector('main')!.append(device);
  const find = <E extends Element>(selector: string): E => device.querySelector<E>(selector)!;
  find('h2').textContent = name;
  device.dataset['name'] = name;

  find<HTMLInputElement>('[name=user]').defaultValue = suggestion;

  const signIn = find<HTMLFormElement>('.sign-in');
  const chat = find<HTMLElement>('.chat');
  const write = find<HTMLFormElement>('.write');
  let client: KalamDBClient | undefined;
  const addresses = new Map<string, Promise<string>>(); // of attachments, by their ids
  let typed = 0; // when others were last told that this user types

  signIn.addEventListener('submit', async (event) => {
    event.preventDefault();
    const form = new FormData(signIn);
    const user = String(form.get('user'));
    const password = String(form.get('password'));
    const error = find<HTMLElement>('.sign-in .error');
    error.textContent = '';
    client = createClient({ url, authProvider: async () => Auth.basic(user, password) });
    client.onConnect(() => (find('.state').textContent = 'online'));
    client.onDisconnect(() => (find('.state').textContent = 'offline'));
    try {
      await client.login();
      await client.live(`SELECT id, sender, body, attachment, created_at FROM chat.messages WHERE room = '${room}'`, show, { limit: 100 });
      await client.live(`SELECT id, sender FROM chat.typing WHERE room = '${room}' AND sender IS NOT NULL`, showTyping);
    } catch (cause) {
      error.textContent = cause instanceof KalamAuthError ? 'Wrong user or password.' : String(cause);
      await client.shutdown();
      return;
    }
    signIn.reset();
    find('.who').textContent = `${user} on ${name}`;
    signIn.hidden = true;
    chat.hidden = false;
  });

  write.addEventListener('submit', async (event) => {
    event.preventDefault();
    const form = new FormData(write);
    const body = String(form.get('body'));
    const file = form.get('file') as File;
    const error = find<HTMLElement>('.chat .error');
    const progress = find<HTMLProgressElement>('progress');
    error.textContent = '';
    if (body === '' && file.size === 0) return;
    try {
      if (file.size === 0) await client?.insert('chat.messages', { room, body });
      else {
        progress.value = 0;
        progress.hidden = false;
        await client?.queryWithFiles(
          'INSERT INTO chat.messages (room, body, attachment) VALUES ($1, $2, FILE("file"))', { file }, [room, body],
          ({ percent }) => (progress.value = percent),
        );
      }
      write.reset();
      find('.attach').classList.remove('chosen');
    } catch (cause) {
      error.textContent = `Not sent: ${String(cause)}`; // text and file stay in the form
    }
    progress.hidden = true;
  });

  find('.attach input').addEventListener('change', (event) => {
    find('.attach').classList.toggle('chosen', (event.target as HTMLInputElement).files?.length === 1);
  });

  // A row of chat.typing ends by itself after three seconds.
  write.addEventListener('input', () => {
    if (Date.now() - typed < 2000) return;
    typed = Date.now();
    client?.insert('chat.typing', { room }).catch(() => {}); // nobody misses it
  });

  find('.sign-out').addEventListener('click', async () => {
    await client?.shutdown();
    addresses.clear();
    chat.hidden = true;
    signIn.hidden = false;
    show([]);
    showTyping([]);
  });

  function show(rows: RowData[]): void {
    const list = find<HTMLElement>('.messages');
    list.replaceChildren(...rows.map((row) => {
      const item = document.createElement('li');
      const time = document.createElement('time');
      time.textContent = row['created_at']?.asDate()?.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) ?? '';
      const sender = row['sender']?.asString();
      item.append(time);
      if (sender) {
        const from = document.createElement('b');
        from.textContent = sender;
        item.append(from);
      }
      item.append(row['body']?.asString() ?? '');
      const file = client?.wrapRow(row, 'chat.messages').file('attachment');
      if (file) item.append(attachment(file));
      return item;
    }));
    list.scrollTop = list.scrollHeight;
  }

  /** A picture, or a link that saves the file. Browsers send no token for them, so their addresses are signed. */
  function attachment(file: BoundFileRef): HTMLElement {
    const address = addresses.get(file.id) ?? file.downloadUrl({ expiresIn: 3600, download: !file.isImage() });
    addresses.set(file.id, address);
    address.catch(() => addresses.delete(file.id));
    if (file.isImage()) {
      const image = document.createElement('img');
      image.alt = file.name;
      address.then((url) => (image.src = url), () => {});
      return image;
    }
    const link = document.createElement('a');
    link.textContent = `${file.name} (${file.formatSize()})`;
    address.then((url) => (link.href = url), () => {});
    return link;
  }

  function showTyping(rows: RowData[]): void {
    const people = [...new Set(rows.map((row) => row['sender']?.asString()))];
    find('.typing').textContent = people.map((who) => `${who} is typing …`).join(' ');
  }
}
