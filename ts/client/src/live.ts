import { wrapRowMap, type RowData } from './cell.js';
import type { KalamError } from './errors.js';
import type { ServerMessage, SubscriptionErrorEvent } from './messages.js';
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
  /** Makes what the callback gets of a row; called once for each version of a row. */
  mapRow?: (row: RowData) => T;
  /** Keep only the newest rows. */
  limit?: number;
  /** Columns that tell rows apart; default: the primary key, else `id`. */
  keyColumns?: readonly string[];
  /** @deprecated use keyColumns */
  keyColumn?: string | readonly string[];
  /** Tells rows apart by something else; a row with no key is kept beside the others. */
  getKey?: (row: RowData) => string | null;
  /** For `$1` and so on. */
  params?: readonly Param[];
  subscriptionOptions?: SubscriptionOptions;
  /** Called when the query has ended by itself. */
  onError?: (event: SubscriptionErrorEvent) => void;
  /** Ends the query. */
  signal?: AbortSignal;
}

export type LiveRowsCallback<T = RowData> = (rows: T[]) => void;

/** What the core says about changed rows. */
interface Patch {
  reset: boolean;
  slots: number[];
  rows: Record<string, unknown>[];
  removed: number[];
  position?: string;
}

const frame = 16; // milliseconds between two deliveries at least

/**
 * The rows of a live query as the core keeps them, mirrored by the patches that
 * it sends, and given to a callback: at once, or when changes come faster than
 * a screen shows them, together.
 */
export class LiveView<T> {
  position: SeqId | undefined;
  readonly #rows = new Map<number | string, T>();
  readonly #map: (row: RowData) => T;
  readonly #deliver: (rows: T[]) => void;
  #last = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(map: ((row: RowData) => T) | undefined, deliver: (rows: T[]) => void) {
    this.#map = map ?? ((row) => row as T);
    this.#deliver = deliver;
  }

  /** Applies a patch of the core. */
  patch(json: string): void {
    const p = JSON.parse(json) as Patch;
    this.position = SeqId.fromWasm(p.position) ?? this.position;
    if (p.reset) this.#rows.clear();
    p.slots.forEach((slot, i) => this.put(slot, wrapRowMap(p.rows[i] ?? {})));
    for (const slot of p.removed) this.#rows.delete(slot);
    this.changed();
  }

  clear(): void {
    this.#rows.clear();
  }

  put(key: number | string, row: RowData): void {
    this.#rows.set(key, this.#map(row));
  }

  remove(key: number | string): void {
    this.#rows.delete(key);
  }

  /** Keeps the newest rows only. */
  trim(limit: number | undefined): void {
    if (limit === undefined || limit <= 0) return;
    for (const key of this.#rows.keys()) {
      if (this.#rows.size <= limit) return;
      this.#rows.delete(key);
    }
  }

  /** Delivers soon. */
  changed(): void {
    if (this.#timer !== undefined || this.#ended) return;
    const wait = this.#last + frame - Date.now();
    if (wait <= 0 || wait > frame) return this.flush();
    this.#timer = setTimeout(() => this.flush(), wait);
  }

  /** Delivers now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ended) return;
    this.#last = Date.now();
    this.#deliver([...this.#rows.values()]);
  }

  /** Delivers what waits, and then nothing any more. */
  end(discard: boolean): void {
    if (this.#timer !== undefined && !discard) this.flush();
    clearTimeout(this.#timer);
    this.#ended = true;
  }
}

/** Feeds a view from raw events, by a key that the application computes. */
export class KeyedFeed<T> {
  readonly #view: LiveView<T>;
  readonly #key: (row: RowData) => string | null;
  readonly #limit: number | undefined;
  #loading = false;
  #nameless = 0;

  constructor(view: LiveView<T>, key: (row: RowData) => string | null, limit: number | undefined) {
    this.#view = view;
    this.#key = key;
    this.#limit = limit;
  }

  event(e: ServerMessage): void {
    switch (e.type) {
      case 'subscription_ack':
        this.#view.clear();
        this.#loading = e.batch_control.status !== 'ready';
        return;
      case 'initial_data_batch':
        e.rows.forEach((row) => this.#put(row));
        this.#loading = e.batch_control.has_more;
        break;
      case 'change':
        if (e.change_type !== 'insert') {
          for (const row of e.old_values ?? []) {
            const key = this.#key(row);
            const stays = e.rows?.some((now) => this.#key(now) === key) ?? false;
            if (key !== null && !stays) this.#view.remove(`k${key}`);
          }
        }
        e.rows?.forEach((row) => this.#put(row));
        break;
      default:
        return;
    }
    this.#view.trim(this.#limit);
    if (!this.#loading) this.#view.changed();
  }

  #put(row: RowData): void {
    const key = this.#key(row);
    this.#view.put(key === null ? `n${this.#nameless++}` : `k${key}`, row);
  }
}

/**
 * The rows of a live query as they change, for `for await`. Whoever is slow
 * misses states in between but never the last one. Leaving the loop ends the
 * query.
 */
export class LiveQuery<T> implements AsyncIterableIterator<T[]> {
  #rows: T[] | undefined;
  #error: KalamError | undefined;
  #done = false;
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

  async next(): Promise<IteratorResult<T[], undefined>> {
    this.#stop ??= this.#begin(
      (rows) => this.#set(() => (this.#rows = rows)),
      (error) => this.#set(() => (this.#error = error as KalamError)),
    );
    for (;;) {
      if (this.#done) return { done: true, value: undefined };
      if (this.#rows !== undefined) {
        const value = this.#rows;
        this.#rows = undefined;
        return { done: false, value };
      }
      if (this.#error !== undefined) {
        this.#done = true;
        throw this.#error;
      }
      await new Promise<void>((wake) => (this.#wake = wake));
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
