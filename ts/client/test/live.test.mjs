// Live queries against a real server, with everything that breaks them.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Auth, createClient, KalamError, SeqId } from '@kalamdb/client';
import { startFront } from '../../test/support/front.mjs';
import { startProxy } from '../../test/support/proxy.mjs';
import { freePort, password, startServer, until } from '../../test/support/server.mjs';

let server;
const clients = [];

/** A client of alice that ends with the tests. */
function newClient(options = {}) {
  const client = createClient({ url: server.url, authProvider: async () => Auth.basic('alice', password), ...options });
  clients.push(client);
  return client;
}

before(async () => { server = await startServer(); });
after(async () => {
  await Promise.all(clients.map((c) => c.shutdown()));
  await server.close();
});

const room = (name) => `SELECT id, body FROM chat.messages WHERE room = '${name}'`;
const add = (client, name, id, body = 'x') => client.insert('chat.messages', { id, room: name, body });
const ids = (rows) => rows?.map((row) => row.id.asInt());

test('rows keep their order, their objects and their NULLs', async () => {
  const client = newClient();
  const admin = newClient({ authProvider: async () => Auth.basic('admin', password) });
  await admin.query("CREATE TABLE chat.notes (id INT PRIMARY KEY, a TEXT, b INT) WITH (TYPE = 'USER')");
  let rows;
  const stop = await client.live('SELECT id, a, b FROM chat.notes', (now) => { rows = now; });
  assert.deepEqual(rows, []);
  for (const id of [3, 1, 2]) await client.insert('chat.notes', { id, a: `a${id}`, b: id });
  await until('three rows', () => rows.length === 3);
  assert.deepEqual(ids(rows), [1, 2, 3], 'the order of the key');
  const first = rows[0];
  await client.update('chat.notes', 2, { a: null });
  await until('the update', () => rows[1].a.isNull());
  assert.deepEqual([ids(rows), rows[1].b.asInt()], [[1, 2, 3], 2]);
  assert.equal(rows[0], first, 'a row that did not change is the same object');
  let anew;
  await (await client.live('SELECT id, a, b FROM chat.notes', (now) => { anew = now; }))();
  assert.deepEqual(ids(anew), [1, 2, 3], 'the same order for whoever comes later');
  await client.delete('chat.notes', 2);
  await until('the delete', () => rows.length === 2);
  assert.deepEqual(ids(rows), [1, 3]);
  await stop();
  assert.equal(client.getSubscriptionCount(), 0);
});

test('the same SQL twice is two subscriptions', async () => {
  const client = newClient();
  const seen = [[], []];
  const stops = await Promise.all(seen.map((list) => client.subscribeWithSql(room('twice'), (e) => list.push(e))));
  assert.equal(new Set(client.getSubscriptions().map((s) => s.id)).size, 2);
  await stops[0]();
  await add(client, 'twice', 101);
  await until('the change', () => seen[1].some((e) => e.type === 'change'));
  assert.ok(!seen[0].some((e) => e.type === 'change'));
  const change = seen[1].find((e) => e.type === 'change');
  assert.equal(change.rows[0].id.asBigInt(), 101n);
  assert.ok(client.getLastSeqId(change.subscription_id) instanceof SeqId);
  await stops[1]();
});

test('a table is subscribed by its name, and rows know it', async () => {
  const client = newClient();
  const types = [];
  const stop = await client.subscribeRows('chat.messages', (change) => types.push(change.type));
  assert.equal(client.isSubscribedTo('chat.messages'), true);
  await add(client, 'names', 201);
  await client.update('chat.messages', 201, { body: 'y' });
  await client.delete('chat.messages', 201);
  await until('three changes', () => types.includes('delete'));
  assert.deepEqual(types.filter((t) => ['insert', 'update', 'delete'].includes(t)), ['insert', 'update', 'delete']);
  await stop();
});

