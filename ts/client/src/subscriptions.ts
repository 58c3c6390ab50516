import { browser } from './browser.js';
import { encodeLive, encodeSubscription, readEvent } from './decode.js';
import { KalamError, retrace, toKalamError, type Failure } from './errors.js';
import { LiveQuery, LiveView, type LiveRowsCallback, type LiveRowsOptions, type SubscriptionOptions } from './live.js';
import { LogLevel, textOf } from './log.js';
import type { RowData } from './cell.js';
import type { ServerMessage } from './messages.js';
import { checkSql } from './params.js';
import { platform } from './platform.js';
import type { SeqId } from './seqid.js';
import type { Running, Session } from './session.js';

/** Ends a subscription. */
export type Unsubscribe = () => Promise<void>;

/** Gets the events of a subscription. */
export type SubscriptionCallback = (event: ServerMessage) => void;

/** Like {@link SubscriptionCallback}, with the rows typed. */
export type TypedSubscriptionCallback<T extends RowData = RowData> = (
  event: ServerMessage & { rows?: T[]; old_values?: T[] },
) => void;

/** A live query of a client. */
export interface SubscriptionInfo {
  id: string;
  /** The table that was subscribed, else the SQL text. */
  tableName: string;
  createdAt: Date;
  lastSeqId?: SeqId;
  closed: boolean;
}

interface RunningSubscription extends Omit<SubscriptionInfo, 'lastSeqId'> {
  lastSeqId: SeqId | undefined;
  sql: string;
  /** The number of the call in the core. */
  call: number;
  /** Ends it. */
  end(why?: KalamError): void;
  /** The core has ended it. */
  fail(failure: Failure): void;
}

/** How the application itself ends a live query. */
const ownDoing = new Set(['DISCONNECTED', 'CLIENT_CLOSED']);

