// Topics through the package, against a real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Auth, createClient, KalamError } from '@kalamdb/client';
import { createConsumerClient, runAgent, runConsumer, TopicRequestError } from '@kalamdb/consumer';
import { password, startServer } from '../../test/support/server.mjs';

let server, admin, alice, consumers;
let topics = 0;

const as = (user) => ({ url: server.url, authProvider: async () => Auth.basic(user, password) });

before(async () => {
  server = await startServer();
  admin = createClient(as('admin'));
  alice = createClient(as('alice'));
  consumers = createConsumerClient(as('admin'));
});

after(async () => {
  await Promise.all([admin?.shutdown(), alice?.shutdown(), consumers?.shutdown()]);
  await server?.close();
});

/** A topic of a table of its own, and what inserts into it. */
async function newTopic() {
  const name = `t${++topics}`;
  await admin.query(`CREATE TABLE chat.${name} (id INT PRIMARY KEY, body TEXT) WITH (TYPE = 'USER')`);
  await admin.query(`CREATE TOPIC chat.${name}_topic`);
  await admin.query(`ALTER TOPIC chat.${name}_topic ADD SOURCE chat.${name} ON INSERT WITH (payload = 'full')`);
  return { topic: `chat.${name}_topic`, insert: (id, body = 'x') => alice.insert(`chat.${name}`, { id, body }) };
}

test('messages come in order, typed, with user and payload', async () => {
  const { topic, insert } = await newTopic();
  const handle = consumers.consumer({ topic, group_id: 'g', start: 'earliest', auto_ack: true });
  const seen = [];
  const done = handle.run(async ({ message, user }) => {
    seen.push([message.payload.id, user, message.op, message.group_id]);
    if (seen.length === 3) handle.stop();
  });
  for (const id of [1, 2, 3]) await insert(id);
  await done;
  assert.deepEqual(seen.map(([id, user, op, group]) => [Number(id), user, op, group]), [1, 2, 3].map((id) => [id, 'alice', 'Insert', 'g']));
  // Everything was acknowledged: the group gets nothing more.
  const more = await consumers.consumeBatch({ topic, group_id: 'g' });
  assert.deepEqual(more.messages, []);
});

test('stop ends a waiting poll at once', async () => {
  const { topic } = await newTopic();
  const handle = consumers.consumer({ topic, group_id: 'g', timeout_seconds: 60 });
  const done = handle.run(() => {});
  await new Promise((r) => setTimeout(r, 200)); // the poll waits by then; if not, stop ends it before
  const before = Date.now();
  handle.stop();
  await done;
  assert.ok(Date.now() - before < 20_000);
});

test('a handler that throws is called again, and then the message comes again', async () => {
  for (const auto_ack of [true, false]) {
    const { topic, insert } = await newTopic();
    for (const id of [1, 2]) await insert(id);
    const handle = consumers.consumer({ topic, group_id: 'g', start: 'earliest', auto_ack });
    const calls = [], errors = [];
    await handle.run(async ({ message, ack }) => {
      const { offset, deliveries } = message;
      calls.push(`${offset}/${deliveries}`);
      if (offset === 0 && deliveries === 1) throw new Error('not yet');
      if (!auto_ack) {
        await ack();
        await ack(); // once is enough, twice does no harm
      }
      if (offset === 0) handle.stop();
    }, { onError: (error, message) => errors.push(`${error.message} ${message.offset}`) });
    assert.deepEqual(calls, ['0/1', '0/1', '0/1', '1/1', '0/2']);
    assert.deepEqual(errors, Array(3).fill('not yet 0'));
    assert.deepEqual((await consumers.consumeBatch({ topic, group_id: 'g' })).messages, []);
  }
});

test('whatever a handler throws, and however, the loop goes on and says so', async () => {
  const { topic, insert } = await newTopic();
  const throws = [
    () => { throw new Error('at once'); }, async () => { throw new Error('later'); }, () => Promise.reject(undefined), () => { throw null; },
    async ({ ack }) => { await ack(); throw new Error('after its ack'); },
  ];
  for (const id of throws.keys()) await insert(id);
  const entries = [];
  const own = createConsumerClient({ ...as('admin'), logListener: (entry) => entries.push(entry) });
  const handle = own.consumer({ topic, group_id: 'g', start: 'earliest' });
  const tries = throws.map(() => 0);
  await handle.run(async (context) => {
    const { offset } = context.message;
    if (tries[offset]++ === 0) return throws[offset](context);
    await context.ack();
    if (offset === throws.length - 2) setTimeout(() => handle.stop(), 50);
  });
  assert.deepEqual(tries, [2, 2, 2, 2, 1]);
  assert.equal(entries.filter((e) => e.level === 4 && e.message.startsWith(`the handler of ${topic}`)).length, 5);
  await own.shutdown();
});

