import type { AuthCredentials } from './auth.js';
import { browser } from './browser.js';
import { Calls, loadCore, type Core, type WasmKalamClient } from './core.js';
import { parseAnswer } from './decode.js';
import { KalamError, retrace, toKalamError, type Failure } from './errors.js';
import type { KalamAuth } from './kalamauth.js';
import { Log, LogLevel } from './log.js';
import type {
  CallOptions, ClientOptions, OnConnectCallback, OnDisconnectCallback, OnErrorCallback, OnReceiveCallback, OnSendCallback,
} from './options.js';
import { platform } from './platform.js';
import { resolveCredentials } from './provider.js';
import { request } from './request.js';
import { watched, type SocketObserver } from './socket.js';
import { onWake } from './wake.js';

const fresh = 10_000; // milliseconds for which an answer of the provider may wait for its first use

/** How the session of a client stands: `signed-in` once the server has accepted the token. */
export type AuthState = 'signed-in' | 'offline' | 'signed-out';

/** Tells that the session has another state or another token. */
export interface AuthStateEvent {
  state: AuthState;
  /** Who is signed in, as the token says. */
  user?: string;
  /**
   * The newest refresh token of the session, if it has one: what an app that keeps `login.refresh_token` has to keep
   * instead. It is not enumerable, so that logging an event shows no secret.
   */
  refreshToken?: string;
  /** Why the session is offline or signed out. */
  error?: KalamError;
}

/** What a client tells about its socket, and how it is listened to. */
export interface ClientEvents {
  connect: OnConnectCallback;
  disconnect: OnDisconnectCallback;
  error: OnErrorCallback;
  /** Each text message of the socket. */
  receive: OnReceiveCallback;
  /** Each text message to the socket, tokens left out. */
  send: OnSendCallback;
}

/** The handlers of an event: the one of the options or of its method, which a later one replaces, and the others. */
interface Listeners<K extends keyof ClientEvents> {
  handler: ClientEvents[K] | undefined;
  others: Set<ClientEvents[K]>;
}

/** What there is between the first call and shutdown(). */
export interface Running {
  core: Core;
  calls: Calls;
  wasm: WasmKalamClient;
  log: Log;
  stopWaking: () => void;
}

/**
 * The Go client behind a {@link KalamDBClient}: loads the module, makes the
 * client in it, runs calls of it, and answers what it asks and tells: the
 * provider, the socket, the state of the session.
 */
