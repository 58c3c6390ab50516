/**
 * For the servers of an application: who sent a request.
 *
 * @packageDocumentation
 */
import { KalamError } from './errors.js';
import { KeySet, subtle } from './jwks.js';

/** A request of the web platform, or of Node. */
export type RequestLike = { headers: { get(name: string): string | null } | { readonly [name: string]: string | string[] | undefined } };

interface Checks {
  /** The claim `iss`; default `kalamdb`. */
  issuer?: string;
  /** One that the claim `aud` has to name. KalamDB's own tokens have no audience. */
  audience?: string;
  /** A cookie of the application's own that may hold the access token. */
  cookie?: string;
  /** How far `nbf` and `iat` may lie ahead, in seconds; default 60. The end of a token is not moved. */
  clockTolerance?: number;
}

/** How {@link verifySession} knows the server's keys: by their address, or by the secret of `KALAMDB_JWT_SECRET`. */
export type VerifyOptions = Checks & ({ jwksUrl: string; secret?: undefined } | { secret: string; jwksUrl?: undefined });

const longest = 8 << 10; // characters of a token
const sets = new Map<string, KeySet>(); // by address
const mostSets = 16;

/**
 * Returns the id of the user who sent a request, or null if the request has no
 * access token that is good. The signature is checked with the server's public
 * keys, which are fetched once and kept; without them, because the server is
 * away, it rejects with an error whose `retryable` is true.
 *
 * A token is good until it expires, within the hour: a session that has ended
 * since is known to KalamDB only.
 *
 * ```ts
 * const userId = await verifySession(request, { jwksUrl: 'http://localhost:8080/.well-known/jwks.json' });
 * if (userId === null) return new Response('Sign in first', { status: 401 });
 * ```
 */
export async function verifySession(request: RequestLike, options: VerifyOptions): Promise<string | null> {
  checkOptions(options);
  const token = tokenOf(request, options.cookie);
  if (token === undefined || token.length > longest) return null;
  const parts = token.split('.');
  const [header, claims, signature] = [decode(parts[0]), decode(parts[1]), bytesOf(parts[2])];
  if (parts.length !== 3 || header === undefined || claims === undefined || signature === undefined) return null;
  const key = await keyFor(header, options);
  if (key === undefined) return null;
  const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
  if (!(await (await subtle()).verify(key.algorithm.name, key, signature, signed))) return null;
  return subjectOf(claims, options);
}

function checkOptions({ jwksUrl, secret }: VerifyOptions): void {
  if ((jwksUrl === undefined) === (secret === undefined)) throw invalid('pass jwksUrl or secret');
  if (secret !== undefined && secret.length < 32) throw invalid('the secret must have at least 32 bytes');
}

function invalid(message: string): KalamError {
  return new KalamError({ code: 'INVALID_ARGUMENT', message: `verifySession: ${message}` });
}

/** The token of a request: of its one Authorization header, or of the cookie. */
function tokenOf({ headers }: RequestLike, cookie: string | undefined): string | undefined {
  const authorization = headerOf(headers, 'authorization');
  if (authorization !== undefined) return /^Bearer +([^\s,]+)$/i.exec(authorization)?.[1];
  if (cookie === undefined) return undefined;
  const pairs = (headerOf(headers, 'cookie') ?? '').split(';').map((pair) => pair.trim());
  const found = pairs.filter((pair) => pair.startsWith(`${cookie}=`));
  return found.length === 1 ? found[0]?.slice(cookie.length + 1) : undefined; // which of two is whose?
}

function headerOf(headers: RequestLike['headers'], name: string): string | undefined {
  if (typeof headers.get === 'function') return (headers as { get(name: string): string | null }).get(name) ?? undefined;
  const value = (headers as Record<string, string | string[] | undefined>)[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** The key that a token has to be signed with. Of its header only `kid` is followed, and the algorithm must be the one we expect. */
async function keyFor(header: Record<string, unknown>, { jwksUrl, secret }: VerifyOptions): Promise<CryptoKey | undefined> {
  if (header['crit'] !== undefined) return undefined;
  if (secret !== undefined) {
    if (header['alg'] !== 'HS256') return undefined;
    return (await subtle()).importKey('raw', new TextEncoder().encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  }
  const { kid } = header;
  if (header['alg'] !== 'EdDSA' || typeof kid !== 'string') return undefined;
  return setOf(jwksUrl).key(kid);
}

function setOf(url: string): KeySet {
  let set = sets.get(url);
  if (set === undefined) {
    if (sets.size >= mostSets) sets.delete(sets.keys().next().value!);
    sets.set(url, (set = new KeySet(url)));
  }
  return set;
}

/** The user of claims that a good signature covers. */
function subjectOf(c: Record<string, unknown>, o: VerifyOptions): string | null {
  const now = Date.now() / 1000;
  const ahead = now + (o.clockTolerance ?? 60);
  const { sub, iss, exp, nbf, iat, aud } = c;
  if (typeof sub !== 'string' || sub === '' || iss !== (o.issuer ?? 'kalamdb') || c['token_type'] !== 'access') return null;
  if (typeof exp !== 'number' || !(now < exp)) return null;
  for (const time of [nbf, iat]) if (time !== undefined && !(typeof time === 'number' && time <= ahead)) return null;
  const named: unknown[] = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud];
  if (o.audience === undefined ? named.length > 0 : !named.includes(o.audience)) return null;
  return sub;
}

function decode(part: string | undefined): Record<string, unknown> | undefined {
  const bytes = bytesOf(part);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function bytesOf(part: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  if (part === undefined || !/^[\w-]+$/.test(part)) return undefined;
  try {
    return Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}
