// The example examples/one-page in Chromium, with a real SMTP server.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { serveFiles, startBrowser } from './support/browser.mjs';
import { startMail } from './support/mail.mjs';
import { root, startServer } from './support/server.mjs';

let files, mail, server, browser;

before(async () => {
  files = await serveFiles({ '/ts/': join(root, 'ts'), '/examples/': join(root, 'examples') });
  mail = await startMail();
  server = await startServer({ env: {
    KALAMDB_AUTH_ACCOUNTS_SIGNUP: 'open', KALAMDB_AUTH_ACCOUNTS_EMAIL: 'required', KALAMDB_MAIL_SMTP: mail.smtp, KALAMDB_MAIL_FROM: 'notes@example.com',
    KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS: files.url,
  } });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.close();
  await mail?.close();
  await files?.close();
});

test('sign up, verify, insert, reload, and sign out in a second tab', async () => {
  assert.ok(readFileSync(join(root, 'examples/one-page/index.html'), 'utf8').trimEnd().split('\n').length <= 60);
  const open = async () => {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(`${files.url}/examples/one-page/?url=${encodeURIComponent(server.url)}`);
    return page;
  };
  const page = await open();
  await page.fill('[name=email]', 'dora@example.com');
  await page.fill('[name=password]', 'choose-a-good-one');
  await page.click('[value=signUp]');
  await page.fill('[name=code]', await mail.code('dora@example.com'));
  await page.click('#verify button');
  await page.getByText('dora@example.com').waitFor();
  await page.fill('[name=body]', 'buy bread');
  await page.click('#add button');
  await page.locator('li', { hasText: 'buy bread' }).waitFor();
  await page.reload();
  await page.locator('li', { hasText: 'buy bread' }).waitFor();
  const other = await open();
  await other.locator('li', { hasText: 'buy bread' }).waitFor();
  await other.fill('[name=body]', 'call grandma');
  await other.click('#add button');
  await page.locator('li', { hasText: 'call grandma' }).waitFor(); // still live
  await page.setViewportSize({ width: 640, height: 420 });
  await page.screenshot({ path: join(root, 'bin/one-page.png') });
  await other.click('#sign-out');
  for (const p of [page, other]) {
    await p.locator('#sign-up').waitFor();
    assert.equal(await p.locator('li').count(), 0);
  }
});