test('stop while a handler runs lets it finish, and while it waits to be called again gives the message back', async () => {
  const { topic, insert } = await newTopic();
  await insert(1);
  const first = consumers.consumer({ topic, group_id: 'g', start: 'earliest', auto_ack: true });
  await first.run(async () => {
    first.stop();
    throw new Error('no');
  }, { onError: () => {} });
  const second = consumers.consumer({ topic, group_id: 'g', auto_ack: true });
  const seen = [];
  await second.run(async ({ message }) => {
    second.stop();
    await new Promise((done) => setTimeout(done, 100));
    seen.push(message.offset);
  });
  assert.deepEqual(seen, [0]);
  assert.deepEqual((await consumers.consumeBatch({ topic, group_id: 'g' })).messages, []);
});

test('consumeBatch without a partition takes all of them', async () => {
  const name = `t${++topics}`;
  await admin.query(`CREATE TABLE chat.${name} (id INT PRIMARY KEY, body TEXT) WITH (TYPE = 'USER')`);
  await admin.query(`CREATE TOPIC chat.${name}_topic PARTITIONS 4`);
  await admin.query(`ALTER TOPIC chat.${name}_topic ADD SOURCE chat.${name} ON INSERT WITH (payload = 'full')`);
  const topic = `chat.${name}_topic`;
  const ids = Array.from({ length: 24 }, (_, i) => i);
  for (const id of ids) await alice.insert(`chat.${name}`, { id, body: 'x' });
  const seen = [];
  const partitions = new Set();
  for (let more = true; more;) {
    const { messages } = await consumers.consumeBatch({ topic, group_id: 'all', start: 'earliest', batch_size: 10 });
    for (const m of messages) {
      seen.push(Number(m.payload.id));
      partitions.add(m.partition_id);
      await consumers.ack(topic, 'all', m.partition_id, m.offset);
    }
    more = messages.length > 0;
  }
  assert.deepEqual([seen.sort((a, b) => a - b), partitions.size], [ids, 4]);
  const one = await consumers.consumeBatch({ topic, group_id: 'one', start: 'earliest', batch_size: 100, partition_id: 2 });
  assert.deepEqual([...new Set(one.messages.map((m) => m.partition_id))], [2]);
});

test('what was not acknowledged is given back', async () => {
  const { topic, insert } = await newTopic();
  for (const id of [1, 2]) await insert(id);
  const handle = consumers.consumer({ topic, group_id: 'g', start: 'earliest' });
  await handle.run(async (context) => {
    if (context.message.offset === 1) {
      await context.ack(); // 1 alone, not what came before it
      handle.stop();
    }
  });
  const again = consumers.consumer({ topic, group_id: 'g' });
  const offsets = [];
  await again.run(async (context) => {
    offsets.push(context.message.offset);
    await context.ack();
    again.stop();
  });
  assert.deepEqual(offsets, [0]);
});

test('ack takes everything up to an offset', async () => {
  const { topic, insert } = await newTopic();
  for (const id of [1, 2, 3]) await insert(id);
  const batch = await consumers.consumeBatch({ topic, group_id: 'g', start: 'Earliest', batch_size: 2 });
  assert.deepEqual([batch.messages.map((m) => m.offset), batch.next_offset, batch.has_more], [[0, 1], 2, true]);
  assert.deepEqual(await consumers.ack(topic, 'g', 0, 1), { success: true, acknowledged_offset: 1 });
  assert.deepEqual((await consumers.consumeBatch({ topic, group_id: 'g' })).messages.map((m) => m.offset), [2]);
});

test('an agent tries again, gives up, and goes on', async () => {
  const { topic, insert } = await newTopic();
  for (const id of [1, 2, 3]) await insert(id);
  const stop = new AbortController();
  const calls = [], retries = [], failed = [];
  await runAgent({
    client: consumers, name: 'a', topic, groupId: 'g', start: 'earliest', stopSignal: stop.signal,
    retry: { maxAttempts: 2, initialBackoffMs: 1 },
    systemPrompt: 'be brief',
    llm: { complete: async (input) => `${input.systemPrompt}: ${input.prompt}` },
    rowParser: (message) => (Number(message.payload.id) === 2 ? null : message.payload),
    onRow: async (context, row) => {
      calls.push(`${row.id} ${context.attempt} ${await context.llm.complete('hi')}`);
      if (Number(row.id) === 1) throw new Error('broken');
      assert.equal((await context.queryOne('SELECT 1 AS one')).one.asInt(), 1);
      stop.abort();
    },
    onRetry: ({ attempt, runKey }) => retries.push(`${attempt} ${runKey}`),
    onFailed: ({ error }) => { failed.push(error.message); },
  });
  assert.deepEqual(calls, ['1 1 be brief: hi', '1 2 be brief: hi', '3 1 be brief: hi']);
  assert.deepEqual(retries, [`1 a:${topic}:0:0`]);
  assert.deepEqual(failed, ['broken']);
  assert.deepEqual((await consumers.consumeBatch({ topic, group_id: 'g' })).messages, []);
});

