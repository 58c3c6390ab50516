import { KalamError } from './errors.js';
import type { LoginResponse, LoginUserInfo, SessionInfo } from './messages.js';
import type { CallOptions } from './options.js';
import type { Session } from './session.js';
import { fieldsOf, type CodePurpose, type CodeRedemption, type SignUp } from './signup.js';

/**
 * The session of a client and its user: `client.auth`.
 *
 * ```ts
 * for (const session of await client.auth.sessions()) console.log(session.auth_method, session.last_seen_at);
 * await client.auth.logout();
 * ```
 */
export class ClientAuth {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Ends the session at the server, then here; with `kalamAuth` in the other tabs, too. If the server does not answer it
   * rejects, and the session stays. Live queries end with `SESSION_ENDED`. The next call asks the provider.
   */
  async logout(options?: CallOptions): Promise<void> {
    await this.#session.auth('POST', 'logout', undefined, options);
    await this.#session.kalamAuth()?.signOut();
  }

  /** The user that the client is signed in as. */
  async me(options?: CallOptions): Promise<LoginUserInfo> {
    const { user } = await this.#session.auth<{ user: LoginUserInfo }>('GET', 'me', undefined, options);
    return user;
  }

  /** The open sessions of the user, on this device and others. */
  async sessions(options?: CallOptions): Promise<SessionInfo[]> {
    const { sessions } = await this.#session.auth<{ sessions: SessionInfo[] }>('GET', 'sessions', undefined, options);
    return sessions;
  }

  /** Ends an open session: one of the user's own, or for an administrator anybody's. The code of an unknown id is `NOT_FOUND`. */
  async endSession(id: string, options?: CallOptions): Promise<void> {
    await this.#session.auth('DELETE', `sessions/${encodeURIComponent(id)}`, undefined, options);
  }

  /** Ends all sessions of the user but this one; gives how many they were. */
  async endOtherSessions(options?: CallOptions): Promise<number> {
    const { ended } = await this.#session.auth<{ ended: number }>('DELETE', 'sessions', undefined, options);
    return ended;
  }

  /** Changes the password of the user and ends their other sessions. The code of a wrong current one is `WRONG_PASSWORD`. */
  async changePassword(current: string, next: string, options?: CallOptions): Promise<void> {
    await this.#session.auth('POST', 'password', { current, new: next }, options);
  }
}

/**
 * How people get, change and leave an account: `client.accounts`. A session that begins here is the client's, which renews
 * it. So a client whose people only sign in this way has a provider that gives null. With `kalamAuth` as the provider, its
 * methods begin sessions and these refuse to.
 *
 * ```ts
 * const client = createClient({ url, authProvider: async () => null });
 * await client.accounts.signUp({ email: 'frida@example.com', password });
 * await client.accounts.redeemCode({ email: 'frida@example.com', code });
 * ```
 */
export class ClientAccounts {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Creates an account; null when a code was sent to the address, for {@link ClientAccounts.redeemCode}, else its session. */
  signUp(input: SignUp, options?: CallOptions): Promise<LoginResponse | null> {
    return this.#begin('signup', fieldsOf(input), options);
  }

  /** Sends a code to an address, by default one to sign in with. */
  async sendCode(email: string, purpose: CodePurpose = 'login', redirectTo?: string, options?: CallOptions): Promise<void> {
    await this.#session.auth('POST', 'code', { email, purpose, redirect_to: redirectTo }, options, false);
  }

  /**
   * Redeems a code and gives the session that has begun. With the code of an upgrade or a new address, the session of who is
   * signed in goes on, and the answer has only the user.
   */
  redeemCode(input: CodeRedemption, options?: CallOptions): Promise<LoginResponse | Pick<LoginResponse, 'user'>> {
    const { email, code, purpose = 'verify', password } = input;
    return this.#begin('code/redeem', { email, code, purpose, password }, options, purpose === 'verify');
  }

  /** Creates an account without a name; {@link ClientAccounts.upgrade} gives it one. */
  signInAnonymously(options?: CallOptions): Promise<LoginResponse> {
    return this.#begin('anonymous', {}, options);
  }

  /** Gives the anonymous account a name; id, session and live queries stay. Null when a code was sent. */
  async upgrade(input: SignUp, options?: CallOptions): Promise<LoginUserInfo | null> {
    return userOf(await this.#begin<Changed>('upgrade', fieldsOf(input), options, true));
  }

  /** Changes the name or the address of the user. Null when an address is to change: it does when its code is redeemed. */
  async updateProfile(profile: { name?: string; email?: string }, options?: CallOptions): Promise<LoginUserInfo | null> {
    return userOf(await this.#session.auth<Changed>('PATCH', 'me', profile, options));
  }

  /** Removes the account with its private rows, files and sessions. It needs the password, or none within five minutes after signing in. */
  async deleteAccount(password?: string, options?: CallOptions): Promise<void> {
    await this.#session.auth('DELETE', 'me', password === undefined ? undefined : { password }, options);
    await this.#session.kalamAuth()?.signOut();
  }

  async #begin<R>(path: string, body: object, options: CallOptions | undefined, asUser = false): Promise<R> {
    if (this.#session.kalamAuth()) {
      throw new KalamError({ code: 'INVALID_ARGUMENT', message: 'the authProvider of this client is a kalamAuth, which keeps the session: call its method of this name' });
    }
    return this.#session.auth('POST', path, body, options, asUser);
  }
}

type Changed = { user: LoginUserInfo } | null;

function userOf(answer: Changed): LoginUserInfo | null {
  return answer && answer.user;
}
