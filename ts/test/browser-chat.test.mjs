// The example examples/web-chat, built by Vite and driven in Chromium, with and
// without its relay.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { serveFiles, startBrowser } from './support/browser.mjs';
import { startMail } from './support/mail.mjs';
import { freePort, password, root, startServer, until } from './support/server.mjs';

const run = promisify(execFile);
const example = join(root, 'examples/web-chat');

let dir, server, mail, env, files, devPort, relay;
const browsers = [], pages = {}; // of Phone and Laptop

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-chat-'));
  await run(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', example]);
  for (const name of ['index.html', 'package.json', 'relay.mjs', 'vite.config.js', 'src']) cpSync(join(example, name), join(dir, name), { recursive: true });
  // What npm install would put there: .npmrc has it copy the packages.
  for (const name of ['.bin', '@kalamdb']) mkdirSync(join(dir, 'node_modules', name), { recursive: true });
  for (const name of ['vite', '.bin/vite', 'ws']) symlinkSync(join(root, 'ts/node_modules', name), join(dir, 'node_modules', name));
  for (const name of ['client', 'consumer']) {
    for (const part of ['package.json', 'dist']) {
      cpSync(join(root, 'ts', name, part), join(dir, 'node_modules/@kalamdb', name, part), { recursive: true });
    }
  }
  await run(process.execPath, [join(root, 'ts/node_modules/vite/bin/vite.js'), 'build'], { cwd: dir });
  files = await serveFiles({ '/': join(dir, 'dist') });
  mail = await startMail();
  devPort = await freePort();
  env = {
    KALAMDB_AUTH_ACCOUNTS_SIGNUP: 'open', KALAMDB_AUTH_ACCOUNTS_EMAIL: 'required', KALAMDB_MAIL_SMTP: mail.smtp, KALAMDB_MAIL_FROM: 'chat@example.com',
    KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS: `${files.url},http://localhost:${devPort}`,
  };
  server = await startServer({ port: await freePort(), keep: true, env });
  for (let i = 0; i < 2; i++) { // it may run again
    await admin('-f', join(example, 'setup.sql'));
  }
  for (const name of ['Phone', 'Laptop']) {
    const browser = await startBrowser();
    browsers.push(browser);
    pages[name] = await browser.context.newPage();
    await pages[name].setViewportSize({ width: 450, height: 560 });
    await pages[name].goto(address());
  }
});

