import { Auth, buildAuthHeader } from './auth.js';
import { KalamConnectionError, KalamServerError, type KalamError } from './errors.js';
import type { ErrorDetail, QueryResponse } from './messages.js';
import { encodeParams } from './params.js';

/** How far an upload is. */
export interface UploadProgress {
  /** Which file, from 1. */
  file_index: number;
  total_files: number;
  /** The name in FILE("name"). */
  file_name: string;
  bytes_sent: number;
  total_bytes: number;
  /** A whole number from 0 to 100. */
  percent: number;
}

/** What an upload is made of. */
export interface Upload {
  url: string;
  sql: string;
  files: Readonly<Record<string, File | Blob>>;
  params: readonly unknown[] | undefined;
  namespace: string | undefined;
  onProgress: ((progress: UploadProgress) => void) | undefined;
  signal: AbortSignal | undefined;
}

interface Answer {
  status: number;
  text: string;
}

/** Sends an upload with an access token. */
export async function upload(u: Upload, token: string): Promise<QueryResponse> {
  const form = new FormData();
  form.append('sql', u.sql);
  if (u.params !== undefined && u.params.length > 0) form.append('params', encodeParams(u.params));
  if (u.namespace) form.append('namespace_id', u.namespace);
  for (const [name, file] of Object.entries(u.files)) {
    form.append(`file:${name}`, file, 'name' in file && file.name !== '' ? file.name : name);
  }
  const authorization = buildAuthHeader(Auth.jwt(token)) ?? '';
  const answer = await (u.onProgress && typeof XMLHttpRequest !== 'undefined'
    ? sendWithProgress(u, form, authorization)
    : sendPlain(u, form, authorization));
  return readAnswer(answer);
}

async function sendPlain(u: Upload, body: FormData, authorization: string): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(u.url, {
      method: 'POST', body, headers: { Authorization: authorization }, credentials: 'omit', redirect: 'error',
      signal: u.signal ?? null,
    });
  } catch (cause) {
    throw u.signal?.aborted ? u.signal.reason : unreachable(cause);
  }
  const text = await response.text();
  for (const step of u.onProgress ? report(u, Number.MAX_SAFE_INTEGER) : []) u.onProgress?.(step);
  return { status: response.status, text };
}

function sendWithProgress(u: Upload, body: FormData, authorization: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    u.signal?.addEventListener('abort', abort);
    request.onloadend = () => u.signal?.removeEventListener('abort', abort);
    request.open('POST', u.url);
    request.setRequestHeader('Authorization', authorization);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) report(u, event.loaded).slice(-1).forEach((step) => u.onProgress?.(step));
    };
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(unreachable(undefined));
    request.onabort = () => reject(u.signal?.reason);
    request.send(body);
  });
}

/** Maps the bytes sent in all onto the files, one after the other. */
function report(u: Upload, sent: number): UploadProgress[] {
  const files = Object.entries(u.files);
  const out: UploadProgress[] = [];
  let before = 0;
  files.forEach(([name, file], i) => {
    if (sent <= before && i > 0) return;
    const bytes = Math.min(file.size, Math.max(0, sent - before));
    before += file.size;
    out.push({
      file_index: i + 1, total_files: files.length, file_name: name, bytes_sent: bytes, total_bytes: file.size,
      percent: file.size === 0 ? 100 : Math.floor((bytes / file.size) * 100),
    });
  });
  return out;
}

function readAnswer(answer: Answer): QueryResponse {
  let response: QueryResponse;
  try {
    response = JSON.parse(answer.text) as QueryResponse;
  } catch (cause) {
    throw new KalamConnectionError({
      code: 'SERVER_UNAVAILABLE', status: answer.status, retryable: answer.status >= 500, cause,
      message: `the answer is not one of KalamDB, status ${answer.status}`,
    });
  }
  if (response.status === 'success') return response;
  const error: ErrorDetail = response.error ?? { code: 'UPLOAD_FAILED', message: `Upload failed: ${answer.status}` };
  throw new KalamServerError({ ...error, status: answer.status, retryable: answer.status >= 500 });
}

function unreachable(cause: unknown): KalamError {
  return new KalamConnectionError({ code: 'SERVER_UNAVAILABLE', message: 'Upload failed: the server does not answer', retryable: true, cause });
}
