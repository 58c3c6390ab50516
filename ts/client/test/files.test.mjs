// Files: uploads with progress, what goes wrong with them, and their addresses.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Auth, createClient, KalamConnectionError, KalamServerError, wrapRows } from '@kalamdb/client';
import { freePort, password, root, startServer } from '../../test/support/server.mjs';

const secret = randomBytes(32).toString('hex');
const clients = [];
let server, client;

/** A client of alice that ends with the tests. */
function newClient(options = {}) {
  const c = createClient({ url: server.url, authProvider: async () => Auth.basic('alice', password), ...options });
  clients.push(c);
  return c;
}

before(async () => {
  server = await startServer({ env: { KALAMDB_JWT_SECRET: secret, KALAMDB_FILES_MAX_SIZE_BYTES: String(16 << 20) } });
  client = newClient();
  const admin = newClient({ authProvider: async () => Auth.basic('admin', password) });
  await admin.query("CREATE TABLE chat.photos (id INT PRIMARY KEY, title TEXT, photo FILE, small FILE) WITH (TYPE = 'USER')");
});

after(async () => {
  await Promise.all(clients.map((c) => c.shutdown()));
  await server.close();
});

const insert = 'INSERT INTO chat.photos (id, title, photo, small) VALUES ($1, $2, FILE("photo"), FILE("small"))';
const blob = (bytes, type = '') => new Blob([bytes], { type });
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const count = async (id) => (await client.queryOne('SELECT count(*) AS n FROM chat.photos WHERE id = $1', [id])).n.asInt();

test('an upload after the login exchange, with its progress, and back', async () => {
  const paths = [];
  const realFetch = globalThis.fetch;
  globalThis.fetch = (url, init) => {
    paths.push(`${init.method} ${new URL(url).pathname} ${new Headers(init.headers).get('Authorization')?.split(' ')[0] ?? ''}`.trim());
    return realFetch(url, init);
  };
  const content = randomBytes(8 << 20);
  const steps = [];
  const c = newClient();
  try {
    const response = await c.queryWithFiles(insert, { photo: blob(content), small: blob('héllo', 'text/plain') }, [1, "it's"], (step) => steps.push(step));
    assert.equal(response.results[0].row_count, 1);
  } finally {
    globalThis.fetch = realFetch;
  }
  assert.deepEqual(paths, ['POST /v1/api/auth/login', 'POST /v1/api/sql Bearer']);
  const photo = steps.filter((s) => s.file_name === 'photo');
  assert.ok(photo.length > 10, `${photo.length} steps`);
  assert.ok(photo.every((s, i) => i === 0 || s.bytes_sent > photo[i - 1].bytes_sent));
  assert.deepEqual(photo.at(-1), { file_index: 1, total_files: 2, file_name: 'photo', bytes_sent: 8 << 20, total_bytes: 8 << 20, percent: 100 });
  assert.deepEqual(steps.at(-1), { file_index: 2, total_files: 2, file_name: 'small', bytes_sent: 6, total_bytes: 6, percent: 100 });
  assert.ok(steps.every((s) => Number.isInteger(s.percent)));

  const [row] = await c.queryRows('SELECT title, photo, small FROM chat.photos WHERE id = 1', 'chat.photos');
  assert.equal(row.cell('title').asString(), "it's");
  const file = row.file('photo');
  assert.deepEqual([file.name, file.size, file.sha256], ['photo', content.length, sha256(content)]);
  assert.equal(row.file('small').mime, 'text/plain; charset=utf-8');
  const { access_token } = await c.login();
  const read = async (url, headers) => {
    const answer = await fetch(url, { headers });
    return [answer.status, sha256(Buffer.from(await answer.arrayBuffer())), answer.headers.get('Content-Disposition')];
  };
  assert.deepEqual((await read(file.downloadUrl(), { Authorization: `Bearer ${access_token}` })).slice(0, 2), [200, sha256(content)]);
  assert.equal((await read(file.downloadUrl()))[0], 401);
});

test('a signed address needs no token, and is of its file alone', async () => {
  await client.queryWithFiles('INSERT INTO chat.photos (id, photo) VALUES (2, FILE("p"))', { p: blob('png') });
  const [row] = await client.queryRows('SELECT photo FROM chat.photos WHERE id = 2', 'chat.photos');
  const url = await row.file('photo').downloadUrl({ expiresIn: 60 });
  const answer = await fetch(url);
  assert.deepEqual([answer.status, await answer.text(), answer.headers.get('Content-Disposition').split(';')[0]], [200, 'png', 'inline']);
  const saved = await fetch(await row.file('photo').downloadUrl({ download: true }));
  assert.equal(saved.headers.get('Content-Disposition').split(';')[0], 'attachment');
  const other = new URL(url);
  other.pathname = other.pathname.replace(/\d+$/, '1');
  assert.equal((await fetch(other)).status, 401);
  await assert.rejects(row.file('photo').downloadUrl({ expiresIn: 1e9 }), (e) => e instanceof KalamServerError && e.code === 'INVALID_INPUT' && /expires_in/.test(e.message));
  const [loose] = wrapRows([{ photo: row.file('photo').toJson() }], { baseUrl: server.url, namespace: 'chat', table: 'photos' });
  await assert.rejects(loose.file('photo').downloadUrl({ expiresIn: 60 }), (e) => e.code === 'INVALID_ARGUMENT');
});

