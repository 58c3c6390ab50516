// kalamAuth where there is no page: with a storage. test/browser-auth.test.mjs
// has it in a browser.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { createClient } from '@kalamdb/client';
import { kalamAuth } from '@kalamdb/client/auth';
import { password, startServer, until } from '../../test/support/server.mjs';
import { startLossy } from '../../test/support/lossy.mjs';

let server;
const made = [];
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

before(async () => {
  server = await startServer();
});

after(async () => {
  for (const one of made) await (one.shutdown ? one.shutdown() : one.close());
  await server?.close();
  assert.deepEqual(unhandled, []);
});

/** A storage, as localStorage is one. */
const newStorage = (map = new Map()) => ({
  map,
  getItem: (key) => map.get(key) ?? null,
  setItem: (key, value) => void map.set(key, value),
  removeItem: (key) => void map.delete(key),
});

function newAuth(options = {}) {
  const auth = kalamAuth({ url: server.url, storage: newStorage(), ...options });
  made.push(auth);
  return auth;
}

function newClient(authProvider, options = {}) {
  const client = createClient({ url: server.url, authProvider, ...options });
  made.push(client);
  return client;
}

const me = async (client) => (await client.queryOne('SELECT CURRENT_USER() AS me')).me.asString();
const renewed = async (auth) => auth({ reason: 'rejected', rejected: (await auth()).token, signal: new AbortController().signal });

test('it is a provider: signed in, restarted, signed out', async () => {
  const storage = newStorage();
  const auth = newAuth({ storage });
  const states = [];
  auth.subscribe((state, user) => states.push([state, user?.id]));
  await auth.ready;
  assert.equal(auth.user, null);
  assert.equal((await auth.signIn('alice', password)).id, 'alice');
  assert.equal(await me(newClient(auth)), 'alice');
  assert.deepEqual(states, [['loading', undefined], ['signed-out', undefined], ['signed-in', 'alice']]);

  const again = newAuth({ storage });
  await again.ready;
  assert.equal(again.state, 'signed-in');
  assert.equal(await me(newClient(again)), 'alice');
  const [kept] = storage.map.values();
  await again.signOut();
  assert.equal(storage.map.size, 0);
  await until('the other one is signed out', () => auth.state === 'signed-out');
  const answer = await fetch(`${server.url}/v1/api/auth/refresh`, { method: 'POST', headers: { Authorization: `Bearer ${kept}` } });
  assert.equal(answer.status, 401); // the server has ended the session
});

test('what the server refuses is an error, and changes nothing', async () => {
  const auth = newAuth();
  await assert.rejects(auth.signIn('alice', 'wrong'), { name: 'KalamAuthError', code: 'INVALID_CREDENTIALS', status: 401 });
  assert.equal(auth.state, 'signed-out');
  await auth.signIn('alice', password);
  await assert.rejects(auth.signIn('alice', 'wrong'), { code: 'INVALID_CREDENTIALS' });
  await assert.rejects(auth.signUp({ user: 'bob', password: 'choose-a-good-one' }), { code: 'USER_EXISTS', status: 409 });
  await assert.rejects(auth.signUp({ user: 'carol', password: 'password' }), { code: 'WEAK_PASSWORD' });
  assert.equal(auth.user.id, 'alice');
});

test('an account without a name gets one, and its rows stay', async () => {
  const auth = newAuth();
  const { id, anonymous } = await auth.signInAnonymously();
  assert.equal(anonymous, true);
  const client = newClient(auth);
  await client.insert('chat.messages', { room: 'general', body: 'mine' });
  const user = await auth.upgrade({ user: 'emil', password: 'choose-a-good-one' });
  assert.deepEqual([user.id, auth.user.id, auth.user.anonymous], [id, id, undefined]);
  await auth.signOut();
  await auth.signIn('emil', 'choose-a-good-one');
  assert.equal((await client.queryAll('SELECT body FROM chat.messages')).length, 1);
});

describe('while nobody is signed in', () => {
  test('a call waits for the sign-in', async () => {
    const auth = newAuth();
    const answer = me(newClient(auth));
    await auth.ready;
    await auth.signIn('bob', password);
    assert.equal(await answer, 'bob');
  });

  test('or fails at once', async () => {
    const client = newClient(newAuth({ whileSignedOut: 'refuse' }));
    const states = [];
    client.onAuthStateChange(({ state }) => states.push(state));
    await assert.rejects(me(client), (error) => error.name === 'KalamAuthError' && error.cause.code === 'SIGNED_OUT');
    assert.deepEqual(states, ['signed-out']);
  });

  test('a live query that waits begins with the sign-in', async () => {
    const auth = newAuth();
    const client = newClient(auth, { authTimeoutMs: 600 });
    let rows;
    const stop = client.live('SELECT body FROM chat.messages', (all) => { rows = all; });
    stop.catch(() => {});
    await auth.ready;
    await auth.signIn('alice', password);
    await until('the rows', () => rows?.length > 0);
    await (await stop)();
  });

  test('nothing is asked of the server', async () => {
    const lossy = await startLossy(server.url);
    const auth = newAuth({ url: lossy.url });
    await auth.ready;
    const abort = new AbortController();
    const waiting = Array.from({ length: 50 }, () => auth({ reason: 'initialize', signal: abort.signal }));
    abort.abort(new Error('not waited for'));
    for (const w of waiting) await assert.rejects(w, /not waited for/);
    assert.deepEqual(lossy.seen, []); // an empty storage needs no request either
    await lossy.close();
  });
});

