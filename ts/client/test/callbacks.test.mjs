// What an application hands in: callbacks that throw or reject with anything,
// loops that are left early, and arguments of another kind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WebSocket as RealSocket } from 'ws';
import { Auth, createClient, KalamError } from '@kalamdb/client';
import { password, startServer, until } from '../../test/support/server.mjs';

let server;
const clients = [];
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

function newClient(options = {}) {
  const client = createClient({ url: server.url, authProvider: async () => Auth.basic('alice', password), ...options });
  clients.push(client);
  return client;
}

before(async () => {
  server = await startServer();
  const client = newClient();
  for (const id of [1, 2]) await client.insert('chat.messages', { id, room: 'callbacks', body: `m${id}` });
});
after(async () => {
  await Promise.all(clients.map((c) => c.shutdown()));
  await server.close();
  assert.deepEqual(unhandled, []);
});

const room = "SELECT id, body FROM chat.messages WHERE room = 'callbacks'";
const worst = Object.create(null); // it has no text
const throwing = {
  'an error': () => { throw new Error('x'); },
  'what has no text': () => { throw worst; },
  'a rejection': async () => { throw new Error('x'); },
  'a rejection without text': async () => { throw worst; },
  'a rejection of a promise that is not ours': () => ({ then: (_, reject) => reject(worst) }),
};

for (const [what, fn] of Object.entries(throwing)) {
  test(`a callback that throws or rejects harms nobody: ${what}`, async () => {
    const lines = [];
    const client = newClient({ logListener: (entry) => { lines.push(entry.message); return fn(); }, onConnect: fn, onReceive: fn, onSend: fn });
    client.onAuthStateChange(fn);
    client.on('connect', fn);
    const { error } = console;
    console.error = () => {};
    try {
      const ends = [
        await client.live(room, fn),
        await client.live(room, () => {}, { mapRow: fn, onError: fn }),
        await client.live(room, () => {}, { getKey: fn, onError: fn }),
        await client.subscribeWithSql(room, fn),
      ];
      assert.equal((await client.queryOne('SELECT 1 AS one')).one.asInt(), 1);
      for (const end of ends) await end();
      await until('the log', () => ['a handler of connect', 'onAuthStateChange', 'the callback of a live query', 'mapRow', 'getKey', 'onError']
        .every((name) => lines.some((line) => line.startsWith(name))));
      await client.shutdown();
    } finally {
      console.error = error;
    }
  });
}

test('an async mapRow gives promises, and what they reject with goes to onError', async () => {
  const client = newClient({ logListener: () => {} });
  const events = [];
  let rows;
  const stop = await client.live(room, (now) => { rows = now; }, {
    mapRow: async (row) => {
      if (row.id.asInt() === 2) throw new Error('no');
      return row.body.asString();
    },
    onError: (event) => events.push(`${event.code} ${event.message}`),
  });
  const settled = await Promise.allSettled(rows);
  assert.deepEqual(settled.map((s) => s.value ?? s.reason.message), ['m1', 'no']);
  assert.deepEqual(events, ['CALLBACK_FAILED mapRow threw: Error: no']);
  await stop();
});

test('a getKey that returns a promise is refused row by row', async () => {
  const client = newClient({ logListener: () => {} });
  const events = [];
  let rows;
  const stop = await client.live(room, (now) => { rows = now; }, { getKey: async () => 'same', onError: (event) => events.push(event.message) });
  assert.deepEqual(rows, []);
  assert.deepEqual(events, Array(2).fill('getKey threw: TypeError: it returned a promise, not a string or null'));
  await stop();
});

test('a loop that is left before it began starts nothing', async () => {
  const client = newClient();
  const query = client.live(room);
  await query.return();
  assert.deepEqual(await query.next(), { done: true, value: undefined });
  await client.initialize();
  assert.equal(client.getSubscriptionCount(), 0);
});

test('arguments of another kind are refused by name', async () => {
  const client = newClient();
  const refused = (call, message) => assert.rejects(async () => call(), (e) => e instanceof KalamError && e.code === 'INVALID_ARGUMENT' && message.test(e.message), String(message));
  await refused(() => client.query('SELECT $1 AS a', 'abc'), /^params is a string: it must be an array/);
  await refused(() => client.query('SELECT $1 AS a', { a: 1 }), /^params is an object/);
  await refused(() => client.queryWithFiles('SELECT 1', {}, { a: 1 }), /^params is an object/);
  await refused(() => client.query(undefined), /^sql is undefined: it must be a string/);
  await refused(() => client.query("SELECT '\ud800'"), /^sql has half of a surrogate pair/);
  await refused(() => client.live("SELECT id FROM chat.messages WHERE body = '\ud800'", () => {}), /^sql has half of a surrogate pair/);
  await refused(() => client.live(5).next(), /^sql is a number/);
  await refused(() => client.subscribeWithSql("SELECT '\ud800'", () => {}), /^sql has half/);
  await refused(() => client.batch('SELECT 1'), /^batch takes an array of statements, not a string/);
  await refused(() => client.batch(['SELECT 1', ['SELECT $1', 'abc']]), /^statement 2, params is a string/);
  await refused(() => client.batch([{ sql: 'SELECT 1' }]), /^statement 1, sql is an object/);
  await refused(() => client.insert('chat.messages', [{ id: 3 }]), /^insert: the row is an array/);
  await refused(() => client.update('chat.messages', 1, null), /^update: the row is null/);
  await refused(() => client.executeAsUser('SELECT 1', undefined), /user is required/);
  for (const limit of [-1, 1.5, NaN, '2']) await refused(() => client.live(room, () => {}, { limit }), /^live: limit is .*: it must be a whole number/);
  assert.equal((await client.queryOne('SELECT 1 AS one', null)).one.asInt(), 1);
});

test('a constructor of sockets that throws is a failed connection', async () => {
  const { WebSocket } = globalThis;
  let dials = 0;
  globalThis.WebSocket = class {
    constructor(url) {
      if (++dials < 3) throw new Error('the policy of the page forbids it');
      return new RealSocket(url);
    }
  };
  try {
    const client = newClient();
    client.setReconnectDelay(1, 5);
    await (await client.live(room, () => {}))();
    assert.ok(dials >= 3);
  } finally {
    if (WebSocket) globalThis.WebSocket = WebSocket;
    else delete globalThis.WebSocket;
  }
});