after(async () => {
  relay?.kill('SIGKILL');
  for (const browser of browsers) await browser.close();
  await server?.close();
  await mail?.close();
  await files?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** What kalam sql prints for the administrator. */
async function admin(...words) {
  const { stdout } = await run(join(root, 'bin/kalam'), ['sql', '--url', server.url, '-u', 'admin', ...words], {
    env: { ...process.env, KALAM_PASSWORD: password },
  });
  return stdout;
}

const address = () => `${files.url}/?url=${encodeURIComponent(server.url)}`;
const device = (name) => pages[name].locator('main');

async function signIn(name, user, secret = password) {
  await device(name).locator('[name=user]').fill(user);
  await device(name).locator('[name=password]').fill(secret);
  await device(name).locator('.sign-in [value=signIn]').click();
}

async function send(name, text) {
  await device(name).locator('[name=body]').fill(text);
  await device(name).locator('.write button').click();
}

async function takePicture() {
  const picture = join(root, 'bin/web-chat.png');
  mkdirSync(join(root, 'bin'), { recursive: true });
  const shots = await Promise.all(Object.values(pages).map((page) => page.screenshot()));
  const sheet = await browsers[0].context.newPage();
  await sheet.setViewportSize({ width: 900, height: 560 });
  await sheet.setContent(`<body style="margin:0;display:flex">${shots.map((png) => `<img src="data:image/png;base64,${png.toString('base64')}">`).join('')}`);
  await sheet.screenshot({ path: picture });
  await sheet.close();
  assert.ok(statSync(picture).size < 200_000);
}

const sees = (name, text) => device(name).locator('.messages li', { hasText: text }).waitFor({ timeout: 30_000 });

test('a wrong password says so', async () => {
  await signIn('Phone', 'alice', 'wrong');
  await device('Phone').getByText('Wrong user or password.').waitFor({ timeout: 30_000 });
});

test('npm run dev serves the page', async () => {
  const dev = spawn('npm', ['run', 'dev', '--', '--port', String(devPort), '--host', 'localhost'], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'], detached: true, env: { ...process.env, NO_COLOR: '1', KALAM_URL: server.url } });
  try {
    const url = await new Promise((resolve, reject) => {
      let output = '';
      dev.stdout.on('data', (chunk) => {
        const found = /(http:\/\/localhost:\d+)\//.exec((output += chunk));
        if (found) resolve(found[1]);
      });
      dev.once('exit', () => reject(new Error(output)));
    });
    const other = await browsers[0].context.newPage();
    await other.goto(url); // /db leads to the server
    const phone = other.locator('main');
    // Vite may load the page again when it has found a package.
    await until('the rows of alice', async () => {
      if (await phone.locator('.chat').isVisible()) return true;
      await phone.locator('[name=user]').fill('alice', { timeout: 1000 }).catch(() => {});
      await phone.locator('[name=password]').fill(password, { timeout: 1000 }).catch(() => {});
      await phone.locator('.sign-in [value=signIn]').click({ timeout: 1000 }).catch(() => {});
      return phone.locator('.chat').waitFor({ timeout: 5000 }).then(() => true, () => false);
    }, 60_000);
    await phone.locator('.messages li', { hasText: 'Only alice sees this row.' }).waitFor({ timeout: 30_000 });
    assert.deepEqual((await browsers[0].context.cookies(url)).map(({ name, httpOnly }) => [name, httpOnly]), [['kalamdb_refresh', true]]);
    await other.reload();
    await phone.locator('.messages li', { hasText: 'Only alice sees this row.' }).waitFor({ timeout: 30_000 });
    await phone.locator('.sign-out').click();
    await phone.locator('.sign-in').waitFor({ timeout: 30_000 });
    await other.close();
  } finally {
    process.kill(-dev.pid); // npm, its shell and Vite
  }
});

test('two devices of alice see each other', async () => {
  await signIn('Phone', 'alice');
  await signIn('Laptop', 'alice');
  await sees('Phone', 'Only alice sees this row.');
  await sees('Laptop', 'Only alice sees this row.');
  await send('Phone', 'On my way 😀');
  await sees('Laptop', 'On my way 😀');
  await send('Laptop', '<b>Good</b>');
  await sees('Phone', '<b>Good</b>');
});

test('they go on after the server was killed', async () => {
  const { port, dir: data } = server;
  await server.kill();
  await device('Phone').getByText('offline').waitFor({ timeout: 30_000 });
  await send('Phone', 'Still there?');
  await device('Phone').getByText('Not sent:').waitFor({ timeout: 60_000 });
  server = await startServer({ port, dir: data, env });
  await device('Phone').getByText('online').waitFor({ timeout: 60_000 });
  await device('Phone').locator('.write button').click();
  await sees('Laptop', 'Still there?');
});

test('bob sees none of it without the relay', async () => {
  await device('Laptop').locator('.sign-out').click();
  await signIn('Laptop', 'bob');
  await sees('Laptop', 'Only bob sees this row.');
  assert.equal(await device('Laptop').locator('.messages li').count(), 1);
});

/** Types on one device until the other says so. */
async function typing(from, to, user) {
  let n = 0;
  await until(`${to} says that ${user} types`, async () => {
    await device(from).locator('[name=body]').fill(`See you soon${'!'.repeat(n++)}`);
    return device(to).getByText(`${user} is typing`).isVisible();
  }, 60_000);
}

test('a relay with a wrong password ends with one line that says so', async () => {
  const wrong = spawn(process.execPath, ['relay.mjs', server.url], { cwd: dir, stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, RELAY_PASSWORD: 'wrong' } });
  let said = '';
  wrong.stderr.on('data', (chunk) => { said += chunk; });
  assert.deepEqual(await once(wrong, 'close'), [1, null]);
  assert.equal(said, 'relay: Invalid credentials\n');
});

test('with the relay alice and bob see what the other writes, also what was written before it ran', async () => {
  relay = spawn(process.execPath, ['relay.mjs', server.url], { cwd: dir, stdio: ['ignore', 'inherit', 'inherit'] });
  await sees('Laptop', 'aliceOn my way 😀');
  await sees('Laptop', 'aliceStill there?');
  await send('Laptop', 'I am. Tea?');
  await sees('Phone', 'bobI am. Tea?');
  await send('Phone', "It's four o'clock: yes");
  await sees('Laptop', "aliceIt's four o'clock: yes");
});

test('each sees that the other types, and that it is over', async () => {
  for (const [from, to, user] of [['Phone', 'Laptop', 'alice'], ['Laptop', 'Phone', 'bob']]) {
    await typing(from, to, user);
    await device(to).getByText(`${user} is typing`).waitFor({ state: 'hidden', timeout: 60_000 });
    assert.equal(await device(from).getByText(`${user} is typing`).count(), 0); // no word of oneself
  }
});

test('a stranger signs up, verifies the address, stays signed in and joins', async () => {
  const [email, secret] = ['dora@example.com', 'choose-a-good-one'];
  const laptop = device('Laptop');
  await laptop.locator('.sign-out').click();
  await laptop.locator('[name=user]').fill(email);
  await laptop.locator('[name=password]').fill(secret);
  await laptop.locator('[value=signUp]').click();
  await laptop.locator('[name=code]').fill('000000');
  await laptop.getByText('Verify').click();
  await laptop.getByText('the code is wrong or too old').waitFor({ timeout: 30_000 });
  await laptop.locator('[name=code]').fill(await mail.code(email));
  await laptop.getByText('Verify').click();
  await laptop.locator('.who', { hasText: 'dora' }).waitFor({ timeout: 30_000 });
  assert.equal(await laptop.locator('.messages li').count(), 0); // nothing of bob
  await send('Laptop', 'Hello, I am new');
  await sees('Phone', 'doraHello, I am new');
  await pages.Laptop.reload();
  await sees('Laptop', 'Hello, I am new');
  await send('Phone', 'Welcome');
  await sees('Laptop', 'aliceWelcome');
  const tab = await browsers[1].context.newPage();
  await tab.goto(address());
  await tab.locator('.who', { hasText: 'dora' }).waitFor({ timeout: 30_000 });
  await tab.locator('.sign-out').click();
  for (const page of [tab, pages.Laptop]) {
    await page.locator('.sign-in').waitFor({ timeout: 30_000 });
    assert.equal(await page.locator('.messages li').count(), 0);
  }
  await tab.close();
  await signIn('Laptop', 'bob');
  await sees('Laptop', 'doraHello, I am new');
});

test('a picture that one attaches the other sees, and a file is a link', async () => {
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC', 'base64');
  const attach = async (file, text) => {
    await device('Phone').locator('[name=file]').setInputFiles(file);
    await send('Phone', text);
  };
  await attach({ name: 'red.png', mimeType: 'image/png', buffer: png }, 'Look');
  for (const name of ['Phone', 'Laptop']) {
    const picture = device(name).locator('.messages img[alt="red.png"]');
    await until(`${name} shows the picture`, () => picture.evaluate((image) => image.naturalWidth === 10), 60_000);
  }
  await attach({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('milk') }, '');
  for (const name of ['Phone', 'Laptop']) {
    const link = device(name).locator('.messages a', { hasText: 'notes.txt (4 B)' });
    const url = await until(`${name} shows the link`, () => link.getAttribute('href', { timeout: 30_000 }), 60_000);
    assert.equal(await (await fetch(url)).text(), 'milk');
  }
  await typing('Laptop', 'Phone', 'bob');
  await takePicture();
});

test('copies are not copied, and the relay ends in order', async () => {
  const all = (name) => device(name).locator('.messages li').allInnerTexts();
  const own = { Phone: 'Only alice sees this row.', Laptop: 'Only bob sees this row.' };
  for (const name of ['Phone', 'Laptop']) {
    const texts = await all(name);
    assert.equal(texts.length, 10, texts.join('\n')); // nine of the conversation
    assert.ok(texts.some((text) => text.includes(own[name])), texts.join('\n'));
  }
  const csv = await admin('--csv', '-e', 'CONSUME FROM chat.written FROM EARLIEST LIMIT 1000');
  const rows = [...csv.matchAll(/\\x([0-9a-f]+)/g)].map(([, hex]) => JSON.parse(Buffer.from(hex, 'hex').toString()));
  assert.equal(rows.filter((row) => row._table === 'chat.messages').length, 9);
  assert.ok(rows.every((row) => row.sender === null), csv);
  relay.kill('SIGTERM');
  assert.deepEqual(await once(relay, 'exit'), [0, null]);
});
