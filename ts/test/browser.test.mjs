// The page of the documentation and what only a browser has, in Chromium.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Auth, createClient } from '@kalamdb/client';
import { plainPage, serveFiles, startBrowser } from './support/browser.mjs';
import { compilePage } from './support/page.mjs';
import { root, startServer } from './support/server.mjs';
import { table } from './support/values.mjs';

const packages = { '/packages/client/': join(root, 'ts/client'), '/packages/consumer/': join(root, 'ts/consumer') };

let dir, server, browser, files, modules;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-browser-'));
  modules = compilePage(join(dir, 'page'), { packages: join(root, 'ts/node_modules') });
  server = await startServer();
  browser = await startBrowser({ port: server.port });
  files = await serveFiles({
    ...packages,
    '/page/': join(dir, 'page/out'),
    '/support/': join(root, 'ts/test/support'),
    '/run/': (path) => ({ body: plainPage(`import('/page/${path.slice(5)}').then(() => { window.result = 'good'; }, (e) => { window.result = String(e.stack ?? e); });`) }),
    '/empty': () => ({ body: plainPage(`window.kalam = await import('@kalamdb/client'); window.result = 'good';`) }),
  });
});

after(async () => {
  await browser?.close();
  await files?.close();
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Opens a page and waits for its result. */
async function open(path) {
  const page = await browser.context.newPage();
  await page.goto(files.url + path);
  await page.waitForFunction(() => window.result !== undefined, undefined, { timeout: 60_000 });
  return page;
}

describe('the blocks of the page in Chromium', () => {
  for (let i = 0; i < 7; i++) {
    test(`block ${i + 1}`, async () => {
      const page = await open(`/run/${modules[i].file}`);
      assert.equal(await page.evaluate(() => window.result), 'good');
      assert.equal(await page.evaluate(() => window.unhandled), undefined);
      await page.close();
    });
  }
});

test('each JavaScript value is stored as the documentation says, or refused', async () => {
  const admin = createClient({ url: server.url, authProvider: async () => Auth.basic('admin', 'Secret123!') });
  await admin.query(table);
  await admin.shutdown();
  const page = await open('/empty');
  const { wrong, count } = await page.evaluate(async (url) => {
    const { check } = await import('/support/values.mjs');
    return check(kalam, kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') }));
  }, server.url);
  assert.deepEqual(wrong, []);
  assert.ok(count > 100, String(count));
  await page.close();
});

test('nothing is left on globalThis', async () => {
  const page = await open('/empty');
  const added = await page.evaluate(async (url) => {
    const before = new Set(Object.getOwnPropertyNames(globalThis));
    const client = kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    await client.query('SELECT 1');
    await client.shutdown();
    return Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name));
  }, server.url);
  assert.deepEqual(added, []);
  await page.close();
});

/** Runs a function in a page with a client of alice; gives what it returns. */
async function inPage(fn, arg) {
  const page = await open('/empty');
  await page.evaluate((url) => {
    window.client = kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    window.until = async (check) => {
      for (let end = Date.now() + 30_000; !check();) {
        if (Date.now() > end) throw new Error(`timed out: ${check}`);
        await new Promise((done) => setTimeout(done, 5));
      }
    };
  }, server.url);
  try {
    return await page.evaluate(fn, arg);
  } finally {
    assert.equal(await page.evaluate(() => window.unhandled), undefined);
    await page.close();
  }
}

test('live rows, aborting and errors as in Node', async () => {
  const result = await inPage(async () => {
    const out = [];
    let rows;
    const stop = await client.live("SELECT id, body FROM chat.messages WHERE room = 'browser'", (now) => { rows = now; });
    await client.insert('chat.messages', { id: 1, room: 'browser', body: 'grüße 🎉' });
    await until(() => rows.length === 1);
    out.push(rows[0].body.asString());
    await stop();
    const gone = new AbortController();
    const call = client.query('SELECT 1', [], { signal: gone.signal });
    gone.abort();
    out.push(await call.catch((e) => e.name));
    out.push(await client.query('SELEKT').catch((e) => [e instanceof kalam.KalamServerError, e.code, e.status].join()));
    return out;
  });
  assert.deepEqual(result, ['grüße 🎉', 'AbortError', 'true,INVALID_SQL,400']);
});

test('files: an upload after the login exchange, its progress, its end by a signal, and pictures', async () => {
  const admin = createClient({ url: server.url, authProvider: async () => Auth.basic('admin', 'Secret123!') });
  await admin.query("CREATE USER TABLE chat.photos (id INT PRIMARY KEY, photo FILE)");
  await admin.shutdown();
  const result = await inPage(async (url) => {
    const out = {};
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1500;
    const pixels = canvas.getContext('2d').createImageData(1500, 1500);
    for (let i = 0; i < pixels.data.length; i += 65536) crypto.getRandomValues(pixels.data.subarray(i, i + 65536));
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    const photo = await new Promise((done) => canvas.toBlob(done, 'image/png')); // some megabytes
    const steps = [];
    await client.queryWithFiles('INSERT INTO chat.photos (id, photo) VALUES ($1, FILE("photo"))', { photo: new File([photo], 'noise.png', { type: 'image/png' }) }, [1], (step) => steps.push(step));
    out.requests = performance.getEntriesByType('resource').map((e) => new URL(e.name).pathname).filter((path) => path.startsWith('/v1/'));
    out.rising = steps.every((step, i) => i === 0 || step.bytes_sent > steps[i - 1].bytes_sent);
    out.last = steps.at(-1).percent;
    const [row] = await client.queryRows('SELECT photo FROM chat.photos WHERE id = 1', 'chat.photos');
    out.file = [row.file('photo').name, row.file('photo').isImage(), row.file('photo').size === photo.size];
    const image = new Image();
    image.src = await row.file('photo').downloadUrl({ expiresIn: 60 });
    await image.decode();
    out.width = image.naturalWidth;
    const shouted = kalam.createClient({ url: `${url.replace('localhost', 'LOCALHOST')}/`, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    out.shouted = (await shouted.queryWithFiles('UPDATE chat.photos SET photo = FILE("p") WHERE id = 1', { p: photo }, [], () => {})).results[0].row_count;
    await shouted.shutdown();
    const gone = new AbortController(); // the bytes may have left by then, and the row be there
    const call = client.queryWithFiles('INSERT INTO chat.photos (id, photo) VALUES (2, FILE("p"))', { p: photo }, [], () => gone.abort(), { signal: gone.signal });
    out.aborted = await call.catch((e) => e.name);
    out.refused = await client.queryWithFiles('INSERT INTO chat.photos (id, photo) VALUES (3, FILE("p"))', { q: photo }, [], () => {}).catch((e) => [e instanceof kalam.KalamServerError, e.code, e.status].join());
    out.rows = (await client.queryOne('SELECT count(*) AS n FROM chat.photos WHERE id <> 2')).n.asInt();
    return out;
  }, server.url);
  assert.deepEqual(result, {
    requests: ['/v1/api/auth/login', '/v1/api/sql'], rising: true, last: 100, file: ['noise.png', true, true], width: 1500, shouted: 1,
    aborted: 'AbortError', refused: 'true,MISSING_FILE,400', rows: 1,
  });
});

test('a tab that was hidden and whose clock jumped looks again', async () => {
  const result = await inPage(async () => {
    const sent = [];
    client.onSend((text) => sent.push(text));
    let rows;
    await client.live("SELECT id FROM chat.messages WHERE room = 'hidden'", (now) => { rows = now; });
    const before = sent.filter((text) => text.includes('authenticate')).length;
    const now = Date.now;
    Date.now = () => now() + 3_600_000; // it slept for an hour
    document.dispatchEvent(new Event('visibilitychange'));
    // The socket must show that it is there, and the rows still come.
    await until(() => sent.filter((text) => text.includes('authenticate')).length > before);
    Date.now = now;
    await client.insert('chat.messages', { id: 2, room: 'hidden', body: 'x' });
    await until(() => rows.length === 1);
    return client.isConnected();
  });
  assert.equal(result, true);
});

test('two tabs that share a refresh token both stay signed in', async () => {
  const pages = await Promise.all([open('/empty'), open('/empty')]);
  const token = await pages[0].evaluate(async (url) => {
    const c = kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    return (await c.login()).refresh_token;
  }, server.url);
  const users = await Promise.all(pages.map((page) => page.evaluate(async ([url, refreshToken]) => {
    const c = kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    await c.refreshToken(refreshToken);
    return (await c.queryOne('SELECT CURRENT_USER() AS me')).me.asString();
  }, [server.url, token])));
  assert.deepEqual(users, ['alice', 'alice']);
  await Promise.all(pages.map((page) => page.close()));
});

test('memory is flat over 1,000 subscriptions that come and go', async () => {
  const page = await open('/empty');
  const session = await page.context().newCDPSession(page);
  await page.evaluate(() => {
    const real = WebAssembly.instantiate;
    WebAssembly.instantiate = async (...args) => {
      const instance = await real(...args);
      window.memory = instance.exports.mem;
      return instance;
    };
  });
  const used = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return { heap: (await session.send('Runtime.getHeapUsage')).usedSize, wasm: await page.evaluate(() => memory.buffer.byteLength) };
  };
  const cycle = (n) => page.evaluate(async ([url, n]) => {
    window.c ??= kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    for (let i = 0; i < n; i += 10) {
      const stops = await Promise.all(Array.from({ length: 10 }, () => c.live("SELECT id FROM chat.messages WHERE room = 'flat'", () => {})));
      await Promise.all(stops.map((stop) => stop()));
    }
    return c.getSubscriptionCount();
  }, [server.url, n]);
  await cycle(600);
  const before = await used();
  assert.equal(await cycle(1000), 0);
  const after = await used();
  assert.ok(after.heap - before.heap < 400_000, `the heap grew by ${after.heap - before.heap} bytes`);
  assert.ok(after.wasm - before.wasm <= 4 * 65536, `the memory of the module grew by ${after.wasm - before.wasm} bytes`);
  await page.close();
});

/**
 * Milliseconds of CPU of each task of a page's main thread while fn runs in it.
 * Unlike the time that passes, they do not grow when the machine is busy.
 */
async function taskTimes(page, fn, arg) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel', 'disabled-by-default-devtools.timeline', 'blink.user_timing'], excludedCategories: ['*'] },
  });
  await page.evaluate(fn, arg); // it marks its beginning with performance.mark('begin')
  const complete = new Promise((done) => session.once('Tracing.tracingComplete', done));
  await session.send('Tracing.end');
  await complete;
  const begin = events.find((e) => e.name === 'begin');
  return events
    .filter((e) => e.name === 'RunTask' && e.pid === begin.pid && e.tid === begin.tid && e.ts >= begin.ts)
    .map((e) => e.tdur / 1000);
}

