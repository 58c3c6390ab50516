import { inspect } from './inspect.js';

/**
 * A position in the change log, and the version of a row (`_seq`): a 64-bit
 * number, of which JavaScript's own numbers hold only 53 bits. It also says when
 * it was made.
 */
export class SeqId {
  /** The moment that the numbers count from: 2024-01-01T00:00:00Z in milliseconds. */
  static readonly EPOCH = 1704067200000n;

  readonly #value: bigint;

  private constructor(value: bigint) {
    this.#value = value;
  }

  /** Makes one of an integer or of decimal digits; throws for anything else. */
  static from(value: SeqId | bigint | number | string): SeqId {
    if (value instanceof SeqId) return value;
    if (typeof value === 'bigint') return new SeqId(value);
    if (typeof value === 'number' && Number.isInteger(value)) return new SeqId(BigInt(value));
    if (typeof value === 'string' && /^-?\d+$/.test(value.trim())) return new SeqId(BigInt(value.trim()));
    throw new TypeError(`SeqId.from takes an integer or decimal digits, not ${JSON.stringify(value)}`);
  }

  /** Like {@link SeqId.from}, with nothing for nothing. */
  static fromWasm(value: bigint | number | string | null | undefined): SeqId | undefined {
    return value === null || value === undefined ? undefined : SeqId.from(value);
  }

  static zero(): SeqId {
    return new SeqId(0n);
  }

  toBigInt(): bigint {
    return this.#value;
  }

  /** Rounded above 2^53: for display only. */
  toNumber(): number {
    return Number(this.#value);
  }

  /** Milliseconds since 1970. */
  timestampMillis(): number {
    return Number((this.#value >> 22n) + SeqId.EPOCH);
  }

  timestampSeconds(): number {
    return Math.floor(this.timestampMillis() / 1000);
  }

  toDate(): Date {
    return new Date(this.timestampMillis());
  }

  ageSeconds(): number {
    return Math.max(0, Math.floor((Date.now() - this.timestampMillis()) / 1000));
  }

  workerId(): number {
    return Number((this.#value >> 12n) & 0x3ffn);
  }

  sequence(): number {
    return Number(this.#value & 0xfffn);
  }

  equals(other: SeqId): boolean {
    return this.#value === other.#value;
  }

  /** Negative, zero or positive. */
  compareTo(other: SeqId): number {
    return this.#value < other.#value ? -1 : this.#value > other.#value ? 1 : 0;
  }

  toString(): string {
    return this.#value.toString();
  }

  /** The decimal digits, since a JSON number would be rounded by most readers. */
  toJSON(): string {
    return this.toString();
  }

  [inspect](): string {
    return `SeqId(${this.toString()})`;
  }
}