test('parameters, limit, mapRow, getKey and from', async () => {
  const client = newClient();
  for (let i = 301; i <= 305; i++) await add(client, 'options', i, i % 2 ? 'odd' : 'even');
  const sql = 'SELECT id, body FROM chat.messages WHERE room = $1';
  let limited, keyed, later;
  const mapRow = (row) => row.id.asInt();
  const stops = [
    await client.live(sql, (rows) => { limited = rows; }, { params: ['options'], limit: 2, mapRow }),
    await client.live(sql, (rows) => { keyed = rows; }, { params: ['options'], getKey: (row) => row.body.asString(), mapRow }),
  ];
  assert.deepEqual(limited, [304, 305]);
  assert.deepEqual(keyed, [304, 305]);
  const position = client.getLastSeqId(client.getSubscriptions()[0].id);
  stops.push(await client.live(sql, (rows) => { later = rows; }, { params: ['options'], mapRow, subscriptionOptions: { from: position } }));
  assert.deepEqual(later, []);
  await add(client, 'options', 306, 'even');
  await until('the last row', () => later.length === 1 && limited.includes(306) && keyed.includes(306));
  assert.deepEqual([limited, keyed, later], [[305, 306], [305, 306], [306]]);
  for (const stop of stops) await stop();
});

test('a limit is a window over the newest rows', async () => {
  const client = newClient();
  const [before, after] = [{}, {}];
  const watch = async (view, options) => client.live(room('window'), (rows) => { view.rows = ids(rows).join(' '); }, { limit: 2, ...options });
  const stops = [await watch(before)];
  for (const id of [311, 312, 313]) await add(client, 'window', id);
  await until('the newest two', () => before.rows === '312 313');
  stops.push(await watch(after), await watch((before.keyed = {}), { getKey: (row) => row.id.asString() }));
  assert.equal(after.rows, '312 313');
  const views = [before, after, before.keyed];
  const shows = (rows) => until(rows, () => views.every((v) => v.rows === rows), 10_000, () => JSON.stringify(views.map((v) => v.rows)));
  await client.delete('chat.messages', 313);
  await shows('311 312');
  await client.update('chat.messages', 311, { body: 'changed' });
  await add(client, 'window', 314);
  await shows('311 314');
  await client.delete('chat.messages', 311);
  await shows('312 314');
  await client.delete('chat.messages', 312);
  await shows('314');
  await add(client, 'window', 310);
  await shows('310 314');
  for (const stop of stops) await stop();
});

test('of the rows with one key of getKey the newest is there, and an older one when it goes', async () => {
  const client = newClient();
  for (const [id, body] of [[321, 'a'], [322, 'b'], [323, 'a']]) await add(client, 'keyed', id, body);
  let rows;
  const stop = await client.live(room('keyed'), (now) => { rows = ids(now).join(' '); }, { getKey: (row) => row.body.asString() });
  assert.equal(rows, '322 323');
  await client.delete('chat.messages', 323);
  await until('the older one', () => rows === '321 322');
  await client.update('chat.messages', 322, { body: 'a' });
  await until('the newest one', () => rows === '322');
  await stop();
});

test('a mapRow or getKey that throws costs its row, and says so', async () => {
  const entries = [];
  const client = newClient({ logListener: (entry) => entries.push(entry) });
  for (const id of [331, 332, 333]) await add(client, 'bad', id);
  const odd = (row) => {
    if (row.body.asString() === 'x' && row.id.asInt() === 332) throw new Error('not this one');
    return row.id.asString();
  };
  for (const options of [{ mapRow: odd }, { getKey: odd, mapRow: (row) => row.id.asString() }]) {
    const errors = [];
    let rows;
    const stop = await client.live(room('bad'), (now) => { rows = now.join(' '); }, { ...options, onError: (e) => errors.push(e) });
    assert.equal(rows, '331 333');
    assert.deepEqual(errors.map((e) => [e.type, e.code]), [['error', 'CALLBACK_FAILED']]);
    assert.match(errors[0].message, /threw: Error: not this one/);
    assert.ok(client.getSubscriptions().some((s) => s.id === errors[0].subscription_id));
    await add(client, 'bad', 334);
    await client.update('chat.messages', 332, { body: 'good' });
    await until('all rows', () => rows === '331 332 333 334');
    for await (const loop of client.live(room('bad'), options)) {
      assert.equal(loop.length, 4);
      break;
    }
    await client.delete('chat.messages', 334);
    await client.update('chat.messages', 332, { body: 'x' });
    await until('three rows', () => rows === '331 333');
    await stop();
  }
  assert.ok(entries.some((e) => e.level === 4 && /not this one/.test(e.message)));
});

