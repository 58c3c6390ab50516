// Two devices side by side. Each signs in for itself and shows the messages of
// its user as they come.
import { Auth, createClient, KalamAuthError, type KalamDBClient, type RowData } from '@kalamdb/client';

const url = new URLSearchParams(location.search).get('url') ?? 'http://localhost:8080';
const room = 'general';

for (const name of ['Phone', 'Laptop']) addDevice(name);

function addDevice(name: string): void {
  const template = document.querySelector<HTMLTemplateElement>('#device')!;
  const device = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('.device')!;
  document.querySelector('main')!.append(device);
  const find = <E extends Element>(selector: string): E => device.querySelector<E>(selector)!;
  find('h2').textContent = name;
  device.dataset['name'] = name;

  const signIn = find<HTMLFormElement>('.sign-in');
  const chat = find<HTMLElement>('.chat');
  const write = find<HTMLFormElement>('.write');
  let client: KalamDBClient | undefined;

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
      await client.live(`SELECT id, body, created_at FROM chat.messages WHERE room = '${room}'`, show, { limit: 100 });
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
    const body = String(new FormData(write).get('body'));
    const error = find<HTMLElement>('.chat .error');
    error.textContent = '';
    try {
      await client?.insert('chat.messages', { room, body });
      write.reset();
    } catch (cause) {
      error.textContent = `Not sent: ${String(cause)}`; // the text stays in the form
    }
  });

  find('.sign-out').addEventListener('click', async () => {
    await client?.shutdown();
    chat.hidden = true;
    signIn.hidden = false;
    show([]);
  });

  function show(rows: RowData[]): void {
    const list = find<HTMLElement>('.messages');
    list.replaceChildren(...rows.map((row) => {
      const item = document.createElement('li');
      const time = document.createElement('time');
      time.textContent = row['created_at']?.asDate()?.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) ?? '';
      item.append(time, row['body']?.asString() ?? '');
      return item;
    }));
    list.scrollTop = list.scrollHeight;
  }
}
