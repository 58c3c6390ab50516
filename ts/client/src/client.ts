import type { AuthCredentials } from './auth.js';
import { browser } from './browser.js';
import { wrapRowMap, type JsonValue, type RowData } from './cell.js';
import { Calls, loadCore, register, type Core, type WasmKalamClient } from './core.js';
import { encodeLive, encodeSubscription, nameRows, readEvent } from './decode.js';
import { KalamConnectionError, KalamError, toKalamError, type Failure } from './errors.js';
import type { FileRefContext } from './file.js';
import { KeyedFeed, LiveQuery, LiveView, type LiveRowsCallback, type LiveRowsOptions, type SubscriptionOptions } from './live.js';
import { Log, LogLevel, type LogListener } from './log.js';
import type { LoginResponse, QueryResponse, ServerMessage } from './messages.js';
import type {
  CallOptions, ClientOptions, OnConnectCallback, OnDisconnectCallback, OnErrorCallback, OnReceiveCallback, OnSendCallback,
} from './options.js';
import { batchBody, checkTable, keyCondition, quoteName, requestBody, type BatchStatement, type Param, type RowKey } from './params.js';
import { platform } from './platform.js';
import { resolveCredentials } from './provider.js';
import { request } from './request.js';
import { KalamChange, KalamRow, wrapRows } from './row.js';
import type { SeqId } from './seqid.js';
import { watched, type SocketObserver } from './socket.js';
import { upload, type Upload, type UploadProgress } from './upload.js';
import { onWake } from './wake.js';

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

/** How the session of a client stands. */
export type AuthState = 'signed-in' | 'offline' | 'signed-out';

/** Tells that the session has another state or another token. */
export interface AuthStateEvent {
  state: AuthState;
  /** Who is signed in, as the token says. */
  user?: string;
  /** Why the session is offline or signed out. */
  error?: KalamError;
}

type Handlers = Pick<ClientOptions, 'onConnect' | 'onDisconnect' | 'onError' | 'onReceive' | 'onSend'>;

interface RunningSubscription extends Omit<SubscriptionInfo, 'lastSeqId'> {
  lastSeqId: SeqId | undefined;
  sql: string;
  /** The number of the call in the core. */
  call: number;
  /** Ends it. */
  end(): void;
  /** The core has ended it. */
  fail(failure: Failure): void;
}

/** What there is between initialize() and shutdown(). */
interface Running {
  core: Core;
  calls: Calls;
  wasm: WasmKalamClient;
  stopWaking: () => void;
}

/**
 * One user's connection to a KalamDB server. All work is done by the Go client
 * in WebAssembly; calls run in parallel, the session renews itself, and live
 * queries go on after lost connections, without losing or repeating a change.
 *
 * ```ts
 * const client = createClient({ url: 'http://localhost:8080', authProvider: async () => Auth.jwt(token) });
 * const tasks = await client.queryAll('SELECT * FROM app.tasks WHERE done = $1', [false]);
 * ```
 */
export class KalamDBClient {
  readonly #options: ClientOptions;
  readonly #log: Log;
  readonly #handlers: Handlers;
  readonly #authListeners = new Set<(event: AuthStateEvent) => void>();
  readonly #subscriptions = new Map<string, RunningSubscription>();
  #running: Promise<Running> | undefined;
  #ready: Running | undefined;
  #eager: Promise<void> | undefined;
  #authType: 'basic' | 'jwt' | null = null;
  #connected = false;
  #attempts = 0;
  #reconnecting = false;
  #reconnect = { off: false, first: 0, max: 0, attempts: 0 };
  #nextSubscription = 0;
  #providerError: unknown;

