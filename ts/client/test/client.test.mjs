// The surface of the client: queries, credentials, and what goes wrong.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  Auth, createClient, KalamAuthError, KalamConnectionError, KalamDBClient, KalamError, KalamLoadError, KalamPermanentAuthError, KalamServerError,
} from '@kalamdb/client';
import standard from '@kalamdb/client';
import { freePort, password, startServer, until } from '../../test/support/server.mjs';

let server, client;
const clients = [];
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

const alice = async () => Auth.basic('alice', password);

function newClient(options = {}) {
  const c = createClient({ url: server.url, authProvider: alice, ...options });
  clients.push(c);
  return c;
}

before(async () => {
  server = await startServer();
  client = newClient();
  const admin = newClient({ authProvider: async () => Auth.basic('admin', password) });
  await admin.query("CREATE TABLE chat.things (key TEXT PRIMARY KEY, n INT, j JSON, b BYTES, at TIMESTAMP, big BIGINT, \"order\" TEXT) WITH (TYPE = 'USER')");
  await admin.query("CREATE TABLE chat.pairs (a INT, b INT, v TEXT, PRIMARY KEY (a, b)) WITH (TYPE = 'USER')");
});

after(async () => {
  await Promise.all(clients.map((c) => c.shutdown()));
  await server.close();
  assert.deepEqual(unhandled, []);
});

