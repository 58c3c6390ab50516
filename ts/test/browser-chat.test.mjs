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
import { freePort, password, root, startServer, until } from './support/server.mjs';

const run = promisify(execFile);
const example = join(root, 'examples/web-chat');

let dir, server, browser, files, page, relay;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-chat-'));
  await run(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', example]);
  for (const name of ['index.html', 'package.json', 'relay.mjs', 'src']) cpSync(join(example, name), join(dir, name), { recursive: true });
  // What npm install would put there: .npmrc has it copy the packages.
  for (const name of ['.bin', '@kalamdb']) mkdirSync(join(dir, 'node_modules', name), { recursive: true });
  for (const name of ['vite', '.bin/vite', 'ws']) symlinkSync(join(root, 'ts/node_modules', name), join(dir, 'node_modules', name));
  for (const name of ['client', 'consumer']) {
    for (const part of ['package.json', 'dist']) {
      cpSync(join(root, 'ts', name, part), join(dir, 'node_modules/@kalamdb', name, part), { recursive: true });
    }
  }
  await run(process.execPath, [join(root, 'ts/node_modules/vite/bin/vite.js'), 'build'], { cwd: dir });
  server = await startServer({ port: await freePort(), keep: true });
  for (let i = 0; i < 2; i++) { // it may run again
    await admin('-f', join(example, 'setup.sql'));
  }
  browser = await startBrowser();
  files = await serveFiles({ '/': join(dir, 'dist') });
  page = await browser.context.newPage();
  await page.setViewportSize({ width: 900, height: 560 });
  await page.goto(`${files.url}/?url=${encodeURIComponent(server.url)}`);
});

after(async () => {
  relay?.kill('SIGKILL');
  await browser?.close();
  await files?.close();
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** What kalam sql prints for the administrator. */
async function admin(...words) {
  const { stdout } = await run(join(root, 'bin/kalam'), ['sql', '--url', server.url, '-u', 'admin', ...words], {
    env: { ...process.env, KALAM_PASSWORD: password },
  });
  return stdout;
}

const device = (name) => page.locator(`[data-name=${name}]`);

async function signIn(name, user, secret = password) {
  await device(name).locator('[name=user]').fill(user);
  await device(name).locator('[name=password]').fill(secret);
  await device(name).locator('.sign-in button').click();
}

async function send(name, text) {
  await device(name).locator('[name=body]').fill(text);
  await device(name).locator('.write button').click();
}

async function takePicture() {
  const picture = join(root, 'bin/web-chat.png');
  mkdirSync(join(root, 'bin'), { recursive: true });
  await page.screenshot({ path: picture });
  assert.ok(statSync(picture).size < 200_000);
}

const sees = (name, text) => device(name).locator('.messages li', { hasText: text }).waitFor({ timeout: 30_000 });

test('a wrong password says so', async () => {
  await signIn('Phone', 'alice', 'wrong');
  await device('Phone').getByText('Wrong user or password.').waitFor({ timeout: 30_000 });
});

test('npm run dev serves the page', async () => {
  const dev = spawn('npm', ['run', 'dev', '--', '--port', '0', '--host', 'localhost'], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'], detached: true, env: { ...process.env, NO_COLOR: '1' } });
  try {
    const url = await new Promise((resolve, reject) => {
      let output = '';
      dev.stdout.on('data', (chunk) => {
        const found = /(http:\/\/localhost:\d+)\//.exec((output += chunk));
        if (found) resolve(found[1]);
      });
      dev.once('exit', () => reject(new Error(output)));
    });
    const other = await browser.context.newPage();
    await other.goto(`${url}/?url=${encodeURIComponent(server.url)}`);
    const phone = other.locator('[data-name=Phone]');
    // Vite may load the page again when it has found a package.
    await until('the rows of alice', async () => {
      if (await phone.locator('.chat').isVisible()) return true;
      await phone.locator('[name=user]').fill('alice', { timeout: 1000 }).catch(() => {});
      await phone.locator('[name=password]').fill(password, { timeout: 1000 }).catch(() => {});
      await phone.locator('.sign-in button').click({ timeout: 1000 }).catch(() => {});
      return phone.locator('.chat').waitFor({ timeout: 5000 }).then(() => true, () => false);
    }, 60_000);
    await phone.locator('.messages li', { hasText: 'Only alice sees this row.' }).waitFor({ timeout: 30_000 });
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
  server = await startServer({ port, dir: data });
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
    assert.equal(texts.length, 8, texts.join('\n')); // seven of the conversation
    assert.ok(texts.some((text) => text.includes(own[name])), texts.join('\n'));
  }
  const csv = await admin('--csv', '-e', 'CONSUME FROM chat.written FROM EARLIEST LIMIT 1000');
  const rows = [...csv.matchAll(/\\x([0-9a-f]+)/g)].map(([, hex]) => JSON.parse(Buffer.from(hex, 'hex').toString()));
  assert.equal(rows.filter((row) => row._table === 'chat.messages').length, 7);
  assert.ok(rows.every((row) => row.sender === null), csv);
  relay.kill('SIGTERM');
  assert.deepEqual(await once(relay, 'exit'), [0, null]);
});