  /** Does nothing but look at the options. */
  constructor(options: ClientOptions) {
    if (typeof options?.url !== 'string' || options.url === '') throw invalid('KalamDBClient: url is required');
    if (typeof options.authProvider !== 'function') throw invalid('KalamDBClient: authProvider is required');
    this.#options = options;
    this.#log = new Log(options.logLevel, options.logListener);
    const { onConnect, onDisconnect, onError, onReceive, onSend } = options;
    register(this, () => this.#start());
    this.#handlers = { onConnect, onDisconnect, onError, onReceive, onSend } as Handlers;
  }

  // ---- life

  /**
   * Loads the module and asks the provider. Every call does it when it is
   * needed; call it to find out early. With `wsLazyConnect: false` it opens the
   * socket, too.
   */
  async initialize(): Promise<void> {
    const { wasm } = await this.#start();
    if (this.#authType === null) {
      this.#authType = await this.#call<'basic' | 'jwt'>((id) => wasm.prime(id));
    }
    await this.#eager;
  }

  /** Opens the socket and keeps it open, also without live queries. */
  async connect(): Promise<void> {
    const { wasm } = await this.#start();
    await this.#call((id) => wasm.connect(id));
  }

  /** Ends all live queries and closes the socket. The client may be used again. */
  async disconnect(): Promise<void> {
    if (this.#running === undefined) return;
    const { wasm } = await this.#running;
    this.#forget();
    wasm.disconnect();
    this.#connected = this.#reconnecting = false;
  }

  /** Ends everything and frees memory. A later call starts anew. */
  async shutdown(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = this.#ready = this.#eager = undefined;
    this.#authType = null;
    const { wasm, calls, stopWaking } = await running;
    stopWaking();
    this.#forget();
    this.#connected = this.#reconnecting = false;
    await this.#call((id) => wasm.close(id), undefined, await running);
    calls.close();
  }

  /** Whether the socket is open and signed in. */
  isConnected(): boolean {
    return this.#connected;
  }

  /** What the credentials are: null before the provider was asked, `jwt` once they were exchanged. */
  getAuthType(): 'basic' | 'jwt' | null {
    return this.#authType;
  }

  setAutoReconnect(enabled: boolean): void {
    this.#reconnect.off = !enabled;
    this.#applyReconnect();
  }

  /** Limits of the random pause before a connection is tried again, in milliseconds. */
  setReconnectDelay(initialMs: number | bigint, maxMs: number | bigint): void {
    this.#reconnect.first = Number(initialMs);
    this.#reconnect.max = Number(maxMs);
    this.#applyReconnect();
  }

  /** After how many failures in a row to stop; 0 for never. */
  setMaxReconnectAttempts(attempts: number): void {
    this.#reconnect.attempts = attempts;
    this.#applyReconnect();
  }

  /** Failed connections since the last good one. */
  getReconnectAttempts(): number {
    return this.#reconnecting ? this.#attempts : 0;
  }

  isReconnecting(): boolean {
    return this.#reconnecting && this.#subscriptions.size > 0;
  }

  setLogLevel(level: LogLevel): void {
    this.#log.level = level;
  }

  setLogListener(listener: LogListener | undefined): void {
    this.#log.listener = listener;
  }

  onConnect(callback: OnConnectCallback | undefined): void {
    this.#setHandler('onConnect', callback);
  }

  onDisconnect(callback: OnDisconnectCallback | undefined): void {
    this.#setHandler('onDisconnect', callback);
  }

  onError(callback: OnErrorCallback | undefined): void {
    this.#setHandler('onError', callback);
  }

  onReceive(callback: OnReceiveCallback | undefined): void {
    this.#setHandler('onReceive', callback);
  }

  onSend(callback: OnSendCallback | undefined): void {
    this.#setHandler('onSend', callback);
  }

  /** Adds a listener for the state of the session; gives what removes it. */
  onAuthStateChange(listener: (event: AuthStateEvent) => void): () => void {
    this.#authListeners.add(listener);
    return () => this.#authListeners.delete(listener);
  }

  // ---- session

  /** Exchanges user and password for a session, which the client uses from here on. */
  async login(options?: CallOptions): Promise<LoginResponse> {
    const { wasm } = await this.#start();
    const json = await this.#call<string>((id) => wasm.login(id), options?.signal);
    this.#authType = 'jwt';
    return JSON.parse(json) as LoginResponse;
  }

  /** Exchanges a refresh token for a new pair, which the client uses from here on. */
  async refreshToken(refreshToken: string, options?: CallOptions): Promise<LoginResponse> {
    const { wasm } = await this.#start();
    const json = await this.#call<string>((id) => wasm.refresh(id, refreshToken), options?.signal);
    this.#authType = 'jwt';
    return JSON.parse(json) as LoginResponse;
  }

  // ---- queries

  /** Runs SQL with parameters for `$1` and so on. */
  async query(sql: string, params?: readonly Param[], options?: CallOptions): Promise<QueryResponse> {
    return this.#send(requestBody(sql, params, this.#options.namespace), options?.signal);
  }

  /**
   * Runs statements in one transaction: all of them, or none. Gives one result
   * for each; an error says in `statement` which one failed.
   *
   * ```ts
   * await client.batch([
   *   ['UPDATE app.accounts SET cents = cents - $1 WHERE id = $2', [100, 1]],
   *   ['UPDATE app.accounts SET cents = cents + $1 WHERE id = $2', [100, 2]],
   * ]);
   * ```
   */
  async batch(statements: readonly BatchStatement[], options?: CallOptions): Promise<QueryResponse> {
    return this.#send(batchBody(statements, this.#options.namespace), options?.signal);
  }

  /** Runs one statement as another user, if the role allows it. */
  async executeAsUser(sql: string, user: string, params?: readonly Param[], options?: CallOptions): Promise<QueryResponse> {
    const statement = sql.trim().replace(/;+\s*$/, '').trim();
    const name = user.trim();
    if (statement === '') throw invalid('executeAsUser: sql is required');
    if (name === '') throw invalid('executeAsUser: user is required');
    return this.query(`EXECUTE AS USER '${name.replaceAll("'", "''")}' (${statement})`, params, options);
  }

  /** The first row, or null. */
  async queryOne<Column extends string = string>(sql: string, params?: readonly Param[], options?: CallOptions): Promise<RowData<Column> | null> {
    return (await this.queryAll<Column>(sql, params, options))[0] ?? null;
  }

  /** All rows of the first result. */
  async queryAll<Column extends string = string>(sql: string, params?: readonly Param[], options?: CallOptions): Promise<RowData<Column>[]> {
    const response = await this.query(sql, params, options);
    return (response.results?.[0]?.named_rows ?? []).map((row) => wrapRowMap(row));
  }

  /** All rows of the first result, each knowing its table, for FILE columns. */
  async queryRows<T = Record<string, JsonValue>>(sql: string, tableName: string, params?: readonly Param[], options?: CallOptions): Promise<KalamRow<T>[]> {
    const response = await this.query(sql, params, options);
    return wrapRows((response.results?.[0]?.named_rows ?? []) as T[], this.#context(tableName));
  }

  /** Makes a row know its table. */
  wrapRow<T = Record<string, unknown>>(row: T, tableName: string): KalamRow<T> {
    return new KalamRow(row, this.#context(tableName));
  }

  /** Inserts a row. */
  async insert(table: string, data: { readonly [column: string]: Param }, options?: CallOptions): Promise<QueryResponse> {
    const columns = Object.keys(data);
    if (columns.length === 0) throw invalid('insert: the row has no columns');
    const places = columns.map((_, i) => `$${i + 1}`);
    const sql = `INSERT INTO ${checkTable(table)} (${columns.map(quoteName).join(', ')}) VALUES (${places.join(', ')})`;
    return this.query(sql, Object.values(data), options);
  }

  /** Updates the row with a key; the key column is `id` unless the key or the last argument names it. */
  async update(table: string, key: RowKey, data: { readonly [column: string]: Param }, keyColumn = 'id'): Promise<QueryResponse> {
    const columns = Object.keys(data);
    if (columns.length === 0) throw invalid('update: there is nothing to set');
    const where = keyCondition(key, keyColumn, columns.length);
    const set = columns.map((c, i) => `${quoteName(c)} = $${i + 1}`).join(', ');
    return this.query(`UPDATE ${checkTable(table)} SET ${set} WHERE ${where.sql}`, [...Object.values(data), ...where.params]);
  }

  /** Deletes the row with a key; see {@link KalamDBClient.update}. */
  async delete(table: string, key: RowKey, keyColumn = 'id'): Promise<void> {
    const where = keyCondition(key, keyColumn, 0);
    await this.query(`DELETE FROM ${checkTable(table)} WHERE ${where.sql}`, where.params);
  }

  /** Runs a statement with files for its `FILE("name")`. */
  async queryWithFiles(
    sql: string,
    files: Readonly<Record<string, File | Blob>>,
    params?: readonly Param[],
    onProgress?: (progress: UploadProgress) => void,
    options?: CallOptions,
  ): Promise<QueryResponse> {
    const { wasm } = await this.#start();
    const u: Upload = {
      url: `${this.#options.url.replace(/\/+$/, '')}/v1/api/sql`, sql, files, params, onProgress,
      namespace: this.#options.namespace, signal: options?.signal,
    };
    const token = (rejected: string) => this.#call<string>((id) => wasm.token(id, rejected), options?.signal);
    const first = await token('');
    this.#authType = 'jwt';
    try {
      return nameRows(await upload(u, first));
    } catch (error) {
      if (!(error instanceof KalamError) || error.code !== 'TOKEN_EXPIRED') throw error;
    }
    return nameRows(await upload(u, await token(first)));
  }

  // ---- live queries

  /** Subscribes to all rows of a table. */
  async subscribe(table: string, callback: SubscriptionCallback, options?: SubscriptionOptions): Promise<Unsubscribe> {
    return this.#subscribe(`SELECT * FROM ${checkTable(table)}`, table, callback, options);
  }

  /** Subscribes to the rows of a query, event by event. */
  async subscribeWithSql(sql: string, callback: SubscriptionCallback, options?: SubscriptionOptions): Promise<Unsubscribe> {
    return this.#subscribe(sql, sql, callback, options);
  }

  /** Subscribes to a table with rows that know it. */
  async subscribeRows<T = Record<string, unknown>>(table: string, callback: (change: KalamChange<T>) => void, options?: SubscriptionOptions): Promise<Unsubscribe> {
    const context = this.#context(table);
    return this.subscribe(table, (event) => callback(new KalamChange<T>(event, context)), options);
  }

  /**
   * Gives all rows of a query: when they are complete, and after every change.
   * Rows that did not change are the same objects as before.
   *
   * ```ts
   * const stop = await client.live('SELECT * FROM chat.messages', (rows) => render(rows));
   *
   * for await (const rows of client.live('SELECT * FROM chat.messages')) render(rows);
   * ```
   */
  live<T = RowData>(sql: string, options?: LiveRowsOptions<T>): LiveQuery<T>;
  live<T = RowData>(sql: string, callback: LiveRowsCallback<T>, options?: LiveRowsOptions<T>): Promise<Unsubscribe>;
  live<T = RowData>(
    sql: string,
    first?: LiveRowsCallback<T> | LiveRowsOptions<T>,
    options?: LiveRowsOptions<T>,
  ): LiveQuery<T> | Promise<Unsubscribe> {
    if (typeof first === 'function') return this.#live(sql, sql, first, options ?? {});
    return this.#iterate(sql, sql, first ?? {});
  }

  /** {@link KalamDBClient.live} on all rows of a table. */
  liveTableRows<T = RowData>(table: string, options?: LiveRowsOptions<T>): LiveQuery<T>;
  liveTableRows<T = RowData>(table: string, callback: LiveRowsCallback<T>, options?: LiveRowsOptions<T>): Promise<Unsubscribe>;
  liveTableRows<T = RowData>(
    table: string,
    first?: LiveRowsCallback<T> | LiveRowsOptions<T>,
    options?: LiveRowsOptions<T>,
  ): LiveQuery<T> | Promise<Unsubscribe> {
    const sql = `SELECT * FROM ${checkTable(table)}`;
    if (typeof first === 'function') return this.#live(sql, table, first, options ?? {});
    return this.#iterate(sql, table, first ?? {});
  }

  /** Ends a live query by its id. */
  async unsubscribe(subscriptionId: string): Promise<void> {
    this.#subscriptions.get(subscriptionId)?.end();
  }

  async unsubscribeAll(): Promise<void> {
    this.#forget();
  }

  getSubscriptions(): SubscriptionInfo[] {
    return [...this.#subscriptions.values()].map(({ id, tableName, createdAt, lastSeqId, closed }) => ({
      id, tableName, createdAt, closed, ...(lastSeqId === undefined ? {} : { lastSeqId }),
    }));
  }

  getSubscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** Whether there is a live query on a table, or of a SQL text. */
  isSubscribedTo(name: string): boolean {
    return [...this.#subscriptions.values()].some((s) => s.tableName === name || s.sql === name);
  }

  /** Where a live query stands: a later one with `from` set to it goes on from there. */
  getLastSeqId(subscriptionId: string): SeqId | undefined {
    return this.#subscriptions.get(subscriptionId)?.lastSeqId;
  }

  // ---- the core

  /** Loads the module and makes the client in it, once. */
  #start(): Promise<Running> {
    if (this.#running === undefined) {
      const running = this.#load();
      this.#running = running;
      running.catch(() => {
        if (this.#running === running) this.#running = undefined;
      });
    }
    return this.#running;
  }

  async #load(): Promise<Running> {
    const host = platform.current ?? browser;
    const [core, socket] = await Promise.all([loadCore(this.#options.wasmUrl), host.webSocket()]);
    const calls = new Calls(core);
    const o = this.#options;
    const wasm = core.newClient(
      o.url,
      {
        namespace: o.namespace,
        allowInsecureCredentials: o.allowInsecureCredentials,
        ping: o.pingIntervalMs === 0 ? -1 : o.pingIntervalMs,
        attempts: o.authProviderMaxAttempts,
        backoff: o.authProviderInitialBackoffMs,
        maxBackoff: o.authProviderMaxBackoffMs,
      },
      {
        settle: (call, good, value) => calls.settle(call, good, value),
        provider: (reason, rejected, signal) => this.#credentials(reason, rejected, signal),
        request,
        WebSocket: watched(socket, this.#observer()),
        onAuth: (state, user, failure) => this.#authChanged(state as AuthState, user, failure),
      },
    );
    if (wasm.failure) throw toKalamError(wasm.failure);
    const running: Running = { core, calls, wasm, stopWaking: onWake(() => core.crash ?? wasm.wake()) };
    this.#ready = running;
    this.#applyReconnect();
    this.#log.write(LogLevel.Debug, 'init', 'the module runs');
    if (o.wsLazyConnect === false) {
      this.#eager = this.#call((id) => wasm.connect(id), undefined, running);
      this.#eager.catch((error: unknown) => this.#log.write(LogLevel.Warn, 'connection', String(error)));
    }
    return running;
  }

  /** Tells the handlers what the socket does. */
  #observer(): SocketObserver {
    return {
      dialing: () => this.#attempts++,
      connected: () => {
        this.#connected = true;
        this.#reconnecting = false;
        this.#attempts = 0;
        this.#log.write(LogLevel.Info, 'connection', 'connected');
        this.#log.guard('onConnect', this.#handlers.onConnect);
      },
      disconnected: (reason) => {
        this.#connected = false;
        this.#reconnecting = true;
        this.#log.write(LogLevel.Info, 'connection', `disconnected: ${reason.message}`);
        this.#log.guard('onDisconnect', this.#handlers.onDisconnect, reason);
      },
      failed: (error) => {
        this.#log.write(LogLevel.Info, 'connection', error.message);
        this.#log.guard('onError', this.#handlers.onError, error);
      },
      received: (text) => this.#log.guard('onReceive', this.#handlers.onReceive, text),
      sent: (text) => this.#log.guard('onSend', this.#handlers.onSend, text),
    };
  }

  /** Asks the provider for the core. */
  async #credentials(reason: string, rejected: string, signal: AbortSignal): Promise<AuthCredentials> {
    try {
      const ask = () => resolveCredentials(this.#options.authProvider, reason, rejected, signal);
      const credentials = await (platform.current ?? browser).provide(this, ask);
      this.#authType ??= credentials.type;
      this.#providerError = undefined;
      return credentials;
    } catch (error) {
      this.#providerError = error;
      throw error;
    }
  }

  #authChanged(state: AuthState, user: string, failure: Failure | undefined): void {
    const event: AuthStateEvent = { state };
    if (user !== '') event.user = user;
    if (failure) event.error = toKalamError(failure);
    if (state === 'signed-in') this.#authType = 'jwt';
    this.#log.write(LogLevel.Info, 'auth', state);
    for (const listener of [...this.#authListeners]) this.#log.guard('onAuthStateChange', listener, event);
  }

  async #send(body: string, signal: AbortSignal | undefined): Promise<QueryResponse> {
    const { wasm } = this.#ready ?? (await this.#start());
    const json = await this.#call<string>((id) => wasm.send(id, body, signal !== undefined), signal);
    try {
      return nameRows(JSON.parse(json) as QueryResponse);
    } catch (cause) {
      throw new KalamConnectionError({
        code: 'SERVER_UNAVAILABLE', message: 'query: the answer is not one of KalamDB', retryable: true, cause,
      });
    }
  }

  /** Runs a call of the core: it can be aborted, and is never left hanging. */
  async #call<R>(begin: (id: number) => void, signal?: AbortSignal, on: Running | undefined = this.#ready): Promise<R> {
    if (on === undefined) throw new KalamError({ code: 'CLIENT_CLOSED', message: 'the client was shut down' });
    signal?.throwIfAborted();
    if ((platform.current ?? browser).inside(this)) {
      throw new KalamError({ code: 'REENTRANT_CALL', message: 'authProvider called the client that waits for it' });
    }
    const id = on.calls.number();
    const abort = () => on.wasm.cancel(id);
    signal?.addEventListener('abort', abort);
    try {
      return await on.calls.run<R>(id, begin);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw this.#withCause(toKalamError(error));
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Puts what the provider threw under the error that came of it. */
  #withCause(error: KalamError): KalamError {
    if (error.code === 'PROVIDER_FAILED' && error.cause === undefined) {
      error.cause = this.#providerError;
    }
    return error;
  }

  async #subscribe(sql: string, tableName: string, callback: SubscriptionCallback, options: SubscriptionOptions = {}): Promise<Unsubscribe> {
    const running = await this.#start();
    const encoded = encodeSubscription(options);
    return new Promise<Unsubscribe>((resolve, reject) => {
      let accepted = false;
      const sub = this.#add(running, sql, tableName, (error) => {
        if (!accepted) return reject(error);
        if (error.code === 'DISCONNECTED') return;
        this.#log.write(LogLevel.Warn, 'subscription', `${sub.id} has ended: ${error.message}`);
        this.#log.guard('the callback of a subscription', callback, {
          type: 'error', subscription_id: sub.id, code: error.code, message: error.message,
        });
      });
      const onEvent = (json: string) => {
        if (sub.closed) return;
        const { event, position } = readEvent(json, sub.id);
        if (position) sub.lastSeqId = position;
        this.#log.guard('the callback of a subscription', callback, event);
        if (accepted || event.type !== 'subscription_ack') return;
        accepted = true;
        resolve(async () => sub.end());
      };
      running.wasm.subscribe(sub.call, sql, encoded, onEvent, sub.fail);
    });
  }

