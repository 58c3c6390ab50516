import type { KalamCellValue } from './cell.js';
import { KalamError } from './errors.js';
import type { FileRef } from './file.js';
import type { SeqId } from './seqid.js';
import { encodeValue, loneSurrogate } from './value.js';

/**
 * What can be bound to `$1` and so on. A bigint keeps all its digits, a Date is
 * a timestamp, a Uint8Array or an ArrayBuffer is bytes, an object with
 * `toJSON()` is what that returns, any other object and an array are JSON text.
 */
export type Param =
  | string | number | bigint | boolean | null | undefined | Date | ArrayBufferLike | ArrayBufferView | SeqId | FileRef | KalamCellValue
  | readonly unknown[] | { toJSON(key?: string): unknown } | { readonly [key: string]: unknown };

/** One statement of a batch: its text, or its text and parameters. */
export type BatchStatement = string | readonly [sql: string, params?: readonly Param[]];

/** What tells one row: the value of its key column, or the values of several. */
export type RowKey = string | number | bigint | Date | Uint8Array | SeqId | KalamCellValue | { readonly [column: string]: Param };

/** The JSON of parameters; names[i] says in an error which one it is. */
export function encodeParams(params: readonly unknown[], names: readonly string[] = [], statement = ''): string {
  if (!Array.isArray(params)) throw new KalamError({ code: 'INVALID_ARGUMENT', message: `${statement}params is ${kindOf(params)}: it must be an array, [value] for $1` });
  return `[${Array.from(params, (value, i) => encodeValue(value, statement + (names[i] ?? `parameter $${i + 1}`))).join(',')}]`;
}

/** Checks the text of a statement. */
export function checkSql(sql: string, prefix = ''): string {
  if (typeof sql !== 'string') throw new KalamError({ code: 'INVALID_ARGUMENT', message: `${prefix}sql is ${kindOf(sql)}: it must be a string` });
  if (loneSurrogate.test(sql)) throw new KalamError({ code: 'INVALID_ARGUMENT', message: `${prefix}sql has half of a surrogate pair, which is no character` });
  return sql;
}

/** Checks the row of an insert or update. */
export function checkRow(what: string, data: unknown): void {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new KalamError({ code: 'INVALID_ARGUMENT', message: `${what}: the row is ${kindOf(data)}: it must be an object, { column: value }` });
  }
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The body of a request. */
export function requestBody(sql: string, params: readonly unknown[] | undefined, namespace: string | undefined, names?: readonly string[]): string {
  return `${statement(sql, params, names)}${tail(namespace)}`;
}

/** The body of a request of statements in one transaction. */
export function batchBody(statements: readonly BatchStatement[], namespace: string | undefined): string {
  if (!Array.isArray(statements)) throw new KalamError({ code: 'INVALID_ARGUMENT', message: `batch takes an array of statements, not ${kindOf(statements)}` });
  const all = (statements as BatchStatement[]).map((s, i) => {
    const [sql, params] = Array.isArray(s) ? (s as readonly [string, (readonly Param[])?]) : [s as string];
    return statement(sql, params, undefined, `statement ${i + 1}, `);
  });
  return `{"statements":[${all.map((s) => `${s}}`).join(',')}]${tail(namespace)}`;
}

function statement(sql: string, params: readonly unknown[] | undefined, names?: readonly string[], prefix?: string): string {
  const list = encodeParams(params ?? [], names, prefix);
  const bound = list === '[]' ? '' : `,"params":${list}`;
  return `{"sql":${JSON.stringify(checkSql(sql, prefix))}${bound}`;
}

function tail(namespace: string | undefined): string {
  return namespace === undefined || namespace === '' ? '}' : `,"namespace_id":${JSON.stringify(namespace)}}`;
}

/** Quotes the name of a column. */
export function quoteName(name: string): string {
  if (name === '' || name.includes('\0')) {
    throw new KalamError({ code: 'INVALID_IDENTIFIER', message: `${JSON.stringify(name)} is not the name of a column` });
  }
  return `"${name.replaceAll('"', '""')}"`;
}

const tableName = /^(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)(?:\.(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*))?$/u;

/** Checks the name of a table, as SQL writes it: `tasks`, `app.tasks`, `app."Tasks"`. */
export function checkTable(table: string): string {
  if (tableName.test(table)) return table;
  throw new KalamError({
    code: 'INVALID_IDENTIFIER',
    message: `${JSON.stringify(table)} is not the name of a table: it is table or namespace.table, with quotes around unusual names`,
  });
}

/** Cells of a row: quoted columns, their values, and what errors call them. */
interface Cells {
  columns: string[];
  values: Param[];
  names: string[];
}

/** The cells of a row; a column that is undefined is none of them. */
export function cellsOf(table: string, data: { readonly [column: string]: Param }): Cells {
  const entries = Object.entries(data).filter(([, value]) => value !== undefined);
  return {
    columns: entries.map(([column]) => quoteName(column)),
    values: entries.map(([, value]) => value),
    names: entries.map(([column]) => `column ${column} of ${table}`),
  };
}

/** The cells of a key. NULL is the key of no row, so it is refused. */
export function keyOf(table: string, key: RowKey, column: string): Cells {
  const named = typeof key === 'object' && Object.prototype.toString.call(key) === '[object Object]' && !('toJSON' in key);
  const cells = (named ? key : { [column]: key }) as { readonly [column: string]: Param };
  const names = Object.keys(cells);
  if (names.length === 0) throw new KalamError({ code: 'INVALID_ARGUMENT', message: `the key of a row of ${table} has no columns` });
  for (const name of names) {
    if (encodeValue(cells[name], `column ${name} of ${table}`) !== 'null') continue;
    throw new KalamError({ code: 'INVALID_ARGUMENT', message: `the key of a row of ${table} is NULL or undefined in column ${name}` });
  }
  return cellsOf(table, cells);
}