export class Session {
  readonly log: Log;
  readonly authListeners = new Set<(event: AuthStateEvent) => void>();
  authType: 'basic' | 'jwt' | null = null;
  connected = false;
  attempts = 0;
  reconnecting = false;
  /** Opening the socket at once, if the options want that. */
  eager: Promise<void> | undefined;
  readonly #options: ClientOptions;
  readonly #listeners: { [K in keyof ClientEvents]: Listeners<K> };
  #reconnect = { off: false, first: 0, max: 0, attempts: 0 };
  #running: Promise<Running> | undefined;
  #ready: Running | undefined;
  #providerError: unknown;
  /** What the provider is asked for while the module loads; the first need takes it. */
  #early: { answer: Promise<AuthCredentials | null>; abort: AbortController; since: number } | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.log = new Log(options.logLevel, options.logListener);
    this.#listeners = {
      connect: { handler: options.onConnect, others: new Set() },
      disconnect: { handler: options.onDisconnect, others: new Set() },
      error: { handler: options.onError, others: new Set() },
      receive: { handler: options.onReceive, others: new Set() },
      send: { handler: options.onSend, others: new Set() },
    };
  }

  /** What runs, if something does. */
  get ready(): Running | undefined {
    return this.#ready;
  }

  /** Loads the module and makes the client in it, once; rejects when it was stopped meanwhile. */
  async start(): Promise<Running> {
    this.#refuseProvider();
    const running = (this.#running ??= this.#begin());
    const r = await running;
    if (this.#running !== running) throw closed();
    return r;
  }

  #begin(): Promise<Running> {
    const running = this.#load();
    running.then(
      (r) => {
        if (this.#running === running) this.#adopt(r);
      },
      () => {
        if (this.#running === running) this.#running = undefined;
      },
    );
    return running;
  }

  #adopt(running: Running): void {
    this.#ready = running;
    this.#applyReconnect();
    this.log.write(LogLevel.Debug, 'init', 'the module runs');
    if (this.#options.wsLazyConnect === false) {
      this.eager = this.call((id) => running.wasm.connect(id));
      this.eager.catch((error: unknown) => this.log.write(LogLevel.Warn, 'connection', String(error)));
    }
  }

  /** Whether it was started and not stopped. */
  get started(): Promise<Running> | undefined {
    return this.#running;
  }

  /** Ends what runs, after what `before` does; a later call starts anew. */
  async stop(before: () => void): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#early?.abort.abort();
    this.#running = this.#ready = this.eager = this.#early = undefined;
    this.authType = null;
    const r = await running.catch(() => undefined); // without a module there is nothing to end
    before();
    this.connected = this.reconnecting = false;
    if (r === undefined) return;
    r.stopWaking();
    await r.calls.run(r.calls.number(), (id) => r.wasm.close(id));
    r.calls.close();
  }

  /** Runs a call of the core: it can be aborted, and is never left hanging. */
  async call<R>(begin: (id: number) => void, signal?: AbortSignal): Promise<R> {
    const on = this.#ready;
    if (on === undefined) throw closed();
    signal?.throwIfAborted();
    this.#refuseProvider();
    const id = on.calls.number();
    const abort = () => on.wasm.cancel(id);
    signal?.addEventListener('abort', abort);
    try {
      return await on.calls.run<R>(id, begin);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw retrace(this.withCause(toKalamError(error)));
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Does a request of an auth route, as the user unless asUser is false; null when the server has sent a code. */
  async auth<R>(method: string, path: string, body?: object, options?: CallOptions, asUser = true): Promise<R> {
    const { wasm } = await this.start();
    const [text, signal] = [JSON.stringify(body ?? ''), options?.signal];
    const answer = await this.call<string>((id) => wasm.auth(id, method, path, body ? text : '', asUser, signal !== undefined), signal);
    return (answer === '' ? null : parseAnswer<R>(answer, this.#options.url)) as R;
  }

  /** The provider, if it is a kalamAuth, which keeps the session itself. */
  kalamAuth(): KalamAuth | undefined {
    return 'signOut' in this.#options.authProvider ? (this.#options.authProvider as KalamAuth) : undefined;
  }

  /** Refuses a call that comes out of our own provider, which would wait for itself. */
  #refuseProvider(): void {
    if ((platform.current ?? browser).inside(this)) {
      throw new KalamError({ code: 'REENTRANT_CALL', message: 'authProvider called the client that waits for it' });
    }
  }

  /** Puts what the provider threw under the error that came of it. */
  withCause(error: KalamError): KalamError {
    if ((error.code === 'PROVIDER_FAILED' || error.code === 'REENTRANT_CALL') && error.cause === undefined) {
      error.cause = this.#providerError;
    }
    return error;
  }

  /** Replaces the handler of an event. */
  setHandler<K extends keyof ClientEvents>(event: K, handler: ClientEvents[K] | undefined): void {
    this.#listeners[event].handler = handler;
  }

  /** Adds a listener of an event; gives what removes it. */
  addListener<K extends keyof ClientEvents>(event: K, listener: ClientEvents[K]): () => void {
    const { others } = this.#listeners[event];
    const own = ((...args: never[]) => (listener as (...a: never[]) => void)(...args)) as ClientEvents[K]; // added twice it is called twice
    others.add(own);
    return () => others.delete(own);
  }

  #tell<K extends keyof ClientEvents>(event: K, ...args: Parameters<ClientEvents[K]>): void {
    const { handler, others } = this.#listeners[event];
    for (const listener of [handler, ...others]) this.log.guard(`a handler of ${event}`, listener as ((...a: unknown[]) => void) | undefined, ...args);
  }

  /** Changes how the socket comes back, now and after the next start. */
  setReconnect(change: Partial<{ off: boolean; first: number; max: number; attempts: number }>): void {
    Object.assign(this.#reconnect, change);
    this.#applyReconnect();
  }

  async #load(): Promise<Running> {
    const host = platform.current ?? browser;
    const abort = new AbortController();
    const early = (this.#early = { answer: this.#ask('initialize', '', abort.signal), abort, since: Date.now() });
    early.answer.catch(() => {}); // whoever takes it sees it
    const [core, socket] = await Promise.all([loadCore(this.#options.wasmUrl), host.webSocket()]).catch((error: unknown) => {
      abort.abort();
      throw error;
    });
    const calls = new Calls(core);
    const o = this.#options;
    const wasm = core.newClient(
      o.url,
      {
        namespace: o.namespace,
        allowInsecureCredentials: o.allowInsecureCredentials,
        ping: o.pingIntervalMs === 0 ? -1 : o.pingIntervalMs,
        authTimeout: o.authTimeoutMs,
        attempts: o.authProviderMaxAttempts,
        backoff: o.authProviderInitialBackoffMs,
        maxBackoff: o.authProviderMaxBackoffMs,
      },
      {
        settle: (call, good, value) => calls.settle(call, good, value),
        provider: (reason, rejected, signal) => this.#credentials(reason, rejected, signal),
        request,
        WebSocket: watched(socket, this.#observer()),
        onAuth: (state, user, refresh, failure) => this.#authChanged(state as AuthState, user, refresh, failure),
      },
    );
    if (wasm.failure) {
      abort.abort();
      throw toKalamError(wasm.failure);
    }
    const wake = () => core.crash ?? wasm.wake();
    const offs = [onWake(wake), this.#onSignIn(wake)];
    return { core, calls, wasm, log: this.log, stopWaking: () => offs.forEach((off) => off()) };
  }

  /** Calls a function when somebody signs in at a kalamAuth: what waits for a retry goes on. */
  #onSignIn(wake: () => void): () => void {
    return this.kalamAuth()?.subscribe((state) => {
      if (state === 'signed-in') wake();
    }) ?? (() => {});
  }

  /** Tells the handlers what the socket does. */
  #observer(): SocketObserver {
    return {
      dialing: () => this.attempts++,
      connected: () => {
        this.connected = true;
        this.reconnecting = false;
        this.attempts = 0;
        this.log.write(LogLevel.Info, 'connection', 'connected');
        this.#tell('connect');
      },
      disconnected: (reason) => {
        this.connected = false;
        this.reconnecting = true;
        this.log.write(LogLevel.Info, 'connection', `disconnected: ${reason.message}`);
        this.#tell('disconnect', reason);
      },
      failed: (error) => {
        this.log.write(LogLevel.Info, 'connection', error.message);
        this.#tell('error', error);
      },
      received: (text) => this.#tell('receive', text),
      sent: (text) => this.#tell('send', text),
    };
  }

  /** Gives the core credentials. */
  #credentials(reason: string, rejected: string, signal: AbortSignal): Promise<AuthCredentials | null> {
    const early = this.#early;
    this.#early = undefined;
    // Without a first need at once, as after refreshToken(), it has grown old.
    if (early === undefined || rejected !== '' || Date.now() - early.since > fresh) return this.#ask(reason, rejected, signal);
    signal.addEventListener('abort', () => early.abort.abort());
    return early.answer;
  }

  async #ask(reason: string, rejected: string, signal: AbortSignal): Promise<AuthCredentials | null> {
    try {
      const ask = () => resolveCredentials(this.#options.authProvider, reason, rejected, signal);
      const credentials = await (platform.current ?? browser).provide(this, ask);
      this.authType ??= credentials && credentials.type;
      this.#providerError = undefined;
      return credentials;
    } catch (error) {
      this.#providerError = error;
      throw error;
    }
  }

  #authChanged(state: AuthState, user: string, refresh: string, failure: Failure | undefined): void {
    const event: AuthStateEvent = { state };
    if (refresh !== '') Object.defineProperty(event, 'refreshToken', { value: refresh, enumerable: false });
    if (user !== '') event.user = user;
    if (failure) event.error = toKalamError(failure);
    if (state === 'signed-in') this.authType = 'jwt';
    this.log.write(LogLevel.Info, 'auth', state);
    for (const listener of [...this.authListeners]) this.log.guard('onAuthStateChange', listener, event);
  }

  #applyReconnect(): void {
    const { off, first, max, attempts } = this.#reconnect;
    this.#ready?.wasm.reconnect(off, first, max, attempts);
  }
}

function closed(): KalamError {
  return new KalamError({ code: 'CLIENT_CLOSED', message: 'the client was shut down' });
}
