import type { JsonValue, RowData } from './cell.js';
import type { SeqId } from './seqid.js';

/** Types of the events of a subscription. */
export enum MessageType {
  SubscriptionAck = 'subscription_ack',
  InitialDataBatch = 'initial_data_batch',
  Change = 'change',
  Error = 'error',
}

/** What a change did. */
export enum ChangeType {
  Insert = 'insert',
  Update = 'update',
  Delete = 'delete',
}

export type ChangeTypeRaw = 'insert' | 'update' | 'delete';
export type BatchStatus = 'loading' | 'loading_batch' | 'ready';
export type ResponseStatus = 'success' | 'error';
export type Role = 'user' | 'service' | 'dba' | 'system';
export type HttpVersion = 'http1' | 'http2' | 'auto';
export type TimestampFormat = 'iso8601' | 'unix-ms' | 'unix-sec' | 'relative';

/** The type of a column. */
export type KalamDataType =
  | 'Boolean' | 'SmallInt' | 'Int' | 'BigInt' | 'Float' | 'Double' | 'Text' | 'Timestamp' | 'Date' | 'DateTime'
  | 'Time' | 'Json' | 'Bytes' | 'Uuid' | 'File'
  | { Embedding: number }
  | { Decimal: { precision: number; scale: number } };

/** Marks of a column: primary key, not null, unique. */
export type FieldFlag = 'pk' | 'nn' | 'uq';
export type FieldFlags = FieldFlag[];

/** A column. */
export interface SchemaField {
  name: string;
  data_type: KalamDataType;
  index: number;
  flags?: FieldFlags;
}

/** Where in a snapshot an event stands. */
export interface BatchControl {
  batch_num: number;
  has_more: boolean;
  status: BatchStatus;
  /** Where the subscription stands after this. */
  last_seq_id?: SeqId;
}

/** The server accepted a subscription. With `reset`, forget the rows: a snapshot follows. */
export interface SubscriptionAck {
  type: 'subscription_ack';
  subscription_id: string;
  total_rows: number;
  batch_control: BatchControl;
  schema: SchemaField[];
  reset?: boolean;
}

/** Rows that are there already. */
export interface InitialDataBatch {
  type: 'initial_data_batch';
  subscription_id: string;
  rows: RowData[];
  batch_control: BatchControl;
}

/** A change. Of an update, `old_values` may hold only the key and what changed. */
export interface Change {
  type: 'change';
  subscription_id: string;
  change_type: ChangeTypeRaw;
  rows?: RowData[];
  old_values?: RowData[];
}

/** The subscription has ended. */
export interface SubscriptionErrorEvent {
  type: 'error';
  subscription_id: string;
  code: string;
  message: string;
}

/** An event of a subscription. */
export type ServerMessage = SubscriptionAck | InitialDataBatch | Change | SubscriptionErrorEvent;

/** What the server says about a failure. */
export interface ErrorDetail {
  code: string;
  message: string;
  details?: string;
}

/** The answer to one statement. */
export interface QueryResult {
  schema?: SchemaField[];
  /** Positional rows; the client gives `named_rows` in place of them. */
  rows?: JsonValue[][];
  /** Rows by column; empty for a statement without rows. */
  named_rows?: Record<string, JsonValue>[];
  row_count: number;
  message?: string;
  /** Who the statement ran as. */
  as_user?: string;
}

/** The answer to a request. */
export interface QueryResponse {
  status: ResponseStatus;
  results?: QueryResult[];
  /** Milliseconds on the server. */
  took?: number;
  error?: ErrorDetail;
}

export interface LoginUserInfo {
  id: string;
  role: Role;
  email: string | null;
  /** Whether the owner has proved the address. */
  email_verified?: boolean;
  /** For people to see. */
  name?: string;
  /** An account without a name yet. */
  anonymous?: boolean;
  created_at: string;
  updated_at: string;
}

/** A new session. */
export interface LoginResponse {
  user: LoginUserInfo;
  admin_ui_access: boolean;
  expires_at: string;
  access_token: string;
  refresh_token: string;
  refresh_expires_at: string;
}

/** An open session of a user. */
export interface SessionInfo {
  id: string;
  /** The one that asks. */
  current: boolean;
  /** How it began: `password`, `code`, `anonymous`. */
  auth_method: string;
  /** Where its newest token went, if that is known. */
  client_addr?: string;
  created_at: string;
  /** Its last renewal. */
  last_seen_at: string;
  expires_at: string;
}

export interface HealthCheckResponse {
  status: string;
  version: string;
  api_version: string;
  build_date?: string;
}

/** Columns of system.tables in the order in which people like to see them. */
export const SYSTEM_TABLES_ORDER: readonly string[] = [
  'table_id', 'table_name', 'namespace', 'table_type', 'created_at', 'storage_location', 'storage_id',
  'use_user_storage', 'flush_policy', 'schema_version', 'deleted_retention_hours', 'access_level',
];

/** Puts the listed names first, in their order, and leaves the others as they are. */
export function sortColumns(columns: readonly string[], order: readonly string[]): string[] {
  return [...order.filter((c) => columns.includes(c)), ...columns.filter((c) => !order.includes(c))];
}

/** Reorders the columns of every result, as {@link sortColumns} does, and gives rows by position. */
export function normalizeQueryResponse(response: QueryResponse, preferredOrder: readonly string[]): QueryResponse {
  if (!response.results) return response;
  return { ...response, results: response.results.map((r) => normalizeResult(r, preferredOrder)) };
}

function normalizeResult(result: QueryResult, order: readonly string[]): QueryResult {
  const source = result.schema ?? [];
  const before = source.length > 0 ? source.map((f) => f.name) : Object.keys(result.named_rows?.[0] ?? {});
  if (before.length === 0) return result;
  const names = sortColumns(before, order);
  const schema = names.map((name, index): SchemaField => {
    const field = source.find((f) => f.name === name);
    return { ...(field ?? { name, data_type: 'Text' as const }), index };
  });
  const cells = (row: unknown): JsonValue[] =>
    names.map((name) => {
      const cell: unknown = Array.isArray(row) ? row[before.indexOf(name)] : (row as Record<string, JsonValue>)[name];
      return (cell ?? null) as JsonValue;
    });
  const rows = ((result.rows ?? result.named_rows ?? []) as unknown[]).map(cells);
  return { ...result, schema, rows };
}
