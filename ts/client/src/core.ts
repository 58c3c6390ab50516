import { badModule, browser } from './browser.js';
import { KalamError, toKalamError, type Failure } from './errors.js';
import type { Log } from './log.js';
import { platform, type WebSocketConstructor } from './platform.js';
import type { RequestFunction } from './request.js';
import { startGo } from './wasm_exec.js';

/**
 * The Go client of one user, as cmd/kalamwasm gives it. Numbers tell calls
 * apart. Those that give nothing else are answered by {@link CoreHost.settle}:
 * prime, send, auth, upload, sign, login, refresh, connect, close, consume, acknowledge, flush.
 */
export interface WasmKalamClient {
  failure?: Failure;
  prime(call: number): void;
  send(call: number, body: string, abortable: boolean): void;
  auth(call: number, method: string, path: string, body: string, asUser: boolean, abortable: boolean): void;
  sign(call: number, path: string, seconds: number): void;
  login(call: number): void;
  refresh(call: number, refreshToken: string): void;
  upload(call: number, post: (token: string) => Promise<[status: number, text: string]>): void;
  connect(call: number): void;
  close(call: number): void;
  cancel(call: number): void;
  live(call: number, sql: string, options: string, onPatch: (json: string) => void, onEnd: (f: Failure) => void): void;
  subscribe(call: number, sql: string, options: string, onEvent: (json: string) => void, onEnd: (f: Failure) => void): void;
  consume(call: number, body: string, abortable: boolean): void;
  acknowledge(call: number, body: string): void;
  flush(call: number, worker: number): void;
  work(call: number, options: string, onMessage: (n: number, json: string) => void, onEnd: (f?: Failure) => void): void;
  handled(worker: number, n: number, good: boolean): void;
  settleMessage(worker: number, n: number, delay: number): void;
  disconnect(): void;
  wake(): void;
  reconnect(off: boolean, firstDelay: number, maxDelay: number, maxAttempts: number): void;
}

/** What the Go client calls here. */
export interface CoreHost {
  settle(call: number, good: boolean, value: unknown): void;
  provider(reason: string, rejected: string, signal: AbortSignal): Promise<unknown>;
  request: RequestFunction;
  WebSocket: WebSocketConstructor;
  onAuth(state: string, user: string, refresh: string, failure?: Failure): void;
}

/** What cmd/kalamwasm leaves in its global object. */
interface Scope {
  kalamClient?: (url: string, options: Record<string, unknown>, host: CoreHost) => WasmKalamClient;
}

/** A running module. All clients of a page share one. */
export interface Core {
  newClient: NonNullable<Scope['kalamClient']>;
  /** Why the module has ended, if it has: that is a defect of ours. */
  crash: KalamError | undefined;
  /** What to call when it ends. */
  onCrash: Set<(error: KalamError) => void>;
}

/** Where the module comes from: a place, its bytes, or itself, compiled. */
export type WasmSource = string | ArrayBufferLike | ArrayBufferView | WebAssembly.Module;

// For compilers without the library dom; those with it merge the two.
declare global {
  namespace WebAssembly {
    interface Module {}
  }
}

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
    console: { error() {} }, // Go calls it when a function is called after shutdown()
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
  const ended = () => {
    forget();
    const crash = new KalamError({ code: 'CORE_CRASHED', message: `the WebAssembly module has ended: ${output.split('\n')[0] ?? ''}` });
    if (core === undefined) return;
    core.crash = crash;
    for (const fail of [...core.onCrash]) fail(crash);
  };
  go.run(instance).then(ended, ended);
  const newClient = scope.kalamClient;
  if (newClient === undefined) throw badModule('the module', new Error('it does not start as one'));
  return (core = { newClient, crash: undefined, onCrash: new Set() });
}

async function moduleOf(source: WasmSource | undefined): Promise<WebAssembly.Module> {
  if (source === undefined || typeof source === 'string') return (platform.current ?? browser).load(source);
  if (source instanceof WebAssembly.Module) return source;
  try {
    return await WebAssembly.compile(source as BufferSource);
  } catch (cause) {
    throw badModule('wasmUrl', cause);
  }
}

/** The core of a client, for the packages beside this one. */
export interface CoreAccess {
  core: Core;
  calls: Calls;
  wasm: WasmKalamClient;
  log: Log;
}

const clients = new WeakMap<object, () => Promise<CoreAccess>>();

/** Notes how to get at the core of a client. */
export function register(client: object, access: () => Promise<CoreAccess>): void {
  clients.set(client, access);
}

/** The core of a client, which starts it if it does not run. */
export function coreOf(client: object): Promise<CoreAccess> {
  const access = clients.get(client);
  if (access === undefined) {
    return Promise.reject(new KalamError({ code: 'INVALID_ARGUMENT', message: 'this is no client of this copy of @kalamdb/client: install it once' }));
  }
  return access();
}

/** Keeps the program running until the function it gives is called. */
export function holdProgram(): () => void {
  return (platform.current ?? browser).hold();
}

/** The calls of one client that wait for their answers. */
export class Calls {
  readonly #core: Core;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void; release: () => void }>();
  readonly #crashed = (error: KalamError) => {
    for (const call of [...this.#waiting.keys()]) this.settle(call, false, error);
  };
  #last = 0;
  #closed = false;

  constructor(core: Core) {
    this.#core = core;
    core.onCrash.add(this.#crashed);
  }

  /** A number that no other call has. */
  number(): number {
    return ++this.#last;
  }

  /** Runs a call, which is settled also when the core ends. */
  run<R>(call: number, begin: (call: number) => void): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.#core.crash) return reject(this.#core.crash);
      if (this.#closed) return reject(new KalamError({ code: 'CLIENT_CLOSED', message: 'the client was shut down' }));
      this.#waiting.set(call, { resolve, reject, release: (platform.current ?? browser).hold() });
      try {
        begin(call);
      } catch (error) {
        this.settle(call, false, this.#core.crash ?? error);
      }
    });
  }

  settle(call: number, good: boolean, value: unknown): void {
    const waiting = this.#waiting.get(call);
    if (waiting === undefined) return;
    this.#waiting.delete(call);
    waiting.release();
    if (good) waiting.resolve(value as never);
    else waiting.reject(toKalamError(value));
  }

  /** No call will come any more. */
  close(): void {
    this.#closed = true;
    this.#core.onCrash.delete(this.#crashed);
  }
}
