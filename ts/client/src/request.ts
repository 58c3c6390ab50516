/** How the core has a request done; it gets done(id, status, body, retryAfter) or done(id, error). */
export type RequestFunction = (
  id: number,
  url: string,
  method: string,
  token: string,
  body: string,
  signal: AbortSignal | undefined,
  done: (id: number, status: number | string, body?: string, retryAfter?: number) => void,
) => void;

/** Does a request with fetch: without cookies, and without following a redirect to elsewhere. */
export const request: RequestFunction = (id, url, method, token, body, signal, done) => {
  void send(url, method, token, body, signal).then(
    (answer) => done(id, answer.status, answer.text, answer.retryAfter),
    (error: unknown) => done(id, explain(url, error)),
  );
};

/** Says why a fetch failed, as far as the host tells: Node in the cause, a browser not at all. */
export function explain(url: string, error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const cause = (error as { cause?: { code?: unknown; message?: unknown } } | null)?.cause;
  if (cause !== undefined) return `${text}: ${String(cause.code ?? cause.message)}`;
  if (typeof location === 'undefined' || url.startsWith(`${location.origin}/`)) return text;
  return `${text}: it is away, or its allowed_origins do not hold ${location.origin}`;
}

async function send(url: string, method: string, token: string, body: string, signal: AbortSignal | undefined) {
  const headers: Record<string, string> = {};
  if (token !== '') headers['Authorization'] = `Bearer ${token}`;
  const init: RequestInit = { method, headers, redirect: 'error', credentials: 'omit', cache: 'no-store' };
  if (body !== '') {
    headers['Content-Type'] = 'application/json';
    init.body = body;
  }
  if (signal) init.signal = signal;
  const response = await fetch(url, init);
  const seconds = Number(response.headers.get('Retry-After'));
  return { status: response.status, text: await response.text(), retryAfter: seconds > 0 ? Math.min(3600, Math.ceil(seconds)) : 0 };
}
