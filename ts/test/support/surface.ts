// What an application may have written against the packages of KalamDB 0.4. It
// must compile; surface.test.mjs sees to that, and runs it.
import KalamDefault, {
  Auth, buildAuthHeader, encodeBasicAuth, isAuthenticated, isBasicAuth, isJwtAuth, ChangeType, KalamCellValue, LogLevel, MessageType, SeqId, UserId,
  wrapRowMap, createClient, KalamDBClient, normalizeQueryResponse, sortColumns, SYSTEM_TABLES_ORDER, isLikelyTransientAuthProviderError,
  resolveAuthProviderWithRetry, BoundFileRef, FileRef, KalamChange, KalamRow, parseFileRef, parseFileRefs, wrapRows,
} from '@kalamdb/client';
import type {
  AuthCredentials, BasicAuthCredentials, JwtAuthCredentials, AuthProvider, BatchControl, BatchStatus, ChangeTypeRaw, ClientOptions, ConnectionError,
  DisconnectReason, ErrorDetail, FieldFlag, FieldFlags, HealthCheckResponse, HttpVersion, JsonValue, KalamDataType, LogEntry, LogListener, LoginResponse,
  LoginUserInfo, LiveRowsCallback, LiveRowsOptions, OnConnectCallback, OnDisconnectCallback, OnErrorCallback, OnReceiveCallback, OnSendCallback,
  QueryResponse, QueryResult, Role, ResponseStatus, RowData, SchemaField, ServerMessage, SubscriptionCallback, SubscriptionErrorEvent, SubscriptionInfo,
  SubscriptionOptions, TimestampFormat, TypedSubscriptionCallback, Unsubscribe, UploadProgress, AuthProviderRetryOptions, FileRefContext, FileRefData,
  WasmKalamClient,
} from '@kalamdb/client';
import KalamConsumerDefault, { createConsumerClient, KalamConsumerClient, createLangChainAdapter, runAgent, runConsumer } from '@kalamdb/consumer';
import type {
  AckResponse, AgentContext, AgentFailureContext, AgentFailureHandler, AgentLLMAdapter, AgentLLMContext, AgentLLMInput, AgentLLMMessage, AgentLLMRole,
  AgentRetryPolicy, AgentRowParser, AgentRunKeyFactory, ConsumeContext, ConsumerClientLike, ConsumerClientOptions, ConsumerHandle, ConsumerHandler,
  ConsumeMessage, ConsumeRequest, ConsumeResponse, ConsumeStart, LangChainChatModelLike, RunAgentOptions, RunConsumerOptions,
} from '@kalamdb/consumer';

/** The methods of a client. */
interface Client {
  setLogLevel(level: LogLevel): void;
  setLogListener(listener: LogListener | undefined): void;
  getAuthType(): 'basic' | 'jwt' | null;
  initialize(): Promise<void>;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  shutdown(): Promise<void>;
  isConnected(): boolean;
  onConnect(callback: OnConnectCallback): void;
  onDisconnect(callback: OnDisconnectCallback): void;
  onError(callback: OnErrorCallback): void;
  onReceive(callback: OnReceiveCallback): void;
  onSend(callback: OnSendCallback): void;
  setAutoReconnect(enabled: boolean): void;
  setReconnectDelay(initialMs: number | bigint, maxMs: number | bigint): void;
  setMaxReconnectAttempts(attempts: number): void;
  getReconnectAttempts(): number;
  isReconnecting(): boolean;
  getLastSeqId(subscriptionId: string): SeqId | undefined;
  query(sql: string, params?: string[]): Promise<QueryResponse>;
  executeAsUser(sql: string, user: string, params?: string[]): Promise<QueryResponse>;
  queryWithFiles(sql: string, files: Record<string, File | Blob>, params?: string[], onProgress?: (progress: UploadProgress) => void): Promise<QueryResponse>;
  insert(table: string, data: Record<string, string | number | null>): Promise<QueryResponse>;
  delete(table: string, rowId: string | number): Promise<void>;
  update(table: string, rowId: string | number, data: Record<string, string | number | null>): Promise<QueryResponse>;
  queryOne(sql: string, params?: string[]): Promise<RowData | null>;
  queryAll(sql: string, params?: string[]): Promise<RowData[]>;
  queryRows<T>(sql: string, tableName: string, params?: string[]): Promise<KalamRow<T>[]>;
  wrapRow<T>(row: T, tableName: string): KalamRow<T>;
  login(): Promise<LoginResponse>;
  refreshToken(refreshToken: string): Promise<LoginResponse>;
  subscribe(table: string, callback: SubscriptionCallback, options?: SubscriptionOptions): Promise<Unsubscribe>;
  subscribeWithSql(sql: string, callback: SubscriptionCallback, options?: SubscriptionOptions): Promise<Unsubscribe>;
  subscribeRows<T>(table: string, callback: (change: KalamChange<T>) => void, options?: SubscriptionOptions): Promise<Unsubscribe>;
  live<T>(sql: string, callback: LiveRowsCallback<T>, options?: LiveRowsOptions<T>): Promise<Unsubscribe>;
  liveTableRows<T>(table: string, callback: LiveRowsCallback<T>, options?: LiveRowsOptions<T>): Promise<Unsubscribe>;
  unsubscribe(subscriptionId: string): Promise<void>;
  unsubscribeAll(): Promise<void>;
  getSubscriptions(): SubscriptionInfo[];
  getSubscriptionCount(): number;
  isSubscribedTo(name: string): boolean;
  [Symbol.asyncDispose](): Promise<void>;
  [Symbol.dispose](): void;
}