/** The live queries of a client. */
export class Subscriptions {
  readonly #session: Session;
  readonly #running = new Map<string, RunningSubscription>();
  #last = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  get size(): number {
    return this.#running.size;
  }

  list(): SubscriptionInfo[] {
    return [...this.#running.values()].map(({ id, tableName, createdAt, lastSeqId, closed }) => ({
      id, tableName, createdAt, closed, ...(lastSeqId === undefined ? {} : { lastSeqId }),
    }));
  }

  /** Whether there is a live query on a table, or of a SQL text. */
  has(name: string): boolean {
    return [...this.#running.values()].some((s) => s.tableName === name || s.sql === name);
  }

  position(id: string): SeqId | undefined {
    return this.#running.get(id)?.lastSeqId;
  }

  end(id: string): void {
    this.#running.get(id)?.end();
  }

  /** Ends all; those that wait for their first rows, and loops, are told why. */
  endAll(code: 'DISCONNECTED' | 'CLIENT_CLOSED' = 'DISCONNECTED'): void {
    const message = code === 'DISCONNECTED' ? 'the live queries were ended' : 'the client was shut down';
    for (const sub of [...this.#running.values()]) sub.end(new KalamError({ code, message }));
  }

  /** Begins a subscription; resolves when the server has accepted it. */
  async subscribe(sql: string, tableName: string, callback: SubscriptionCallback, options: SubscriptionOptions = {}): Promise<Unsubscribe> {
    const running = await this.#session.start();
    const encoded = encodeSubscription(options);
    checkSql(sql);
    return await traced<Unsubscribe>((resolve, reject) => {
      let accepted = false;
      const sub = this.#add(running, sql, tableName, (error) => {
        if (!accepted) return reject(error);
        if (ownDoing.has(error.code)) return;
        this.#session.log.write(LogLevel.Warn, 'subscription', `${sub.id} has ended: ${error.message}`);
        this.#session.log.guard('the callback of a subscription', callback, {
          type: 'error', subscription_id: sub.id, code: error.code, message: error.message,
        });
      });
      const onEvent = (json: string) => {
        if (sub.closed) return;
        const { event, position } = readEvent(json, sub.id);
        if (position) sub.lastSeqId = position;
        this.#session.log.guard('the callback of a subscription', callback, event);
        if (accepted || event.type !== 'subscription_ack') return;
        accepted = true;
        resolve(async () => sub.end());
      };
      running.wasm.subscribe(sub.call, sql, encoded, onEvent, sub.fail);
    });
  }

  /** Begins a live query; resolves with its first rows. */
  async live<T>(sql: string, tableName: string, callback: LiveRowsCallback<T>, options: LiveRowsOptions<T>): Promise<Unsubscribe> {
    return await traced<Unsubscribe>((resolve, reject) => {
      let begun = false;
      const stop = this.#show<T>(
        sql, tableName, options,
        (rows) => {
          this.#session.log.guard('the callback of a live query', callback, rows);
          if (!begun) resolve(async () => stop());
          begun = true;
        },
        (error, id) => {
          if (!begun) return reject(error);
          if (!(error instanceof KalamError) || ownDoing.has(error.code)) return;
          this.#session.log.write(LogLevel.Warn, 'subscription', `${id} has ended: ${error.message}`);
          this.#session.log.guard('onError of a live query', options.onError, {
            type: 'error', subscription_id: id, code: error.code, message: error.message,
          });
        },
      );
    });
  }

  /** A live query for a loop, which begins with the loop. */
  iterate<T>(sql: string, tableName: string, options: LiveRowsOptions<T>): LiveQuery<T> {
    return new LiveQuery<T>((show, fail) => this.#show(sql, tableName, options, show, fail));
  }

  /** Runs a live query; gives what ends it. */
  #show<T>(
    sql: string,
    tableName: string,
    options: LiveRowsOptions<T>,
    show: (rows: T[]) => void,
    fail: (error: unknown, id: string) => void,
  ): () => void {
    let stopped = false;
    let sub: RunningSubscription | undefined;
    const { signal } = options;
    const view = new LiveView<T>(options, show, (what, error) => {
      this.#session.log.write(LogLevel.Error, 'events', `${what} of a live query threw: ${textOf(error)}`);
      this.#session.log.guard('onError of a live query', options.onError, {
        type: 'error', subscription_id: sub?.id ?? '', code: 'CALLBACK_FAILED', message: `${what} threw: ${textOf(error, false)}`,
      });
    });
    const finish = (error: unknown) => {
      if (stopped) return;
      stopped = true;
      signal?.removeEventListener('abort', abort);
      view.end(error === undefined);
      sub?.end();
      if (error !== undefined) fail(error, sub?.id ?? '');
    };
    const abort = () => finish(signal?.reason);
    const stop = () => finish(undefined);
    const begin = (running: Running) => {
      if (stopped) return;
      checkSql(sql);
      const s = (sub = this.#add(running, sql, tableName, finish));
      const onPatch = (json: string) => {
        if (stopped) return;
        view.patch(json);
        s.lastSeqId = view.position ?? s.lastSeqId;
      };
      running.wasm.live(s.call, sql, encodeLive(options), onPatch, s.fail);
    };
    if (signal?.aborted) queueMicrotask(abort);
    else {
      signal?.addEventListener('abort', abort);
      this.#session.start().then(begin).catch(finish);
    }
    return stop;
  }

  /** Notes a live query. It ends by its end(), by an error of the core, or with the core. */
  #add(running: Running, sql: string, tableName: string, ended: (error: KalamError) => void): RunningSubscription {
    const { core, wasm } = running;
    if (core.crash) throw core.crash;
    const release = (platform.current ?? browser).hold();
    const close = (error: KalamError) => {
      if (sub.closed) return;
      sub.closed = true;
      this.#running.delete(sub.id);
      core.onCrash.delete(close);
      release();
      if (core.crash === undefined) wasm.cancel(sub.call);
      ended(error);
    };
    const sub: RunningSubscription = {
      id: `sub-${++this.#last}`, call: running.calls.number(), sql, tableName,
      createdAt: new Date(), lastSeqId: undefined, closed: false,
      end: (why) => close(why ?? new KalamError({ code: 'DISCONNECTED', message: 'the live query was ended' })),
      fail: (failure) => close(this.#session.withCause(toKalamError(failure))),
    };
    this.#running.set(sub.id, sub);
    core.onCrash.add(close);
    return sub;
  }
}

/** A promise that rejects with the caller's frames in the stack. */
async function traced<R>(run: (resolve: (value: R) => void, reject: (error: unknown) => void) => void): Promise<R> {
  try {
    return await new Promise<R>(run);
  } catch (error) {
    throw error instanceof KalamError ? retrace(error) : error;
  }
}
