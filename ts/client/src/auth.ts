import { KalamError } from './errors.js';

/** User and password, which are only ever sent to the login route. */
export type BasicAuthCredentials = { type: 'basic'; user: string; password: string };

/** An access token. */
export type JwtAuthCredentials = { type: 'jwt'; token: string };

/** What an application says about who it is: a union tagged by `type`. */
export type AuthCredentials = BasicAuthCredentials | JwtAuthCredentials;

/** Why a provider is asked. */
export type AuthReason = 'initialize' | 'connect' | 'expiring' | 'rejected';

/** What a provider may want to know; it can ignore all of it. */
export interface AuthRequest {
  /** Why credentials are needed now. */
  reason: AuthReason;
  /** The token that the server did not accept, if that is why. */
  rejected?: string;
  /** Aborted when the answer is not waited for any longer. */
  signal: AbortSignal;
}

/**
 * Gives credentials whenever the client needs some: at first use, at every
 * connect and reconnect of the socket, shortly before a token expires, and after
 * the server refused one. Calls that need credentials at the same time share
 * one answer.
 *
 * A failure counts as a passing one and is tried again, unless it is a
 * {@link KalamPermanentAuthError} or has a property `permanent` that is true.
 *
 * ```ts
 * const authProvider: AuthProvider = async () => Auth.jwt(await getToken());
 * ```
 */
export type AuthProvider = (request?: AuthRequest) => Promise<AuthCredentials>;

/** Constructors of credentials. */
export const Auth = {
  /** `Auth.basic('alice', 'Secret123!')` is `{ type: 'basic', user, password }`. */
  basic: (user: string, password: string): BasicAuthCredentials => ({ type: 'basic', user, password }),
  /** `Auth.jwt('<token>')` is `{ type: 'jwt', token }`. */
  jwt: (token: string): JwtAuthCredentials => ({ type: 'jwt', token }),
} as const;

/** Whether credentials are user and password. */
export function isBasicAuth(auth: AuthCredentials): auth is BasicAuthCredentials {
  return auth.type === 'basic';
}

/** Whether credentials are a token. */
export function isJwtAuth(auth: AuthCredentials): auth is JwtAuthCredentials {
  return auth.type === 'jwt';
}

/** Whether there are credentials at all. */
export function isAuthenticated(auth: AuthCredentials | null | undefined): auth is AuthCredentials {
  return auth !== null && auth !== undefined;
}

/**
 * The base64 form of `user:password`, both in UTF-8 (RFC 7617), for servers
 * other than KalamDB that take it in a header.
 */
export function encodeBasicAuth(user: string, password: string): string {
  let bytes = '';
  for (const b of new TextEncoder().encode(`${user}:${password}`)) bytes += String.fromCharCode(b);
  return btoa(bytes);
}

/**
 * The value of the `Authorization` header: `Bearer` and the token; nothing
 * without credentials. User and password are not for headers, so they throw.
 */
export function buildAuthHeader(auth: AuthCredentials | null | undefined): string | undefined {
  if (!isAuthenticated(auth)) return undefined;
  if (isJwtAuth(auth)) return `Bearer ${auth.token}`;
  throw new KalamError({
    code: 'BASIC_AUTH_HEADER',
    message: 'user and password are only valid for POST /v1/api/auth/login; call login() to get a token',
  });
}

/** How {@link resolveAuthProviderWithRetry} tries again. */
export interface AuthProviderRetryOptions {
  /** Calls in all; default 3, at least 1. */
  maxAttempts?: number;
  /** Pause before the second call in milliseconds, doubled for each one after; default 250. */
  initialBackoffMs?: number;
  /** Longest pause in milliseconds; default 2000. */
  maxBackoffMs?: number;
  /** Whether a failure may pass; default {@link isLikelyTransientAuthProviderError}. */
  shouldRetry?: (error: unknown) => boolean;
  /** Waits; for tests. */
  sleep?: (ms: number) => Promise<void>;
}

const transientWords =
  /timeout|timed out|network|socket|connection|unreachable|temporar|fetch failed|failed to fetch|429|502|503|504/;

/** Whether an error of a provider looks like one of the network, which passes. */
export function isLikelyTransientAuthProviderError(error: unknown): boolean {
  if (error instanceof KalamError) return error.retryable;
  if (error instanceof Error && error.name.toLowerCase().includes('timeout')) return true;
  return transientWords.test(String(error).toLowerCase());
}

/** Calls a provider until it answers, has failed for good, or often enough. */
export async function resolveAuthProviderWithRetry(
  provider: AuthProvider,
  options: AuthProviderRetryOptions = {},
  request?: AuthRequest,
): Promise<AuthCredentials> {
  const maxAttempts = Math.max(1, options.maxAttempts ?? 3);
  const shouldRetry = options.shouldRetry ?? isLikelyTransientAuthProviderError;
  const sleep = options.sleep ?? ((ms: number) => new Promise<void>((done) => setTimeout(done, ms)));
  let backoff = Math.max(0, options.initialBackoffMs ?? 250);
  const most = Math.max(backoff, options.maxBackoffMs ?? 2000);
  for (let attempt = 1; ; attempt++) {
    try {
      return await (request === undefined ? provider() : provider(request));
    } catch (error) {
      if (attempt >= maxAttempts || !shouldRetry(error)) throw error;
    }
    await sleep(backoff);
    backoff = Math.min(most, backoff * 2);
  }
}
