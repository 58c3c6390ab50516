import {
  createClient, KalamError, type AuthState, type AuthStateEvent, type CallOptions, type ClientOptions, type KalamDBClient as BaseClient,
  type LoginResponse, type QueryResponse, type RowData, type UserId,
} from '@kalamdb/client';
import { coreOf, holdProgram, type CoreAccess } from '@kalamdb/client/core';
import type {
  AckResponse, ConsumeContext, ConsumeMessage, ConsumeRequest, ConsumeResponse, ConsumerClientOptions, ConsumerHandle, ConsumerHandler, RunOptions,
} from './types.js';
import { TopicRequestError, topicError } from './errors.js';

/**
 * Consumes topics for one user, who needs the right to. It shares session,
 * credentials and WebAssembly module with the client it is built on.
 *
 * ```ts
 * const consumer = createConsumerClient({ url, authProvider });
 * await consumer.consumer({ topic: 'app.orders', group_id: 'mailer', auto_ack: true })
 *   .run(async ({ message }) => sendMail(message.payload));
 * ```
 */
export class KalamConsumerClient {
  /** The client for SQL. */
  readonly baseClient: BaseClient;
  readonly #handles = new Set<ConsumerHandle>();

  constructor(options: ConsumerClientOptions) {
    const { consumerWasmUrl, ...base } = options ?? ({} as ConsumerClientOptions);
    if (typeof base.url !== 'string' || base.url === '') throw invalid('KalamConsumerClient: url is required');
    if (typeof base.authProvider !== 'function') throw invalid('KalamConsumerClient: authProvider is required');
    const clientOptions: ClientOptions = base;
    if (consumerWasmUrl !== undefined) clientOptions.wasmUrl = consumerWasmUrl;
    this.baseClient = createClient(clientOptions);
  }

  getAuthType(): 'basic' | 'jwt' | null {
    return this.baseClient.getAuthType();
  }

  onAuthStateChange(listener: (event: AuthStateEvent) => void): () => void {
    return this.baseClient.onAuthStateChange(listener);
  }

