// How calls end that do not come to their answer: by shutdown(), by a provider
// that calls its own client, and by an error, which says where it comes from.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';
import { Auth, createClient, KalamError } from '@kalamdb/client';
import { password, startServer, until } from '../../test/support/server.mjs';

let server;
const clients = [];
const alice = () => Auth.basic('alice', password);

function newClient(options = {}) {
  const client = createClient({ url: server.url, authProvider: async () => alice(), ...options });
  clients.push(client);
  return client;
}

before(async () => { server = await startServer(); });
after(async () => {
  await Promise.all(clients.map((c) => c.shutdown()));
  await server.close();
});

/** A proxy that never answers what goes to a path, and counts it. */
async function silentAt(path) {
  const state = { asked: 0 };
  const proxy = createServer((req, res) => {
    if (req.url.includes(path)) {
      state.asked++;
      return;
    }
    req.pipe(request(server.url + req.url, { method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    }));
  });
  proxy.on('upgrade', () => state.asked++);
  await new Promise((listening) => proxy.listen(0, 'localhost', listening));
  state.url = `http://localhost:${proxy.address().port}`;
  state.close = () => {
    proxy.closeAllConnections();
    proxy.close();
  };
  return state;
}

const room = 'SELECT id FROM chat.messages';
const calls = {
  query: ['/v1/api/sql', (c) => c.query('SELECT 1')],
  insert: ['/v1/api/sql', (c) => c.insert('chat.messages', { id: 1, body: 'x' })],
  batch: ['/v1/api/sql', (c) => c.batch(['SELECT 1'])],
  upload: ['/v1/api/sql', (c) => c.queryWithFiles('INSERT INTO app.photos (photo) VALUES (FILE("a"))', { a: new Blob(['x']) })],
  login: ['/login', (c) => c.login()],
  connect: ['/ws', (c) => c.connect()],
  live: ['/ws', (c) => c.live(room, () => {})],
  loop: ['/ws', (c) => c.live(room).next()],
  subscribe: ['/ws', (c) => c.subscribe('chat.messages', () => {})],
};

for (const [name, [path, run]] of Object.entries(calls)) {
  test(`shutdown() ends ${name} with CLIENT_CLOSED`, async () => {
    const isClosed = (e) => e instanceof KalamError && e.code === 'CLIENT_CLOSED' && !e.retryable;
    for (const place of new Set(['/login', path])) {
      const silent = await silentAt(place);
      const states = [];
      const client = newClient({ url: silent.url });
      client.onAuthStateChange(({ state }) => states.push(state));
      const call = assert.rejects(run(client), isClosed, `at ${place}`);
      await until(`a request to ${place}`, () => silent.asked > 0);
      await client.shutdown();
      await call;
      if (place === '/login') assert.deepEqual(states, []);
      silent.close();
    }
    // While the module loads, too; and the client works again.
    const client = newClient();
    const call = assert.rejects(run(client), isClosed, 'while the module loads');
    await client.shutdown();
    await call;
    assert.equal((await client.queryOne('SELECT 1 AS one')).one.asInt(), 1);
    await client.shutdown();
  });
}

test('a call during shutdown() or after it begins anew', async () => {
  const client = newClient();
  await client.query('SELECT 1');
  const gone = client.shutdown();
  assert.equal((await client.queryOne('SELECT 1 AS one')).one.asInt(), 1);
  await gone;
  await client.shutdown();
});

test('shutdown() of a client whose module cannot be loaded', async () => {
  const client = newClient({ wasmUrl: '/nowhere/kalam.wasm' });
  const call = assert.rejects(client.query('SELECT 1'));
  await client.shutdown();
  await call;
});

test('a provider that calls its own client is recognised at once', async () => {
  for (const [name, [, run]] of Object.entries(calls)) {
    let asked = 0;
    const errors = [];
    const client = newClient({
      authProvider: () => {
        asked++;
        return run(client).then(() => alice(), (error) => {
          errors.push(error.code);
          throw error;
        });
      },
    });
    await assert.rejects(client.query('SELECT 1'), { code: 'REENTRANT_CALL' }, name);
    assert.deepEqual([asked, errors], [1, ['REENTRANT_CALL']], name);
  }
});

test('an error says which statement failed in a field, and what without a preface', async () => {
  const client = newClient();
  await client.insert('chat.messages', { id: 1, body: 'x' });
  await assert.rejects(client.insert('chat.messages', { id: 1, body: 'x' }), (e) =>
    e.code === 'UNIQUE_VIOLATION' && e.statement === 1 && /^Primary key violation/.test(e.message));
  await assert.rejects(client.batch(['SELECT 1', 'INSERT INTO chat.messages (id) VALUES (2)']), (e) =>
    e.code === 'NOT_NULL_VIOLATION' && e.statement === 2 && /^null value in column body/.test(e.message));
  const wrong = newClient({ authProvider: async () => Auth.basic('alice', 'wrong') });
  for (const call of [() => wrong.query('SELECT 1'), () => wrong.login(), () => wrong.live(room, () => {})]) {
    await assert.rejects(call(), { code: 'INVALID_CREDENTIALS', message: 'Invalid credentials' });
  }
  await assert.rejects(client.live('SELECT * FROM chat.nothing', () => {}), (e) => e.code === 'NOT_FOUND' && /^Table not found/.test(e.message));
});

test('the stack of an error holds the line that made the call', async () => {
  const client = newClient();
  const bad = 'SELECT * FROM chat.nothing';
  const callers = {
    async myQuery() { await client.query(bad); },
    async myRows() { await client.queryRows(bad, 'chat.nothing'); },
    async myInsert() { await client.insert('chat.nothing', { id: 1 }); },
    async myDelete() { await client.delete('chat.nothing', 1); },
    async myBatch() { await client.batch([bad]); },
    async myLive() { await client.live(bad, () => {}); },
    async myTable() { await client.liveTableRows('chat.nothing', () => {}); },
    async myLoop() { for await (const rows of client.live(bad)) assert.fail(`${rows.length} rows`); },
    async mySubscription() { await client.subscribe('chat.nothing', () => {}); },
    async myValue() { await client.query('SELECT $1', [{ a: { b: { c: { d: { e: [new Map()] } } } } }]); },
    async myUpload() { await client.queryWithFiles('INSERT INTO chat.nothing (f) VALUES (FILE("f"))', { f: new Blob(['x']) }); },
  };
  for (const [name, call] of Object.entries(callers)) {
    await assert.rejects(call(), (e) => e instanceof KalamError && e.stack.includes(name) && !/retrace|wasm/.test(e.stack), name);
  }
});

test('insert gives the row as it is stored', async () => {
  const client = newClient();
  const { results } = await client.insert('chat.messages', { id: 7, body: 'seven' });
  const { row_count, message, named_rows: [row] } = results[0];
  assert.deepEqual([row_count, message, row.id, row.room, row.body], [1, 'Inserted 1 row(s)', '7', 'general', 'seven']);
  assert.equal(typeof row.created_at, 'number');
});
