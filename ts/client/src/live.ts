import { wrapServerRow, type RowData } from './cell.js';
import { KalamError, retrace } from './errors.js';
import { watchPromise } from './log.js';
import type { SubscriptionErrorEvent } from './messages.js';
import type { Param } from './params.js';
import { SeqId } from './seqid.js';

/** What a subscription begins with. */
export interface SubscriptionOptions {
  /** Rows of one event of the snapshot; default 1000. */
  batch_size?: number;
  /** Only the newest rows of the snapshot. */
  last_rows?: number;
  /** No snapshot, but what changed after this position. */
  from?: SeqId | number | string;
  /** For `$1` and so on. */
  params?: readonly Param[];
}

/** How a live query gives its rows. */
export interface LiveRowsOptions<T = RowData> {
  /**
   * Makes what the callback gets of a row; called once for each version of a
   * row. What an async function makes is a promise, for the callback to await.
   */
  mapRow?: (row: RowData) => T;
  /** Keep the newest rows only: those that were inserted or changed last. When one goes, the next older one is back. */
  limit?: number;
  /** Columns that tell rows apart and order them; default: the primary key, else `id`. */
  keyColumns?: readonly string[];
  /** @deprecated use keyColumns */
  keyColumn?: string | readonly string[];
  /** Of the rows with one key only the newest is given; a row with the key null is given beside the others. */
  getKey?: (row: RowData) => string | null;
  /** For `$1` and so on. */
  params?: readonly Param[];
  subscriptionOptions?: SubscriptionOptions;
  /**
   * Called when the query has ended by itself, and with the code
   * `CALLBACK_FAILED` when `mapRow` or `getKey` threw: that row is left out
   * until it changes, and the query goes on.
   */
  onError?: (event: SubscriptionErrorEvent) => void;
  /** Ends the query. */
  signal?: AbortSignal;
}

/** {@link LiveRowsOptions} with the `mapRow` that makes a T of a row. */
export interface MappedLiveRowsOptions<T> extends LiveRowsOptions<T> {
  mapRow: (row: RowData) => T;
}

export type LiveRowsCallback<T = RowData> = (rows: T[]) => void;

/** What the core says about changed rows, in the order of the rows. */
interface Patch {
  reset: boolean;
  slots: number[];
  rows: Record<string, unknown>[];
  /** For each of them: the slot it stands before, or one of the places below. */
  before: number[];
  removed: number[];
  position?: string;
}

const inPlace = -2; // it is not new

const frame = 16; // milliseconds between two deliveries at least

/** A row and what was made of it. */
interface Entry<T> {
  value: T;
  /** What getKey gave, and the version of the row. */
  key: string | null;
  seq: bigint;
}

/**
 * The rows of a live query as the core keeps them, mirrored by the patches that
 * it sends, and given to a callback: at once, or when changes come faster than
 * a screen shows them, together.
 */