test('1,000 events in a second leave the page responsive', async () => {
  const page = await open('/empty');
  const times = await taskTimes(page, async (url) => {
    const client = kalam.createClient({ url, authProvider: async () => kalam.Auth.basic('alice', 'Secret123!') });
    let rows = [];
    await client.live("SELECT id, body FROM chat.messages WHERE room = 'busy'", (now) => { rows = now; });
    performance.mark('begin');
    const began = performance.now();
    for (let i = 0; i < 20; i++) {
      const values = Array.from({ length: 50 }, (_, j) => `(${50_000 + i * 50 + j}, 'busy', 'event')`);
      void client.query(`INSERT INTO chat.messages (id, room, body) VALUES ${values.join()}`);
      await new Promise((done) => setTimeout(done, Math.max(0, began + (i + 1) * 50 - performance.now())));
    }
    while (rows.length < 1000) await new Promise((done) => setTimeout(done, 5));
  }, server.url);
  const sum = times.reduce((a, b) => a + b, 0);
  console.log(`# 1,000 events: ${times.length} tasks of ${sum.toFixed(0)} ms in all, the longest ${Math.max(...times).toFixed(1)} ms`);
  assert.ok(times.length > 100 && sum > 0, 'the tasks were seen');
  assert.deepEqual(times.filter((ms) => ms > 50), []);
  await page.close();
});