describe('a bad network', () => {
  test('signs nobody out, and it goes on by itself', async () => {
    const lossy = await startLossy(server.url);
    const storage = newStorage();
    const auth = newAuth({ url: lossy.url, storage });
    await auth.signIn('alice', password);
    const states = [];
    auth.subscribe((state) => states.push(state));
    lossy.away = true;
    await assert.rejects(renewed(auth), { code: 'SERVER_UNAVAILABLE', retryable: true });
    assert.deepEqual([auth.state, auth.user.id, auth.error.code], ['offline', 'alice', 'SERVER_UNAVAILABLE']);
    const late = newAuth({ url: lossy.url, storage }); // a page that is opened meanwhile
    await late.ready;
    assert.equal(late.state, 'offline');
    await assert.rejects(auth.signOut(), { code: 'SERVER_UNAVAILABLE' });
    lossy.away = false;
    await until('both are back', () => auth.state === 'signed-in' && late.state === 'signed-in');
    assert.deepEqual(states, ['signed-in', 'offline', 'signed-in']);
    await lossy.close();
  });

  test('an answer that is lost, and then no network for longer than the grace', async () => {
    const strict = await startServer({ env: { KALAMDB_AUTH_REFRESH_GRACE_SECS: '1' } });
    const lossy = await startLossy(strict.url);
    made.push(lossy, strict);
    const auth = newAuth({ url: lossy.url });
    await auth.signIn('alice', password);
    const states = [];
    auth.subscribe((state) => states.push(state));
    let over = 0;
    lossy.lose = () => Date.now() < (over ||= Date.now() + 2500);
    await assert.rejects(renewed(auth), { code: 'SERVER_UNAVAILABLE' });
    await until('it is back', () => auth.state === 'signed-in');
    assert.ok(lossy.lost >= 2, `${lossy.lost} answers were lost`);
    assert.deepEqual(states, ['signed-in', 'offline', 'signed-in']);
    assert.equal(await me(newClient(auth, { url: lossy.url })), 'alice');
  });

  test('a page of a captive portal is no refusal', async () => {
    let portal = true;
    const http = createServer((request, response) => {
      if (portal) return response.writeHead(401, { 'Content-Type': 'text/html' }).end('<h1>Sign in to the hotel</h1>');
      fetch(server.url + request.url, { method: request.method, headers: { Authorization: request.headers.authorization } })
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()));
    }).listen(0, 'localhost');
    await once(http, 'listening');
    made.push({ close: () => { http.closeAllConnections(); http.close(); } });
    const storage = newStorage();
    const url = `http://localhost:${http.address().port}`;
    const session = await (await fetch(`${server.url}/v1/api/auth/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'alice', password }) })).json();
    storage.setItem(`kalamdb ${url}`, session.refresh_token);
    const auth = newAuth({ url, storage });
    await auth.ready;
    assert.deepEqual([auth.state, auth.error.code], ['offline', 'NOT_KALAMDB']);
    portal = false;
    await until('signed in', () => auth.state === 'signed-in');
  });

  test('20 tabs, 200 renewals, 5 % of the answers lost: no sign-out', async () => {
    let n = 0;
    const lossy = await startLossy(server.url);
    const storage = newStorage();
    const first = newAuth({ url: lossy.url, storage });
    await first.signIn('alice', password);
    lossy.lose = () => ++n % 20 === 0;
    const tabs = [first, ...Array.from({ length: 19 }, () => newAuth({ url: lossy.url, storage }))];
    const signedOut = [];
    tabs.forEach((tab, i) => tab.subscribe((state) => state === 'signed-out' && signedOut.push(i)));
    let good = 0;
    await Promise.all(tabs.map(async (tab) => {
      for (let i = 0; i < 10;) {
        const token = await renewed(tab).then(({ token }) => token, () => '');
        if (token !== '') i++, good++;
      }
    }));
    assert.equal(good, 200);
    assert.deepEqual(signedOut, []);
    assert.ok(lossy.lost >= 10, `${lossy.lost} answers were lost`);
    for (const tab of tabs) assert.equal(tab.user.id, 'alice');
    await lossy.close();
  });
});

test('a storage that fails is told, and signs nobody out', async () => {
  const storage = { ...newStorage(), getItem: async () => { throw new Error('no disk'); } };
  const auth = newAuth({ storage });
  await auth.ready;
  assert.deepEqual([auth.state, auth.error.code], ['offline', 'STORAGE_FAILED']);
  auth.close();
});

test('a listener that throws does no harm', async (t) => {
  const said = t.mock.method(console, 'error', () => {});
  const auth = newAuth();
  auth.subscribe(() => { throw new Error('mine'); });
  const seen = [];
  auth.subscribe((state) => seen.push(state));
  await auth.signIn('alice', password);
  assert.deepEqual(seen, ['loading', 'signed-out', 'signed-in']);
  assert.ok(said.mock.callCount() > 0);
});

test('where there is neither page nor storage it does nothing', async () => {
  const auth = kalamAuth({ url: '/db' });
  await auth.ready;
  assert.equal(auth.state, 'loading');
  await assert.rejects(auth(), { code: 'SIGNED_OUT', message: /verifySession/ });
  await assert.rejects(auth.signIn('alice', password), { code: 'INVALID_ARGUMENT' });
});

test('credentials do not travel in the open', () => {
  assert.throws(() => kalamAuth({ url: 'http://db.example.com', storage: newStorage() }), { code: 'INSECURE_TRANSPORT' });
  assert.throws(() => kalamAuth({ url: 'ftp://db.example.com', storage: newStorage() }), { code: 'INVALID_ARGUMENT' });
});
