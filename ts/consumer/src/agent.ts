import { KalamError, type CallOptions, type QueryResponse, type RowData, type UserId } from '@kalamdb/client';
import { bindLLM, type AgentLLMAdapter, type AgentLLMContext } from './llm.js';
import type { ConsumeContext, ConsumeMessage, ConsumeRequest, ConsumeStart, ConsumerHandle } from './types.js';

/** What an agent needs of a client. */
export interface ConsumerClientLike {
  query(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<QueryResponse>;
  queryOne(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<RowData | null>;
  queryAll(sql: string, params?: readonly unknown[], options?: CallOptions): Promise<RowData[]>;
  consumer<T = Record<string, unknown>>(request: ConsumeRequest): ConsumerHandle<T>;
}

/** How often and how soon a handler that fails is called again. */
export interface AgentRetryPolicy {
  /** Calls in all; default 3. */
  maxAttempts?: number;
  /** Pause before the second call; default 300. */
  initialBackoffMs?: number;
  /** Longest pause; default 5000. */
  maxBackoffMs?: number;
  /** Of the pause from one call to the next; default 2. */
  multiplier?: number;
  /** The random part of the pause, from 0 to 1; default 0. */
  jitterRatio?: number;
  /** Whether calling again may help; default always. */
  shouldRetry?: (error: unknown, attempt: number) => boolean;
}

/** What a handler works with. */
export interface AgentContext<T = Record<string, unknown>> {
  name: string;
  topic: string;
  groupId: string;
  /** Tells this message from all others: `name:topic:partition:offset`. */
  runKey: string;
  /** Which call this is, from 1. */
  attempt: number;
  maxAttempts: number;
  message: ConsumeMessage;
  row: T;
  user: UserId | undefined;
  systemPrompt: string | undefined;
  llm: AgentLLMContext | undefined;
  sql(sql: string, params?: readonly unknown[]): Promise<QueryResponse>;
  queryOne(sql: string, params?: readonly unknown[]): Promise<RowData | null>;
  queryAll(sql: string, params?: readonly unknown[]): Promise<RowData[]>;
  /** Acknowledges the message before the handler returns. */
  ack(): Promise<void>;
}

/** What is left of a message whose handler failed for the last time. */
export interface AgentFailureContext<T = Record<string, unknown>> extends AgentContext<T> {
  error: unknown;
}

export type AgentFailureHandler<T = Record<string, unknown>> = (context: AgentFailureContext<T>) => Promise<void> | void;
/** Makes a row of a message; null skips it, which acknowledges it. */
export type AgentRowParser<T = Record<string, unknown>> = (message: ConsumeMessage) => T | null | Promise<T | null>;
export type AgentRunKeyFactory = (message: ConsumeMessage, name: string) => string;

interface CommonOptions<T> {
  client: ConsumerClientLike;
  name: string;
  topic: string;
  groupId: string;
  /** Default latest. */
  start?: ConsumeStart;
  /** Default 20. */
  batchSize?: number;
  /** Default: all. */
  partitionId?: number;
  /** Default 30. */
  timeoutSeconds?: number;
  systemPrompt?: string;
  llm?: AgentLLMAdapter;
  retry?: AgentRetryPolicy;
  runKeyFactory?: AgentRunKeyFactory;
  rowParser?: AgentRowParser<T>;
  /** Called when a handler has failed for the last time. */
  onFailed?: AgentFailureHandler<T>;
  /** Acknowledge after onFailed; default true. */
  ackOnFailed?: boolean;
  /** Ends the agent after the handler that runs. */
  stopSignal?: AbortSignal;
  onRetry?: (event: { error: unknown; attempt: number; maxAttempts: number; backoffMs: number; runKey: string; message: ConsumeMessage }) => void;
  onError?: (event: { error: unknown; runKey: string; message: ConsumeMessage }) => void;
}

export interface RunAgentOptions<T = Record<string, unknown>> extends CommonOptions<T> {
  onRow: (context: AgentContext<T>, row: T) => Promise<void> | void;
}

export interface RunConsumerOptions<T = Record<string, unknown>> extends CommonOptions<T> {
  onMessage: (context: AgentContext<T>) => Promise<void> | void;
}

/**
 * Calls `onRow` for each message of a topic, tries again when it fails, and
 * acknowledges. It ends with `stopSignal`, or rejects with an error of the topic
 * that does not pass.
 */
export function runAgent<T = Record<string, unknown>>(options: RunAgentOptions<T>): Promise<void> {
  return run('runAgent', options, (context) => options.onRow(context, context.row));
}

/** {@link runAgent} with `onMessage(context)`. */
export function runConsumer<T = Record<string, unknown>>(options: RunConsumerOptions<T>): Promise<void> {
  return run('runConsumer', options, options.onMessage);
}

async function run<T>(what: string, options: CommonOptions<T>, handle: (context: AgentContext<T>) => Promise<void> | void): Promise<void> {
  for (const field of ['name', 'topic', 'groupId'] as const) {
    if (!options[field]?.trim()) throw new KalamError({ code: 'INVALID_ARGUMENT', message: `${what}: ${field} is required` });
  }
  const { client, topic, groupId, start = 'latest', batchSize = 20, partitionId, timeoutSeconds = 30, stopSignal } = options;
  if (stopSignal?.aborted) return;
  const consumer = client.consumer({
    topic, group_id: groupId, start, batch_size: batchSize, timeout_seconds: timeoutSeconds, auto_ack: false,
    ...(partitionId === undefined ? {} : { partition_id: partitionId }),
  });
  const stop = () => consumer.stop();
  stopSignal?.addEventListener('abort', stop);
  try {
    await consumer.run((message) => handleMessage(options, handle, message));
  } finally {
    stopSignal?.removeEventListener('abort', stop);
  }
}

/** Handles one message with all its attempts. It never throws. */
async function handleMessage<T>(
  options: CommonOptions<T>,
  handle: (context: AgentContext<T>) => Promise<void> | void,
  { message, user, ack }: ConsumeContext,
): Promise<void> {
  const { client, name, topic, groupId, systemPrompt, retry = {}, stopSignal } = options;
  let runKey = `${name}:${topic}:${message.partition_id}:${message.offset}`;
  const report = (error: unknown) => quietly(() => options.onError?.({ error, runKey, message }));
  let row: T | null;
  try {
    runKey = options.runKeyFactory?.(message, name) ?? runKey;
    row = (await (options.rowParser ?? defaultRow)(message)) as T | null;
    if (row === null) return await ack();
  } catch (error) {
    return report(error);
  }
  const maxAttempts = Math.max(1, retry.maxAttempts ?? 3);
  let acked = false;
  const context: Omit<AgentContext<T>, 'attempt'> = {
    name, topic, groupId, runKey, maxAttempts, message, row, user, systemPrompt,
    llm: options.llm && bindLLM(options.llm, { systemPrompt, runKey, row }),
    sql: (sql, params) => client.query(sql, params),
    queryOne: (sql, params) => client.queryOne(sql, params),
    queryAll: (sql, params) => client.queryAll(sql, params),
    ack: async () => {
      await ack();
      acked = true;
    },
  };
  for (let attempt = 1; ; attempt++) {
    const now = { ...context, attempt };
    try {
      await handle(now);
      if (!acked) await now.ack();
      return;
    } catch (error) {
      if (acked) return report(error);
      if (attempt >= maxAttempts || !(await mayRetry(retry, error, attempt, report)) || stopSignal?.aborted) {
        return giveUp(options, { ...now, error }, report);
      }
      const backoffMs = pause(retry, attempt);
      quietly(() => options.onRetry?.({ error, attempt, maxAttempts, backoffMs, runKey, message }));
      await sleep(backoffMs, stopSignal);
    }
  }
}

/** Reports whether the policy lets the handler be called again. A policy that throws does not. */
async function mayRetry({ shouldRetry }: AgentRetryPolicy, error: unknown, attempt: number, report: (error: unknown) => void): Promise<boolean> {
  try {
    return (await shouldRetry?.(error, attempt)) !== false;
  } catch (thrown) {
    report(thrown);
    return false;
  }
}

async function giveUp<T>(options: CommonOptions<T>, context: AgentFailureContext<T>, report: (error: unknown) => void): Promise<void> {
  if (options.onFailed === undefined) return report(context.error);
  try {
    await options.onFailed(context);
    if (options.ackOnFailed !== false) await context.ack();
  } catch (error) {
    report(error);
  }
}

/** The row of a payload: its `row` if it has one, else the payload; nothing for what is no object. */
function defaultRow(message: ConsumeMessage): Record<string, unknown> | null {
  const payload: unknown = message.payload;
  if (!isObject(payload)) throw new KalamError({ code: 'INVALID_PAYLOAD', message: 'the payload is no object: give a rowParser' });
  return isObject(payload['row']) ? payload['row'] : payload;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pause(p: AgentRetryPolicy, attempt: number): number {
  const base = Math.min(p.maxBackoffMs ?? 5000, (p.initialBackoffMs ?? 300) * (p.multiplier ?? 2) ** (attempt - 1));
  const jitter = Math.min(1, Math.max(0, p.jitterRatio ?? 0)) * base;
  return Math.max(0, Math.round(base + (Math.random() * 2 - 1) * jitter));
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}

/** Calls a callback that nobody waits for; what it throws or rejects with is shown. */
function quietly(fn: () => unknown): void {
  void (async () => fn())().catch((error: unknown) => console.error('[@kalamdb/consumer] a callback threw', error));
}
