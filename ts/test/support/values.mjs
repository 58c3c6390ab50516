// The table of docs/typescript.md: what each JavaScript value is stored as. It
// runs in Node and in a page, against a real server.

/** A value, the column it is stored in, and the cell that comes back; or the message of its refusal. */
const stored = (column, value, cell) => ({ column, value, cell });
const refused = (value, message) => ({ column: 't', value, message });

class Point {
  x = 1;
  #secret = 2;
}
class Money {
  #cents = 150;
  toJSON() {
    return `${this.#cents / 100}`;
  }
}
class Empty {
  #held = 1;
}
const bytes = [0, 104, 255];
const buffer = () => Uint8Array.from(bytes).buffer;
const around = () => {
  const a = { list: [] };
  a.list.push(a);
  return a;
};
const deep = (levels) => {
  let v = [];
  for (let i = 1; i < levels; i++) v = [v];
  return v;
};
const gone = () => {
  const view = Uint8Array.from(bytes);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
};
const has = (name) => name in globalThis;

/** By the first column of the table: what happens to a parameter, and to `{ x: value }` in a JSON column. */
export const rows = (kalam) => ({
  '`string`': {
    top: [stored('t', 'a"\\\u2028💧', 'a"\\\u2028💧'), stored('d', '1.5', 1.5), stored('j', '{"a": 1}', '{"a": 1}'), refused('a\ud800', /surrogate/), refused('a\0', /parameter \$2.*NUL/)],
    nested: [['a"💧', '"a\\"💧"'], ['a\ud800', /at \.x.*surrogate/]],
  },
  '`number`': {
    top: [stored('d', 0.1, 0.1), stored('d', 5e-324, 5e-324), stored('d', -0, 0), stored('b', 2 ** 53, '9007199254740992'), stored('n', 1e20, '100000000000000000000.00')],
    nested: [[0.1, '0.1'], [1e21, '1e+21']],
  },
  '`NaN`, `Infinity`': { top: [refused(NaN, /is NaN/), refused(-Infinity, /is -Infinity/)], nested: [[NaN, /at \.x, is NaN/]] },
  '`bigint`': {
    top: [stored('b', -(2n ** 63n), '-9223372036854775808'), stored('n', 2n ** 100n, '1267650600228229401496703205376.00'), stored('t', 2n ** 200n, String(2n ** 200n)), { column: 'b', value: 2n ** 63n, message: /parameter \$2.*out of range/ }],
    nested: [[2n ** 200n, String(2n ** 200n)]],
  },
  '`boolean`': { top: [stored('o', true, true), stored('j', false, 'false')], nested: [[false, 'false']] },
  '`null`': { top: [stored('t', null, null)], nested: [[null, 'null']] },
  '`undefined`': { top: [stored('t', undefined, 'default')], nested: [[undefined, undefined], [[undefined], /at \.x\[0\], is undefined/]] },
  '`symbol`, `function`': {
    top: [refused(Symbol('s'), /is a symbol/), refused(() => 1, /is a function/), refused(Point, /is a function/)],
    nested: [[Symbol('s'), /at \.x, is a symbol/], [[() => 1], /at \.x\[0\], is a function/]],
  },
  '`Number`, `String`, `Boolean`, `BigInt` objects': {
    top: [stored('d', new Number(1.5), 1.5), stored('t', new String('a'), 'a'), stored('o', new Boolean(false), false), stored('b', Object(7n), '7'), refused(Object(Symbol('s')), /is a symbol/)],
    nested: [[new Number(1), '1'], [new String('a'), '"a"'], [Object(7n), '7']],
  },
  '`Date`': {
    top: [stored('ts', new Date(1700000000123), 1700000000123000), stored('da', new Date('2024-02-29'), 19782), stored('ti', new Date('2024-02-29T01:00Z'), 3600000000), { column: 'ts', value: new Date(8.64e15), message: /parameter \$2/ }],
    nested: [[new Date(0), '"1970-01-01T00:00:00.000Z"']],
  },
  'an invalid `Date`': { top: [refused(new Date(NaN), /not a valid date/)], nested: [[[new Date(NaN)], /at \.x\[0\], is not a valid date/]] },
  '`URL`, `Temporal`, and every object with `toJSON()`': {
    top: [
      stored('t', new URL('http://a.test/b'), 'http://a.test/b'), stored('n', new Money(), '1.50'), stored('j', { toJSON: () => ({ a: 1 }) }, '{"a":1}'),
      refused({ toJSON: () => undefined }, /returns undefined/), refused({ toJSON: () => new Map() }, /is of type Map/), refused({ toJSON() { throw new Error('no'); } }, /cannot be read: Error: no/),
      ...(has('Temporal') ? [stored('ts', Temporal.Instant.from('2024-01-01T00:00Z'), 1704067200000000), stored('da', Temporal.PlainDate.from('2024-01-01'), 19723), stored('ti', Temporal.PlainTime.from('01:00'), 3600000000), { column: 'ts', value: Temporal.ZonedDateTime.from('2024-01-01T00:00[UTC]'), message: /parameter \$2/ }] : []),
    ],
    nested: [[new URL('http://a.test/b'), '"http://a.test/b"'], [new Money(), '"1.5"'], [{ toJSON: () => undefined }, undefined]],
  },
  '`Uint8Array`, `Buffer`, `Uint8ClampedArray`, `DataView`, `ArrayBuffer`, `SharedArrayBuffer`': {
    top: [
      ...[Uint8Array.from(bytes), Uint8ClampedArray.from(bytes), new DataView(buffer()), buffer(), new Uint8Array([9, ...bytes, 9]).subarray(1, 4)].map((v) => stored('y', v, bytes)),
      ...(has('Buffer') ? [stored('y', Buffer.from(bytes), bytes)] : []),
      ...(has('SharedArrayBuffer') ? [stored('y', new SharedArrayBuffer(2), [0, 0])] : []),
      stored('y', new Uint8Array(), []), refused(gone(), /cannot be read/),
    ],
    nested: [[Uint8Array.from(bytes), /at \.x, is bytes/], [[buffer()], /at \.x\[0\], is bytes/]],
  },
  '`Float32Array`, `BigInt64Array` and the other arrays of numbers': {
    top: [stored('e', Float32Array.of(0.5, -1, 0.1), [0.5, -1, 0.1]), stored('e', Int8Array.of(1, 2, -3), [1, 2, -3]), stored('j', BigInt64Array.of(2n ** 62n), '[4611686018427387904]'), refused(Float64Array.of(NaN), /at \[0\], is NaN/)],
    nested: [[Float64Array.of(0.1), '[0.1]']],
  },
  '`Array`': { top: [stored('j', [1, 'a', [null]], '[1,"a",[null]]'), stored('e', [0.5, 1, 2], [0.5, 1, 2]), stored('t', [1], '[1]')], nested: [[[1, [2]], '[1,[2]]']] },
  'an array with a hole or `undefined`': { top: [refused([1, , 3], /at \[1\], is undefined/), refused([undefined], /use null/)], nested: [[[, 1], /at \.x\[0\]/]] },
  'an object': {
    top: [stored('j', { a: { b: [1n] }, 'c"': '' }, '{"a":{"b":[1]},"c\\"":""}'), stored('j', Object.create(null), '{}'), stored('t', {}, '{}')],
    nested: [[{ y: 1 }, '{"y":1}'], [{ '\ud800': 1 }, /surrogate/]],
  },
  'an instance of a class without `toJSON()`': { top: [stored('j', new Point(), '{"x":1}'), refused(new Empty(), /is of type Empty/)], nested: [[new Point(), '{"x":1}'], [new Empty(), /at \.x, is of type Empty/]] },
  '`Map`, `Set`, `Promise`, `Error`, `RegExp` and other objects whose content is not in their properties': {
    top: [
      refused(new Map([[1, 2]]), /Object\.fromEntries/), refused(new Set([1]), /\[\.\.\.set\]/), refused(Promise.resolve(1), /await it/), refused(/a/, /is of type RegExp/), refused(new Error('a'), /is of type Error/),
      refused(new WeakMap(), /WeakMap/), refused(new URLSearchParams('a=1'), /URLSearchParams/), refused(new Headers(), /Headers/), refused([1].values(), /Array Iterator/), refused(Object.assign(new Map(), { a: 1 }), /is of type Map/),
    ],
    nested: [[new Map(), /at \.x, is of type Map/], [[new Set()], /at \.x\[0\], is of type Set/]],
  },
  '`Blob`, `File`': { top: [refused(new Blob(['a']), /queryWithFiles/), ...(has('File') ? [refused(new File(['a'], 'a'), /queryWithFiles/)] : [])], nested: [[new Blob(['a']), /at \.x, is of type Blob/]] },
  'what contains itself, or is nested deeper than 1000 levels': {
    top: [refused(around(), /at \.list\[0\], contains itself/), refused(deep(1001), /deeper than 1000/), stored('j', deep(1000), JSON.stringify(deep(1000))), stored('j', (() => { const a = [1]; return [a, a]; })(), '[[1],[1]]')],
    nested: [[around(), /at \.x\.list\[0\], contains itself/]],
  },
  '`SeqId`': { top: [stored('b', kalam.SeqId.from(2n ** 62n), '4611686018427387904')], nested: [[kalam.SeqId.from(7), '"7"']] },
  '`FileRef`': { top: [stored('t', kalam.FileRef.from({ id: '1', sub: 'f', name: 'a' }), (cell) => JSON.parse(cell).name === 'a')], nested: [[kalam.FileRef.from({ id: '1', sub: 'f', name: 'a' }), (json) => JSON.parse(json).id === '1']] },
  '`KalamCellValue`': {
    top: [stored('b', kalam.KalamCellValue.from('9007199254740993'), '9007199254740993'), stored('t', kalam.KalamCellValue.from(null), null), stored('e', kalam.KalamCellValue.from([1, 2, 3]), [1, 2, 3])],
    nested: [[kalam.KalamCellValue.from('a'), '"a"']],
  },
});

