/** What an error is made of. */
export interface KalamErrorInit {
  code: string;
  message: string;
  status?: number | undefined;
  retryable?: boolean | undefined;
  details?: string | undefined;
  hint?: string | undefined;
  statement?: number | undefined;
  line?: number | undefined;
  column?: number | undefined;
  cause?: unknown;
}

/**
 * Every error of this package. Act on `code` or on the class; the message is for
 * people.
 *
 * ```ts
 * try {
 *   await client.query('SELECT * FROM app.tasks');
 * } catch (error) {
 *   if (error instanceof KalamError && error.code === 'TABLE_NOT_FOUND') createTable();
 *   else throw error;
 * }
 * ```
 */
export class KalamError extends Error {
  override name = 'KalamError';
  /** A word in capitals: of the server (`TABLE_NOT_FOUND`), or of the client (`CLIENT_CLOSED`). */
  readonly code: string;
  /** The HTTP status of the answer, if there was one. */
  readonly status: number | undefined;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** More of what the server says, for admins. */
  readonly details: string | undefined;
  /** What the server proposes. */
  readonly hint: string | undefined;
  /** Which statement of a request failed, from 1. */
  readonly statement: number | undefined;
  /** Where in the SQL text, from 1. */
  readonly line: number | undefined;
  readonly column: number | undefined;

  constructor(init: KalamErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.status = init.status || undefined;
    this.retryable = init.retryable ?? false;
    this.details = init.details;
    this.hint = init.hint;
    this.statement = init.statement;
    this.line = init.line;
    this.column = init.column;
  }
}

/** The server does not accept who we say we are, or the provider of credentials failed. */
export class KalamAuthError extends KalamError {
  override name = 'KalamAuthError';
}

/**
 * Thrown by a provider to say that asking again is of no use, as when the user
 * has signed out. The client stops asking and ends what waits with this.
 */
export class KalamPermanentAuthError extends KalamAuthError {
  override name = 'KalamPermanentAuthError';
  readonly permanent = true;
  constructor(message: string) {
    super({ code: 'SIGNED_OUT', message });
  }
}

/** The server refused the request: the SQL, the rights, a constraint. */
export class KalamServerError extends KalamError {
  override name = 'KalamServerError';
}

/** The server or the network did not answer as it should. Trying again may help, unless `retryable` says no. */
export class KalamConnectionError extends KalamError {
  override name = 'KalamConnectionError';
}

/** The WebAssembly module could not be loaded; the message says what to do. */
export class KalamLoadError extends KalamError {
  override name = 'KalamLoadError';
}

/** The description of an error as the core gives it. */
export interface Failure extends KalamErrorInit {
  auth?: boolean;
  server?: boolean;
}

/**
 * Lets the stack of an error begin where it is thrown to the application, with
 * the calls that wait for it, and not in the core. Called in an async function;
 * an engine that cannot do it leaves the stack as it is.
 */
export function retrace<E>(error: E): E {
  if (error instanceof Error) (Error as { captureStackTrace?: (error: Error, below: unknown) => void }).captureStackTrace?.(error, retrace);
  return error;
}

const failureWithoutCode = 'INTERNAL_ERROR';

/** Makes an error of whatever the core rejected a promise with. */
export function toKalamError(raw: unknown): KalamError {
  if (raw instanceof KalamError) return raw;
  if (typeof raw !== 'object' || raw === null || !('code' in raw) || !('message' in raw)) {
    return new KalamError({ code: failureWithoutCode, message: String(raw), cause: raw });
  }
  const failure = raw as Failure;
  if (failure.code === 'INSECURE_TRANSPORT') {
    return new KalamAuthError({
      ...failure,
      message: 'credentials need https or a loopback host; the option allowInsecureCredentials: true overrides this',
    });
  }
  if (failure.auth) return new KalamAuthError(failure);
  if (failure.code === 'VERSION_MISMATCH' || failure.retryable && failure.code !== 'RATE_LIMIT_EXCEEDED') return new KalamConnectionError(failure);
  if (failure.server) return new KalamServerError(failure);
  return new KalamError(failure);
}