test('runConsumer is the same without rows', async () => {
  const { topic, insert } = await newTopic();
  await insert(7);
  const stop = new AbortController();
  await runConsumer({
    client: consumers, name: 'c', topic, groupId: 'g', start: 'earliest', stopSignal: stop.signal,
    onMessage: (context) => {
      assert.equal(Number(context.message.value.id), 7);
      stop.abort();
    },
  });
});

test('errors are TopicRequestErrors with code and status', async () => {
  const wrong = { topic: 'chat.nothing', group_id: 'g' };
  await assert.rejects(consumers.consumeBatch(wrong), (e) => e instanceof TopicRequestError && e instanceof KalamError && e.status === 404);
  await assert.rejects(consumers.consumer(wrong).run(() => {}), (e) => e instanceof TopicRequestError && e.status === 404);
  await assert.rejects(createConsumerClient(as('alice')).consumeBatch({ topic: 'chat.t1_topic', group_id: 'g' }), (e) => e.status === 403 && e.code === 'FORBIDDEN');
  assert.throws(() => consumers.consumer({ topic: 't', group_id: 'g', start: 'sometimes' }), /Invalid consume start value/);
  await assert.rejects(runAgent({ client: consumers, name: ' ', topic: 't', groupId: 'g', onRow: () => {} }), /runAgent: name is required/);
  assert.throws(() => createConsumerClient({ url: '' }), /url is required/);
});

test('callbacks of an agent that throw or reject end neither it nor the program', async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on('unhandledRejection', note);
  const { error } = console;
  console.error = () => {};
  const bad = { 'at once': () => { throw new Error('x'); }, 'by a promise': async () => { throw new Error('x'); } };
  try {
    for (const fail of Object.values(bad)) {
      const { topic, insert } = await newTopic();
      for (const id of [1, 2]) await insert(id);
      const stop = new AbortController();
      const calls = [];
      await runAgent({
        client: consumers, name: 'a', topic, groupId: 'g', start: 'earliest', stopSignal: stop.signal,
        retry: { maxAttempts: 2, initialBackoffMs: 1, shouldRetry: fail },
        rowParser: async (message) => message.payload,
        onRow: (context, row) => {
          calls.push(`${row.id} ${context.attempt}`);
          if (Number(row.id) === 1) throw new Error('broken');
          stop.abort();
        },
        onRetry: fail, onError: fail, onFailed: () => {},
      });
      assert.deepEqual(calls, ['1 1', '2 1'], 'a shouldRetry that throws does not retry');
    }
    await new Promise((done) => setImmediate(done));
    assert.deepEqual(unhandled, []);
  } finally {
    console.error = error;
    process.off('unhandledRejection', note);
  }
});

test('the stack of an error of a topic holds the line that made the call', async () => {
  const wrong = { topic: 'chat.nothing', group_id: 'g' };
  const callers = {
    async myBatch() { await consumers.consumeBatch(wrong); },
    async myLoop() { await consumers.consumer(wrong).run(() => {}); },
    async myAck() { await consumers.ack('chat.nothing', 'g', 0, 1); },
  };
  for (const [name, call] of Object.entries(callers)) {
    await assert.rejects(call(), (e) => e instanceof TopicRequestError && e.stack.includes(name), name);
  }
});

test('a handler that ends after shutdown() harms nobody', async () => {
  const { topic, insert } = await newTopic();
  await insert(1);
  const own = createConsumerClient({ ...as('admin'), logListener: () => {} });
  let context, fail;
  const began = new Promise((began) => {
    void own.consumer({ topic, group_id: 'g', start: 'earliest' }).run((now) => new Promise((_, reject) => {
      [context, fail] = [now, reject];
      began();
    })).catch(() => {});
  });
  await began;
  await own.shutdown();
  await assert.rejects(context.ack(), { code: 'CLIENT_CLOSED' });
  fail(new Error('late'));
  assert.equal((await alice.queryOne('SELECT 1 AS one')).one.asInt(), 1);
});
