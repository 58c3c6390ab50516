import { KalamAuthError, KalamConnectionError, KalamError, KalamServerError } from './errors.js';
import { explain } from './request.js';
import { absolute, isSafe } from './url.js';

const timeout = 10_000; // milliseconds for an answer

/** An answer of a route that the server has done. */
export interface AuthAnswer {
  status: number;
  body: Record<string, unknown>;
}

/** What a request of an auth route is made of. */
export interface AuthCall {
  body?: Record<string, unknown>;
  /** For the Authorization header. */
  token?: string | undefined;
  /** Whether the cookies of the server come along and are kept. */
  cookies: boolean;
}

/** The routes under /v1/api/auth, the only ones that see a cookie. */
export class AuthRoutes {
  readonly url: string;

  constructor(url: string, allowInsecure: boolean) {
    this.url = absolute(url);
    if (!/^https?:\/\//i.test(this.url)) {
      throw new KalamError({ code: 'INVALID_ARGUMENT', message: 'kalamAuth: url must begin with http://, https:// or, in a page, with /' });
    }
    if (!allowInsecure && !isSafe(this.url)) {
      throw new KalamAuthError({
        code: 'INSECURE_TRANSPORT',
        message: 'kalamAuth: credentials need https or a loopback host; the option allowInsecureCredentials: true overrides this',
      });
    }
  }

  /** Posts once. Rejects with a {@link KalamError} of what the server said, or of not having got there. */
  async post(path: string, call: AuthCall): Promise<AuthAnswer> {
    const headers: Record<string, string> = { 'Content-Type': 'application/json', 'X-Kalam-CSRF': '1' };
    if (call.token !== undefined) headers['Authorization'] = `Bearer ${call.token}`;
    let status: number, text: string;
    try {
      const response = await fetch(`${this.url}/v1/api/auth/${path}`, {
        method: 'POST', headers, body: JSON.stringify(call.body ?? {}), credentials: call.cookies ? 'include' : 'omit',
        redirect: 'error', cache: 'no-store', signal: AbortSignal.timeout(timeout),
      });
      [status, text] = [response.status, await response.text()];
    } catch (cause) {
      throw new KalamConnectionError({ code: 'SERVER_UNAVAILABLE', message: `${this.url} does not answer: ${explain(this.url + '/', cause)}`, retryable: true, cause });
    }
    const body = parse(text);
    if (body !== undefined && status >= 200 && status < 300) return { status, body };
    throw this.#refusal(status, body);
  }

  #refusal(status: number, body: Record<string, unknown> | undefined): KalamError {
    const { error, message } = body ?? {};
    // A proxy or the sign-in page of a network says no in its own words.
    if (typeof error !== 'string' || typeof message !== 'string') {
      return new KalamConnectionError({
        code: 'NOT_KALAMDB', status, retryable: true,
        message: `${this.url} answers with status ${status}, but not as KalamDB does: check the url, and what is in between`,
      });
    }
    if (status === 401) return new KalamAuthError({ code: 'INVALID_CREDENTIALS', message, status });
    if (status === 429) return new KalamServerError({ code: 'RATE_LIMIT_EXCEEDED', message, status, retryable: true });
    if (status >= 500) return new KalamConnectionError({ code: error.toUpperCase(), message, status, retryable: true });
    return new KalamServerError({ code: error.toUpperCase(), message, status });
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
