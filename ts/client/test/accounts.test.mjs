// client.auth and client.accounts in Node; test/browser-accounts.test.mjs has
// them in Chromium.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Auth, createClient } from '@kalamdb/client';
import { kalamAuth } from '@kalamdb/client/auth';
import { expected, lifeOfAnAccount } from '../../test/support/account.mjs';
import { startMail } from '../../test/support/mail.mjs';
import { password, startServer, until } from '../../test/support/server.mjs';

let mail, server;
const made = [];

before(async () => {
  mail = await startMail();
  server = await startServer({ env: {
    KALAMDB_AUTH_ACCOUNTS_SIGNUP: 'open', KALAMDB_AUTH_ACCOUNTS_EMAIL: 'required', KALAMDB_AUTH_ACCOUNTS_ANONYMOUS: 'true',
    KALAMDB_MAIL_SMTP: mail.smtp, KALAMDB_MAIL_FROM: 'notes@example.com',
  } });
});

after(async () => {
  for (const one of made) await (one.shutdown ? one.shutdown() : one.close());
  await server?.close();
  await mail?.close();
});

function newClient(authProvider, options = {}) {
  const client = createClient({ url: server.url, authProvider, ...options });
  made.push(client);
  return client;
}

test('the life of an account', { timeout: 120_000 }, async () => {
  assert.deepEqual(await lifeOfAnAccount({ createClient, url: server.url, code: mail.code }), expected);
});

test('a provider that gives null: calls fail at once, and initialize() succeeds', async () => {
  const client = newClient(async () => null);
  await client.initialize();
  assert.equal(client.getAuthType(), null);
  await assert.rejects(client.query('SELECT 1'), { name: 'KalamAuthError', code: 'UNAUTHENTICATED' });
  await client.accounts.signInAnonymously();
  assert.equal(client.getAuthType(), 'jwt');
});

test('a session that began in the client renews itself and survives a lost socket', async () => {
  const client = newClient(async () => null);
  const { user, refresh_token } = await client.accounts.signInAnonymously();
  const renewed = await client.refreshToken(refresh_token);
  assert.equal(renewed.user.id, user.id);
  await client.connect();
  await client.disconnect();
  let rows;
  await client.live('SELECT body FROM chat.messages', (all) => { rows = all; });
  await until('the rows', () => rows);
  assert.equal((await client.auth.sessions()).length, 1);
});

test('logout ends the session at the server; without an answer it stays', async () => {
  const client = newClient(async () => Auth.basic('bob', password));
  const other = newClient(async () => Auth.basic('bob', password));
  await other.query('SELECT 1');
  let ended;
  await client.live('SELECT body FROM chat.messages', () => {}, { onError: ({ code }) => { ended = code; } });
  assert.equal((await other.auth.sessions()).length, 2);
  await client.auth.logout();
  await until('the live query ends', () => ended);
  assert.equal(ended, 'SESSION_ENDED');
  assert.equal((await other.auth.sessions()).length, 1);
  assert.equal((await client.auth.me()).id, 'bob'); // a later call signs in anew

  const lost = await startServer({ keep: true });
  const away = newClient(async () => Auth.basic('bob', password), { url: lost.url });
  await away.query('SELECT 1');
  await lost.kill();
  await assert.rejects(away.auth.logout(), { name: 'KalamConnectionError' });
  const back = await startServer({ dir: lost.dir, port: lost.port });
  assert.equal((await away.auth.sessions()).length, 1); // the same one
  await back.close();
});

test('a call can be aborted', async () => {
  const client = newClient(async () => Auth.basic('alice', password));
  const reason = new Error('no more');
  await assert.rejects(client.auth.sessions({ signal: AbortSignal.abort(reason) }), reason);
});

test('with kalamAuth: what changes the session is its own, and it hears of an end', async () => {
  const map = new Map();
  const auth = kalamAuth({ url: server.url, storage: { getItem: (k) => map.get(k) ?? null, setItem: (k, v) => void map.set(k, v), removeItem: (k) => void map.delete(k) } });
  made.push(auth);
  const client = newClient(auth);
  for (const call of [client.accounts.signUp({ email: 'x@example.com' }), client.accounts.signInAnonymously(), client.accounts.redeemCode({ email: 'x@example.com', code: '123456' })]) {
    await assert.rejects(call, { code: 'INVALID_ARGUMENT', message: /kalamAuth/ });
  }
  await auth.signIn('alice', password);
  assert.equal((await client.auth.me()).id, 'alice');
  await client.auth.logout();
  assert.equal(auth.state, 'signed-out');
  assert.equal(map.size, 0);
  await auth.signInAnonymously();
  await client.accounts.deleteAccount();
  assert.equal(auth.state, 'signed-out');
});
