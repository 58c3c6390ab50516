/**
 * The session of a person in a browser: signs up, signs in, stays signed in.
 *
 * @packageDocumentation
 */
import { Auth, type AuthCredentials, type AuthRequest } from './auth.js';
import { AuthRoutes } from './authroutes.js';
import { KalamAuthError, KalamError, KalamPermanentAuthError } from './errors.js';
import type { LoginResponse, LoginUserInfo } from './messages.js';
import { fieldsOf, type CodePurpose, type CodeRedemption, type SignUp } from './signup.js';
import { Tabs, type Notice } from './tabs.js';
import { onWake } from './wake.js';

export type { LoginUserInfo } from './messages.js';
export type { CodePurpose, CodeRedemption, SignUp } from './signup.js';

/**
 * How a session stands: `loading` until the first answer; `offline` while the
 * server cannot be asked, which signs nobody out.
 */
export type KalamAuthState = 'loading' | 'signed-out' | 'signed-in' | 'offline';

/** Where a refresh token is kept if no cookie can hold it; `localStorage` is one. */
export interface AuthStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

/** What {@link kalamAuth} is made with. */
export interface KalamAuthOptions {
  /** The server, as `https://db.example.com`, or a path of the page's own origin, as `/db`. */
  url: string;
  /**
   * Keeps the refresh token where cookies cannot: in a page of another site, in
   * an app shell. Every script that runs there can take it.
   */
  storage?: AuthStorage;
  /**
   * What a client that needs a token gets while nobody is signed in: with `wait`,
   * the default, it waits for the next sign-in; with `refuse` its calls fail with
   * a {@link KalamPermanentAuthError}.
   */
  whileSignedOut?: 'wait' | 'refuse';
  /** Permits sending credentials without TLS to a host that is not this machine. */
  allowInsecureCredentials?: boolean;
}

/** The access token in memory. */
interface Access {
  token: string;
  session: unknown; // its id
  since: number;
  due: number; // renew from here on
  expires: number;
}

const firstPause = 1000; // milliseconds before a renewal is tried again, doubled each time
const longestPause = 30_000;
const codeLife = 10 * 60_000;

/** The one state behind a {@link KalamAuth}. */
class AuthSession {
  readonly ready: Promise<void>;
  state: KalamAuthState = 'loading';
  user: LoginUserInfo | null = null;
  error: KalamError | undefined;
  readonly #routes: AuthRoutes | undefined; // undefined: on a server, where there is no session to keep
  readonly #tabs: Tabs | undefined;
  readonly #storage: AuthStorage | undefined;
  readonly #key: string = '';
  readonly #refuse: boolean;
  readonly #listeners = new Set<(state: KalamAuthState, user: LoginUserInfo | null) => void>();
  readonly #waiting = new Set<() => void>(); // for a sign-in
  readonly #stopWaking: () => void = () => {};
  #access: Access | undefined;
  #renewal: Promise<void> | undefined; // the running one
  #epoch = 0; // counts the sign-ins and sign-outs, so that a late renewal undoes none
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #codeUntil = 0; // a link in a mail may sign this browser in until then
  #closed = false;

  constructor(options: KalamAuthOptions) {
    this.#storage = options.storage;
    this.#refuse = options.whileSignedOut === 'refuse';
    if (options.storage === undefined && typeof location === 'undefined') {
      this.ready = Promise.resolve();
      return;
    }
    this.#routes = new AuthRoutes(options.url, options.allowInsecureCredentials === true);
    this.#key = `kalamdb ${this.#routes.url}`;
    this.#tabs = new Tabs(this.#key, (notice) => this.#heard(notice));
    this.#stopWaking = onWake(() => this.#look());
    this.ready = this.#renew().catch(() => {}); // the state tells
  }

  // ---- what the client asks