describe('queries', () => {
  test('parameters of every kind come back', async () => {
    const at = new Date('2001-02-03T04:05:06.789Z');
    await client.insert('chat.things', { key: "o'x", n: 5, j: { deep: [1, 2] }, b: new Uint8Array([0, 255]), at, big: 9007199254740993n, order: null });
    const row = await client.queryOne('SELECT * FROM chat.things WHERE key = $1', ["o'x"]);
    assert.equal(row.n.asInt(), 5);
    assert.deepEqual(row.j.asObject(), { deep: [1, 2] });
    assert.deepEqual([...row.b.asBytes()], [0, 255]);
    assert.deepEqual(row.at.asDate(), at);
    assert.equal(row.big.asBigInt(), 9007199254740993n);
    assert.equal(row.order.isNull(), true);
  });

  test('update and delete take any key', async () => {
    await client.insert('chat.things', { key: 'DROP SELECT; --', n: 1 });
    const response = await client.update('chat.things', 'DROP SELECT; --', { n: 2, order: 'a"b', j: { x: 1 } }, 'key');
    assert.equal(response.results[0].row_count, 1);
    assert.equal((await client.queryOne('SELECT "order" AS o FROM chat.things WHERE n = 2')).o.asString(), 'a"b');
    await client.delete('chat.things', { key: 'DROP SELECT; --' });
    assert.deepEqual(await client.queryAll('SELECT key FROM chat.things WHERE n = 2'), []);
    await client.insert('chat.pairs', { a: 1, b: 2, v: 'x' });
    await client.update('chat.pairs', { a: 1, b: 2 }, { v: 'y' });
    assert.equal((await client.queryOne('SELECT v FROM chat.pairs')).v.asString(), 'y');
  });

  test('queries run in parallel, and one login serves all', async () => {
    let asked = 0;
    const c = newClient({ authProvider: async () => { asked++; return alice(); } });
    const rows = await Promise.all(Array.from({ length: 50 }, (_, i) => c.queryOne('SELECT $1 AS n', [i])));
    assert.deepEqual(rows.map((row) => row.n.asInt()), Array.from({ length: 50 }, (_, i) => i));
    assert.equal(asked, 1);
  });

  test('a batch is one transaction', async () => {
    await assert.rejects(
      client.batch([['INSERT INTO chat.pairs (a, b, v) VALUES ($1, 1, $2)', [7, 'x']], ['INSERT INTO chat.pairs (a, b, v) VALUES ($1, 1, $2)', [7, 'y']]]),
      (e) => e instanceof KalamServerError && e.statement === 2 && e.code === 'UNIQUE_VIOLATION' && e.status === 400,
    );
    assert.deepEqual(await client.queryAll('SELECT * FROM chat.pairs WHERE a = 7'), []);
    const good = await client.batch([['INSERT INTO chat.pairs (a, b, v) VALUES ($1, 1, $2)', [8, 'x']], 'SELECT count(*) AS n FROM chat.pairs WHERE a = 8']);
    assert.deepEqual(good.results.map((r) => r.row_count), [1, 1]);
  });

  test('rows by name, by table, as another user', async () => {
    const response = await client.query('SELECT 1 AS a; SELECT 2 AS b');
    assert.deepEqual(response.results.map((r) => r.named_rows), [[{ a: 1 }], [{ b: 2 }]]);
    assert.equal(response.results[0].rows, undefined);
    const [row] = await client.queryRows("SELECT 'x' AS a", 'chat.things');
    assert.deepEqual([row.data, row.cell('a').asString(), row.typedData.a.asString(), row.file('a')], [{ a: 'x' }, 'x', 'x', null]);
    const admin = newClient({ authProvider: async () => Auth.basic('admin', password) });
    assert.equal((await admin.executeAsUser('SELECT CURRENT_USER() AS me; ', " alice ")).results[0].named_rows[0].me, 'alice');
    for (const end of ['-- who', '; -- who', '/* who */', ' ;; ']) {
      assert.equal((await admin.executeAsUser(`SELECT CURRENT_USER() AS me, $1 AS n ${end}`, 'alice', [7])).results[0].named_rows[0].me, 'alice', end);
    }
    await assert.rejects(admin.executeAsUser('SELECT 1', "alice' (SELECT 1); DROP USER bob; --"), /not authorized/);
    await assert.rejects(client.executeAsUser(' ', 'alice'), /sql is required/);
    const named = newClient({ namespace: 'chat' });
    assert.equal((await named.queryAll('SELECT key FROM things LIMIT 1')).length, 1);
  });

  test('a signal ends a call', async () => {
    const gone = new AbortController();
    gone.abort(new Error('left'));
    await assert.rejects(client.query('SELECT 1', [], { signal: gone.signal }), /left/);
    const slow = createServer(() => {}).listen(0, 'localhost'); // it never answers
    await once(slow, 'listening');
    const c = newClient({ url: `http://localhost:${slow.address().port}`, authProvider: async () => Auth.jwt('t') });
    const late = new AbortController();
    const call = c.query('SELECT 1', [], { signal: late.signal });
    await once(slow, 'request');
    late.abort();
    await assert.rejects(call, { name: 'AbortError' });
    slow.closeAllConnections();
    slow.close();
  });

  test('bad arguments are typed errors', async () => {
    await assert.rejects(client.query('SELECT $1', [NaN]), (e) => e.code === 'INVALID_PARAMETER');
    await assert.rejects(client.query('SELECT $1', [Symbol('x')]), (e) => e.code === 'INVALID_PARAMETER');
    await assert.rejects(client.insert('chat.things; DROP TABLE x', { a: 1 }), (e) => e.code === 'INVALID_IDENTIFIER');
    await assert.rejects(client.insert('chat.things', {}), (e) => e.code === 'INVALID_ARGUMENT');
    await assert.rejects(client.query('SELEKT'), (e) => e instanceof KalamServerError && e.code === 'INVALID_SQL' && e.line === 1 && !e.retryable);
    await assert.rejects(client.live('SELECT * FROM chat.nothing', () => {}), (e) => e instanceof KalamError && e.code === 'NOT_FOUND');
    await assert.rejects(client.subscribeWithSql('SELECT count(*) FROM chat.things', () => {}), (e) => e.code === 'INVALID_SQL');
    assert.throws(() => createClient({ authProvider: alice }), /KalamDBClient: url is required/);
    assert.throws(() => createClient({ url: 'http://localhost' }), /KalamDBClient: authProvider is required/);
    assert.equal(standard, KalamDBClient);
  });
});

