import { FileRef } from './file.js';
import { inspect, type Inspect } from './inspect.js';
import { SeqId } from './seqid.js';

/** What JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * One cell as it came, with ways to read it. Each gives `null` for NULL and for
 * what does not fit. A 64-bit integer comes as a string of digits, a timestamp
 * as microseconds since 1970, JSON as text.
 *
 * ```ts
 * const row = await client.queryOne('SELECT id, created_at FROM chat.messages');
 * row?.['id']?.asBigInt();
 * row?.['created_at']?.asDate();
 * ```
 */
export class KalamCellValue {
  readonly #raw: JsonValue;
  /** The server sent it, so that a number read as a time is microseconds. */
  readonly #sent: boolean;

  private constructor(raw: JsonValue, sent: boolean) {
    this.#raw = raw;
    this.#sent = sent;
  }

  static from(raw: unknown): KalamCellValue {
    if (raw instanceof KalamCellValue) return raw;
    return new KalamCellValue(raw === undefined ? null : (raw as JsonValue), false);
  }

  /** Makes one of a cell that the server sent. @internal */
  static sent(raw: unknown): KalamCellValue {
    if (raw instanceof KalamCellValue) return raw;
    return new KalamCellValue(raw === undefined ? null : (raw as JsonValue), true);
  }

  /** The cell as it came. */
  toJson(): JsonValue {
    return this.#raw;
  }

  /** The cell as it came. */
  asJson(): JsonValue {
    return this.#raw;
  }

  /** For JSON.stringify: the cell as it came. */
  toJSON(): JsonValue {
    return this.#raw;
  }

  isNull(): boolean {
    return this.#raw === null;
  }

  isString(): boolean {
    return typeof this.#raw === 'string';
  }

  isNumber(): boolean {
    return typeof this.#raw === 'number';
  }

  isBool(): boolean {
    return typeof this.#raw === 'boolean';
  }

  isObject(): boolean {
    return typeof this.#raw === 'object' && this.#raw !== null && !Array.isArray(this.#raw);
  }