  async credentials(request?: AuthRequest): Promise<AuthCredentials> {
    if (this.#routes === undefined) throw new KalamPermanentAuthError('kalamAuth keeps its session in the cookie of a browser, and this is none: pass the option storage, or check the requests of pages with verifySession');
    await this.ready;
    for (;;) {
      if (this.#closed) throw new KalamPermanentAuthError('close() was called');
      const have = this.#access;
      if (this.state === 'signed-out') await this.#signedIn(request?.signal);
      else if (have !== undefined && !needsRenewal(have, request)) return Auth.jwt(have.token);
      else {
        const good = have !== undefined && have.token !== request?.rejected && Date.now() < have.expires;
        await this.#renew().catch((error: unknown) => {
          if (!good) throw error; // it passes: the client asks again
        });
        if (this.#access !== undefined) return Auth.jwt(this.#access.token);
      }
    }
  }

  #signedIn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#refuse) throw new KalamPermanentAuthError('nobody is signed in');
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        if (signal?.aborted) reject(signal.reason);
        else resolve();
      };
      this.#waiting.add(done);
      signal?.addEventListener('abort', done);
      if (signal?.aborted) done();
    });
  }

  // ---- renewing

  /** Renews the session; whoever asks meanwhile shares the answer. */
  #renew(): Promise<void> {
    if (this.#renewal === undefined) {
      const renewal = this.#tabs!.alone(() => this.#renewOnce()).finally(() => {
        if (this.#renewal === renewal) this.#renewal = undefined;
      });
      this.#renewal = renewal;
    }
    return this.#renewal;
  }

  async #renewOnce(): Promise<void> {
    const epoch = this.#epoch;
    clearTimeout(this.#timer);
    try {
      const kept = await this.#storage?.getItem(this.#key);
      if (this.#storage !== undefined && !kept) return this.#signedOut(undefined);
      const answer = await this.#routes!.post('refresh', { token: kept ?? undefined, cookies: this.#storage === undefined });
      if (epoch !== this.#epoch) return;
      await this.#adopt(answer.body as unknown as LoginResponse);
    } catch (cause) {
      if (epoch !== this.#epoch) return;
      const error = cause instanceof KalamError ? cause : new KalamError({ code: 'STORAGE_FAILED', message: `the storage of kalamAuth fails: ${String(cause)}`, retryable: true, cause });
      if (!(error instanceof KalamAuthError)) return this.#offline(error); // not the server's own word
      await this.#storage?.removeItem(this.#key);
      this.#signedOut(this.state === 'loading' ? undefined : error); // a page that was never signed in has no error
    }
  }

  #offline(error: KalamError): never {
    if (!this.#closed) {
      const pause = Math.min(longestPause, firstPause * 2 ** Math.min(this.#failures++, 10));
      this.#timer = setTimeout(() => void this.#renew().catch(() => {}), pause * (0.5 + Math.random() / 2));
      (this.#timer as { unref?: () => void }).unref?.();
    }
    this.#become('offline', this.user, error);
    throw error;
  }

  /** Looks at once when the machine woke up, the network is back, or the page is shown again. */
  #look(): void {
    const linked = Date.now() < this.#codeUntil && (this.state === 'signed-out' || this.user?.anonymous === true);
    if (this.state === 'offline' || linked) void this.#renew().catch(() => {});
  }

  // ---- other tabs

  async #heard(notice: Notice): Promise<void> {
    this.#epoch++;
    if (notice === 'signed-out') return this.#signedOut(undefined);
    await this.#renewal?.catch(() => {}); // it is of the time before
    await this.#renew().catch(() => {});
  }

  // ---- the states

  async #adopt(login: LoginResponse): Promise<void> {
    const before = this.#access;
    this.#access = accessOf(login.access_token);
    this.#failures = 0;
    clearTimeout(this.#timer);
    await this.#storage?.setItem(this.#key, login.refresh_token);
    // A client of this page may still use the session that this one replaces: another user's, maybe.
    if (before !== undefined && before.session !== this.#access.session) this.#end(before.token);
    this.#become('signed-in', login.user, undefined);
  }

  #signedOut(error: KalamError | undefined): void {
    this.#access = undefined;
    clearTimeout(this.#timer);
    this.#become('signed-out', null, error);
  }

  #become(state: KalamAuthState, user: LoginUserInfo | null, error: KalamError | undefined): void {
    const same = this.state === state && JSON.stringify(this.user) === JSON.stringify(user);
    [this.state, this.user, this.error] = [state, user, error];
    if (state === 'signed-in') for (const go of [...this.#waiting]) go();
    if (!same) for (const listener of [...this.#listeners]) listener(state, user);
  }

  /** Ends a session at the server by its access token, without touching the cookie. */
  #end(token: string): void {
    this.#routes!.post('logout', { token, cookies: false }).catch(() => {}); // it ends by itself
  }

  subscribe(listener: (state: KalamAuthState, user: LoginUserInfo | null) => void): () => void {
    const own: typeof listener = (state, user) => {
      try {
        listener(state, user);
      } catch (error) {
        console.error('a listener of kalamAuth failed:', error); // the others are told all the same
      }
    };
    this.#listeners.add(own);
    own(this.state, this.user);
    return () => this.#listeners.delete(own);
  }

  // ---- what people do

  signIn(user: string, password: string): Promise<LoginUserInfo> {
    return this.#begin('login', { user, password }) as Promise<LoginUserInfo>;
  }

  signUp(input: SignUp): Promise<LoginUserInfo | null> {
    return this.#begin('signup', fieldsOf(input));
  }

  async sendCode(email: string, purpose: CodePurpose = 'login', redirectTo?: string): Promise<void> {
    await this.#begin('code', { email, purpose, redirect_to: redirectTo });
  }

  async redeemCode(input: CodeRedemption): Promise<LoginUserInfo> {
    const { email, code, purpose = 'verify', password } = input;
    const body = { email, code, purpose, password };
    await this.ready;
    // Whoever is signed in gets the address: of upgrade, or a new one.
    return this.#begin('code/redeem', body, purpose === 'verify' && this.user !== null) as Promise<LoginUserInfo>;
  }

  signInAnonymously(): Promise<LoginUserInfo> {
    return this.#begin('anonymous', {}) as Promise<LoginUserInfo>;
  }

  upgrade(input: SignUp): Promise<LoginUserInfo | null> {
    return this.#begin('upgrade', fieldsOf(input), true);
  }

  /** Does a route that may begin a session or change its user; null when it sent a code. */
  async #begin(path: string, body: Record<string, unknown>, asUser = false): Promise<LoginUserInfo | null> {
    await this.ready;
    const credentials = asUser ? await this.#current() : undefined;
    const routes = this.#inBrowser();
    return this.#tabs!.alone(async () => {
      const { status, body: answer } = await routes.post(path, { body, token: credentials, cookies: true });
      if (status === 202) {
        this.#codeUntil = Date.now() + codeLife;
        return null;
      }
      const login = answer as unknown as LoginResponse;
      this.#epoch++;
      if (login.access_token) await this.#adopt(login);
      else this.#become(this.state, login.user, this.error);
      this.#codeUntil = 0;
      this.#tabs!.tell('signed-in');
      return login.user;
    });
  }

  /** A token of who is signed in now. */
  async #current(): Promise<string> {
    if (this.state === 'signed-out') throw new KalamPermanentAuthError('nobody is signed in');
    const credentials = await this.credentials();
    return credentials.type === 'jwt' ? credentials.token : '';
  }

  #inBrowser(): AuthRoutes {
    if (this.#routes === undefined) throw new KalamError({ code: 'INVALID_ARGUMENT', message: 'kalamAuth signs in where there is a page, or with the option storage' });
    return this.#routes;
  }

  async signOut(): Promise<void> {
    await this.ready;
    const routes = this.#inBrowser();
    await this.#tabs!.alone(async () => {
      const kept = await this.#storage?.getItem(this.#key);
      const access = this.#access;
      if (this.#storage === undefined || kept) await routes.post('logout', { token: kept ?? undefined, cookies: this.#storage === undefined });
      await this.#storage?.removeItem(this.#key);
      if (access !== undefined) this.#end(access.token); // if it is of another session
      this.#epoch++;
      this.#signedOut(undefined);
      this.#tabs!.tell('signed-out');
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stopWaking();
    this.#tabs?.close();
    this.#listeners.clear();
    for (const go of [...this.#waiting]) go();
  }
}

function needsRenewal(have: Access, request: AuthRequest | undefined): boolean {
  const now = Date.now();
  if (have.token === request?.rejected || now >= have.due || now < have.since) return true;
  return request?.reason === 'expiring' && now - have.since > 5000; // several clients may share us
}

/** Reads the life of a token. It counts from its arrival, so that a wrong clock does not matter. */
function accessOf(token: string): Access {
  const since = Date.now();
  let life = 60_000;
  let session: unknown;
  try {
    const claims = JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))) as Record<string, unknown>;
    session = claims['sid'];
    life = Math.max(1, Number(claims['exp']) - Number(claims['iat'])) * 1000 || life;
  } catch {
    // The server tells when it is over.
  }
  return { token, session, since, due: since + life - Math.min(60_000, life / 5), expires: since + life };
}

/** An {@link AuthProvider} with the methods of a person's session. */
export interface KalamAuth {
  /** The provider: a token of who is signed in. */
  (request?: AuthRequest): Promise<AuthCredentials>;
  readonly state: KalamAuthState;
  /** Who is signed in, also while offline; null for nobody. */
  readonly user: LoginUserInfo | null;
  /** Why the session is offline, or why it has ended. */
  readonly error: KalamError | undefined;
  /** Resolves with the first answer: the state is no longer `loading`. It never rejects. */
  readonly ready: Promise<void>;
  /** Calls a listener at once and whenever state or user change; returns what removes it. */
  subscribe(listener: (state: KalamAuthState, user: LoginUserInfo | null) => void): () => void;
  /** Signs in with a user name or a verified address. */
  signIn(user: string, password: string): Promise<LoginUserInfo>;
  /** Creates an account; null when a code was sent to the address, for {@link KalamAuth.redeemCode}. */
  signUp(input: SignUp): Promise<LoginUserInfo | null>;
  /** Sends a code to an address, by default one to sign in with. */
  sendCode(email: string, purpose?: CodePurpose, redirectTo?: string): Promise<void>;
  redeemCode(input: CodeRedemption): Promise<LoginUserInfo>;
  signInAnonymously(): Promise<LoginUserInfo>;
  /** Gives the anonymous account a name; id, session and live queries stay. Null when a code was sent. */
  upgrade(input: SignUp): Promise<LoginUserInfo | null>;
  /** Ends the session at the server, then here and in the other tabs. Rejects, and stays signed in, if the server does not answer. */
  signOut(): Promise<void>;
  /** Stops timers and listeners; for one that is not needed any more. */
  close(): void;
}

/**
 * Makes the session of a page. It is the `authProvider` of clients, and has the
 * methods with which people sign up, in and out. The refresh token is in a cookie
 * that no script can read, so that a reload is signed in again with one request.
 *
 * ```ts
 * const auth = kalamAuth({ url: '/db' });
 * const client = createClient({ url: '/db', authProvider: auth });
 * auth.subscribe((state) => render(state));
 * ```
 */
export function kalamAuth(options: KalamAuthOptions): KalamAuth {
  const session = new AuthSession(options);
  const auth = (request?: AuthRequest) => session.credentials(request);
  const read = (name: 'state' | 'user' | 'error' | 'ready') => ({ get: () => session[name], enumerable: true });
  Object.defineProperties(auth, { state: read('state'), user: read('user'), error: read('error'), ready: read('ready') });
  return Object.assign(auth, {
    subscribe: session.subscribe.bind(session),
    signIn: session.signIn.bind(session),
    signUp: session.signUp.bind(session),
    sendCode: session.sendCode.bind(session),
    redeemCode: session.redeemCode.bind(session),
    signInAnonymously: session.signInAnonymously.bind(session),
    upgrade: session.upgrade.bind(session),
    signOut: session.signOut.bind(session),
    close: session.close.bind(session),
  }) as unknown as KalamAuth;
}
