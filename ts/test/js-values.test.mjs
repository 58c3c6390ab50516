// What JavaScript values are stored as: the table of docs/typescript.md in Node,
// and what insert, update and delete make of undefined.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as kalam from '@kalamdb/client';
import vm from 'node:vm';
import { password, root, startServer } from './support/server.mjs';
import { check, rows, table } from './support/values.mjs';

const { Auth, createClient, KalamCellValue } = kalam;
let server, client;

before(async () => {
  server = await startServer();
  const admin = createClient({ url: server.url, authProvider: async () => Auth.basic('admin', password) });
  await admin.query(table);
  await admin.query("CREATE USER TABLE app.notes (id INT PRIMARY KEY, note TEXT DEFAULT 'none', n INT)");
  await admin.query("CREATE USER TABLE app.log (id SERIAL PRIMARY KEY, note TEXT DEFAULT 'none')");
  await admin.shutdown();
  client = createClient({ url: server.url, authProvider: async () => Auth.basic('alice', password) });
});

after(async () => {
  await client?.shutdown();
  await server?.close();
});

const note = async (id) => (await client.queryOne('SELECT note FROM app.notes WHERE id = $1', [id]))?.note.toJson();

test('each JavaScript value is stored as the documentation says, or refused', async () => {
  const { wrong, count } = await check(kalam, client);
  assert.deepEqual(wrong, []);
  assert.ok(count > 100, String(count));
});

test('the documentation has the rows that are tested', () => {
  const text = readFileSync(join(root, 'docs/typescript.md'), 'utf8');
  const [, body] = /^\| JavaScript \|.*\n\|---.*\n((?:\|.*\n)+)/m.exec(text) ?? [];
  assert.deepEqual(body?.trim().split('\n').map((line) => line.split(' | ')[0].slice(2)), Object.keys(rows(kalam)));
});

test('undefined leaves a column alone', async () => {
  await client.insert('app.notes', { id: 1, note: undefined, n: 1 });
  assert.equal(await note(1), 'none');
  await client.update('app.notes', 1, { note: 'mine' });
  await client.update('app.notes', 1, { note: undefined, n: 2 });
  await client.update('app.notes', 1, { note: undefined });
  assert.equal(await note(1), 'mine');
  await client.update('app.notes', 1, { note: null });
  assert.equal(await note(1), null);
  await client.insert('app.log', { note: undefined });
  assert.deepEqual((await client.query('SELECT id, note FROM app.log')).results[0].named_rows, [{ id: 1, note: 'none' }]);
});

test('a key is never NULL, and may be a cell', async () => {
  await client.insert('app.notes', { id: 2, note: 'a' });
  for (const key of [undefined, null, { id: undefined }, { id: null }, KalamCellValue.from(null), {}]) {
    await assert.rejects(client.update('app.notes', key, { note: 'b' }), { code: 'INVALID_ARGUMENT' });
    await assert.rejects(client.delete('app.notes', key), { code: 'INVALID_ARGUMENT' });
  }
  await assert.rejects(client.delete('app.notes', { id: new Map() }), /column id of app\.notes is of type Map/);
  await client.delete('app.notes', (await client.queryOne('SELECT id FROM app.notes WHERE id = 2')).id);
  assert.equal(await note(2), undefined);
});

test('an error names the parameter, the statement, the live query', async () => {
  await assert.rejects(client.query('SELECT $1, $2', [1, new Set()]), { code: 'INVALID_PARAMETER', message: /^parameter \$2 is of type Set/ });
  await assert.rejects(client.batch(['SELECT 1', ['SELECT $1', [NaN]]]), /^KalamError: statement 2, parameter \$1 is NaN/);
  await assert.rejects(client.live('SELECT * FROM app.notes WHERE n = $1', () => {}, { params: [Symbol('s')] }), /parameter \$1 is a symbol/);
  await assert.rejects(client.queryWithFiles('SELECT $1', {}, [new Map()]), /parameter \$1 is of type Map/);
  assert.deepEqual((await client.query('SELECT $1 AS a, $2 AS b', [, 1])).results[0].named_rows, [{ a: null, b: '1' }]);
});

test('values of another realm are what they are', async () => {
  const foreign = vm.runInNewContext('({ date: new Date(0), bytes: new Uint8Array([1]), list: [1, { a: 2 }], map: new Map() })');
  const { results } = await client.query('SELECT $1 AS d, CAST($2 AS BYTES) AS b, $3 AS l', [foreign.date, foreign.bytes, foreign.list]);
  assert.deepEqual(results[0].named_rows, [{ d: '1970-01-01T00:00:00.000Z', b: [1], l: '[1,{"a":2}]' }]);
  await assert.rejects(client.query('SELECT $1', [foreign.map]), /is of type Map/);
});
