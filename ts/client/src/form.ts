import { Auth, buildAuthHeader } from './auth.js';

type Answer = [status: number, text: string];

/** Posts a form with fetch; body is what is sent in place of it. */
export async function fetchForm(url: string, token: string, form: FormData, signal: AbortSignal, init: RequestInit = {}): Promise<Answer> {
  const headers = new Headers(init.headers);
  headers.set('Authorization', authorization(token));
  const response = await fetch(url, {
    method: 'POST', body: form, credentials: 'omit', redirect: 'error', cache: 'no-store', signal, ...init, headers,
  });
  return [response.status, await response.text()];
}

/**
 * Posts a form as a browser can: only XMLHttpRequest tells how far it is.
 * Without it, as in a service worker, sent is not called.
 */
export function sendForm(url: string, token: string, form: FormData, signal: AbortSignal, sent: ((bytes: number) => void) | undefined): Promise<Answer> {
  if (sent === undefined || typeof XMLHttpRequest === 'undefined') return fetchForm(url, token, form, signal);
  const files = [...form.values()].reduce((sum, part) => sum + (typeof part === 'string' ? 0 : part.size), 0);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener('abort', abort);
    request.onloadend = () => signal.removeEventListener('abort', abort);
    request.upload.onprogress = ({ lengthComputable, loaded, total }) => {
      if (lengthComputable) sent(loaded - (total - files));
    };
    request.onload = () => {
      if (request.responseURL === new URL(url).href) resolve([request.status, request.responseText]);
      else reject(new Error('the server redirected; use its final url'));
    };
    request.onerror = () => reject(new Error('the connection failed'));
    request.onabort = () => reject(new Error('aborted'));
    request.open('POST', url);
    request.setRequestHeader('Authorization', authorization(token));
    request.send(form);
  });
}

function authorization(token: string): string {
  return buildAuthHeader(Auth.jwt(token)) ?? '';
}
