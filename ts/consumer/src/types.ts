import type { ClientOptions, UserId, WasmSource } from '@kalamdb/client';

/** What a consumer client is made with: the options of a client. */
export interface ConsumerClientOptions extends ClientOptions {
  /** Another place of the WebAssembly module; both packages use the same one, so `wasmUrl` does the same. */
  consumerWasmUrl?: WasmSource;
}

/**
 * Where a group begins that has never been in a partition: `'latest'` (the
 * default), `'earliest'`, or an offset. Later on its cursor counts.
 */
export type ConsumeStart = string | number | { offset: number } | { Offset: number };

/** What to consume. */
export interface ConsumeRequest {
  /** `namespace.topic` */
  topic: string;
  group_id: string;
  start?: ConsumeStart;
  /** Messages at once at most; default 10. */
  batch_size?: number;
  /** One partition; default: all of them. */
  partition_id?: number;
  /** How long one request waits for a message; default 30 for a loop, 0 for a single batch. */
  timeout_seconds?: number;
  /** Acknowledge a message when its handler has returned. */
  auto_ack?: boolean;
  /** Handlers at once when `auto_ack` is set; messages of one key never run at once. Default 1. */
  concurrency_per_partition?: number;
}

/** One change of a row. */
export interface ConsumeMessage<T = Record<string, unknown>> {
  /** The row's primary key as text. */
  key?: string;
  /** Insert, Update or Delete. */
  op?: string;
  timestamp_ms?: number;
  offset: number;
  partition_id: number;
  topic: string;
  group_id: string;
  /** Whose row it is; in a SHARED table who changed it. */
  user?: UserId;
  /** How often the group was given it, this time included. */
  deliveries?: number;
  /** What the source of the topic sends; text that is not JSON stays text. */
  payload: T;
  /** The same as payload. */
  value: T;
}

export interface ConsumeResponse<T = Record<string, unknown>> {
  messages: ConsumeMessage<T>[];
  /** Behind the last message of its partition. */
  next_offset: number;
  has_more: boolean;
}

export interface AckResponse {
  success: boolean;
  acknowledged_offset: number;
}

/** What a handler gets. */
export interface ConsumeContext<T = Record<string, unknown>> {
  user: UserId | undefined;
  message: ConsumeMessage<T>;
  /** Acknowledges this message, and no other; resolves when the server knows. May be called again when it failed. */
  ack(): Promise<void>;
}

export type ConsumerHandler<T = Record<string, unknown>> = (context: ConsumeContext<T>) => Promise<void> | void;

/** How a loop goes. */
export interface RunOptions<T = Record<string, unknown>> {
  /** Gets what a handler threw, each time; without it that goes to the client's log. */
  onError?: (error: unknown, message: ConsumeMessage<T>) => void;
}

/** A loop over the messages of a topic. */
export interface ConsumerHandle<T = Record<string, unknown>> {
  /**
   * Calls the handler for each message. A handler that throws or rejects is
   * called again with the same message, three times in all; then the message goes
   * back, and comes again after five seconds. Failures of the connection are
   * waited out; it rejects with errors that do not pass. What was not acknowledged
   * is given back at the end.
   */
  run(handler: ConsumerHandler<T>, options?: RunOptions<T>): Promise<void>;
  /**
   * Ends `run` after the handlers that are running, for which it waits 30 seconds
   * at most; a request that waits is ended at once.
   */
  stop(): void;
}
