import type { AuthCredentials, AuthReason, AuthRequest } from './auth.js';
import { KalamPermanentAuthError } from './errors.js';
import type { ClientOptions } from './options.js';

/** Asks a provider once and looks whether it gave credentials. */
export async function resolveCredentials(
  provider: ClientOptions['authProvider'],
  reason: string,
  rejected: string,
  signal: AbortSignal,
): Promise<AuthCredentials | null> {
  const request: AuthRequest = { reason: reason as AuthReason, signal };
  if (rejected !== '') request.rejected = rejected;
  const answer: unknown = await provider(request);
  if (answer === null || isCredentials(answer)) return answer;
  throw new KalamPermanentAuthError(
    `authProvider gave ${kindOf(answer)}: it must give Auth.basic(user, password) or Auth.jwt(token)`,
  );
}

function isCredentials(value: unknown): value is AuthCredentials {
  if (typeof value !== 'object' || value === null) return false;
  const v = value as Record<string, unknown>;
  if (v['type'] === 'jwt') return typeof v['token'] === 'string' && v['token'] !== '';
  return v['type'] === 'basic' && typeof v['user'] === 'string' && typeof v['password'] === 'string';
}

/** Says what a value is without showing it: it may be a secret. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  const type = (value as { type?: unknown }).type;
  return type === 'jwt' ? 'a jwt without its token' : type === 'basic' ? 'basic without user and password' : 'an object without a known type';
}