  query(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<QueryResponse> {
    return this.baseClient.query(sql, params, options);
  }

  queryOne(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<RowData | null> {
    return this.baseClient.queryOne(sql, params, options);
  }

  queryAll(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<RowData[]> {
    return this.baseClient.queryAll(sql, params, options);
  }

  executeAsUser(sql: string, user: string, params?: readonly unknown[], options?: CallOptions): Promise<QueryResponse> {
    return this.baseClient.executeAsUser(sql, user, params, options);
  }

  login(): Promise<LoginResponse> {
    return this.baseClient.login();
  }

  refreshToken(refreshToken: string): Promise<LoginResponse> {
    return this.baseClient.refreshToken(refreshToken);
  }

  /** Ends the loops and the client's socket. It may be used again. */
  async disconnect(): Promise<void> {
    for (const handle of this.#handles) handle.stop();
    await this.baseClient.disconnect();
  }

  /** Ends everything and frees memory. */
  async shutdown(): Promise<void> {
    for (const handle of this.#handles) handle.stop();
    await this.baseClient.shutdown();
  }

  /**
   * Asks once for messages, of all partitions unless the request names one. They
   * stay with the group's cursor until they are acknowledged, or come again.
   */
  async consumeBatch<T = Record<string, unknown>>(request: ConsumeRequest, options?: CallOptions): Promise<ConsumeResponse<T>> {
    const { topic, group_id } = checkRequest(request);
    const body = {
      topic_id: topic, group_id, start: startOf(request), limit: request.batch_size ?? 10,
      ...(request.partition_id === undefined ? { all_partitions: true } : { partition_id: request.partition_id }), timeout_seconds: request.timeout_seconds,
    };
    const { calls, wasm } = await coreOf(this.baseClient);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const call = calls.number();
    const abort = () => wasm.cancel(call);
    signal?.addEventListener('abort', abort);
    try {
      const json = await calls.run<string>(call, (id) => wasm.consume(id, JSON.stringify(body), signal !== undefined));
      const response = JSON.parse(json) as ConsumeResponse<T> & { messages: RawMessage[] };
      return { ...response, messages: response.messages.map((m) => toMessage<T>(m as unknown as RawMessage, group_id)) };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw topicError(error);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Acknowledges everything of a partition up to an offset. */
  async ack(topic: string, groupId: string, partitionId: number, uptoOffset: number): Promise<AckResponse> {
    const { calls, wasm } = await coreOf(this.baseClient);
    const body = JSON.stringify({ topic_id: topic, group_id: groupId, partition_id: partitionId, upto_offset: uptoOffset });
    try {
      return JSON.parse(await calls.run<string>(calls.number(), (id) => wasm.acknowledge(id, body))) as AckResponse;
    } catch (error) {
      throw topicError(error);
    }
  }

  /** A loop over messages, which `run` begins. */
  consumer<T = Record<string, unknown>>(request: ConsumeRequest): ConsumerHandle<T> {
    const options = loopOptions(request);
    let stopping: (() => void) | undefined;
    const handle: ConsumerHandle<T> = {
      run: async (handler, { onError } = {}) => {
        if (stopping !== undefined) throw invalid('this consumer runs already');
        let stopped = false;
        stopping = () => (stopped = true);
        this.#handles.add(handle as ConsumerHandle);
        try {
          const access = await coreOf(this.baseClient);
          if (stopped) return;
          await work(access, options, request, handler, onError, (stop) => (stopping = stop));
        } catch (error) {
          throw topicError(error); // made here, so that its stack holds the caller
        } finally {
          stopping = undefined;
          this.#handles.delete(handle as ConsumerHandle);
        }
      },
      stop: () => stopping?.(),
    };
    return handle;
  }
}

interface RawMessage extends Omit<ConsumeMessage, 'payload' | 'value' | 'group_id'> {
  payload: string;
}

/** Runs a loop in the core. */
function work<T>(
  { core, calls, wasm, log }: CoreAccess,
  options: string,
  request: ConsumeRequest,
  handler: ConsumerHandler<T>,
  onError: RunOptions<T>['onError'],
  begun: (stop: () => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = calls.number();
    const release = holdProgram();
    const stop = () => {
      if (core.crash === undefined) wasm.cancel(call);
    };
    const end = (error: unknown) => {
      core.onCrash.delete(end);
      release();
      if (error === undefined) resolve();
      else reject(error);
    };
    const handle = async (n: number, json: string) => {
      const message = toMessage<T>(JSON.parse(json) as RawMessage, request.group_id);
      let acked: Promise<void> | undefined;
      const context: ConsumeContext<T> = {
        user: message.user,
        message,
        ack: () => {
          acked ??= acknowledge(n).catch((error: unknown) => {
            acked = undefined; // it may be tried again
            throw error;
          });
          return acked;
        },
      };
      let good = true;
      try {
        await handler(context);
      } catch (error) {
        good = false;
        if (onError) log.guard('onError of a consumer', onError, error, message);
        else log.guard(`the handler of ${request.topic}, for offset ${message.offset} of partition ${message.partition_id},`, () => { throw error; });
      }
      if (core.crash === undefined) wasm.handled(call, n, good);
    };
    const acknowledge = async (n: number) => {
      wasm.settleMessage(call, n, -1);
      try {
        await calls.run(calls.number(), (id) => wasm.flush(id, call));
      } catch (error) {
        throw topicError(error);
      }
    };
    core.onCrash.add(end);
    begun(stop);
    wasm.work(call, options, (n, json) => void handle(n, json), end);
  });
}

function toMessage<T>(raw: RawMessage, groupId: string): ConsumeMessage<T> {
  let payload: unknown = raw.payload;
  try {
    payload = JSON.parse(raw.payload);
  } catch {
    // It stays text, so that nobody takes it for an empty row.
  }
  const message = { ...raw, user: raw.user as UserId, group_id: groupId, payload: payload as T, value: payload as T };
  if (raw.user === undefined) delete (message as { user?: UserId }).user;
  if (raw.op) message.op = raw.op[0]!.toUpperCase() + raw.op.slice(1);
  return message;
}

function checkRequest(request: ConsumeRequest): ConsumeRequest {
  if (!request?.topic?.trim()) throw invalid('consume: topic is required');
  if (!request.group_id?.trim()) throw invalid('consume: group_id is required');
  return request;
}

function startOf(request: ConsumeRequest): 'Latest' | 'Earliest' | { Offset: number } {
  const { start } = request;
  if (typeof start === 'string') {
    const word = start.trim().toLowerCase();
    if (word === '' || word === 'latest') return 'Latest';
    if (word === 'earliest') return 'Earliest';
    if (/^\d+$/.test(word)) return { Offset: Number(word) };
    throw invalid(`Invalid consume start value: ${start}`);
  }
  if (typeof start === 'number') return { Offset: Math.max(0, Math.floor(start)) };
  if (typeof start === 'object' && start !== null) {
    const offset = 'offset' in start ? start.offset : start.Offset;
    return { Offset: Math.max(0, Math.floor(offset)) };
  }
  return 'Latest';
}

function loopOptions(request: ConsumeRequest): string {
  const { topic, group_id, batch_size, partition_id, timeout_seconds, auto_ack, concurrency_per_partition } = checkRequest(request);
  const start = startOf(request);
  return JSON.stringify({
    topic, group: group_id, batch: batch_size ?? 10, partition: partition_id, timeout: timeout_seconds,
    auto: auto_ack === true, concurrency: concurrency_per_partition,
    earliest: start === 'Earliest', offset: typeof start === 'object' ? String(start.Offset) : undefined,
  });
}

function invalid(message: string): KalamError {
  return new KalamError({ code: 'INVALID_ARGUMENT', message });
}

/** Makes a consumer client. It does nothing before its first call. */
export function createConsumerClient(options: ConsumerClientOptions): KalamConsumerClient {
  return new KalamConsumerClient(options);
}

export interface KalamConsumerClient {
  /** {@link KalamConsumerClient.shutdown}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
  [Symbol.dispose](): void;
}

// Both are missing before Node 20; there, so is `using`.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperties(KalamConsumerClient.prototype, {
    [Symbol.asyncDispose]: { value(this: KalamConsumerClient) { return this.shutdown(); } },
    [Symbol.dispose]: { value(this: KalamConsumerClient) { void this.shutdown(); } },
  });
}

export { TopicRequestError };
export type { AuthState };
export default KalamConsumerClient;
