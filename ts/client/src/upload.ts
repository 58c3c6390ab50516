import { browser } from './browser.js';
import { encodeParams } from './params.js';
import { platform } from './platform.js';

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
}

/** Sends an upload once, with an access token; gives the status and the text of the answer. */
export async function upload(u: Upload, token: string, signal: AbortSignal): Promise<[status: number, text: string]> {
  const form = new FormData();
  form.append('sql', u.sql);
  if (u.params !== undefined && u.params.length > 0) form.append('params', encodeParams(u.params));
  if (u.namespace) form.append('namespace_id', u.namespace);
  for (const [name, file] of Object.entries(u.files)) {
    form.append(`file:${name}`, file, 'name' in file && file.name !== '' ? file.name : name);
  }
  const meter = u.onProgress && new Meter(u.files, u.onProgress);
  const answer = await (platform.current ?? browser).sendForm(u.url, token, form, signal, meter && ((sent) => meter.sent(sent)));
  meter?.sent(Infinity);
  return answer;
}

/** Maps the bytes sent in all onto the files, one after the other. */
class Meter {
  readonly #files: { name: string; size: number; before: number }[] = [];
  readonly #tell: (progress: UploadProgress) => void;
  #at = 0; // the file that is under way
  #told = -1; // bytes of it that were told

  constructor(files: Readonly<Record<string, Blob>>, tell: (progress: UploadProgress) => void) {
    let before = 0;
    for (const [name, { size }] of Object.entries(files)) {
      this.#files.push({ name, size, before });
      before += size;
    }
    this.#tell = tell;
  }

  /** Takes the bytes sent so far and tells what is new; each file ends with 100 percent. */
  sent(total: number): void {
    for (; this.#at < this.#files.length; this.#at++, this.#told = -1) {
      const { name, size, before } = this.#files[this.#at]!;
      const bytes = Math.min(size, Math.max(0, total - before));
      if (bytes > this.#told) {
        this.#told = bytes;
        this.#tell({
          file_index: this.#at + 1, total_files: this.#files.length, file_name: name, bytes_sent: bytes, total_bytes: size,
          percent: size === 0 ? 100 : Math.floor((bytes / size) * 100),
        });
      }
      if (bytes < size || total <= before) return;
    }
  }
}
