const last = new Map<string, Promise<unknown>>(); // the last work of each name, in this page
const patience = 15_000; // milliseconds to wait for a tab that holds the lock

/** What one tab tells the others. */
export type Notice = 'signed-in' | 'signed-out';

/**
 * The tabs of one origin that share a session. What changes the session runs in
 * one of them at a time, so that no answer undoes a later one: the cookie of a
 * renewal that was under way would replace that of a new sign-in.
 */
export class Tabs {
  readonly #name: string;
  readonly #channel: BroadcastChannel | undefined;

  constructor(name: string, heard: (notice: Notice) => void) {
    this.#name = name;
    if (typeof BroadcastChannel === 'undefined') return;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: { data: unknown }) => {
      if (data === 'signed-in' || data === 'signed-out') heard(data);
    };
    (this.#channel as { unref?: () => void }).unref?.(); // a program may end
  }

  tell(notice: Notice): void {
    this.#channel?.postMessage(notice);
  }

  /** Runs work while no other tab does; a tab that hangs is not waited for. */
  async alone<R>(work: () => Promise<R>): Promise<R> {
    const mine = (last.get(this.#name) ?? Promise.resolve()).then(() => this.#locked(work));
    const done = mine.then(() => {}, () => {});
    last.set(this.#name, done);
    void done.then(() => last.get(this.#name) === done && last.delete(this.#name));
    return mine;
  }

  async #locked<R>(work: () => Promise<R>): Promise<R> {
    const locks = (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
    if (locks === undefined) return work();
    let mine: Promise<R> | undefined;
    const held = locks.request(this.#name, { signal: AbortSignal.timeout(patience) }, () => (mine = work()));
    await held.catch(() => {}); // work's own failure, or the end of our patience
    return mine ?? work();
  }

  close(): void {
    this.#channel?.close();
  }
}
