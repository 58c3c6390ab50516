import { KalamCellValue } from './cell.js';
import { KalamError, retrace } from './errors.js';
import { FileRef } from './file.js';
import { SeqId } from './seqid.js';

const deepest = 1000;
export const loneSurrogate = /\p{Surrogate}/u;
const hints: Record<string, string> = {
  Map: 'Object.fromEntries(map) makes an object of it',
  Set: '[...set] makes an array of it',
  Promise: 'await it first',
  Blob: 'queryWithFiles puts it into a FILE column, its arrayBuffer() goes into a BYTES column',
};
hints['File'] = hints['Blob']!;

function base64(bytes: Uint8Array): string {
  const chunk = 0x8000; // as many arguments as every engine takes
  let text = '';
  for (let i = 0; i < bytes.length; i += chunk) text += String.fromCharCode(...bytes.subarray(i, i + chunk));
  return btoa(text);
}

/** Returns the JSON that binds a value; `name` says in an error which value it is. */
export function encodeValue(value: unknown, name: string): string {
  const encoder = new Encoder(name);
  try {
    return encoder.bind(value);
  } catch (error) {
    // The depth of the value must not push its caller out of the stack.
    throw retrace(error instanceof KalamError ? error : encoder.refusal(`cannot be read: ${String(error)}`, error));
  }
}

/**
 * Writes one value: all of it, or an error that says which part cannot be
 * stored. `JSON.stringify` does not serve here, because it leaves out what it
 * does not know.
 */
class Encoder {
  readonly #name: string;
  readonly #path: (string | number)[] = []; // where in the value we are
  readonly #around: object[] = []; // the arrays and objects that we are in

  constructor(name: string) {
    this.#name = name;
  }

  /** The parameter: an array or an object becomes JSON text. */
  bind(value: unknown): string {
    const v = this.#simplify(value, '');
    if (v === undefined) {
      if (value === undefined) return 'null';
      throw this.refusal('has a toJSON() that returns undefined');
    }
    if (v instanceof Uint8Array) return `{"$bytes":"${base64(v)}"}`;
    return typeof v === 'object' && v !== null ? JSON.stringify(this.#json(v)) : this.#scalar(v);
  }

  refusal(why: string, cause?: unknown): KalamError {
    const at = this.#path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
    return new KalamError({ code: 'INVALID_PARAMETER', message: `${this.#name}${at && `, at ${at},`} ${why}`, cause });
  }

  #scalar(v: unknown): string {
    switch (typeof v) {
      case 'number':
        if (Number.isFinite(v)) return String(v);
        throw this.refusal(`is ${v}, which is no number in SQL and JSON`);
      case 'bigint':
        return String(v);
      case 'string':
        if (loneSurrogate.test(v)) throw this.refusal('has half of a surrogate pair, which is no character');
        return JSON.stringify(v);
      case 'boolean':
        return String(v);
      case 'function':
      case 'symbol':
        throw this.refusal(`is a ${typeof v}, which cannot be stored`);
      default:
        return 'null';
    }
  }

  /** The JSON of an array or an object. */
  #json(v: object): string {
    if (v instanceof Uint8Array) throw this.refusal('is bytes, which JSON does not have');
    if (this.#around.includes(v)) throw this.refusal('contains itself');
    if (this.#around.length === deepest) throw this.refusal(`is nested deeper than ${deepest} levels`);
    this.#around.push(v);
    const parts: string[] = [];
    if (Array.isArray(v)) {
      for (let i = 0; i < v.length; i++) parts.push(this.#member(v[i], i) ?? this.#refuseHole(i));
    } else {
      for (const [key, member] of Object.entries(v)) {
        const json = this.#member(member, key);
        if (json !== undefined) parts.push(`${this.#scalar(key)}:${json}`);
      }
    }
    this.#around.pop();
    return Array.isArray(v) ? `[${parts.join(',')}]` : `{${parts.join(',')}}`;
  }

  #member(value: unknown, key: string | number): string | undefined {
    this.#path.push(key);
    const v = this.#simplify(value, String(key));
    const json = v === undefined ? undefined : typeof v === 'object' && v !== null ? this.#json(v) : this.#scalar(v);
    this.#path.pop();
    return json;
  }

  #refuseHole(index: number): never {
    this.#path.push(index);
    throw this.refusal('is undefined: use null');
  }

  /** Makes a primitive, a Uint8Array, an array, or an object with properties of a value. */
  #simplify(value: unknown, key: string, convert = true): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof KalamCellValue) return this.#simplify(value.toJson(), key);
    const inside = this.#around.length > 0;
    if (value instanceof FileRef) return inside ? value.toObject() : value.toJson();
    if (value instanceof SeqId) return inside ? value.toJSON() : value.toBigInt();
    // The tag also tells the values of another realm, such as a frame or a test environment.
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength); // throws when they were transferred
      return /^(Uint8(Clamped)?Array|DataView)$/.test(tag) ? bytes : Array.from(value as Float32Array);
    }
    if (/^(Shared)?ArrayBuffer$/.test(tag)) return new Uint8Array(value as ArrayBuffer);
    if (tag === 'Date' && Number.isNaN(Number(value))) throw this.refusal('is not a valid date');
    const { toJSON } = value as { toJSON?: unknown };
    if (convert && typeof toJSON === 'function') return this.#simplify(toJSON.call(value, key), key, false);
    if (Array.isArray(value)) return value;
    if (/^(Number|String|Boolean|BigInt|Symbol)$/.test(tag) && typeof value.valueOf() !== 'object') return value.valueOf();
    const prototype = Object.getPrototypeOf(value) as object | null;
    const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
    if (tag === 'Object' && (plain || Object.keys(value).length > 0)) return value;
    const kind = tag === 'Object' ? value.constructor.name : tag;
    throw this.refusal(`is of type ${kind}, which cannot be stored: ${hints[kind] ?? 'pass what you want stored, or give the class a toJSON()'}`);
  }
}