/** The table that the rows need. */
export const table = `CREATE NAMESPACE IF NOT EXISTS app;
CREATE USER TABLE app.js_values (id INT PRIMARY KEY, t TEXT DEFAULT 'default', d DOUBLE, b BIGINT, n DECIMAL(38,2), o BOOLEAN, ts TIMESTAMP, da DATE, ti TIME, j JSON, y BYTES, e EMBEDDING(3))`;

/** Stores everything with a client that may; returns what went otherwise than said, and how much there was. */
export async function check(kalam, client) {
  const wrong = [];
  let count = 0;
  const one = async (name, column, value, want, unpack = (cell) => cell) => {
    const id = ++count;
    let got;
    try {
      await client.insert('app.js_values', { id, [column]: value });
      got = unpack((await client.queryOne(`SELECT ${column} AS x FROM app.js_values WHERE id = $1`, [id])).x.toJson());
    } catch (error) {
      got = error;
    }
    const said = got instanceof Error ? `${got.code} ${got.message}` : JSON.stringify(got);
    let good;
    if (want instanceof RegExp) good = got instanceof kalam.KalamError && want.test(got.message) && /(column (t|j) of app\.js_values|parameter \$2)\b/.test(got.message);
    else if (typeof want === 'function') good = !(got instanceof Error) && want(got);
    else good = Object.is(got, want) || said === JSON.stringify(want);
    if (!good) wrong.push(`${name} in ${column}: ${said}, not ${want instanceof RegExp || typeof want === 'function' ? want : JSON.stringify(want)}`);
  };
  for (const [name, { top, nested }] of Object.entries(rows(kalam))) {
    for (const { column, value, cell, message } of top) await one(name, column, value, message ?? cell);
    for (const [value, want] of nested) await one(`${name} inside`, 'j', { x: value }, want, (text) => /^\{"x":(.*)\}$/s.exec(text)?.[1]);
  }
  return { wrong, count };
}