describe('credentials', () => {
  test('the type of credentials is what it is', async () => {
    const c = newClient();
    assert.equal(c.getAuthType(), null);
    await c.initialize();
    assert.equal(c.getAuthType(), 'basic');
    await c.query('SELECT 1');
    assert.equal(c.getAuthType(), 'jwt');
  });

  test('state events come, and may call the client', async () => {
    const c = newClient();
    const states = [];
    let answer;
    const off = c.onAuthStateChange((event) => {
      states.push([event.state, event.user]);
      answer ??= c.queryOne('SELECT 1 AS one');
    });
    await c.login();
    assert.equal((await answer).one.asInt(), 1);
    assert.deepEqual(states, [['signed-in', 'alice']]);
    off();
  });

  test('a refresh token that was replaced stays good, and events have the newest', async () => {
    const c = newClient();
    const events = [];
    c.onAuthStateChange((event) => events.push(event));
    const kept = await c.login();
    let newest;
    for (let i = 0; i < 3; i++) newest = (await c.refreshToken(kept.refresh_token)).refresh_token;
    assert.notEqual(newest, kept.refresh_token);
    await c.query('SELECT 1');
    await until('the last event', () => events.at(-1)?.refreshToken === newest);
    assert.ok(!JSON.stringify(events).includes(newest), 'an event that is logged shows the token');
    const other = newClient(); // as after a reload
    assert.equal((await other.refreshToken(newest)).user.id, 'alice');
  });

  test('signed-in is reported when the server has accepted the token', async () => {
    const good = (await newClient().login()).access_token;
    const states = [];
    let token = `${good.slice(0, -4)}AAAA`;
    const c = newClient({ authProvider: async () => Auth.jwt(token) });
    c.onAuthStateChange(({ state, user, error }) => states.push([state, user, error?.code]));
    await c.initialize();
    await assert.rejects(c.query('SELECT 1'), (e) => e instanceof KalamAuthError);
    await until('signed out', () => states.length > 0);
    assert.deepEqual(states, [['signed-out', undefined, 'INVALID_CREDENTIALS']]);
    token = good;
    await c.query('SELECT 1');
    await until('signed in', () => states.length > 1);
    assert.deepEqual(states[1], ['signed-in', 'alice', undefined]);
  });

  test('a provider that fails for a while is asked again', async () => {
    let asked = 0;
    const c = newClient({ authProviderInitialBackoffMs: 1, authProvider: async () => { if (++asked < 3) throw new Error('fetch failed'); return alice(); } });
    await c.query('SELECT 1');
    assert.equal(asked, 3);
  });

  test('a provider that keeps failing gives its error as the cause', async () => {
    const mine = new Error('the token service is down');
    const c = newClient({ authProviderMaxAttempts: 2, authProviderInitialBackoffMs: 1, authProvider: async () => { throw mine; } });
    await assert.rejects(c.query('SELECT 1'), (e) => e instanceof KalamConnectionError && e.code === 'PROVIDER_FAILED' && e.retryable && e.cause === mine);
  });

  test('a provider that hangs is given up after its time, and told so', async () => {
    const signals = [];
    const hangs = ({ signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const c = newClient({ authTimeoutMs: 90, authProviderMaxAttempts: 2, authProviderInitialBackoffMs: 1, authProvider: hangs });
    const good = (e) => e instanceof KalamConnectionError && e.code === 'PROVIDER_TIMEOUT' && e.retryable && /did not answer in time/.test(e.message);
    await assert.rejects(c.query('SELECT 1'), good);
    assert.deepEqual(signals.map((s) => s.aborted), [true, true]);
    await assert.rejects(c.connect(), good);
    await assert.rejects(c.initialize(), good);
    let late = true;
    const slow = newClient({ authTimeoutMs: 9000, authProviderInitialBackoffMs: 1, authProvider: async (r) => (late ? ((late = false), hangs(r)) : alice()) });
    assert.equal((await slow.queryOne('SELECT 1 AS one')).one.asInt(), 1); // the second answer came in time
  });

  test('a permanent refusal is final', async () => {
    let asked = 0;
    const states = [];
    const c = newClient({ authProvider: async () => { asked++; throw new KalamPermanentAuthError('signed out'); } });
    c.onAuthStateChange(({ state }) => states.push(state));
    await assert.rejects(c.query('SELECT 1'), (e) => e instanceof KalamAuthError && !e.retryable && /signed out/.test(e.message));
    await assert.rejects(c.live('SELECT * FROM chat.things', () => {}), KalamAuthError);
    assert.equal(asked, 2);
    assert.deepEqual(states, ['signed-out']);
  });

  for (const [what, answer] of Object.entries({ nothing: undefined, text: 'token', empty: {}, 'an unknown type': { type: 'cookie' }, 'no token': { type: 'jwt' } })) {
    test(`a provider that gives ${what}`, async () => {
      const c = newClient({ authProvider: async () => answer });
      await assert.rejects(c.query('SELECT 1'), (e) => e instanceof KalamAuthError && /it must give Auth\.basic\(user, password\) or Auth\.jwt\(token\)/.test(e.message));
    });
  }

  test('a provider that throws at once, and one that calls its own client', async () => {
    const c = newClient({ authProviderMaxAttempts: 1, authProvider: () => { throw new Error('at once'); } });
    await assert.rejects(c.query('SELECT 1'), /at once/);
    const own = newClient({ authProviderMaxAttempts: 1, authProvider: async () => { await null; await own.query('SELECT 1'); return alice(); } });
    await assert.rejects(own.query('SELECT 1'), (e) => e.cause?.code === 'REENTRANT_CALL');
  });

  test('a wrong password, a wrong token, a wrong refresh token', async () => {
    const wrong = newClient({ authProvider: async () => Auth.basic('alice', 'wrong') });
    await assert.rejects(wrong.login(), (e) => e instanceof KalamAuthError && e.code === 'INVALID_CREDENTIALS' && e.status === 401);
    await assert.rejects(newClient({ authProvider: async () => Auth.jwt('x.y.z') }).query('SELECT 1'), (e) => e instanceof KalamAuthError && e.status === 401);
    await assert.rejects(client.refreshToken('nonsense'), KalamAuthError);
    await client.query('SELECT 1'); // a failed refresh leaves the session alone
    await assert.rejects(newClient({ authProvider: async () => Auth.jwt('x.y.z') }).login(), /only user and password can be exchanged/);
  });

  test('no secret in the clear off this machine', async () => {
    const c = newClient({ url: 'http://kalam.example:1' });
    await assert.rejects(c.query('SELECT 1'), (e) => e.code === 'INSECURE_TRANSPORT' && /allowInsecureCredentials: true/.test(e.message));
    await assert.rejects(newClient({ url: 'ftp://x' }).query('SELECT 1'), /url must begin with http/);
  });

  test('tokens do not show in onSend or the log', async () => {
    const text = [];
    const c = newClient({ logLevel: 0, logListener: (e) => text.push(e.message), onSend: (m) => text.push(m), onReceive: (m) => text.push(m) });
    const { access_token, refresh_token } = await c.login();
    await c.connect();
    await c.query('SELECT 1');
    assert.ok(text.some((t) => t.includes('authenticate')));
    for (const secret of [access_token, refresh_token, password]) assert.ok(!text.join('\n').includes(secret));
  });
});

describe('life', () => {
  test('eager connecting, from any first call', async () => {
    for (const first of ['initialize', 'connect', 'subscribe', 'query']) {
      let dials = 0;
      const c = newClient({ wsLazyConnect: false, onConnect: () => dials++ });
      if (first === 'subscribe') await (await c.subscribe('chat.things', () => {}))();
      else await c[first]('SELECT 1');
      await c.initialize();
      assert.equal(c.isConnected(), true, first);
      assert.equal(dials, 1, first);
      await c.shutdown();
      assert.equal(c.isConnected(), false);
    }
  });

  test('settings before the first call, and use after shutdown', async () => {
    const c = newClient();
    c.setAutoReconnect(true);
    c.setReconnectDelay(10, 20);
    c.setMaxReconnectAttempts(5);
    assert.deepEqual([c.isReconnecting(), c.getReconnectAttempts(), c.getLastSeqId('sub-1')], [false, 0, undefined]);
    await c.query('SELECT 1');
    await c.shutdown();
    await c.shutdown();
    assert.equal((await c.queryOne('SELECT 2 AS two')).two.asInt(), 2);
    await c.disconnect();
    await c.query('SELECT 1');
  });

  test('an event has one handler that is replaced, and as many listeners as were added', async () => {
    const seen = [];
    const entries = [];
    const c = newClient({ onConnect: () => seen.push('option'), logListener: (e) => entries.push(e.message) });
    c.onConnect(() => seen.push('method'));
    const listener = () => seen.push('listener');
    const offs = [c.on('connect', listener), c.on('connect', listener), c.on('connect', () => { throw new Error('mine'); })];
    c.on('connect', () => seen.push('last'));
    offs[0]();
    await c.connect();
    assert.deepEqual(seen, ['method', 'listener', 'last']);
    assert.ok(entries.some((m) => /a handler of connect threw: Error: mine/.test(m)), entries.join());
    c.onConnect(undefined);
    offs[1]();
    await c.disconnect();
    await c.connect();
    assert.deepEqual(seen, ['method', 'listener', 'last', 'last']);
  });

  test('disconnect ends what waits, without an error event', async () => {
    const c = newClient();
    const errors = [];
    await c.live('SELECT * FROM chat.things', () => {}, { onError: (e) => errors.push(e) });
    const loop = (async () => { for await (const rows of c.live('SELECT * FROM chat.things')) void rows; })();
    await until('the loop', () => c.getSubscriptionCount() === 2);
    await c.disconnect();
    await assert.rejects(loop, (e) => e.code === 'DISCONNECTED');
    assert.deepEqual(errors, []);
  });
});

/** Runs a check with a server that answers everything in one way. */
async function withServer(answer, check) {
  const strange = createServer(answer).listen(0, 'localhost');
  await once(strange, 'listening');
  try {
    await check(`http://localhost:${strange.address().port}`);
  } finally {
    strange.closeAllConnections();
    strange.close();
  }
}

describe('what is not KalamDB, or not this one', () => {
  const json = (status, body) => (_, response) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  const answers = {
    'a page': [(_, response) => response.setHeader('Content-Type', 'text/html').end('<html>sign in to the network</html>'), 'NOT_KALAMDB', /not as KalamDB does: check the url/],
    'a refusal that is a page': [(_, response) => response.writeHead(418).end('<html>'), 'NOT_KALAMDB', /status 418/],
    'an error page': [(_, response) => response.writeHead(503).end('busy'), 'SERVER_UNAVAILABLE', /status 503/],
    'nonsense': [(_, response) => response.end('{"status":"success","results":7}'), 'NOT_KALAMDB', /check the url/],
    'nothing': [(_, response) => response.end(), 'NOT_KALAMDB', /check the url/],
    'a redirect': [(_, response) => response.writeHead(302, { Location: 'https://elsewhere.example/' }).end(), 'SERVER_UNAVAILABLE', /no answer from|redirected/],
    'a broken connection': [(_, response) => response.destroy(), 'SERVER_UNAVAILABLE', /no answer from http:\/\/localhost:\d+: .*(UND_ERR_SOCKET|ECONNRESET)/],
    'another version': [json(404, { error: 'not_found', message: 'there is no such route; the API is under /v2/api' }), 'VERSION_MISMATCH', /update it or this client/],
    'another program': [(_, response) => response.writeHead(404).end('404 page not found'), 'NOT_KALAMDB', /check the url/],
  };
  for (const [what, [answer, code, says]] of Object.entries(answers)) {
    test(`${what} is a typed error that says what to do`, () => withServer(answer, async (url) => {
      const good = (e) => {
        assert.ok(e instanceof KalamConnectionError, String(e));
        assert.deepEqual([e.code, e.retryable], [code, code !== 'VERSION_MISMATCH'], e.message);
        assert.match(e.message, says);
        assert.ok(e.message.includes(url) || /redirected/.test(e.message), e.message);
        return true;
      };
      const token = async () => Auth.jwt('t');
      await assert.rejects(newClient({ url, authProvider: token }).query('SELECT 1'), good);
      await assert.rejects(newClient({ url }).login(), good);
    }));
  }

  test('a live query of a server of another version', () => withServer(answers['another version'][0], async (url) => {
    await assert.rejects(newClient({ url }).live('SELECT * FROM chat.things', () => {}), (e) => e.code === 'VERSION_MISMATCH');
  }));

  test('a newer server may say more: types, fields, frames and errors that nobody here knows', async () => {
    const newer = json(200, {
      status: 'success', took: 1, epoch: { a: 1 },
      results: [{ schema: [{ name: 'a', data_type: { Tensor: [1] }, index: 0, flags: ['zz'], more: 1 }], rows: [[[1, { x: null }]]], row_count: 1, more: [] }],
    });
    await withServer(newer, async (url) => {
      const [row] = await newClient({ url, authProvider: async () => Auth.jwt('t') }).queryAll('SELECT a');
      assert.deepEqual(row.a.toJson(), [1, { x: null }]);
    });
    await withServer(json(409, { status: 'error', error: { code: 'FROM_THE_FUTURE', message: 'not today', more: 1 } }), async (url) => {
      await assert.rejects(newClient({ url, authProvider: async () => Auth.jwt('t') }).query('SELECT 1'), (e) => e instanceof KalamServerError && e.code === 'FROM_THE_FUTURE' && e.status === 409);
    });
  });

  test('a server that is away', async () => {
    const c = newClient({ url: `http://localhost:${await freePort()}` });
    await assert.rejects(c.query('SELECT 1'), (e) => e instanceof KalamConnectionError && e.code === 'SERVER_UNAVAILABLE' && /no answer from http:\/\/localhost:\d+: fetch failed: ECONNREFUSED/.test(e.message));
    await assert.rejects(c.connect(), (e) => e instanceof KalamConnectionError);
  });
});

describe('the module', () => {
  const load = (wasmUrl) => newClient({ wasmUrl }).query('SELECT 1');

  test('missing or wrong', async () => {
    await assert.rejects(load('/nowhere/kalam.wasm'), (e) => e instanceof KalamLoadError && e.code === 'WASM_NOT_FOUND' && /wasmUrl/.test(e.message));
    await assert.rejects(load(new Uint8Array([1, 2, 3])), (e) => e instanceof KalamLoadError && e.code === 'WASM_INVALID');
    await assert.rejects(load(Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0])), (e) => e instanceof KalamLoadError && e.code === 'WASM_INVALID');
    await assert.rejects(load(`${server.url}/kalam.wasm`), (e) => e instanceof KalamLoadError && e.code === 'WASM_NOT_FOUND');
  });

  test('the provider is asked while it loads, and its answer is taken', async () => {
    let asked;
    const called = new Promise((resolve) => { asked = resolve; });
    const slow = createServer(async (_, response) => {
      await called;
      response.setHeader('Content-Type', 'application/wasm').end(readFileSync(new URL('../dist/kalam.wasm', import.meta.url)));
    }).listen(0, 'localhost');
    await once(slow, 'listening');
    const reasons = [];
    const c = newClient({
      wasmUrl: `http://localhost:${slow.address().port}/kalam.wasm`,
      authProvider: async ({ reason }) => {
        reasons.push(reason);
        asked();
        return alice();
      },
    });
    await c.query('SELECT 1');
    assert.deepEqual(reasons, ['initialize']);
    await c.connect();
    assert.deepEqual(reasons, ['initialize', 'connect']);
    slow.closeAllConnections();
    slow.close();
  });

  test('bytes of it work, a data URL, and the module compiled', async () => {
    const bytes = readFileSync(new URL('../dist/kalam.wasm', import.meta.url));
    await load(bytes);
    await load(`data:application/wasm;base64,${bytes.toString('base64')}`);
    await load(await WebAssembly.compile(bytes));
  });

  test('a page that is simulated in Node, as by jsdom, gets a real socket', async () => {
    const { WebSocket } = globalThis;
    globalThis.document = new EventTarget();
    globalThis.WebSocket = class { constructor() { throw new Error('simulated'); } };
    const c = newClient();
    try {
      await Promise.race([c.connect(), until('a socket', () => c.isConnected(), 10_000)]);
    } finally {
      await c.shutdown();
      delete globalThis.document;
      if (WebSocket) globalThis.WebSocket = WebSocket;
      else delete globalThis.WebSocket;
    }
  });

  test('nothing is left on globalThis', () => {
    assert.deepEqual(['Go', 'kalamClient', 'path', 'fs'].filter((name) => Object.hasOwn(globalThis, name)), []);
  });
});
