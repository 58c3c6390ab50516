// client.auth, client.accounts and kalamAuth in Chromium, with a real SMTP
// server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { expected } from './support/account.mjs';
import { plainPage, serveFiles, startBrowser } from './support/browser.mjs';
import { startMail } from './support/mail.mjs';
import { freePort, root, startServer } from './support/server.mjs';

let browser, files, mail, server;

const script = `
import { createClient } from '@kalamdb/client';
import { kalamAuth } from '@kalamdb/client/auth';
import { lifeOfAnAccount } from '/support/account.mjs';
const url = new URLSearchParams(location.search).get('url');
window.life = () => lifeOfAnAccount({ createClient, url, code: (address) => window.mailCode(address) });
window.begin = async () => {
  window.auth = kalamAuth({ url });
  window.client = createClient({ url, authProvider: auth });
  client.live('SELECT body FROM chat.messages', (rows) => { window.rows = rows.map((r) => r.body.asString()); }, { onError: ({ code }) => { window.ended = code; } }).catch((error) => { window.ended = String(error); });
  await auth.ready;
};
window.sessions = () => client.auth.sessions().then((all) => all.length);
document.title = 'ready';`;

before(async () => {
  files = await serveFiles({ '/packages/': join(root, 'ts'), '/support/': join(root, 'ts/test/support'), '/': () => ({ body: plainPage(script) }) });
  mail = await startMail();
  const port = await freePort();
  server = await startServer({ port, env: {
    KALAMDB_AUTH_ACCOUNTS_SIGNUP: 'open', KALAMDB_AUTH_ACCOUNTS_EMAIL: 'required', KALAMDB_AUTH_ACCOUNTS_ANONYMOUS: 'true',
    KALAMDB_MAIL_SMTP: mail.smtp, KALAMDB_MAIL_FROM: 'notes@example.com', KALAMDB_SERVER_PUBLIC_ORIGIN: `http://localhost:${port}`,
    KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS: files.url, KALAMDB_AUTH_ACCOUNTS_ALLOWED_REDIRECTS: files.url,
  } });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.close();
  await mail?.close();
  await files?.close();
});

async function open(context = browser.context) {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(`${files.url}/?url=${encodeURIComponent(server.url)}`);
  await page.waitForFunction(() => document.title === 'ready');
  return page;
}

test('the life of an account with client.auth and client.accounts', { timeout: 120_000 }, async () => {
  const page = await open();
  await page.exposeFunction('mailCode', mail.code);
  assert.deepEqual(await page.evaluate(() => life()), expected);
  assert.equal(await page.evaluate(() => window.unhandled), undefined);
  await page.close();
});

/** Presses the button of the page that a link opens, in a browser. */
async function confirm(context, link, password) {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(link);
  if (password) await page.fill('[name=password]', password);
  await page.click('button');
  await page.getByText(/Confirmed|signed in/i).first().waitFor();
  return page;
}

test('an anonymous account gets an address by its link: id, session, rows and live query stay', async () => {
  const page = await open();
  const id = await page.evaluate(async () => {
    await begin();
    const { id } = await auth.signInAnonymously();
    await client.insert('chat.messages', { room: 'r', body: 'mine' });
    return id;
  });
  await page.waitForFunction(() => window.rows?.length === 1);
  assert.equal(await page.evaluate(() => auth.upgrade({ email: 'lea@example.com', password: 'correct-horse-9' })), null);
  const link = await mail.link('lea@example.com');
  assert.ok(link.startsWith(`${server.url}/`));

  // What a scanner of mails does changes nothing.
  for (const method of ['HEAD', 'GET', 'GET']) assert.equal((await fetch(link, { method })).status, 200);
  assert.deepEqual(await page.evaluate(async () => { const { email, anonymous } = await client.auth.me(); return [email, anonymous]; }), [null, true]);

  const confirmed = await confirm(browser.context, link);
  await page.bringToFront();
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.waitForFunction(() => auth.user?.email === 'lea@example.com');
  assert.deepEqual(await page.evaluate(() => [auth.user.id, auth.user.anonymous, window.ended]), [id, undefined, undefined]);
  await page.evaluate(() => client.insert('chat.messages', { room: 'r', body: 'still live' }));
  await page.waitForFunction(() => window.rows?.length === 2);
  assert.equal(await page.evaluate(() => sessions()), 1);
  await confirmed.close();
  await page.reload();
  await page.evaluate(() => begin());
  assert.equal(await page.evaluate(() => auth.user?.id), id);
  await page.waitForFunction(() => window.rows?.length === 2);
  await page.evaluate(() => client.auth.logout());
  await page.waitForFunction(() => auth.state === 'signed-out');
  assert.equal(await page.evaluate(() => window.ended), 'SESSION_ENDED');
  await page.close();
});

test('a link signs in the browser that asked for the mail, and no other', async () => {
  const page = await open();
  await page.evaluate(async (to) => { await begin(); await auth.signUp({ email: 'max@example.com', password: 'correct-horse-9', redirectTo: to }); }, `${files.url}/?url=${encodeURIComponent(server.url)}`);
  const link = await mail.link('max@example.com');
  // Another browser confirms: the account is there, and nobody is signed in by it.
  const elsewhere = await startBrowser();
  try {
    const other = await confirm(elsewhere.context, link, 'correct-horse-9');
    assert.deepEqual((await elsewhere.context.cookies(server.url)).filter(({ name }) => name === 'kalamdb_refresh'), []);
    await other.close();
    const stranger = await open(elsewhere.context);
    await stranger.evaluate(() => begin());
    assert.equal(await stranger.evaluate(() => auth.state), 'signed-out');
  } finally {
    await elsewhere.close();
  }
  assert.equal(await page.evaluate(() => auth.state), 'signed-out');
  await page.evaluate(() => auth.sendCode('max@example.com'));
  const own = await confirm(browser.context, await mail.link('max@example.com'));
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.waitForFunction(() => auth.user?.email === 'max@example.com');
  await own.close();
  await page.evaluate(() => auth.signOut());
  await page.close();
});
