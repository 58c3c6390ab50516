import { browser } from './browser.js';
import { KalamError } from './errors.js';
import { checkSql, encodeParams } from './params.js';
import { platform } from './platform.js';
import { explain } from './request.js';

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

/** A request with files, which may be sent more than once. */
export class Upload {
  readonly #url: string;
  readonly #form = new FormData();
  readonly #files: Readonly<Record<string, Blob>>;
  readonly #onProgress: ((progress: UploadProgress) => void) | undefined;

  /** Throws for parameters that are none, and for files that are none. */
  constructor(
    url: string,
    sql: string,
    files: Readonly<Record<string, File | Blob>>,
    params: readonly unknown[] | undefined,
    namespace: string | undefined,
    onProgress: ((progress: UploadProgress) => void) | undefined,
  ) {
    this.#url = `${url.replace(/\/+$/, '')}/v1/api/sql`;
    this.#files = files;
    this.#onProgress = onProgress;
    this.#form.append('sql', checkSql(sql));
    const list = encodeParams(params ?? []);
    if (list !== '[]') this.#form.append('params', list);
    if (namespace) this.#form.append('namespace_id', namespace);
    for (const [name, file] of Object.entries(files)) {
      if (!(file instanceof Blob)) {
        throw new KalamError({ code: 'INVALID_ARGUMENT', message: `queryWithFiles: the file ${JSON.stringify(name)} is no File or Blob; bytes become one with new Blob([bytes])` });
      }
      this.#form.append(`file:${name}`, file, 'name' in file && file.name !== '' ? (file as File).name : name);
    }
  }

  /** Sends it with an access token; gives the status and the text of the answer. */
  async send(token: string, signal: AbortSignal): Promise<[status: number, text: string]> {
    const meter = this.#onProgress && new Meter(this.#files, this.#onProgress);
    let answer: [status: number, text: string];
    try {
      answer = await (platform.current ?? browser).sendForm(this.#url, token, this.#form, signal, meter && ((sent) => meter.sent(sent)));
    } catch (error) {
      throw new Error(explain(this.#url, error)); // the core says the rest
    }
    meter?.sent(Infinity);
    return answer;
  }
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
