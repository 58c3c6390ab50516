import { KalamConnectionError } from './errors.js';

const fresh = 5 * 60_000; // milliseconds for which the keys are taken without asking
const good = 60 * 60_000; // and while the server is away: no token is older
const pause = 30_000; // between two questions for a key that is not known
const retry = 5000; // after a failure
const timeout = 5000;
const largest = 64 << 10; // characters of an answer
const mostKeys = 32;

/** The cryptography of the host; Node 18 does not have it in the global object. */
export async function subtle(): Promise<SubtleCrypto> {
  const host = (globalThis as { crypto?: Crypto }).crypto;
  if (host !== undefined) return host.subtle;
  const name = 'node:crypto'; // not for bundlers to see
  return ((await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as { webcrypto: Crypto }).webcrypto.subtle;
}

/** The public keys of a server, fetched rarely whatever tokens ask for. */
export class KeySet {
  readonly #url: string;
  #keys = new Map<string, CryptoKey>();
  #fetched = -Infinity;
  #asked = -Infinity;
  #failure: unknown;
  #running: Promise<void> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** The key with an id; rejects if no keys are to be had at all. */
  async key(id: string): Promise<CryptoKey | undefined> {
    const now = performance.now();
    const known = this.#keys.has(id);
    const age = now - this.#fetched;
    const since = now - this.#asked;
    if (age > good) {
      if (this.#running === undefined && this.#failure !== undefined && since < retry) throw this.#failure;
      await this.#fetch();
    } else if (!known && (this.#running !== undefined || since >= pause)) {
      await this.#fetch().catch(() => {}); // those that we have stay good
    } else if (age > fresh && since >= pause) {
      void this.#fetch().catch(() => {});
    }
    return this.#keys.get(id);
  }

  #fetch(): Promise<void> {
    return (this.#running ??= this.#load().finally(() => (this.#running = undefined)));
  }

  async #load(): Promise<void> {
    this.#asked = performance.now();
    this.#failure = undefined;
    try {
      const response = await fetch(this.#url, { redirect: 'error', credentials: 'omit', headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(timeout) });
      const text = response.ok ? await response.text() : '';
      if (!response.ok || text.length > largest) throw new Error(`status ${response.status}, ${text.length} characters`);
      this.#keys = await keysOf(JSON.parse(text));
      this.#fetched = performance.now();
    } catch (cause) {
      this.#failure = new KalamConnectionError({
        code: 'KEYS_UNAVAILABLE', retryable: true, cause,
        message: `verifySession: no keys from ${this.#url}: ${cause instanceof Error ? cause.message : String(cause)}`,
      });
      throw this.#failure;
    }
  }
}

/** The keys of a set that verify EdDSA; others are for somebody else. */
async function keysOf(set: unknown): Promise<Map<string, CryptoKey>> {
  const list = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(list)) throw new Error('the answer is no set of keys');
  const keys = new Map<string, CryptoKey>();
  for (const jwk of list.slice(0, mostKeys) as (JsonWebKey & { kid?: unknown })[]) {
    if (jwk?.kty !== 'OKP' || jwk.crv !== 'Ed25519' || typeof jwk.x !== 'string' || typeof jwk.kid !== 'string') continue;
    if (jwk.use !== undefined && jwk.use !== 'sig' || jwk.alg !== undefined && jwk.alg !== 'EdDSA') continue;
    const key = await (await subtle()).importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x: jwk.x }, { name: 'Ed25519' }, false, ['verify']);
    keys.set(jwk.kid, key);
  }
  return keys;
}