test('somebody who may act as a user reads the files of their rows', async () => {
  await client.queryWithFiles('INSERT INTO chat.photos (id, photo) VALUES (3, FILE("p"))', { p: blob('hers') });
  const admin = newClient({ authProvider: async () => Auth.basic('admin', password) });
  const { results } = await admin.executeAsUser('SELECT photo FROM chat.photos WHERE id = 3', 'alice');
  const file = admin.wrapRow(results[0].named_rows[0], 'chat.photos').file('photo');
  assert.equal(await (await fetch(await file.downloadUrl({ userId: 'alice' }))).text(), 'hers');
  await assert.rejects(file.downloadUrl({}), (e) => e.code === 'FILE_NOT_FOUND' && e.status === 404);
  const bob = newClient({ authProvider: async () => Auth.basic('bob', password) });
  const his = bob.wrapRow(results[0].named_rows[0], 'chat.photos').file('photo');
  await assert.rejects(his.downloadUrl({ userId: 'alice' }), (e) => e.code === 'PERMISSION_DENIED' && e.status === 403);
});

test('refusals are those of the server, and leave nothing', async () => {
  const refused = (code, status, files, sql = insert) => assert.rejects(
    client.queryWithFiles(sql, files, [4, 'x']), (e) => e instanceof KalamServerError && e.code === code && e.status === status, code);
  await refused('MISSING_FILE', 400, { photo: blob('a') });
  await refused('EXTRA_FILE', 400, { photo: blob('a'), small: blob('b'), more: blob('c') });
  await refused('FILE_TOO_LARGE', 400, { photo: blob(new Uint8Array((16 << 20) + 1)), small: blob('b') });
  await refused('INVALID_SQL', 400, { photo: blob('a') }, 'INSERT INTO');
  await assert.rejects(client.query(insert, [4, 'x']), (e) => e.code === 'INVALID_INPUT' && /multipart/.test(e.message));
  assert.equal(await count(4), 0);
});

test('what is no file or no parameter is told before anything is sent', async () => {
  for (const wrong of ['text', new Uint8Array(3), null, undefined, { size: 3 }]) {
    await assert.rejects(client.queryWithFiles(insert, { photo: blob('a'), small: wrong }, [4, 'x']), (e) => e.code === 'INVALID_ARGUMENT' && /"small" is no File or Blob/.test(e.message));
  }
  await assert.rejects(client.queryWithFiles(insert, { photo: blob('a'), small: blob('b') }, [4, NaN]), (e) => e.code === 'INVALID_PARAMETER');
});

test('a signal ends an upload', async () => {
  const gone = new AbortController();
  const big = { photo: blob(new Uint8Array(16 << 20)), small: blob('b') };
  const call = client.queryWithFiles(insert, big, [5, 'x'], () => gone.abort(new Error('changed my mind')), { signal: gone.signal });
  await assert.rejects(call, /changed my mind/);
  assert.equal(await count(5), 0);
  // and one whose answer does not come
  const silent = createServer((request) => request.resume()).listen(0, 'localhost');
  await once(silent, 'listening');
  const c = newClient({ url: `http://localhost:${silent.address().port}`, authProvider: async () => Auth.jwt('t') });
  const late = new AbortController();
  const waiting = c.queryWithFiles(insert, big, [5, 'x'], undefined, { signal: late.signal });
  await once(silent, 'request');
  late.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  silent.closeAllConnections();
  silent.close();
});

test('a token that has expired is renewed, and the upload sent once more', async () => {
  const asked = [];
  const c = newClient({
    authProvider: async ({ reason }) => {
      asked.push(reason);
      return Auth.jwt(mint(asked.length === 1 ? -300 : 300));
    },
  });
  const content = randomBytes(1 << 20);
  const steps = [];
  await c.queryWithFiles(insert, { photo: blob(content), small: blob('b') }, [6, 'x'], (step) => steps.push(step));
  assert.deepEqual(asked, ['initialize', 'rejected']);
  assert.equal(steps.at(-1).percent, 100);
  const [row] = await c.queryRows('SELECT photo FROM chat.photos WHERE id = 6', 'chat.photos');
  assert.equal(row.file('photo').sha256, sha256(content));
});

/** A token of alice as an app mints it that shares the server's secret. */
function mint(seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ typ: 'JWT', alg: 'HS256' })}.${part({ sub: 'alice', iss: 'kalamdb', iat: now - 600, exp: now + seconds, role: 'user', token_type: 'access', email: null })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

test('a server that is away, and a callback that throws', async () => {
  const c = newClient({ url: `http://localhost:${await freePort()}`, authProvider: async () => Auth.jwt('t') });
  await assert.rejects(c.queryWithFiles(insert, { photo: blob('a'), small: blob('b') }, [7, 'x'], () => {}), (e) => e instanceof KalamConnectionError && e.code === 'SERVER_UNAVAILABLE' && /ECONNREFUSED/.test(e.message));
  const entries = [];
  const own = newClient({ logListener: (entry) => entries.push(entry.message) });
  await own.queryWithFiles(insert, { photo: blob('a'), small: blob('') }, [7, 'x'], () => { throw new Error('mine'); });
  assert.ok(entries.some((m) => /onProgress threw: Error: mine/.test(m)));
  assert.equal(await count(7), 1);
});

if (!process.version.startsWith('v18.')) {
  test('all of it in Node 18', async () => {
    const node18 = join(root, 'ts/node_modules/node/bin/node');
    await promisify(execFile)(node18, ['--test', fileURLToPath(import.meta.url)], { env: { ...process.env, NODE_TEST_CONTEXT: undefined } })
      .catch((error) => { throw new Error(error.stdout); });
  });
}
