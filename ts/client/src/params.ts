import { KalamCellValue } from './cell.js';
import { KalamError } from './errors.js';
import { FileRef } from './file.js';
import { SeqId } from './seqid.js';

/**
 * What can be bound to `$1` and so on. A bigint keeps all its digits, a Date is
 * a timestamp, a Uint8Array is bytes, and an object or an array is JSON text.
 */
export type Param =
  | string | number | bigint | boolean | null | undefined | Date | Uint8Array | SeqId | FileRef | KalamCellValue
  | readonly unknown[] | { readonly [key: string]: unknown };

/** One statement of a batch: its text, or its text and parameters. */
export type BatchStatement = string | readonly [sql: string, params?: readonly Param[]];

/** What tells one row: the value of its key column, or the values of several. */
export type RowKey = string | number | bigint | { readonly [column: string]: Param };

/** The JSON of parameters. */
export function encodeParams(params: readonly unknown[]): string {
  return `[${params.map(encodeParam).join(',')}]`;
}

function encodeParam(value: unknown, index: number): string {
  switch (typeof value) {
    case 'undefined':
      return 'null';
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'bigint':
      return value.toString();
    case 'number':
      if (Number.isFinite(value)) return JSON.stringify(value);
      throw badParam(index, `${value} is not a number that SQL knows`);
    case 'object':
      break;
    default:
      throw badParam(index, `a ${typeof value} is not a value`);
  }
  if (value === null) return 'null';
  if (value instanceof KalamCellValue) return encodeParam(value.toJson(), index);
  if (value instanceof SeqId) return value.toString();
  if (value instanceof FileRef) return JSON.stringify(value.toJson());
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw badParam(index, 'it is not a valid date');
    return JSON.stringify(value.toISOString());
  }
  if (value instanceof Uint8Array) {
    let hex = '"\\\\x';
    for (const b of value) hex += b.toString(16).padStart(2, '0');
    return `${hex}"`;
  }
  return JSON.stringify(JSON.stringify(value));
}

function badParam(index: number, why: string): KalamError {
  return new KalamError({ code: 'INVALID_PARAMETER', message: `parameter $${index + 1}: ${why}` });
}

/** The body of a request. */
export function requestBody(sql: string, params: readonly unknown[] | undefined, namespace: string | undefined): string {
  return `${statement(sql, params)}${tail(namespace)}`;
}

/** The body of a request of statements in one transaction. */
export function batchBody(statements: readonly BatchStatement[], namespace: string | undefined): string {
  const all = statements.map((s) => (typeof s === 'string' ? statement(s, undefined) : statement(s[0], s[1])));
  return `{"statements":[${all.map((s) => `${s}}`).join(',')}]${tail(namespace)}`;
}

function statement(sql: string, params: readonly unknown[] | undefined): string {
  const bound = params === undefined || params.length === 0 ? '' : `,"params":${encodeParams(params)}`;
  return `{"sql":${JSON.stringify(sql)}${bound}`;
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

/** The condition that a row has a key; its parameters begin after those already there. */
export function keyCondition(key: RowKey, column: string, before: number): { sql: string; params: Param[] } {
  const cells: [string, Param][] = typeof key === 'object' ? Object.entries(key) : [[column, key]];
  if (cells.length === 0) throw new KalamError({ code: 'INVALID_ARGUMENT', message: 'the key has no columns' });
  return {
    sql: cells.map(([name], i) => `${quoteName(name)} = $${before + i + 1}`).join(' AND '),
    params: cells.map(([, value]) => value),
  };
}
