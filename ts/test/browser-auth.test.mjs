// kalamAuth in Chromium, with the session in the cookie of the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { plainPage, serveFiles, startBrowser } from './support/browser.mjs';
import { startLossy } from './support/lossy.mjs';
import { password, root, startServer, until } from './support/server.mjs';

let server, lossy, browser, files;

const script = `
import { createClient } from '@kalamdb/client';
import { kalamAuth } from '@kalamdb/client/auth';
const url = new URLSearchParams(location.search).get('url');
window.auth = kalamAuth({ url });
window.states = [];
auth.subscribe((state) => states.push(state));
window.client = createClient({ url, authProvider: auth });
window.me = async () => (await client.queryOne('SELECT CURRENT_USER() AS me')).me.asString();
window.watch = () => { client.live('SELECT body FROM chat.messages', (rows) => { window.rows = rows.map((r) => r.body.asString()); }, { onError: ({ code }) => { window.ended = code; } }); };
await auth.ready;
document.title = auth.state;`;

before(async () => {
  files = await serveFiles({ '/packages/': join(root, 'ts'), '/': () => ({ body: plainPage(script) }) });
  server = await startServer({ env: { KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS: files.url } });
  lossy = await startLossy(server.url);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await lossy?.close();
  await files?.close();
  await server?.close();
});

async function open(state, url = server.url) {
  const page = await browser.context.newPage();
  await page.goto(`${files.url}/?url=${encodeURIComponent(url)}`);
  await page.waitForFunction((s) => document.title === s, state, { timeout: 30_000 });
  return page;
}

const signIn = (page, user) => page.evaluate(([user, password]) => auth.signIn(user, password).then(({ id }) => id), [user, password]);
const becomes = (page, state, user) => page.waitForFunction(([s, u]) => auth.state === s && auth.user?.id === u, [state, user], { timeout: 30_000 });

test('a reload and a new tab are signed in with one request; a sign-out reaches all', async () => {
  const page = await open('signed-out');
  assert.equal(await signIn(page, 'alice'), 'alice');
  assert.equal(await page.evaluate(() => me()), 'alice');
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.reload();
  await page.waitForFunction(() => document.title === 'signed-in', undefined, { timeout: 30_000 });
  assert.deepEqual(asked.filter((path) => path.startsWith('/v1/')), ['/v1/api/auth/refresh']);
  await page.evaluate(() => watch());
  await page.waitForFunction(() => window.rows?.length > 0, undefined, { timeout: 30_000 });
  const other = await open('signed-in');
  await other.evaluate(() => auth.signOut());
  await becomes(page, 'signed-out');
  await becomes(other, 'signed-out');
  await page.reload();
  await page.waitForFunction(() => document.title === 'signed-out', undefined, { timeout: 30_000 });
  await page.close();
  await other.close();
});

test('no script can read the session, and no other request carries it', async () => {
  const page = await open('signed-out', lossy.url);
  await signIn(page, 'alice');
  assert.equal(await page.evaluate(() => me()), 'alice');
  const kept = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]));
  assert.equal(kept, '["",{},{}]');
  assert.ok((await browser.context.cookies(lossy.url)).some((c) => c.name === 'kalamdb_refresh' && c.httpOnly && c.sameSite === 'Lax'));
  for (const { method, path, cookie } of lossy.seen) {
    if (!path.startsWith('/v1/api/auth/')) assert.equal(cookie, undefined, `${method} ${path}`);
  }
  assert.ok(lossy.seen.some(({ path }) => path === '/v1/api/sql'));
  await page.evaluate(() => auth.signOut());
  await page.close();
});

test('another user in another tab ends what the first one sees', async () => {
  const page = await open('signed-out');
  await signIn(page, 'alice');
  await page.evaluate(() => watch());
  await page.waitForFunction(() => window.rows?.length > 0, undefined, { timeout: 30_000 });
  const other = await open('signed-in');
  await signIn(other, 'bob');
  await becomes(page, 'signed-in', 'bob');
  await page.waitForFunction(() => window.ended === 'IDENTITY_CHANGED', undefined, { timeout: 30_000 });
  assert.equal(await page.evaluate(() => me()), 'bob');
  await other.evaluate(() => auth.signOut());
  await page.close();
  await other.close();
});

test('20 tabs that share the cookie, 200 renewals, 5 % of the answers lost: no sign-out', async () => {
  const first = await open('signed-out', lossy.url);
  await signIn(first, 'alice');
  const pages = [first];
  while (pages.length < 20) pages.push(await open('signed-in', lossy.url));
  let n = 0;
  lossy.lose = ({ method }) => method === 'POST' && ++n % 20 === 0;
  const results = await Promise.all(pages.map((page) => page.evaluate(async () => {
    let good = 0;
    for (let i = 0; i < 1000 && good < 10; i++) {
      const old = await auth().catch(() => undefined);
      const next = old && await auth({ reason: 'rejected', rejected: old.token, signal: new AbortController().signal }).catch(() => undefined);
      if (next) good++;
    }
    return [good, states.includes('signed-out'), auth.user?.id];
  })));
  lossy.lose = () => false;
  assert.deepEqual(results, results.map(() => [10, false, 'alice']).map((r, i) => (i === 0 ? [10, true, 'alice'] : r))); // the first one began signed out
  assert.ok(lossy.lost >= 10, `${lossy.lost} answers were lost`);
  await first.evaluate(() => auth.signOut());
  for (const page of pages) {
    await becomes(page, 'signed-out');
    await page.close();
  }
});

test('a page of another site can neither sign the browser in nor use its session', async () => {
  const page = await open('signed-out');
  await signIn(page, 'alice');
  const before = (await browser.context.cookies(server.url)).find((c) => c.name === 'kalamdb_refresh').value;
  const evil = await browser.context.newPage();
  await evil.goto(files.url.replace('localhost', '127.0.0.1').replace(/$/, '/none')).catch(() => {});
  await evil.setContent(`<form method="post" enctype="text/plain" action="${server.url}/v1/api/auth/login"><input name='{"user":"bob","password":"${password}","x":"' value='"}'></form>`);
  await Promise.all([evil.waitForNavigation(), evil.evaluate(() => document.forms[0].submit())]);
  assert.match(await evil.textContent('body'), /Content-Type: application\/json/);
  const now = (await browser.context.cookies(server.url)).find((c) => c.name === 'kalamdb_refresh').value;
  assert.equal(now, before);
  await evil.close();
  await page.evaluate(() => auth.signOut());
  await page.close();
});
