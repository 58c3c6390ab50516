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
    if (this.listener) {
      try {
        this.listener({ level, tag, message, timestamp: new Date().toISOString() });
      } catch (error) {
        console.error('[@kalamdb/client] the log listener threw', error);
      }
      return;
    }
    const line = `[@kalamdb/client] [${LogLevel[level].toUpperCase()}] [${tag}] ${message}`;
    if (level >= LogLevel.Error) console.error(line);
    else if (level === LogLevel.Warn) console.warn(line);
    else console.log(line);
  }

  /** Calls what an application gave us, and reports what it throws as what it is. */
  guard<A extends unknown[]>(what: string, fn: ((...args: A) => unknown) | undefined, ...args: A): void {
    if (fn === undefined) return;
    const report = (error: unknown) => {
      this.write(LogLevel.Error, 'events', `${what} threw: ${textOf(error)}`);
    };
    try {
      const result = fn(...args);
      if (result instanceof Promise) result.catch(report);
    } catch (error) {
      report(error);
    }
  }
}

/** What was thrown, with its stack if it has one. */
export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