describe('a strict content security policy', () => {
  const serve = (policy) => serveFiles({ ...packages, '/app.js': () => ({ type: 'text/javascript', body: `
import { createClient, Auth } from '/packages/client/dist/index.js';
const client = createClient({ url: ${JSON.stringify(server.url)}, authProvider: async () => Auth.basic('alice', 'Secret123!') });
client.queryOne('SELECT CURRENT_USER() AS me').then((row) => { document.title = row.me.asString(); }, (e) => { document.title = e.code + ' ' + e.message; });` }),
  '/': () => ({ body: '<!doctype html><title></title><script type="module" src="/app.js"></script>' }) }, { headers: { 'Content-Security-Policy': policy } });

  async function titleUnder(policy) {
    const csp = await serve(policy);
    const page = await browser.context.newPage();
    await page.goto(csp.url);
    await page.waitForFunction(() => document.title !== '', undefined, { timeout: 30_000 });
    const title = await page.title();
    await page.close();
    await csp.close();
    return title;
  }

  test('with the documented directives it works', async () => {
    assert.equal(await titleUnder(`default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${server.url} ${server.url.replace('http', 'ws')}`), 'alice');
  });

  test('without them the error says which', async () => {
    assert.match(await titleUnder(`default-src 'self'; connect-src 'self' ${server.url}`), /^WASM_BLOCKED .*'wasm-unsafe-eval'/);
  });
});
