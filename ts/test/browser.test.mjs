// The page of the documentation and what only a browser has, in Chromium.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { plainPage, serveFiles, startBrowser } from './support/browser.mjs';
import { compilePage } from './support/page.mjs';
import { root, startServer } from './support/server.mjs';

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
