import { wrapServerRow, type JsonValue } from './cell.js';
import { KalamConnectionError, KalamError } from './errors.js';
import type { LiveRowsOptions, SubscriptionOptions } from './live.js';
import type { BatchControl, QueryResponse, QueryResult, ServerMessage } from './messages.js';
import { encodeParams } from './params.js';
import { SeqId } from './seqid.js';

/** Reads an answer of the server at a url. */
export function parseAnswer<R>(json: string, url: string, read: (answer: R) => R = (answer) => answer): R {
  try {
    return read(JSON.parse(json) as R);
  } catch (cause) {
    throw new KalamConnectionError({
      code: 'NOT_KALAMDB', retryable: true, cause,
      message: `${url} answered, but not as KalamDB does: check the url, and what is in between`,
    });
  }
}

/** Gives rows by column in place of rows by position. */
export function nameRows(response: QueryResponse): QueryResponse {
  response.results?.forEach((result: QueryResult) => {
    const names = (result.schema ?? []).map((f) => f.name);
    result.named_rows = (result.rows ?? []).map((row) => {
      const out: Record<string, JsonValue> = {};
      names.forEach((name, i) => (out[name] = row[i] ?? null));
      return out;
    });
    delete result.rows;
  });
  return response;
}

interface RawEvent {
  type: string;
  rows?: Record<string, unknown>[];
  old_values?: Record<string, unknown>[];
  batch_control?: BatchControl;
  position?: string;
}

/** Reads an event of the core. */
export function readEvent(json: string, id: string): { event: ServerMessage; position: SeqId | undefined } {
  const { position: digits, ...raw } = JSON.parse(json) as RawEvent;
  const position = SeqId.fromWasm(digits);
  const event: Record<string, unknown> = { ...raw, subscription_id: id };
  if (raw.rows) event['rows'] = raw.rows.map(wrapServerRow);
  if (raw.old_values) event['old_values'] = raw.old_values.map(wrapServerRow);
  if (raw.batch_control && position) event['batch_control'] = { ...raw.batch_control, last_seq_id: position };
  return { event: event as unknown as ServerMessage, position };
}

/** The options of a subscription for the core. */
export function encodeSubscription(o: SubscriptionOptions, params = o.params): string {
  return JSON.stringify({
    batch_size: o.batch_size,
    last_rows: o.last_rows,
    from: o.from === undefined ? undefined : SeqId.from(o.from).toString(),
    params: params && encodeParams(params),
  });
}

/** The options of a live query for the core. */
export function encodeLive<T>(o: LiveRowsOptions<T>): string {
  const s = o.subscriptionOptions ?? {};
  const key = o.keyColumns ?? (typeof o.keyColumn === 'string' ? [o.keyColumn] : o.keyColumn);
  const limit = o.limit ?? s.last_rows;
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) {
    throw new KalamError({ code: 'INVALID_ARGUMENT', message: `live: limit is ${typeof limit === 'string' ? JSON.stringify(limit) : String(limit)}: it must be a whole number` });
  }
  const names = key?.map((name) => name.trim()).filter((name) => name !== '');
  return JSON.stringify({
    limit,
    key: o.getKey === undefined && names && names.length > 0 ? names : undefined,
    batch_size: s.batch_size,
    from: s.from === undefined ? undefined : SeqId.from(s.from).toString(),
    params: (o.params ?? s.params) && encodeParams(o.params ?? s.params ?? []),
  });
}

