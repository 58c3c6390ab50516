// A chat for the signed-in user. The session lives in a cookie that scripts cannot
// read, so it survives a reload and is shared by all tabs. Each user has private
// rows: their own messages, and the relay's copies of other people's messages, which
// carry a sender.
import { createClient, KalamError, type BoundFileRef, type RowData, type Unsubscribe } from '@kalamdb/client';
import { kalamAuth } from '@kalamdb/client/auth';

const url = new URLSearchParams(location.search).get('url') ?? '/db';
const room = 'general';
const auth = kalamAuth({ url });
const client = createClient({ url, authProvider: auth });

const find = <E extends HTMLElement>(selector: string): E => document.querySelector<E>(selector)!;
const signIn = find<HTMLFormElement>('.sign-in');
const verify = find<HTMLFormElement>('.verify');
const chat = find('.chat');
const write = find<HTMLFormElement>('.write');
const addresses = new Map<string, Promise<string>>(); // of attachments, by their ids
let email = ''; // that waits for its code
let typed = 0; // when others were last told that this user types
let who: string | null | undefined; // the user whose part of the page shows, null for nobody
let queries: Promise<Unsubscribe>[] = []; // the live ones

// ---- who is here

onSubmit(signIn, async (fields, button) => {
  const [user, password] = [fields.get('user') as string, fields.get('password') as string];
  if (button?.value !== 'signUp') await auth.signIn(user, password);
  else if (!user.includes('@')) await auth.signUp({ user, password });
  else if ((await auth.signUp({ email: user, password, name: user.split('@')[0]! })) === null) {
    email = user; // a code is on its way
    step(verify);
  }
});

onSubmit(verify, async (fields) => {
  await auth.redeemCode({ email, code: fields.get('code') as string });
});

find('.back').addEventListener('click', () => step(signIn));
find('.sign-out').addEventListener('click', () => auth.signOut().catch((cause) => (find('.chat .error').textContent = String(cause))));

auth.subscribe((state, user) => {
  if (state === 'loading') return;
  find('main').hidden = false;
  if (state === 'offline') find('.state').textContent = 'offline';
  const id = user?.id ?? null;
  if (id === who) return; // its token is new, or its name
  who = id;
  for (const query of queries) query.then((stop) => stop(), () => {});
  addresses.clear();
  show([]);
  showTyping([]);
  queries = user === null ? [] : watch(user.id);
  find('.who').textContent = myName();
  step(user === null ? signIn : chat);
});

client.onConnect(() => (find('.state').textContent = 'online'));
client.onDisconnect(() => (find('.state').textContent = 'offline'));

/** Shows one of the three parts of the page. */
function step(part: HTMLElement): void {
  for (const each of [signIn, verify, chat]) each.hidden = each !== part;
  for (const form of [signIn, verify]) form.reset();
}

/** Does what a form is for, and shows in it why it failed. */
function onSubmit(form: HTMLFormElement, act: (fields: FormData, button: HTMLButtonElement | null) => Promise<void>): void {
  const error = form.querySelector('.error')!;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    error.textContent = '';
    const button = event.submitter as HTMLButtonElement | null;
    await act(new FormData(form), button).catch((cause: unknown) => {
      const wrong = cause instanceof KalamError && cause.code === 'INVALID_CREDENTIALS';
      error.textContent = wrong ? 'Wrong user or password.' : cause instanceof Error ? cause.message : String(cause);
    });
  });
}

// ---- the room

/** Shows the room to a user. */
function watch(user: string): Promise<Unsubscribe>[] {
  const all = [
    client.live(`SELECT id, sender, name, body, attachment, created_at FROM chat.messages WHERE room = '${room}'`, show, { limit: 100 }),
    client.live(`SELECT id, name FROM chat.typing WHERE room = '${room}' AND sender IS NOT NULL`, showTyping),
  ];
  for (const query of all) query.catch((cause) => who === user && (find('.chat .error').textContent = String(cause)));
  return all;
}

write.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(write);
  const body = form.get('body') as string;
  const file = form.get('file') as File;
  const error = find('.chat .error');
  const progress = find<HTMLProgressElement>('progress');
  error.textContent = '';
  if (body === '' && file.size === 0) return;
  try {
    if (file.size === 0) await client.insert('chat.messages', { room, body, name: myName() });
    else {
      progress.value = 0;
      progress.hidden = false;
      await client.queryWithFiles(
        'INSERT INTO chat.messages (room, body, name, attachment) VALUES ($1, $2, $3, FILE("file"))', { file }, [room, body, myName()],
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
  client.insert('chat.typing', { room, name: myName() }).catch(() => {}); // nobody misses it
});

function myName(): string {
  return auth.user?.name ?? auth.user?.id ?? '';
}

function show(rows: RowData[]): void {
  const list = find('.messages');
  list.replaceChildren(...rows.map((row) => {
    const item = document.createElement('li');
    const time = document.createElement('time');
    time.textContent = row['created_at']?.asDate()?.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) ?? '';
    item.append(time);
    if (row['sender']?.asString()) {
      const from = document.createElement('b');
      from.textContent = row['name']?.asString() ?? '';
      item.append(from);
    }
    item.append(row['body']?.asString() ?? '');
    const file = client.wrapRow(row, 'chat.messages').file('attachment');
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
  const people = [...new Set(rows.map((row) => row['name']?.asString()))];
  find('.typing').textContent = people.map((who) => `${who} is typing …`).join(' ');
}
