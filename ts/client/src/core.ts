import { badModule, browser } from './browser.js';
import { KalamError, toKalamError, type Failure } from './errors.js';
import { platform, type WebSocketConstructor } from './platform.js';
import { startGo } from './wasm_exec.js';

/** The Go client of one user, as cmd/kalamwasm gives it. Numbers tell calls apart, for cancel. */
export interface WasmKalamClient {
  failure?: Failure;
  prime(call: number): Promise<string>;
  send(call: number, body: string): Promise<string>;
  login(call: number): Promise<string>;
  refresh(call: number, refreshToken: string): Promise<string>;
  token(call: number, rejected: string): Promise<string>;
  connect(call: number): Promise<void>;
  close(call: number): Promise<void>;
  cancel(call: number): void;
  live(call: number, sql: string, options: string, onPatch: (json: string) => void, onEnd: (f: Failure) => void): void;
  subscribe(call: number, sql: string, options: string, onEvent: (json: string) => void, onEnd: (f: Failure) => void): void;
  disconnect(): void;
  wake(): void;
  reconnect(off: boolean, firstDelay: number, maxDelay: number, maxAttempts: number): void;
}

/** What cmd/kalamwasm leaves in its global object. */
interface Scope {
  kalamClient?: (
    url: string,
    options: Record<string, unknown>,
    provider: (reason: string, rejected: string, signal: AbortSignal) => Promise<unknown>,
    webSocket: WebSocketConstructor,
    onAuth: (state: string, user: string, failure?: Failure) => void,
  ) => WasmKalamClient;
}

/** A running module. All clients of a page share one. */
export interface Core {
  newClient: NonNullable<Scope['kalamClient']>;
  /** Why the module has ended, if it has: that is a defect of ours. */
  crash: KalamError | undefined;
  /** What to call when it ends. */
  onCrash: Set<(error: KalamError) => void>;
}

/** Where the module comes from: a place, or its bytes. */
export type WasmSource = string | BufferSource;

const cores = new Map<unknown, Promise<Core>>();

/** Starts the module of a source once; a failure may be tried again. */
export function loadCore(source?: WasmSource): Promise<Core> {
  const key = source ?? 'package';
  let core = cores.get(key);
  if (core === undefined) {
    core = start(source, () => cores.delete(key));
    cores.set(key, core);
    core.catch(() => cores.delete(key));
  }
  return core;
}

async function start(source: WasmSource | undefined, forget: () => void): Promise<Core> {
  const host = platform.current ?? browser;
  const module = await moduleOf(source);
  let output = '';
  let core: Core | undefined;
  const none = -1;
  const scope: Scope & Record<string, unknown> = {
    // What Go and its glue look up by name. Nothing else of the page is in
    // reach, and what they set stays here.
    Object, Array, Uint8Array, Promise, Error, Date, JSON, AbortController, TextEncoder, TextDecoder, performance,
    crypto: host.crypto,
    fetch: (input: string, init: RequestInit) => fetch(input, init),
    WebSocket: await host.webSocket(),
    process: { pid: none, ppid: none, getuid: () => none, geteuid: () => none, getgid: () => none, getegid: () => none },
    path: { resolve: (...parts: string[]) => parts.join('/') },
    fs: {
      constants: { O_WRONLY: none, O_RDWR: none, O_CREAT: none, O_TRUNC: none, O_APPEND: none, O_EXCL: none, O_DIRECTORY: none },
      writeSync(_file: number, bytes: Uint8Array) {
        output = (output + new TextDecoder().decode(bytes)).slice(-4000);
        return bytes.length;
      },
    },
  };
  const go = startGo(scope, scope['fs'], host.crypto, (fn: () => void, ms: number) => host.setTimeout(fn, ms));
  let instance: WebAssembly.Instance;
  try {
    instance = await WebAssembly.instantiate(module, go.importObject);
  } catch (cause) {
    throw badModule('the module', cause);
  }
  void go.run(instance).then(() => {
    forget();
    const crash = new KalamError({ code: 'CORE_CRASHED', message: `the WebAssembly module has ended: ${output.split('\n')[0] ?? ''}` });
    if (core === undefined) return;
    core.crash = crash;
    for (const fail of [...core.onCrash]) fail(crash);
  });
  const newClient = scope.kalamClient;
  if (newClient === undefined) throw badModule('the module', new Error('it does not start as one'));
  return (core = { newClient, crash: undefined, onCrash: new Set() });
}

async function moduleOf(source: WasmSource | undefined): Promise<WebAssembly.Module> {
  if (source === undefined || typeof source === 'string') return (platform.current ?? browser).load(source);
  try {
    return await WebAssembly.compile(source);
  } catch (cause) {
    throw badModule('wasmUrl', cause);
  }
}

/** Runs a call of the core, which is settled also when the core ends. */
export async function callCore<R>(core: Core, call: () => Promise<R>): Promise<R> {
  if (core.crash) throw core.crash;
  const release = (platform.current ?? browser).hold();
  let fail: ((error: KalamError) => void) | undefined;
  try {
    return await new Promise<R>((resolve, reject) => {
      core.onCrash.add((fail = reject));
      call().then(resolve, reject);
    });
  } catch (error) {
    throw core.crash ?? toKalamError(error);
  } finally {
    if (fail) core.onCrash.delete(fail);
    release();
  }
}
