import { ClientAccounts, ClientAuth } from './accounts.js';
import { wrapServerRow, type JsonValue, type RowData } from './cell.js';
import { register } from './core.js';
import { nameRows, parseAnswer } from './decode.js';
import { KalamError } from './errors.js';
import type { FileRefContext } from './file.js';
import { LiveQuery, type LiveRowsCallback, type LiveRowsOptions, type MappedLiveRowsOptions, type SubscriptionOptions } from './live.js';
import type { LogLevel, LogListener } from './log.js';
import type { LoginResponse, QueryResponse } from './messages.js';
import type {
  CallOptions, ClientOptions, OnConnectCallback, OnDisconnectCallback, OnErrorCallback, OnReceiveCallback, OnSendCallback,
} from './options.js';
import { batchBody, cellsOf, checkRow, checkSql, checkTable, keyOf, requestBody, type BatchStatement, type Param, type RowKey } from './params.js';
import { KalamChange, KalamRow, wrapRows } from './row.js';
import type { SeqId } from './seqid.js';
import { Session, type AuthStateEvent, type ClientEvents } from './session.js';
import { Subscriptions, type SubscriptionCallback, type SubscriptionInfo, type Unsubscribe } from './subscriptions.js';
import { absolute } from './url.js';
import { Upload, type UploadProgress } from './upload.js';

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
  /** The session: who is signed in, and where else. */
  readonly auth: ClientAuth;
  /** Accounts: signing up, in by code, and away. */
  readonly accounts: ClientAccounts;
  readonly #options: ClientOptions;
  readonly #session: Session;
  readonly #subscriptions: Subscriptions;

  /** Does nothing but look at the options. */
  constructor(options: ClientOptions) {
    if (typeof options?.url !== 'string' || options.url === '') throw invalid('KalamDBClient: url is required');
    if (typeof options.authProvider !== 'function') throw invalid('KalamDBClient: authProvider is required');
    this.#options = { ...options, url: absolute(options.url) };
    this.#session = new Session(this.#options);
    this.auth = new ClientAuth(this.#session);
    this.accounts = new ClientAccounts(this.#session);
    this.#subscriptions = new Subscriptions(this.#session);
    register(this, () => this.#session.start());
  }

  // ---- life

  /**
   * Loads the module and asks the provider. Every call does it when it is
   * needed; call it to find out early. With `wsLazyConnect: false` it opens the
   * socket, too.
   */
  async initialize(): Promise<void> {
    const { wasm } = await this.#session.start();
    if (this.#session.authType === null) {
      this.#session.authType = await this.#session.call<'basic' | 'jwt'>((id) => wasm.prime(id));
    }
    await this.#session.eager;
  }

  /** Opens the socket and keeps it open, also without live queries. */
  async connect(): Promise<void> {
    const { wasm } = await this.#session.start();
    await this.#session.call((id) => wasm.connect(id));
  }

  /** Ends all live queries and closes the socket. The client may be used again. */
  async disconnect(): Promise<void> {
    if (this.#session.started === undefined) return;
    const { wasm } = await this.#session.started;
    this.#subscriptions.endAll();
    wasm.disconnect();
    this.#session.connected = this.#session.reconnecting = false;
  }

  /** Ends everything and frees memory. A later call starts anew. */
  async shutdown(): Promise<void> {
    await this.#session.stop(() => this.#subscriptions.endAll('CLIENT_CLOSED'));
  }

  /** Whether the socket is open and signed in. */
  isConnected(): boolean {
    return this.#session.connected;
  }

  /** What the credentials are: null before the provider was asked, `jwt` once they were exchanged. */
  getAuthType(): 'basic' | 'jwt' | null {
    return this.#session.authType;
  }

  setAutoReconnect(enabled: boolean): void {
    this.#session.setReconnect({ off: !enabled });
  }

  /** Limits of the random pause before a connection is tried again, in milliseconds. */
  setReconnectDelay(initialMs: number | bigint, maxMs: number | bigint): void {
    this.#session.setReconnect({ first: Number(initialMs), max: Number(maxMs) });
  }

  /** After how many failures in a row to stop; 0 for never. */
  setMaxReconnectAttempts(attempts: number): void {
    this.#session.setReconnect({ attempts });
  }

  /** Failed connections since the last good one. */
  getReconnectAttempts(): number {
    return this.#session.reconnecting ? this.#session.attempts : 0;
  }

  isReconnecting(): boolean {
    return this.#session.reconnecting && this.#subscriptions.size > 0;
  }

  setLogLevel(level: LogLevel): void {
    this.#session.log.level = level;
  }

  setLogListener(listener: LogListener | undefined): void {
    this.#session.log.listener = listener;
  }

  /** Sets the handler of the event and replaces the one before. */
  onConnect(callback: OnConnectCallback | undefined): void {
    this.#session.setHandler('connect', callback);
  }

  onDisconnect(callback: OnDisconnectCallback | undefined): void {
    this.#session.setHandler('disconnect', callback);
  }

  onError(callback: OnErrorCallback | undefined): void {
    this.#session.setHandler('error', callback);
  }

  onReceive(callback: OnReceiveCallback | undefined): void {
    this.#session.setHandler('receive', callback);
  }

  onSend(callback: OnSendCallback | undefined): void {
    this.#session.setHandler('send', callback);
  }

  /**
   * Adds a listener of an event, beside the one handler that an option or
   * `onConnect` and its like set; gives what removes it.
   *
   * ```ts
   * const off = client.on('disconnect', ({ message }) => showOffline(message));
   * ```
   */
  on<K extends keyof ClientEvents>(event: K, listener: ClientEvents[K]): () => void {
    return this.#session.addListener(event, listener);
  }

  /** Adds a listener for the state of the session; gives what removes it. */
  onAuthStateChange(listener: (event: AuthStateEvent) => void): () => void {
    this.#session.authListeners.add(listener);
    return () => this.#session.authListeners.delete(listener);
  }

  // ---- session

  /** Exchanges user and password for a session, which the client uses from here on. */
  async login(options?: CallOptions): Promise<LoginResponse> {
    const { wasm } = await this.#session.start();
    const json = await this.#session.call<string>((id) => wasm.login(id), options?.signal);
    this.#session.authType = 'jwt';
    return JSON.parse(json) as LoginResponse;
  }

  /**
   * Exchanges a refresh token for a new pair, which the client uses from here on. For a token that the client has already
   * replaced it uses the one that came of it, so `login.refresh_token` stays good while the client renews itself.
   */
  async refreshToken(refreshToken: string, options?: CallOptions): Promise<LoginResponse> {
    const { wasm } = await this.#session.start();
    const json = await this.#session.call<string>((id) => wasm.refresh(id, refreshToken), options?.signal);
    this.#session.authType = 'jwt';
    return JSON.parse(json) as LoginResponse;
  }

  // ---- queries

  /** Runs SQL with parameters for `$1` and so on. */
  async query(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<QueryResponse> {
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
  async executeAsUser(sql: string, user: string, params?: readonly unknown[], options?: CallOptions): Promise<QueryResponse> {
    const name = String(user ?? '').trim();
    if (checkSql(sql).trim() === '') throw invalid('executeAsUser: sql is required');
    if (name === '') throw invalid('executeAsUser: user is required');
    const all = [...(params ?? []), name];
    return this.query(`EXECUTE AS USER $${all.length} (${sql}\n)`, all, options); // a comment may end the sql
  }

  /** The first row, or null. */
  async queryOne<Column extends string = string>(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<RowData<Column> | null> {
    return (await this.queryAll<Column>(sql, params, options))[0] ?? null;
  }

  /** All rows of the first result. */
  async queryAll<Column extends string = string>(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<RowData<Column>[]> {
    const response = await this.query(sql, params, options);
    return (response.results?.[0]?.named_rows ?? []).map(wrapServerRow);
  }

  /** All rows of the first result, each knowing its table, for FILE columns. */
  async queryRows<T = Record<string, JsonValue>>(sql: string, tableName: string, params?: readonly unknown[], options?: CallOptions): Promise<KalamRow<T>[]> {
    const response = await this.query(sql, params, options);
    return wrapRows((response.results?.[0]?.named_rows ?? []) as T[], this.#context(tableName));
  }

  /** Makes a row know its table. */
  wrapRow<T = Record<string, unknown>>(row: T, tableName: string): KalamRow<T> {
    return new KalamRow(row, this.#context(tableName));
  }

  /** Inserts a row, and gives it as it is stored in `named_rows`. A column that is undefined gets its DEFAULT. */
  async insert(table: string, data: { readonly [column: string]: Param }, options?: CallOptions): Promise<QueryResponse> {
    checkRow('insert', data);
    if (Object.keys(data).length === 0) throw invalid('insert: the row has no columns');
    const { columns, values, names } = cellsOf(table, data);
    const places = columns.map((_, i) => `$${i + 1}`);
    const row = columns.length === 0 ? 'DEFAULT VALUES' : `(${columns.join(', ')}) VALUES (${places.join(', ')})`;
    return this.#change(`INSERT INTO ${checkTable(table)} ${row} RETURNING *`, values, names, options);
  }

  /**
   * Updates the row with a key; the key column is `id` unless the key or the
   * last argument names it. A column that is undefined stays as it is.
   */
  async update(table: string, key: RowKey, data: { readonly [column: string]: Param }, keyColumn = 'id'): Promise<QueryResponse> {
    checkRow('update', data);
    if (Object.keys(data).length === 0) throw invalid('update: there is nothing to set');
    const { columns, values, names } = cellsOf(table, data);
    const where = keyOf(table, key, keyColumn);
    const set = columns.length === 0 ? where.columns.map((c) => `${c} = ${c}`) : columns.map((c, i) => `${c} = $${i + 1}`);
    const condition = where.columns.map((c, i) => `${c} = $${columns.length + i + 1}`);
    const sql = `UPDATE ${checkTable(table)} SET ${set.join(', ')} WHERE ${condition.join(' AND ')}`;
    return this.#change(sql, [...values, ...where.values], [...names, ...where.names]);
  }

  /** Deletes the row with a key; see {@link KalamDBClient.update}. */
  async delete(table: string, key: RowKey, keyColumn = 'id'): Promise<void> {
    const { columns, values, names } = keyOf(table, key, keyColumn);
    await this.#change(`DELETE FROM ${checkTable(table)} WHERE ${columns.map((c, i) => `${c} = $${i + 1}`).join(' AND ')}`, values, names);
  }

  /** Runs a statement whose parameters are the cells of a row. */
  async #change(sql: string, values: readonly Param[], names: readonly string[], options?: CallOptions): Promise<QueryResponse> {
    return this.#send(requestBody(sql, values, this.#options.namespace, names), options?.signal);
  }

  /**
   * Runs a statement with files for its `FILE("name")`: none of it remains when
   * it fails. `onProgress` is called as the bytes leave, for one file after the
   * other, and from the beginning when the server wanted another token.
   *
   * ```ts
   * await client.queryWithFiles('INSERT INTO app.photos (id, photo) VALUES ($1, FILE("photo"))', { photo: file }, [1]);
   * ```
   */
  async queryWithFiles(
    sql: string,
    files: Readonly<Record<string, File | Blob>>,
    params?: readonly unknown[],
    onProgress?: (progress: UploadProgress) => void,
    options?: CallOptions,
  ): Promise<QueryResponse> {
    const { url, namespace } = this.#options;
    const u = new Upload(url, sql, files, params, namespace, onProgress && ((progress) => this.#session.log.guard('onProgress', onProgress, progress)));
    const { wasm } = await this.#session.start();
    const over = new AbortController(); // when nobody waits any more
    try {
      const post = (token: string) => u.send(token, over.signal);
      return answerOf(await this.#session.call<string>((id) => wasm.upload(id, post), options?.signal), this.#options.url);
    } finally {
      over.abort();
    }
  }

  // ---- live queries

  /** Subscribes to all rows of a table. */
  async subscribe(table: string, callback: SubscriptionCallback, options?: SubscriptionOptions): Promise<Unsubscribe> {
    return this.#subscriptions.subscribe(`SELECT * FROM ${checkTable(table)}`, table, callback, options);
  }

  /** Subscribes to the rows of a query, event by event. */
  async subscribeWithSql(sql: string, callback: SubscriptionCallback, options?: SubscriptionOptions): Promise<Unsubscribe> {
    return this.#subscriptions.subscribe(sql, sql, callback, options);
  }

  /** Subscribes to a table with rows that know it. */
  async subscribeRows<T = Record<string, unknown>>(table: string, callback: (change: KalamChange<T>) => void, options?: SubscriptionOptions): Promise<Unsubscribe> {
    const context = this.#context(table);
    return this.subscribe(table, (event) => callback(new KalamChange<T>(event, context)), options);
  }

  /**
   * Gives all rows of a query: when they are complete, and after every change,
   * in the order of their primary key. Rows that did not change are the same
   * objects as before. To get something else than `RowData`, pass `mapRow`.
   *
   * ```ts
   * const stop = await client.live('SELECT * FROM chat.messages', (rows) => render(rows));
   *
   * for await (const rows of client.live('SELECT * FROM chat.messages')) render(rows);
   * ```
   */
  live<T>(sql: string, options: MappedLiveRowsOptions<T>): LiveQuery<T>;
  live<T extends RowData = RowData>(sql: string, options?: LiveRowsOptions<T>): LiveQuery<T>;
  live<T>(sql: string, callback: LiveRowsCallback<T>, options: MappedLiveRowsOptions<T>): Promise<Unsubscribe>;
  live<T extends RowData = RowData>(sql: string, callback: LiveRowsCallback<T>, options?: LiveRowsOptions<T>): Promise<Unsubscribe>;
  live<T>(
    sql: string,
    first?: LiveRowsCallback<T> | LiveRowsOptions<T>,
    options?: LiveRowsOptions<T>,
  ): LiveQuery<T> | Promise<Unsubscribe> {
    if (typeof first === 'function') return this.#subscriptions.live(sql, sql, first, options ?? {});
    return this.#subscriptions.iterate(sql, sql, first ?? {});
  }

  /** {@link KalamDBClient.live} on all rows of a table. */
  liveTableRows<T>(table: string, options: MappedLiveRowsOptions<T>): LiveQuery<T>;
  liveTableRows<T extends RowData = RowData>(table: string, options?: LiveRowsOptions<T>): LiveQuery<T>;
  liveTableRows<T>(table: string, callback: LiveRowsCallback<T>, options: MappedLiveRowsOptions<T>): Promise<Unsubscribe>;
  liveTableRows<T extends RowData = RowData>(table: string, callback: LiveRowsCallback<T>, options?: LiveRowsOptions<T>): Promise<Unsubscribe>;
  liveTableRows<T>(
    table: string,
    first?: LiveRowsCallback<T> | LiveRowsOptions<T>,
    options?: LiveRowsOptions<T>,
  ): LiveQuery<T> | Promise<Unsubscribe> {
    const sql = `SELECT * FROM ${checkTable(table)}`;
    if (typeof first === 'function') return this.#subscriptions.live(sql, table, first, options ?? {});
    return this.#subscriptions.iterate(sql, table, first ?? {});
  }

  /** Ends a live query by its id. */
  async unsubscribe(subscriptionId: string): Promise<void> {
    this.#subscriptions.end(subscriptionId);
  }

  async unsubscribeAll(): Promise<void> {
    this.#subscriptions.endAll();
  }

  getSubscriptions(): SubscriptionInfo[] {
    return this.#subscriptions.list();
  }

  getSubscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** Whether there is a live query on a table, or of a SQL text. */
  isSubscribedTo(name: string): boolean {
    return this.#subscriptions.has(name);
  }

  /** Where a live query stands: a later one with `from` set to it goes on from there. */
  getLastSeqId(subscriptionId: string): SeqId | undefined {
    return this.#subscriptions.position(subscriptionId);
  }

  async #send(body: string, signal: AbortSignal | undefined): Promise<QueryResponse> {
    const { wasm } = this.#session.ready ?? (await this.#session.start());
    const json = await this.#session.call<string>((id) => wasm.send(id, body, signal !== undefined), signal);
    return answerOf(json, this.#options.url);
  }

  async #sign(path: string, expiresIn: number | undefined): Promise<string> {
    const { wasm } = await this.#session.start();
    const url = await this.#session.call<string>((id) => wasm.sign(id, path, expiresIn ?? 0));
    return this.#options.url + url;
  }

  #context(tableName: string): FileRefContext {
    const dot = tableName.indexOf('.');
    const [namespace, table] = dot < 0 ? [this.#options.namespace || 'default', tableName] : [tableName.slice(0, dot), tableName.slice(dot + 1)];
    return { baseUrl: this.#options.url, namespace, table, sign: (path, expiresIn) => this.#sign(path, expiresIn) };
  }
}

function answerOf(json: string, url: string): QueryResponse {
  return parseAnswer(json, url, nameRows);
}

function invalid(message: string): KalamError {
  return new KalamError({ code: 'INVALID_ARGUMENT', message });
}

/** Makes a client. It does nothing before its first call. */
export function createClient(options: ClientOptions): KalamDBClient {
  return new KalamDBClient(options);
}

// For compilers without the library esnext.disposable; those with it merge the two.
declare global {
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
    readonly dispose: unique symbol;
  }
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