test('calls of next that wait at the same time all settle', async () => {
  const client = newClient();
  const query = client.live(room('pending'));
  const [a, b] = await Promise.all([query.next(), query.next()]);
  assert.deepEqual([a, b], [{ done: false, value: [] }, { done: false, value: [] }]);
  const waiting = [query.next(), query.next(), query.next()];
  await add(client, 'pending', 341);
  assert.deepEqual((await Promise.all(waiting)).map((r) => r.value.length), [1, 1, 1]);
  const ending = [query.next(), query.next()];
  await query.return();
  assert.deepEqual(await Promise.all(ending), [{ done: true, value: undefined }, { done: true, value: undefined }]);
  const broken = client.live('SELECT * FROM chat.nothing');
  const results = await Promise.allSettled([broken.next(), broken.next()]);
  assert.deepEqual(results.map((r) => r.reason?.code), ['NOT_FOUND', 'NOT_FOUND']);
  assert.deepEqual(await broken.next(), { done: true, value: undefined });
});

test('the namespace of a client is that of its live queries', async () => {
  const client = newClient({ namespace: 'chat' });
  let rows, events = 0;
  const stops = [
    await client.live("SELECT id FROM messages WHERE room = 'named'", (now) => { rows = now; }),
    await client.subscribe('messages', () => events++),
  ];
  await client.insert('messages', { id: 351, room: 'named', body: 'x' });
  await until('the row', () => rows.length === 1 && events > 1);
  for await (const now of client.liveTableRows('messages')) {
    assert.ok(now.length > 0);
    break;
  }
  for (const stop of stops) await stop();
  await assert.rejects(newClient().live('SELECT id FROM messages', () => {}), { code: 'INVALID_SQL' });
});

test('for await gives rows until the loop is left', async () => {
  const client = newClient();
  const lengths = [];
  for await (const rows of client.live(room('loop'))) {
    lengths.push(rows.length);
    if (rows.length === 2) break;
    await add(client, 'loop', 401 + rows.length);
  }
  assert.deepEqual(lengths, [0, 1, 2]);
  assert.equal(client.getSubscriptionCount(), 0);
  const abort = new AbortController();
  await assert.rejects(async () => {
    for await (const rows of client.live(room('loop'), { signal: abort.signal })) {
      assert.equal(rows.length, 2);
      abort.abort(new Error('enough'));
    }
  }, /enough/);
});

test('a callback that throws is reported as what it is', async () => {
  const entries = [];
  const client = newClient({ logListener: (entry) => entries.push(entry) });
  const stop = await client.live(room('throws'), () => { throw new Error('mine'); });
  assert.match(entries.at(-1).message, /the callback of a live query threw: Error: mine/);
  await stop();
});

test('the server is killed and started again', async () => {
  const port = await freePort();
  let other = await startServer({ port, keep: true });
  const client = newClient({ url: other.url });
  const events = [];
  client.onConnect(() => events.push('up'));
  client.onDisconnect(() => events.push('down'));
  let rows;
  const stop = await client.live(room('killed'), (now) => { rows = now; });
  await add(client, 'killed', 501);
  await until('the first row', () => rows.length === 1);
  await other.kill();
  await until('the end of the connection', () => events.includes('down'));
  assert.equal(client.isConnected(), false);
  await assert.rejects(client.query('SELECT 1'), (e) => e instanceof KalamError && e.retryable && e.code === 'SERVER_UNAVAILABLE');
  other = await startServer({ port, dir: other.dir });
  // Another client changes rows before the first one is back.
  const second = newClient({ url: other.url });
  await add(second, 'killed', 502);
  await second.delete('chat.messages', 501);
  await until('the rows of now', () => ids(rows).join() === '502');
  assert.deepEqual(events, ['up', 'down', 'up']);
  await stop();
  await client.shutdown();
  await second.shutdown();
  await other.close();
});

test('the socket is cut by a proxy', async () => {
  const proxy = await startProxy(server.port);
  const client = newClient({ url: proxy.url });
  const direct = newClient();
  let rows, calls = 0;
  const stop = await client.live(room('cut'), (now) => { rows = now; calls++; });
  const seen = [];
  const stopRaw = await client.subscribeWithSql(room('cut'), (e) => seen.push(e));
  await until('the snapshot', () => seen.some((e) => e.type === 'initial_data_batch')); // a cut before it begins it anew
  for (let i = 0; i < 5; i++) {
    proxy.open = false;
    proxy.cut();
    await add(direct, 'cut', 601 + i);
    proxy.open = true;
    await until('the row', () => rows.length === i + 1);
  }
  assert.deepEqual(ids(rows), [601, 602, 603, 604, 605]);
  await until('the raw changes', () => seen.filter((e) => e.type === 'change').length === 5);
  assert.deepEqual(seen.filter((e) => e.type === 'change').map((e) => e.rows[0].id.asInt()), [601, 602, 603, 604, 605]);
  assert.equal(seen.filter((e) => e.type === 'subscription_ack').length, 1, 'a resume is not seen');
  await stop();
  await stopRaw();
  await client.shutdown();
  await proxy.close();
});

