import { AsyncLocalStorage } from 'node:async_hooks';
import { readFile } from 'node:fs/promises';
import { webcrypto } from 'node:crypto';
import { badModule, compile } from './browser.js';
import { KalamLoadError } from './errors.js';
import { fetchForm } from './form.js';
import { platform, type WebSocketConstructor } from './platform.js';

/** Whose provider the code runs in, while that is under way. */
const asking = new AsyncLocalStorage<{ owner: object | undefined }>();

const step = 64 << 10; // bytes of an upload that are sent, and told of, at once

let held = 0;
let keepalive: ReturnType<typeof setInterval> | undefined;

platform.current = {
  async load(from) {
    if (from !== undefined && /^https?:/.test(from)) return compile(from);
    const url = from === undefined ? new URL('./kalam.wasm', import.meta.url) : from.startsWith('file:') ? new URL(from) : from;
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = new Uint8Array(await readFile(url));
    } catch (cause) {
      throw new KalamLoadError({
        code: 'WASM_NOT_FOUND',
        message: `cannot read ${String(url)}: a bundler must copy the file dist/kalam.wasm of @kalamdb/client beside its output, or pass its bytes or place as wasmUrl`,
        cause,
      });
    }
    try {
      return await WebAssembly.compile(bytes);
    } catch (cause) {
      throw badModule(String(url), cause);
    }
  },
  async webSocket() {
    const host = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
    return host ?? ((await import('ws')).WebSocket as unknown as WebSocketConstructor);
  },
  crypto: webcrypto as Crypto,
  setTimeout(fn, ms) {
    return setTimeout(fn, ms).unref();
  },
  async provide(owner, provider) {
    const frame: { owner: object | undefined } = { owner };
    try {
      return await asking.run(frame, provider);
    } finally {
      frame.owner = undefined;
    }
  },
  inside: (owner) => asking.getStore()?.owner === owner,
  sendForm(url, token, form, signal, sent) {
    if (sent === undefined) return fetchForm(url, token, form, signal);
    const whole = new Response(form);
    const reader = whole.body!.getReader();
    let rest = new Uint8Array();
    let bytes = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (rest.length === 0) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          rest = value;
        }
        const piece = rest.subarray(0, step);
        rest = rest.subarray(step);
        controller.enqueue(piece);
        sent((bytes += piece.length));
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
    const type = { 'Content-Type': whole.headers.get('Content-Type') ?? '' };
    return fetchForm(url, token, form, signal, { body, headers: type, duplex: 'half' } as RequestInit);
  },
  hold() {
    if (held++ === 0) keepalive = setInterval(() => {}, 0x7fffffff);
    return () => {
      if (--held === 0) clearInterval(keepalive);
    };
  },
};

export * from './index.js';
export { default } from './index.js';
