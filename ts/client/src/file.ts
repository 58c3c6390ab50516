import type { JsonValue } from './cell.js';
import { KalamError } from './errors.js';

/** A reference to a file as a FILE cell holds it. */
export interface FileRefData {
  id: string;
  sub: string;
  name: string;
  size: number;
  mime: string;
  sha256: string;
  shard?: number;
}

/** Where the row of a file is. */
export interface FileRefContext {
  baseUrl: string;
  namespace: string;
  table: string;
  /** Gives what reads a path without a token; rows that a client gives have it. */
  sign?: (path: string, expiresIn: number | undefined) => Promise<string>;
}

/** What a signed address is to be. */
export interface SignedUrlOptions {
  /** For how many seconds it works, if the session lives as long; default: the server's, 300. */
  expiresIn?: number;
  /** Whether a browser saves the file in place of showing it. */
  download?: boolean;
  /** Whose row it is, for those who may `EXECUTE AS USER` that one; default: one's own. */
  userId?: string;
}

const units = ['KB', 'MB', 'GB', 'TB'];

/**
 * A file of a FILE column.
 *
 * ```ts
 * const file = row['attachment']?.asFile();
 * if (file?.isImage()) console.log(file.name, file.formatSize());
 * ```
 */
export class FileRef implements FileRefData {
  readonly id: string;
  readonly sub: string;
  readonly name: string;
  readonly size: number;
  readonly mime: string;
  readonly sha256: string;
  readonly shard?: number;

  constructor(data: FileRefData) {
    this.id = data.id;
    this.sub = data.sub;
    this.name = data.name;
    this.size = data.size;
    this.mime = data.mime;
    this.sha256 = data.sha256;
    if (data.shard !== undefined) this.shard = data.shard;
  }

  /** Reads the text of a cell; null for what is no file. */
  static fromJson(json: string | null | undefined): FileRef | null {
    if (typeof json !== 'string') return null;
    try {
      return FileRef.from(JSON.parse(json));
    } catch {
      return null;
    }
  }

  /** Reads text or an object; null for what is no file. */
  static from(value: unknown): FileRef | null {
    if (value instanceof FileRef) return value;
    if (typeof value === 'string') return FileRef.fromJson(value);
    if (typeof value !== 'object' || value === null) return null;
    const v = value as Partial<Record<keyof FileRefData, JsonValue>>;
    if (typeof v.id !== 'string' || typeof v.sub !== 'string' || typeof v.name !== 'string') return null;
    return new FileRef({
      id: v.id,
      sub: v.sub,
      name: v.name,
      size: typeof v.size === 'number' ? v.size : 0,
      mime: typeof v.mime === 'string' ? v.mime : 'application/octet-stream',
      sha256: typeof v.sha256 === 'string' ? v.sha256 : '',
      ...(typeof v.shard === 'number' ? { shard: v.shard } : {}),
    });
  }

  getDownloadUrl(baseUrl: string, namespace: string, table: string): string {
    return `${baseUrl.replace(/\/$/, '')}/api/v1/files/${[namespace, table, this.sub, this.id].map(encodeURIComponent).join('/')}`;
  }

  /** The name of the file on the server. */
  storedName(): string {
    const dot = this.name.lastIndexOf('.');
    const [name, extension] = dot < 0 ? [this.name, ''] : [this.name.slice(0, dot), this.name.slice(dot + 1)];
    const slug = name
      .replace(/[^A-Za-z0-9 _-]/g, '')
      .replace(/[ _-]+/g, '-')
      .replace(/^-/, '')
      .slice(0, 50)
      .replace(/-$/, '');
    const end = /^[A-Za-z0-9]{1,10}$/.test(extension) ? extension : 'bin';
    return `${this.id}${slug === '' ? '' : '-'}${slug}.${end}`.toLowerCase();
  }

  relativePath(): string {
    return `${this.sub}/${this.storedName()}`;
  }

  /** The size for people: `512 B`, `1.5 KB`. */
  formatSize(): string {
    if (this.size < 1024) return `${this.size} B`;
    let n = this.size / 1024;
    let unit = 0;
    for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
    return `${n.toFixed(1)} ${units[unit]}`;
  }

  isImage(): boolean {
    return this.mime.startsWith('image/');
  }

  isVideo(): boolean {
    return this.mime.startsWith('video/');
  }

  isAudio(): boolean {
    return this.mime.startsWith('audio/');
  }

  isPdf(): boolean {
    return this.mime === 'application/pdf';
  }

  getTypeDescription(): string {
    if (this.isImage()) return 'Image';
    if (this.isVideo()) return 'Video';
    if (this.isAudio()) return 'Audio';
    if (this.isPdf()) return 'PDF Document';
    const sub = this.mime.split(';')[0]?.split('/')[1]?.trim();
    return sub === undefined || sub === '' || sub === 'octet-stream' ? 'File' : `${sub.toUpperCase()} File`;
  }

  toObject(): FileRefData {
    const { id, sub, name, size, mime, sha256, shard } = this;
    return { id, sub, name, size, mime, sha256, ...(shard === undefined ? {} : { shard }) };
  }

  toJson(): string {
    return JSON.stringify(this.toObject());
  }
}

/** A file that knows where its row is, and so its own address. */
export class BoundFileRef extends FileRef {
  readonly context: FileRefContext;

  constructor(data: FileRefData, context: FileRefContext) {
    super(data);
    this.context = context;
  }

  /**
   * The address of the file, which needs the header `Authorization`. With
   * options, one that needs none, for `<img src>`: whoever has it can read the
   * file for as long as it works.
   *
   * ```ts
   * image.src = await row.file('photo').downloadUrl({ expiresIn: 60 });
   * ```
   */
  downloadUrl(): string;
  downloadUrl(options: SignedUrlOptions): Promise<string>;
  downloadUrl(options?: SignedUrlOptions): string | Promise<string> {
    const { baseUrl, namespace, table, sign } = this.context;
    if (options === undefined) return this.getDownloadUrl(baseUrl, namespace, table);
    if (sign === undefined) {
      const message = 'downloadUrl: only rows that a client gave can sign, as those of queryRows, subscribeRows and wrapRow';
      return Promise.reject(new KalamError({ code: 'INVALID_ARGUMENT', message }));
    }
    const query = new URLSearchParams();
    if (options.download) query.set('download', '1');
    if (options.userId !== undefined) query.set('user_id', options.userId);
    return sign(`${this.relativeUrl()}?${query}`, options.expiresIn);
  }

  relativeUrl(): string {
    return this.getDownloadUrl('', this.context.namespace, this.context.table);
  }
}

/** Reads a cell; null for what is no file. */
export function parseFileRef(value: unknown): FileRef | null {
  return FileRef.from(value);
}

/** Reads cells and leaves out what is no file. */
export function parseFileRefs(values: unknown): FileRef[] {
  const list = typeof values === 'string' ? safeParse(values) : values;
  if (!Array.isArray(list)) return [];
  return list.map((v) => FileRef.from(v)).filter((f) => f !== null);
}

function safeParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
