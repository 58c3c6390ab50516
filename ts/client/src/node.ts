import { AsyncLocalStorage } from 'node:async_hooks';
import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import module from 'node:module'; // whole: bundlers follow an imported createRequire
import { dirname, join } from 'node:path';
import { badModule, compile } from './browser.js';
import { KalamLoadError } from './errors.js';
import { fetchForm } from './form.js';
import { platform, type WebSocketConstructor } from './platform.js';

/** Whose provider the code runs in, while that is under way. */
const asking = new AsyncLocalStorage<{ owner: object | undefined }>();

const step = 64 << 10; // bytes of an upload that are sent, and told of, at once

let held = 0;
let keepalive: ReturnType<typeof setInterval> | undefined;

/** This file, or the bundle that it has become part of; in one of CommonJS there is no import.meta. */
const self = import.meta.url || __filename;

/** Where the module may be: beside this file, or where the package is installed. */
function places(): (string | URL)[] {
  const found = [import.meta.url ? new URL('./kalam.wasm', import.meta.url) : join(dirname(__filename), 'kalam.wasm')];
  for (const base of [self, join(process.cwd(), 'index.js')]) {
    try {
      found.push(module.createRequire(base).resolve('@kalamdb/client/kalam.wasm'));
    } catch {
      // It is not installed there.
    }
  }
  return found;
}

platform.current = {
  async load(from) {
    if (from !== undefined && /^(https?|data|blob):/.test(from)) return compile(from);
    const tried = from === undefined ? places() : [from.startsWith('file:') ? new URL(from) : from];
    let cause: unknown;
    for (const place of tried) {
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = new Uint8Array(await readFile(place));
      } catch (error) {
        cause ??= error;
        continue;
      }
      try {
        return await WebAssembly.compile(bytes);
      } catch (error) {
        throw badModule(String(place), error);
      }
    }
    throw new KalamLoadError({
      code: 'WASM_NOT_FOUND',
      message: `cannot read ${tried.join(' or ')}: copy the file dist/kalam.wasm of @kalamdb/client beside the bundle, keep the package out of the bundle (esbuild: --external:@kalamdb/client; Next.js: serverExternalPackages), or pass the place or the bytes of the file as wasmUrl`,
      cause,
    });
  },
  async webSocket() {
    const host = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
    if (host && typeof document === 'undefined') return host; // where a page is simulated, so is its WebSocket
    type Package = { WebSocket: WebSocketConstructor };
    try {
      return ((await import('ws')) as unknown as Package).WebSocket;
    } catch {
      try {
        return (module.createRequire(self)('ws') as Package).WebSocket; // a bundle of ES modules may not be able to hold it
      } catch (cause) {
        if (host) return host;
        throw new KalamLoadError({
          code: 'WEBSOCKET_NOT_FOUND',
          message: 'Node before 22 has no WebSocket, and the bundle cannot load the package ws: use a newer Node, or install ws beside the bundle',
          cause,
        });
      }
    }
  },
  crypto: webcrypto,
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