/** Every option of a client. */
const options: Required<Pick<ClientOptions,
  'url' | 'authProvider' | 'authProviderMaxAttempts' | 'authProviderInitialBackoffMs' | 'authProviderMaxBackoffMs' | 'disableCompression' | 'wsLazyConnect' |
  'pingIntervalMs' | 'onConnect' | 'onDisconnect' | 'onError' | 'onReceive' | 'onSend' | 'logLevel' | 'logListener'>> = {
  url: 'http://localhost:8080', authProvider: async () => Auth.jwt('<token>'), authProviderMaxAttempts: 3, authProviderInitialBackoffMs: 250,
  authProviderMaxBackoffMs: 2000, disableCompression: true, wsLazyConnect: true, pingIntervalMs: 5000, onConnect: () => {}, onDisconnect: () => {},
  onError: () => {}, onReceive: () => {}, onSend: () => {}, logLevel: LogLevel.None, logListener: () => {},
};

/** The methods of a consumer client. */
interface Consumer extends Pick<Client, 'getAuthType' | 'query' | 'queryOne' | 'queryAll' | 'executeAsUser' | 'login' | 'refreshToken' | 'disconnect'> {
  baseClient: KalamDBClient;
  consumeBatch<T>(request: ConsumeRequest): Promise<ConsumeResponse<T>>;
  ack(topic: string, groupId: string, partitionId: number, uptoOffset: number): Promise<AckResponse>;
  consumer<T>(request: ConsumeRequest): ConsumerHandle<T>;
  [Symbol.asyncDispose](): Promise<void>;
}

const client: Client = createClient(options);
const consumer: Consumer & ConsumerClientLike = createConsumerClient({ ...options, consumerWasmUrl: '/kalam.wasm' } satisfies ConsumerClientOptions);

/** Every accessor, by what it gives. */
const cell = KalamCellValue.from(null);
const accessors: [
  JsonValue, JsonValue, boolean, string | null, number | null, bigint | null, SeqId | null, number | null, boolean | null, string | null, string | null,
  Uint8Array | null, number[] | null, Date | null, Date | null, string | null, Record<string, JsonValue> | null, JsonValue[] | null, FileRef | null, string | null,
] = [
  cell.toJson(), cell.asJson(), cell.isNull() && cell.isString() && cell.isNumber() && cell.isBool() && cell.isObject() && cell.isArray(), cell.asString(),
  cell.asInt(), cell.asBigInt(), cell.asSeqId(), cell.asFloat(), cell.asBool(), cell.asUuid(), cell.asDecimal(), cell.asBytes(), cell.asEmbedding(),
  cell.asDate(), cell.asDateOnly(), cell.asTimeString(), cell.asObject(), cell.asArray(), cell.asFile(), cell.asFileUrl('', '', ''),
];
const seq = SeqId.fromWasm(1) ?? SeqId.zero();
const numbers: number[] = [
  Number(SeqId.EPOCH satisfies bigint), seq.toNumber(), seq.timestampMillis(), seq.timestampSeconds(), seq.ageSeconds(), seq.workerId(), seq.sequence(), seq.compareTo(SeqId.from('1')),
];
const file: FileRefData = { id: '1', sub: 'f0001', name: 'a', size: 1, mime: '', sha256: '' };
const bound = new BoundFileRef(file, { baseUrl: 'http://localhost', namespace: 'a', table: 'b' } satisfies FileRefContext);
const addresses: string[] = [bound.downloadUrl(), bound.relativeUrl(), bound.getDownloadUrl('', 'a', 'b'), bound.storedName(), bound.relativePath(), bound.formatSize(), bound.getTypeDescription(), bound.toJson()];
const kinds: boolean[] = [bound.isImage(), bound.isVideo(), bound.isAudio(), bound.isPdf()];