  isArray(): boolean {
    return Array.isArray(this.#raw);
  }

  asString(): string | null {
    const v = this.#raw;
    if (v === null || typeof v === 'string') return v;
    if (typeof v === 'object' && !Array.isArray(v)) {
      const inner = v['Utf8'] ?? v['String'];
      if (typeof inner === 'string') return inner;
    }
    return typeof v === 'object' ? JSON.stringify(v) : String(v);
  }

  /** A whole number, without its fraction; rounded above 2^53. */
  asInt(): number | null {
    const n = this.asFloat();
    return n === null || !Number.isFinite(n) ? null : Math.trunc(n);
  }

  asBigInt(): bigint | null {
    const v = this.#raw;
    if (typeof v === 'number') return Number.isFinite(v) ? BigInt(Math.trunc(v)) : null;
    if (typeof v !== 'string' || !decimal.test(v.trim())) return null;
    const whole = v.trim().replace(/\..*$/, '').replace(/^\+/, '');
    return BigInt(whole === '' || whole === '-' ? '0' : whole);
  }

  asSeqId(): SeqId | null {
    const n = this.asBigInt();
    return n === null ? null : SeqId.from(n);
  }

  asFloat(): number | null {
    const v = this.#raw;
    if (typeof v === 'number') return v;
    if (typeof v === 'boolean') return v ? 1 : 0;
    if (typeof v !== 'string' || v.trim() === '') return null;
    const n = Number(v);
    return Number.isNaN(n) ? null : n;
  }

  asBool(): boolean | null {
    const v = this.#raw;
    if (typeof v === 'boolean') return v;
    if (typeof v === 'number') return v !== 0;
    if (typeof v !== 'string') return null;
    const word = v.toLowerCase();
    if (word === 'true' || word === '1') return true;
    return word === 'false' || word === '0' ? false : null;
  }

  /** A UUID of any version, in lower case. */
  asUuid(): string | null {
    const v = this.#raw;
    return typeof v === 'string' && uuid.test(v) ? v.toLowerCase() : null;
  }

  /** A DECIMAL with all its digits. */
  asDecimal(): string | null {
    const v = this.#raw;
    if (typeof v === 'number') return String(v);
    return typeof v === 'string' && decimal.test(v.trim()) ? v.trim() : null;
  }

  asBytes(): Uint8Array | null {
    const v = this.#raw;
    if (Array.isArray(v)) {
      const fits = v.every((b) => typeof b === 'number' && Number.isInteger(b) && b >= 0 && b <= 255);
      return fits ? Uint8Array.from(v as number[]) : null;
    }
    if (typeof v !== 'string' || !base64.test(v)) return null;
    return Uint8Array.from(atob(v), (c) => c.charCodeAt(0));
  }

  asEmbedding(): number[] | null {
    const v = typeof this.#raw === 'string' ? parse(this.#raw) : this.#raw;
    return Array.isArray(v) && v.every((n) => typeof n === 'number') ? (v as number[]) : null;
  }

  /**
   * A TIMESTAMP or DATETIME, which counts microseconds since 1970. A number that
   * the server did not send as one, or digits, between 10^11 and 10^14 are
   * milliseconds (the years 1973 to 5138). Other text is read as a date.
   */
  asDate(): Date | null {
    const v = this.#raw;
    const n = typeof v === 'number' ? v : typeof v === 'string' && /^-?\d{5,}$/.test(v.trim()) ? Number(v) : null;
    if (n === null) return typeof v === 'string' ? date(Date.parse(v)) : null;
    const micros = (typeof v === 'number' && this.#sent) || Math.abs(n) < 1e11 || Math.abs(n) >= 1e14;
    return date(micros ? n / 1000 : n);
  }

  /** A DATE: a number is days since 1970. */
  asDateOnly(): Date | null {
    const v = this.#raw;
    if (typeof v === 'number') return date(v * 86_400_000);
    return typeof v === 'string' ? date(Date.parse(/^\d{4}-\d\d-\d\d$/.test(v) ? `${v}T00:00:00Z` : v)) : null;
  }

  /** A TIME as `HH:MM:SS` and, if there is one, the fraction. */
  asTimeString(): string | null {
    const v = this.#raw;
    if (typeof v === 'string') return v;
    if (typeof v !== 'number' || v < 0) return null;
    const seconds = Math.floor(v / 1e6);
    const pad = (n: number) => String(n).padStart(2, '0');
    const clock = `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
    const micros = Math.floor(v % 1e6);
    return micros === 0 ? clock : `${clock}.${String(micros).padStart(6, '0')}`;
  }

  /** An object; of a JSON column the parsed text. */
  asObject(): { [key: string]: JsonValue } | null {
    const v = typeof this.#raw === 'string' ? parse(this.#raw) : this.#raw;
    return typeof v === 'object' && v !== null && !Array.isArray(v) ? v : null;
  }

  /** An array; of a JSON column the parsed text. */
  asArray(): JsonValue[] | null {
    const v = typeof this.#raw === 'string' ? parse(this.#raw) : this.#raw;
    return Array.isArray(v) ? v : null;
  }

  asFile(): FileRef | null {
    return FileRef.from(this.#raw);
  }

  asFileUrl(baseUrl: string, namespace: string, table: string): string | null {
    return this.asFile()?.getDownloadUrl(baseUrl, namespace, table) ?? null;
  }

  toString(): string {
    return this.asString() ?? 'NULL';
  }

  /** What console.log and util.inspect of Node show. */
  [inspect](_depth: number, options: unknown, show: Inspect): unknown {
    return show(this.#raw, options);
  }
}

function parse(text: string): JsonValue {
  const first = text.trimStart()[0];
  if (first !== '{' && first !== '[') return null;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return null;
  }
}

function date(ms: number): Date | null {
  const d = new Date(ms);
  return Number.isNaN(d.getTime()) ? null : d;
}

/** A row by its columns. The generic names them. */
export type RowData<Column extends string = string> = Record<Column, KalamCellValue>;

/** Wraps the cells of an object. */
export function wrapRowMap(row: Record<string, unknown>): RowData {
  const out: RowData = {};
  for (const name of Object.keys(row)) out[name] = KalamCellValue.from(row[name]);
  return out;
}

/** Wraps the cells of a row that the server sent. */
export function wrapServerRow(row: Record<string, unknown>): RowData {
  const out: RowData = {};
  for (const name of Object.keys(row)) out[name] = KalamCellValue.sent(row[name]);
  return out;
}

declare const brand: unique symbol;

/** The name of a user, told apart from other strings by the compiler. */
export type UserId = string & { readonly [brand]: 'UserId' };

/** Marks a string as the name of a user. */
export function UserId(value: string): UserId {
  return value as UserId;
}
