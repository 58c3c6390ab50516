// The example examples/web-chat, built by Vite and driven in Chromium.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { serveFiles, startBrowser } from './support/browser.mjs';
import { freePort, root, startServer } from './support/server.mjs';

const run = promisify(execFile);
const example = join(root, 'examples/web-chat');

let dir, server, browser, files, page;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-chat-'));
  await run(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', example]);
  for (const name of ['index.html', 'package.json', 'src']) cpSync(join(example, name), join(dir, name), { recursive: true });
  symlinkSync(join(root, 'ts/node_modules'), join(dir, 'node_modules'));
  await run(process.execPath, [join(root, 'ts/node_modules/vite/bin/vite.js'), 'build'], { cwd: dir });
  server = await startServer({ port: await freePort(), keep: true });
  browser = await startBrowser();
  files = await serveFiles({ '/': join(dir, 'dist') });
  page = await browser.context.newPage();
  await page.setViewportSize({ width: 900, height: 560 });
  await page.goto(`${files.url}/?url=${encodeURIComponent(server.url)}`);
});

after(async () => {
  await browser?.close();
  await files?.close();
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

const device = (name) => page.locator(`[data-name=${name}]`);

async function signIn(name, user, password = 'Secret123!') {
  await device(name).locator('[name=user]').fill(user);
  await device(name).locator('[name=password]').fill(password);
  await device(name).locator('.sign-in button').click();
}

async function send(name, text) {
  await device(name).locator('[name=body]').fill(text);
  await device(name).locator('.write button').click();
}

const sees = (name, text) => device(name).locator('.messages li', { hasText: text }).waitFor({ timeout: 30_000 });

test('a wrong password says so', async () => {
  await signIn('Phone', 'alice', 'wrong');
  await device('Phone').getByText('Wrong user or password.').waitFor({ timeout: 30_000 });
});

test('two devices of alice see each other', async () => {
  await signIn('Phone', 'alice');
  await signIn('Laptop', 'alice');
  await sees('Phone', 'Only alice sees this row.');
  await sees('Laptop', 'Only alice sees this row.');
  await send('Phone', 'On my way 🚲');
  await sees('Laptop', 'On my way 🚲');
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
  const picture = join(root, 'bin/web-chat.png');
  mkdirSync(join(root, 'bin'), { recursive: true });
  await page.screenshot({ path: picture });
  assert.ok(statSync(picture).size < 200_000);
});

test('bob sees none of it', async () => {
  await device('Laptop').locator('.sign-out').click();
  await signIn('Laptop', 'bob');
  await sees('Laptop', 'Only bob sees this row.');
  assert.equal(await device('Laptop').locator('.messages li').count(), 1);
});