/** What an ORM does: its parameters are whatever its user bound. */
export const bind = (params: readonly unknown[]) => Promise.all([
  createClient(options).query('', params), createClient(options).queryAll('', params), createClient(options).queryOne('', params), createConsumerClient(options).query('', params),
]);

/** Live queries give what their types say. */
interface Task { id: number }
export const live = (c: KalamDBClient) => {
  const map = { mapRow: (row: RowData): Task => ({ id: row['id']?.asInt() ?? 0 }) };
  const cells: AsyncIterable<RowData[]> = c.live('');
  const named: AsyncIterable<RowData<'id'>[]> = c.live<RowData<'id'>>('');
  const tasks: AsyncIterable<Task[]>[] = [c.live('', map), c.live<Task>('', map), c.liveTableRows<Task>('', { ...map, limit: 1 })];
  const stops = [
    c.live('', (rows) => rows[0]?.['id']?.asInt()), c.live<Task>('', (rows) => rows[0]?.id, map), c.liveTableRows<Task>('', (rows) => rows[0]?.id, map),
    // @ts-expect-error nothing makes a Task of a row
    c.live<Task>('', (rows) => rows[0]?.id),
    // @ts-expect-error
    c.live<Task>('', (rows) => rows[0]?.id, { limit: 1 }),
    // @ts-expect-error
    c.liveTableRows<Task>('', (rows) => rows[0]?.id),
  ];
  // @ts-expect-error
  const wrong = [c.live<Task>('')];
  // @ts-expect-error
  const wrongToo = [c.liveTableRows<Task>('', { limit: 1 })];
  return [cells, named, tasks, stops, wrong, wrongToo];
};

/** Types that an application may name. */
export type Named = [
  AuthCredentials, BasicAuthCredentials, JwtAuthCredentials, AuthProvider, BatchControl, BatchStatus, ChangeTypeRaw, ConnectionError, DisconnectReason,
  ErrorDetail, FieldFlag, FieldFlags, HealthCheckResponse, HttpVersion, KalamDataType, LogEntry, LoginUserInfo, QueryResult, Role, ResponseStatus, SchemaField,
  ServerMessage, SubscriptionErrorEvent, TimestampFormat, TypedSubscriptionCallback, AuthProviderRetryOptions, WasmKalamClient, UserId,
  AgentContext, AgentFailureContext, AgentFailureHandler, AgentLLMAdapter, AgentLLMContext, AgentLLMInput, AgentLLMMessage, AgentLLMRole, AgentRetryPolicy,
  AgentRowParser, AgentRunKeyFactory, ConsumeContext, ConsumerHandler, ConsumeMessage, ConsumeStart, LangChainChatModelLike, RunAgentOptions, RunConsumerOptions,
];

/** What it is at run time. */
export const values = {
  buildAuthHeader, encodeBasicAuth, isAuthenticated, isBasicAuth, isJwtAuth, ChangeType, MessageType, wrapRowMap, normalizeQueryResponse, sortColumns,
  SYSTEM_TABLES_ORDER, isLikelyTransientAuthProviderError, resolveAuthProviderWithRetry, parseFileRef, parseFileRefs, wrapRows, createLangChainAdapter,
  runAgent, runConsumer, client, consumer, accessors, numbers, addresses, kinds, named: UserId('alice'), levels: LogLevel,
  defaults: KalamDefault === KalamDBClient && KalamConsumerDefault === KalamConsumerClient,
};
