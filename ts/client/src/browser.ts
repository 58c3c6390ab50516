import { KalamLoadError } from './errors.js';
import { sendForm } from './form.js';
import type { Platform } from './platform.js';

/** Of a script that is no module, as some bundlers make one; it is known only while the script starts. */
const script = typeof document === 'object' ? (document.currentScript as HTMLScriptElement | null)?.src : undefined;

/** Where the module may be, most likely first. */
function places(): string[] {
  if (!import.meta.url) return [new URL('kalam.wasm', script || location.href).href];
  const here = new URL('./kalam.wasm', import.meta.url).href;
  // A development server that bundles packages ahead moves this file away from
  // the module, which stays where it was installed.
  const moved = /^(.*\/node_modules\/)\.(?!pnpm)[^/]+\//.exec(import.meta.url);
  return moved ? [`${moved[1]}@kalamdb/client/dist/kalam.wasm`, here] : [here];
}

/** Compiles a module while it arrives. */
export async function compile(url: string): Promise<WebAssembly.Module> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'same-origin' });
  } catch (cause) {
    throw new KalamLoadError({
      code: 'WASM_NOT_FOUND',
      message: `cannot fetch ${url}: serve the file dist/kalam.wasm of @kalamdb/client there, or pass its place as wasmUrl; a content security policy must allow it in connect-src`,
      retryable: true,
      cause,
    });
  }
  const type = response.headers.get('Content-Type') ?? '';
  if (!response.ok || type.startsWith('text/html')) {
    throw new KalamLoadError({
      code: 'WASM_NOT_FOUND',
      message: `${url} gives ${response.ok ? 'a page' : `status ${response.status}`} and not the WebAssembly module: serve the file dist/kalam.wasm of @kalamdb/client there, or pass its place as wasmUrl`,
    });
  }
  try {
    if (type.startsWith('application/wasm')) return await WebAssembly.compileStreaming(response);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw badModule(url, cause);
  }
}

/** The error of bytes that are no module, or may not be one here. */
export function badModule(from: string, cause: unknown): KalamLoadError {
  if (/content security policy|wasm-unsafe-eval/i.test(String(cause))) {
    return new KalamLoadError({
      code: 'WASM_BLOCKED',
      message: "the content security policy of the page forbids WebAssembly: add 'wasm-unsafe-eval' to script-src",
      cause,
    });
  }
  if (/disallowed by embedder/i.test(String(cause))) {
    return new KalamLoadError({
      code: 'WASM_BLOCKED',
      message: 'this runtime, as one of edge functions, compiles no WebAssembly: import @kalamdb/client/kalam.wasm the way it offers, and pass the WebAssembly.Module as wasmUrl',
      cause,
    });
  }
  return new KalamLoadError({
    code: 'WASM_INVALID',
    message: `${from} is not the WebAssembly module of this version of @kalamdb/client: ${String(cause)}`,
    cause,
  });
}

let asking: object | undefined; // whose provider is running; a browser shows only its first, synchronous part

export const browser: Platform = {
  async load(from) {
    let first: unknown;
    for (const url of from === undefined ? places() : [from]) {
      try {
        return await compile(url);
      } catch (error) {
        first ??= error;
        if (!(error instanceof KalamLoadError) || error.code !== 'WASM_NOT_FOUND') throw error;
      }
    }
    throw first;
  },
  webSocket: () => Promise.resolve(WebSocket),
  get crypto() {
    return crypto;
  },
  setTimeout: (fn, ms) => setTimeout(fn, ms),
  provide(owner, provider) {
    const before = asking;
    asking = owner;
    try {
      return provider();
    } finally {
      asking = before;
    }
  },
  inside: (owner) => asking === owner,
  sendForm,
  hold: () => () => {},
};