  #live<T>(sql: string, tableName: string, callback: LiveRowsCallback<T>, options: LiveRowsOptions<T>): Promise<Unsubscribe> {
    return new Promise<Unsubscribe>((resolve, reject) => {
      let begun = false;
      const stop = this.#show<T>(
        sql, tableName, options,
        (rows) => {
          this.#log.guard('the callback of a live query', callback, rows);
          if (!begun) resolve(async () => stop());
          begun = true;
        },
        (error, id) => {
          if (!begun) return reject(error);
          if (!(error instanceof KalamError) || error.code === 'DISCONNECTED') return; // the application's own doing
          this.#log.write(LogLevel.Warn, 'subscription', `${id} has ended: ${error.message}`);
          this.#log.guard('onError of a live query', options.onError, {
            type: 'error', subscription_id: id, code: error.code, message: error.message,
          });
        },
      );
    });
  }

  #iterate<T>(sql: string, tableName: string, options: LiveRowsOptions<T>): LiveQuery<T> {
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
    const view = new LiveView<T>(options.mapRow, show);
    const { signal, getKey } = options;
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
      const s = (sub = this.#add(running, sql, tableName, finish));
      if (getKey === undefined) {
        const onPatch = (json: string) => {
          if (stopped) return;
          this.#log.guard('mapRow', () => view.patch(json));
          s.lastSeqId = view.position ?? s.lastSeqId;
        };
        running.wasm.live(s.call, sql, encodeLive(options), onPatch, s.fail);
        return;
      }
      const feed = new KeyedFeed(view, getKey, options.limit);
      const onEvent = (json: string) => {
        if (stopped) return;
        const { event, position } = readEvent(json, s.id);
        s.lastSeqId = position ?? s.lastSeqId;
        this.#log.guard('getKey or mapRow', () => feed.event(event));
      };
      const { subscriptionOptions = {}, params = subscriptionOptions.params } = options;
      running.wasm.subscribe(s.call, sql, encodeSubscription(subscriptionOptions, params), onEvent, s.fail);
    };
    if (signal?.aborted) queueMicrotask(abort);
    else {
      signal?.addEventListener('abort', abort);
      this.#start().then(begin).catch(finish);
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
      this.#subscriptions.delete(sub.id);
      core.onCrash.delete(close);
      release();
      if (core.crash === undefined) wasm.cancel(sub.call);
      ended(error);
    };
    const sub: RunningSubscription = {
      id: `sub-${++this.#nextSubscription}`, call: running.calls.number(), sql, tableName,
      createdAt: new Date(), lastSeqId: undefined, closed: false,
      end: () => close(new KalamError({ code: 'DISCONNECTED', message: 'the live query was ended' })),
      fail: (failure) => close(this.#withCause(toKalamError(failure))),
    };
    this.#subscriptions.set(sub.id, sub);
    core.onCrash.add(close);
    return sub;
  }

  #forget(): void {
    for (const sub of [...this.#subscriptions.values()]) sub.end();
  }

  #applyReconnect(): void {
    const { off, first, max, attempts } = this.#reconnect;
    this.#ready?.wasm.reconnect(off, first, max, attempts);
  }

  #setHandler<K extends keyof Handlers>(name: K, callback: Handlers[K] | undefined): void {
    if (callback === undefined) delete this.#handlers[name];
    else this.#handlers[name] = callback;
  }

  #context(tableName: string): FileRefContext {
    const dot = tableName.indexOf('.');
    const [namespace, table] = dot < 0 ? ['default', tableName] : [tableName.slice(0, dot), tableName.slice(dot + 1)];
    return { baseUrl: this.#options.url, namespace, table };
  }
}

function invalid(message: string): KalamError {
  return new KalamError({ code: 'INVALID_ARGUMENT', message });
}

/** Makes a client. It does nothing before its first call. */
export function createClient(options: ClientOptions): KalamDBClient {
  return new KalamDBClient(options);
}

export interface KalamDBClient {
  /** {@link KalamDBClient.shutdown}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
  /** {@link KalamDBClient.shutdown}, without waiting. */
  [Symbol.dispose](): void;
}

// Both are missing before Node 20; there, so is `using`.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperties(KalamDBClient.prototype, {
    [Symbol.asyncDispose]: { value(this: KalamDBClient) { return this.shutdown(); } },
    [Symbol.dispose]: { value(this: KalamDBClient) { void this.shutdown(); } },
  });
}

export default KalamDBClient;
