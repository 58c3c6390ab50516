// Random JavaScript values of every column type, sent through the client into a
// private and a shared table, are stored as the PostgreSQL server that psql finds
// stores the literals that stand for them. KALAM_COMPARE_VALUES says how many.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Auth, createClient } from '@kalamdb/client';
import { password, startServer } from './support/server.mjs';

const each = 200;
const columns = {
  b: ['BOOLEAN', 'boolean'], si: ['SMALLINT', 'smallint'], i: ['INT', 'int'], big: ['BIGINT', 'bigint'], dbl: ['DOUBLE', 'float8'],
  dec: ['DECIMAL(12,3)', 'numeric(12,3)'], num: ['NUMERIC', 'numeric'], txt: ['TEXT', 'text'], vc: ['VARCHAR(5)', 'varchar(5)'],
  j: ['JSON', 'json'], u: ['UUID', 'uuid'], raw: ['BYTES', 'bytea'], ts: ['TIMESTAMP', 'timestamp'], d: ['DATE', 'date'], tm: ['TIME', 'time'],
};
const definitions = (which) => Object.entries(columns).map(([name, types]) => `, ${name} ${types[which]}`).join('');

/** A random number from 0 up to n, the same for the same seed (mulberry32). */
function numbers(seed) {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * n);
  };
}

const pieces = ['', 'a', "it's", '\\', '\\x41', 'é', '💧', '\n', ' ', '$1', '%', '\u0301', '--', 'NULL', 'Ω'];

/** A value and the literal that stands for it; null is NULL. */
function randomValue(r, column) {
  if (r(20) === 0) return { value: null, literal: null };
  const whole = () => BigInt.asIntN(64, (BigInt(r(2 ** 32)) << 32n) | BigInt(r(2 ** 32))) >> BigInt(r(64));
  const same = (value) => ({ value, literal: String(value) });
  switch (column) {
    case 'b': return same(r(2) === 0);
    case 'si': case 'i': case 'big': return same([whole(), String(whole()), Number(whole() >> 11n)][r(3)]);
    case 'dbl': return same([r(2 ** 32) / 977, -r(1e6) / 1e3, r(1e9) * 10 ** (r(600) - 300), Number(whole())][r(4)]);
    case 'dec': case 'num': return same([whole(), `${whole() >> BigInt(r(60))}.${r(100000)}`, (r(2 ** 32) - 2 ** 31) / 1000][r(3)]);
    case 'txt': case 'vc': {
      const text = Array.from({ length: 1 + r(4) }, () => pieces[r(pieces.length)]).join('');
      return { value: [text, new TextEncoder().encode(text), new String(text)][r(3)], literal: text };
    }
    case 'j': {
      const value = [{ a: [1, 2.5, null] }, [], 7n, { 'b"': '💧' }, true, '{"a":', '"x"', ' {"b" : true} '][r(8)];
      return { value, literal: typeof value === 'object' ? JSON.stringify(value) : String(value) };
    }
    case 'u': {
      const hex = Array.from({ length: 32 }, () => r(16).toString(16)).join('');
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
      return { value: r(2) ? id : id.toUpperCase(), literal: id };
    }
    case 'raw': {
      const bytes = Uint8Array.from({ length: r(40) }, () => r(256));
      const value = [bytes, bytes.buffer, new DataView(bytes.buffer), Buffer.from(bytes)][r(4)];
      return { value, literal: `\\x${Buffer.from(bytes).toString('hex')}` };
    }
  }
  const at = new Date(r(2 ** 32) * 60000 - 62e12 + r(60000));
  const iso = at.toISOString();
  if (column === 'ts') return { value: at, literal: iso.slice(0, -1).replace('T', ' ') };
  if (column === 'd') return r(3) ? { value: at, literal: iso.slice(0, 10) } : same(`${1900 + r(200)}-${1 + r(13)}-${1 + r(31)}`);
  return r(2) ? { value: at, literal: iso.slice(11, -1) } : same(`${r(25)}:${r(61)}:${r(61)}.${r(1e6)}`);
}

function psql(script) {
  const { status, stdout, stderr } = spawnSync('psql', ['-X', '-A', '-t', '-q'], { input: script, encoding: 'utf8', maxBuffer: 64 << 20 });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** What PostgreSQL stores for the literals, as text; '!' for what it refuses. */
function storedByPostgreSQL(list) {
  const quote = (text) => (text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`);
  const inserts = list.map(({ column, literal }, id) => `INSERT INTO v (id, ${column}) VALUES (${id}, ${quote(literal)});`);
  const selects = list.map(({ column }, id) => `SELECT replace(${column}::text, chr(10), chr(1)) FROM v WHERE id = ${id};\n\\echo '-- end'`);
  const text = psql(["SET TimeZone = 'UTC'; SET client_min_messages = error;", '\\pset null NULL', `CREATE TEMP TABLE v (id INT PRIMARY KEY${definitions(1)});`, ...inserts, ...selects].join('\n'));
  return text.split('-- end\n').slice(0, -1).map((cell) => (cell === '' ? '!' : cell.slice(0, -1).replaceAll('\x01', '\n')));
}

test('JavaScript values are stored as PostgreSQL stores them', async (t) => {
  const server = await startServer();
  const client = createClient({ url: server.url, authProvider: async () => Auth.basic('admin', password) });
  t.after(async () => {
    await client.shutdown();
    await server.close();
  });
  const wrong = [];
  const rounds = Math.ceil(Number(process.env.KALAM_COMPARE_VALUES ?? 1000) / each);
  for (let seed = 0; seed < rounds; seed++) {
    const r = numbers(seed);
    const table = `app.pg${seed}`;
    await client.query(`CREATE NAMESPACE IF NOT EXISTS app; CREATE ${seed % 2 ? 'SHARED' : 'USER'} TABLE ${table} (id INT PRIMARY KEY${definitions(0)})`);
    const names = Object.keys(columns);
    const list = Array.from({ length: each }, () => {
      const column = names[r(names.length)];
      return { column, ...randomValue(r, column) };
    });
    const want = storedByPostgreSQL(list);
    for (const [id, { column, value, literal }] of list.entries()) {
      let got;
      try {
        if (r(2)) await client.insert(table, { id, [column]: value });
        else await client.batch([[`INSERT INTO ${table} (id, ${column}) VALUES ($1, $2)`, [id, value]]]);
        got = (await client.queryOne(`SELECT CAST(${column} AS TEXT) AS x FROM ${table} WHERE id = $1`, [id])).x.toJson() ?? 'NULL';
      } catch (error) {
        got = '!';
        if (!/\$2|\$1|column/.test(error.message)) wrong.push(`seed ${seed}: the refusal of ${literal} for ${column} names no place: ${error.message}`);
      }
      if (got !== want[id]) wrong.push(`seed ${seed}: ${Object.prototype.toString.call(value)} ${literal} into ${column}: got ${got}, PostgreSQL stores ${want[id]}`);
    }
  }
  assert.deepEqual(wrong.slice(0, 20), []);
});