export class LiveView<T> {
  position: SeqId | undefined;
  /** By slot, in the order of the rows; undefined where a callback threw. */
  #rows = new Map<number, Entry<T> | undefined>();
  readonly #options: LiveRowsOptions<T>;
  readonly #deliver: (rows: T[]) => void;
  readonly #failed: (what: string, error: unknown) => void;
  #last = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(options: LiveRowsOptions<T>, deliver: (rows: T[]) => void, failed: (what: string, error: unknown) => void) {
    this.#options = options;
    this.#deliver = deliver;
    this.#failed = failed;
  }

  /** Applies a patch of the core. */
  patch(json: string): void {
    const p = JSON.parse(json) as Patch;
    this.position = SeqId.fromWasm(p.position) ?? this.position;
    if (p.reset) this.#rows.clear();
    for (const slot of p.removed) this.#rows.delete(slot);
    const between = new Map<number, [number, Entry<T> | undefined][]>();
    p.slots.forEach((slot, i) => {
      const entry = this.#entry(wrapServerRow(p.rows[i] ?? {}));
      const before = p.before[i] ?? inPlace;
      if (before < 0) this.#rows.set(slot, entry);
      else if (between.get(before)?.push([slot, entry]) === undefined) between.set(before, [[slot, entry]]);
    });
    if (between.size > 0) {
      const rows = new Map<number, Entry<T> | undefined>();
      for (const [slot, entry] of this.#rows) {
        between.get(slot)?.forEach((put) => rows.set(...put));
        rows.set(slot, entry);
      }
      this.#rows = rows;
    }
    this.#changed();
  }

  #entry(row: RowData): Entry<T> | undefined {
    const { getKey, mapRow } = this.#options;
    let what = 'getKey';
    try {
      const key = getKey?.(row) ?? null;
      if (watchPromise(key, () => {})) throw new TypeError('it returned a promise, not a string or null');
      what = 'mapRow';
      const value = mapRow ? mapRow(row) : (row as T);
      if (mapRow) watchPromise(value, (error) => this.#failed('mapRow', error));
      return { value, key, seq: key === null ? 0n : row['_seq']?.asBigInt() ?? 0n };
    } catch (error) {
      this.#failed(what, error);
      return undefined;
    }
  }

  /** Delivers soon. */
  #changed(): void {
    if (this.#timer !== undefined || this.#ended) return;
    const wait = this.#last + frame - Date.now();
    if (wait <= 0 || wait > frame) return this.#flush();
    this.#timer = setTimeout(() => this.#flush(), wait);
  }

  /** Delivers now. */
  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ended) return;
    this.#last = Date.now();
    this.#deliver(this.#list());
  }

  #list(): T[] {
    const newest = new Map<string, Entry<T>>();
    if (this.#options.getKey) {
      for (const e of this.#rows.values()) {
        if (e && e.key !== null && (newest.get(e.key)?.seq ?? -1n) < e.seq) newest.set(e.key, e);
      }
    }
    const out: T[] = [];
    for (const e of this.#rows.values()) {
      if (e && (e.key === null || newest.get(e.key) === e)) out.push(e.value);
    }
    return out;
  }

  /** Delivers what waits, and then nothing any more. */
  end(discard: boolean): void {
    if (this.#timer !== undefined && !discard) this.#flush();
    clearTimeout(this.#timer);
    this.#ended = true;
  }
}

/**
 * The rows of a live query as they change, for `for await`. A slow reader misses
 * states in between but never the last one. Calls of `next` that wait at the same
 * time get the same rows. Leaving the loop ends the query.
 */
export class LiveQuery<T> implements AsyncIterableIterator<T[]> {
  #rows: T[] | undefined;
  #error: unknown;
  #done = false;
  #next: Promise<IteratorResult<T[], undefined>> | undefined; // while it waits
  #wake: (() => void) | undefined;
  #stop: (() => void) | undefined;

  /** begin starts the query and gives what ends it; it is called at the first `next`. */
  readonly #begin: (show: (rows: T[]) => void, fail: (error: unknown) => void) => () => void;

  constructor(begin: (show: (rows: T[]) => void, fail: (error: unknown) => void) => () => void) {
    this.#begin = begin;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T[], undefined>> {
    return (this.#next ??= this.#take());
  }

  async #take(): Promise<IteratorResult<T[], undefined>> {
    if (!this.#done) this.#stop ??= this.#begin(
      (rows) => this.#set(() => (this.#rows = rows)),
      (error) => this.#set(() => (this.#error = error)),
    );
    await undefined; // until next has noted that this waits
    try {
      for (;;) {
        if (this.#done) return { done: true, value: undefined };
        if (this.#rows !== undefined) {
          const value = this.#rows;
          this.#rows = undefined;
          return { done: false, value };
        }
        if (this.#error !== undefined) {
          this.#done = true;
          throw this.#error instanceof KalamError ? retrace(this.#error) : this.#error;
        }
        await new Promise<void>((wake) => (this.#wake = wake));
      }
    } finally {
      this.#next = undefined;
    }
  }

  return(): Promise<IteratorResult<T[], undefined>> {
    this.#set(() => (this.#done = true));
    this.#stop?.();
    return Promise.resolve({ done: true, value: undefined });
  }

  #set(change: () => void): void {
    change();
    this.#wake?.();
    this.#wake = undefined;
  }
}

// Symbol.asyncDispose is missing before Node 20; there, so is await using.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(LiveQuery.prototype, Symbol.asyncDispose, {
    value(this: LiveQuery<unknown>) {
      return this.return();
    },
  });
}

export interface LiveQuery<T> {
  [Symbol.asyncDispose](): Promise<void>;
}
