/** The constructor of sockets. */
export type WebSocketConstructor = new (url: string) => WebSocket;

/**
 * What differs between a browser and Node. This is the browser's; the entry for
 * Node puts its own in place of it before anything runs.
 */
export interface Platform {
  /** Loads the module from a place, or the one that comes with the package. */
  load(from?: string): Promise<WebAssembly.Module>;
  /** Gives the socket of the host. */
  webSocket(): Promise<WebSocketConstructor>;
  /** For random numbers. */
  crypto: unknown;
  /** Like setTimeout; a pending one does not keep the program running. */
  setTimeout(fn: () => void, ms: number): unknown;
  /** Runs a provider of an owner, so that inside can say whether a call comes out of it. */
  provide<R>(owner: object, provider: () => Promise<R>): Promise<R>;
  inside(owner: object): boolean;
  /**
   * Posts a form, without cookies and without following a redirect to elsewhere;
   * gives the status and the text of the answer. sent is told how many bytes of
   * the files have left, about.
   */
  sendForm(url: string, token: string, form: FormData, signal: AbortSignal, sent: ((bytes: number) => void) | undefined): Promise<[status: number, text: string]>;
  /** Keeps the program running until the function it gives is called. */
  hold(): () => void;
}

export const platform: { current: Platform | undefined } = { current: undefined };
