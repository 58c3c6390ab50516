/** How important a log entry is. */
export enum LogLevel {
  Verbose = 0,
  Debug = 1,
  Info = 2,
  Warn = 3,
  Error = 4,
  None = 5,
}

/** A line of the client's log. */
export interface LogEntry {
  level: LogLevel;
  /** What it is about: init, auth, connection, events or subscription. */
  tag: string;
  message: string;
  /** ISO 8601. */
  timestamp: string;
}

export type LogListener = (entry: LogEntry) => void;

/** Sends log entries to a listener, or to the console. */
export class Log {
  level: LogLevel;
  listener: LogListener | undefined;

  constructor(level: LogLevel | undefined, listener: LogListener | undefined) {
    this.level = level ?? LogLevel.Warn;
    this.listener = listener;
  }

  write(level: LogLevel, tag: string, message: string): void {
    if (level < this.level || this.level === LogLevel.None) return;
    const { listener } = this;
    if (listener) {
      attempt(() => listener({ level, tag, message, timestamp: new Date().toISOString() }), (error) => {
        console.error(`[@kalamdb/client] the log listener threw: ${textOf(error)}`);
      });
      return;
    }
    const line = `[@kalamdb/client] [${LogLevel[level].toUpperCase()}] [${tag}] ${message}`;
    if (level >= LogLevel.Error) console.error(line);
    else if (level === LogLevel.Warn) console.warn(line);
    else console.log(line);
  }

  /** Calls a function of the application, and logs what it throws or what its promise rejects with. It never throws. */
  guard<A extends unknown[]>(what: string, fn: ((...args: A) => unknown) | undefined, ...args: A): void {
    if (fn === undefined) return;
    attempt(() => fn(...args), (error) => {
      this.write(LogLevel.Error, 'events', `${what} threw: ${textOf(error)}`);
    });
  }
}

/** Calls a function of the application; failed gets what it throws, at once or by a promise. */
function attempt(fn: () => unknown, failed: (error: unknown) => void): void {
  try {
    watchPromise(fn(), failed);
  } catch (error) {
    failed(error);
  }
}

/** If a value is a promise, lets failed know when it rejects, so that no rejection is unhandled. Reports whether it is one. */
export function watchPromise(value: unknown, failed: (error: unknown) => void): boolean {
  if (typeof (value as PromiseLike<unknown> | null | undefined)?.then !== 'function') return false;
  Promise.resolve(value).catch(failed);
  return true;
}

/** The text of what was thrown, with its stack if it has one. Anything can be thrown, even what has no text. */
export function textOf(error: unknown, stack = true): string {
  try {
    return String(stack && error instanceof Error ? (error.stack ?? error.message) : error);
  } catch {
    return `${typeof error} without a text`;
  }
}