test('frames that nobody understands lose nothing and break nothing', async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on('unhandledRejection', note);
  const front = await startFront(server.url);
  const client = newClient({ url: front.url });
  client.setReconnectDelay(5, 50);
  let rows;
  const stop = await client.live(room('strange'), (now) => { rows = now; });
  const frames = [
    '', '{', 'null', '[]', '7', '"text"', '{}', '{"type":7}', '{"type":"from_the_future","subscription_id":"1","rows":[{}]}',
    '{"type":"change","subscription_id":"nobody","change_type":"insert","rows":[{"id":1}]}', '{"type":"change","subscription_id":"1","change_type":"melt","rows":7}',
    '{"type":"initial_data_batch","rows":"x"}', '{"type":"subscription_ack","schema":{}}', '{"type":"error"}', '{"type":"auth_expiring","expires_in":"soon"}',
    `${'['.repeat(100_000)}`, Buffer.from([0x1f, 0x8b, 1, 2, 3]), Buffer.from([0xff, 0xfe, 0]),
  ];
  for (const [i, frame] of frames.entries()) {
    front.say(frame);
    await add(client, 'strange', 901 + i);
    await until(`the row after ${frame.slice(0, 50)}`, () => rows.length === i + 1, 60_000);
  }
  assert.deepEqual(ids(rows), frames.map((_, i) => 901 + i));
  await stop();
  await client.shutdown();
  await front.close();
  process.off('unhandledRejection', note);
  assert.deepEqual(unhandled, []);
});

test('with reconnecting off, connect() resumes', async () => {
  const proxy = await startProxy(server.port);
  const client = newClient({ url: proxy.url });
  const direct = newClient();
  client.setAutoReconnect(false);
  client.setReconnectDelay(10, 100);
  client.setMaxReconnectAttempts(3);
  let rows;
  const downs = [];
  client.onDisconnect((reason) => downs.push(reason));
  const stop = await client.live(room('manual'), (now) => { rows = now; });
  proxy.cut();
  await until('the end of the connection', () => downs.length === 1);
  await add(direct, 'manual', 701);
  assert.equal(client.isConnected(), false);
  await client.connect();
  await until('the row', () => rows.length === 1);
  await stop();
  await client.shutdown();
  await proxy.close();
});

test('the token ends during a live query', async () => {
  const secret = randomBytes(32).toString('hex');
  const own = await startServer({ env: { KALAMDB_JWT_SECRET: secret } });
  const reasons = [];
  const downs = [];
  const client = newClient({
    url: own.url,
    authProvider: async ({ reason }) => {
      reasons.push(reason);
      return Auth.jwt(mint(secret, 'alice', 4));
    },
  });
  client.onDisconnect((reason) => downs.push(reason));
  let rows;
  const stop = await client.live(room('expiry'), (now) => { rows = now; });
  await until('three renewals', () => reasons.filter((r) => r === 'expiring').length >= 3);
  await add(client, 'expiry', 801);
  await until('the row', () => rows.length === 1);
  assert.deepEqual(downs, [], 'the socket never went away');
  await stop();
  await client.shutdown();
  await own.close();
});

/** A token as an app mints it that shares the server's secret. */
function mint(secret, user, seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ typ: 'JWT', alg: 'HS256' })}.${part({ sub: user, iss: 'kalamdb', iat: now, exp: now + seconds, role: 'user', token_type: 'access', email: null })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

test('10,000 rows are live', async () => {
  const client = newClient();
  for (let i = 0; i < 10; i++) {
    const values = Array.from({ length: 1000 }, (_, j) => `(${10_000 + i * 1000 + j}, 'many', 'body ${j}')`);
    await client.query(`INSERT INTO chat.messages (id, room, body) VALUES ${values.join(',')}`);
  }
  let rows;
  const stop = await client.live(room('many'), (now) => { rows = now; });
  assert.equal(rows.length, 10_000);
  assert.equal(new Set(ids(rows)).size, 10_000);
  await client.update('chat.messages', 15_000, { body: 'changed' });
  await until('the update', () => rows[5000].body.asString() === 'changed');
  await client.query("DELETE FROM chat.messages WHERE room = 'many' AND id >= 11000");
  await until('the deletes', () => rows.length === 1000, 60_000);
  await stop();
});
