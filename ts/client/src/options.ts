import type { AuthCredentials, AuthRequest } from './auth.js';
import type { WasmSource } from './core.js';
import type { LogLevel, LogListener } from './log.js';
import type { ConnectionError, DisconnectReason } from './socket.js';

export type OnConnectCallback = () => void;
export type OnDisconnectCallback = (reason: DisconnectReason) => void;
export type OnErrorCallback = (error: ConnectionError) => void;
export type OnReceiveCallback = (message: string) => void;
export type OnSendCallback = (message: string) => void;

/** What a client is made with. */
export interface ClientOptions {
  /** The server, as `http://localhost:8080`, or a path of the page's own origin, as `/db`. */
  url: string;
  /**
   * An {@link AuthProvider}, which says who the user is, whenever that is needed. With null nobody is signed in but by
   * `client.accounts`, whose session the client then renews itself.
   */
  authProvider: (request?: AuthRequest) => Promise<AuthCredentials | null>;
  /** Calls of a provider that fails; default 3. */
  authProviderMaxAttempts?: number;
  /** Limit of the random pause between them in milliseconds, doubled each time; default 250. */
  authProviderInitialBackoffMs?: number;
  /** Most of it; default 2000. */
  authProviderMaxBackoffMs?: number;
  /**
   * Longest time to get a token, in milliseconds, with all calls of the provider
   * and the exchange; one call of the provider gets a third of it. Default 30000.
   */
  authTimeoutMs?: number;
  /** Namespace of tables that are named without one; default: the server's. */
  namespace?: string;
  /**
   * Permits sending credentials without TLS to a host that is not this machine.
   * Whoever shares the network can take them.
   */
  allowInsecureCredentials?: boolean;
  /** Frames come uncompressed anyway: the core leaves that to the connection. */
  disableCompression?: boolean;
  /** Another place of the WebAssembly module, or its bytes. */
  wasmUrl?: WasmSource;
  /** With false, `initialize()` opens the socket; default true. */
  wsLazyConnect?: boolean;
  /** How often the socket shows that it is there, in milliseconds; 0 for never, default 5000. */
  pingIntervalMs?: number;
  onConnect?: OnConnectCallback;
  onDisconnect?: OnDisconnectCallback;
  onError?: OnErrorCallback;
  /** Each text message of the socket. */
  onReceive?: OnReceiveCallback;
  /** Each text message to the socket, tokens left out. */
  onSend?: OnSendCallback;
  /** Default Warn. */
  logLevel?: LogLevel;
  /** Gets the log in place of the console. */
  logListener?: LogListener;
}

/** For one call. */
export interface CallOptions {
  /** Ends the call; it is then rejected with the signal's reason. */
  signal?: AbortSignal;
}
