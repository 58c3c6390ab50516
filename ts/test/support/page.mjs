// Cuts the code blocks out of docs/authentication-page.md and makes a module of
// each: what the page leaves open before it, and checks after it. The blocks
// themselves stay as they are.
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { root } from './server.mjs';

export const pagePath = join(root, 'docs/authentication-page.md');

/** What each block leaves open (before) and what must be true of it (after). */
const surroundings = [
  {
    title: 'Auth modes',
    after: `
same(Auth.basic('user', 'password'), { type: 'basic', user: 'user', password: 'password' });
same(Auth.jwt('<token>'), { type: 'jwt', token: '<token>' });`,
  },
  {
    title: 'authProvider',
    before: `import { myApp } from './supplied.js';`,
    after: `
same(await whoami(client), 'alice');
same(client.getAuthType(), 'jwt');
same(myApp.calls, 1);
await client.connect();
same(myApp.calls, 2);
await client.shutdown();`,
  },
  {
    title: 'user and password',
    before: `import { createClient, Auth } from '@kalamdb/client';`,
    after: `
const paths = seen();
same(await whoami(client), 'alice');
same(paths.all(), ['POST /v1/api/auth/login', 'POST /v1/api/sql Bearer']);
await client.shutdown();`,
  },
  {
    title: 'OAuth',
    before: `import { createClient, Auth, type AuthProvider } from '@kalamdb/client';`,
    after: `
const client = createClient({ url: 'http://localhost:8080', authProvider });
same(await whoami(client), 'alice');
await client.shutdown();`,
  },
  {
    title: 'login',
    before: `import { createClient, Auth } from '@kalamdb/client';
const paths = seen();`,
    after: `
same(login.user.id, 'alice');
same(client.getAuthType(), 'jwt');
same(await whoami(client), 'alice');
same(paths.all(), ['POST /v1/api/auth/login', 'POST /v1/api/sql Bearer']);
await client.shutdown();`,
  },
  {
    title: 'refreshToken',
    before: `import { createClient, Auth } from '@kalamdb/client';
import { fillRefreshToken } from './supplied.js';
const client = createClient({ url: 'http://localhost:8080', authProvider: async () => Auth.basic('alice', 'Secret123!') });
fillRefreshToken((await client.login()).refresh_token);
const paths = seen();`,
    after: `
same(refreshed.user.id, 'alice');
same(await whoami(client), 'alice');
same(paths.all(), ['POST /v1/api/auth/refresh Bearer', 'POST /v1/api/sql Bearer']);
same(paths.lastToken(), refreshed.access_token);
await client.shutdown();`,
  },
  {
    title: 'helpers',
    before: `import { Auth } from '@kalamdb/client';`,
    after: `
same(buildAuthHeader(Auth.jwt('<token>')), 'Bearer <token>');
let thrown = '';
try { buildAuthHeader(Auth.basic('alice', 'Secret123!')); } catch (error) { thrown = String(error); }
same(thrown.includes('POST /v1/api/auth/login'), true);
same(encodeBasicAuth('grüße', '🔑'), 'Z3LDvMOfZTrwn5SR');
same([isBasicAuth(Auth.basic('a', 'b')), isJwtAuth(Auth.basic('a', 'b')), isBasicAuth(Auth.jwt('t')), isJwtAuth(Auth.jwt('t'))], [true, false, false, true]);
same([isAuthenticated(Auth.jwt('t')), isAuthenticated(null), isAuthenticated(undefined)], [true, false, false]);`,
  },
];

/** The code blocks of the page. */
export function blocks(page = readFileSync(pagePath, 'utf8')) {
  return [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map((m) => m[1]);
}

// What the page leaves open: the app's token store, a token endpoint, and the
// text in angle brackets; and a look at the requests that go out.
export const supplied = `
const realFetch = globalThis.fetch;
let refreshToken = '';
const requests: { line: string; token: string }[] = [];

globalThis.fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
  if (input === '/api/auth/token') return Response.json({ access_token: await signIn() });
  const headers = new Headers(init?.headers);
  const bearer = headers.get('Authorization') ?? '';
  const filled = bearer.replace('<refresh_token>', refreshToken);
  if (filled !== bearer) headers.set('Authorization', filled);
  const url = new URL(String(input));
  if (url.pathname.startsWith('/v1/')) requests.push({ line: (init?.method ?? 'GET') + ' ' + url.pathname + (bearer === '' ? '' : ' ' + bearer.split(' ')[0]), token: filled.slice(7) });
  return realFetch(input, { ...init, headers });
};

async function signIn(): Promise<string> {
  const response = await realFetch('http://localhost:8080/v1/api/auth/login', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'alice', password: 'Secret123!' }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

export const myApp = {
  calls: 0,
  async getOrRefreshJwt(): Promise<string> {
    this.calls++;
    return signIn();
  },
};

export function fillRefreshToken(token: string): void {
  refreshToken = token;
}

/** The requests from here on. */
export function seen(): { all(): string[]; lastToken(): string } {
  const from = requests.length;
  return { all: () => requests.slice(from).map((r) => r.line), lastToken: () => requests.at(-1)?.token ?? '' };
}

export function same(got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error('got ' + JSON.stringify(got) + ', want ' + JSON.stringify(want));
}

export async function whoami(client: { queryOne(sql: string): Promise<Record<string, { asString(): string | null }> | null> }): Promise<string | null> {
  return (await client.queryOne('SELECT CURRENT_USER() AS me'))?.['me']?.asString() ?? null;
}
`;

/** Writes the modules into dir, checks their types and compiles them to dir/out. */
export function compilePage(dir, { page, packages } = {}) {
  const found = blocks(page);
  if (found.length !== surroundings.length) throw new Error(`the page has ${found.length} blocks, not ${surroundings.length}`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'supplied.ts'), supplied);
  const hashes = found.map((block, i) => {
    const { before = '', after } = surroundings[i];
    const source = `import { same, seen, whoami } from './supplied.js';\n${before}\n${block}\n${after}\nvoid [same, seen, whoami];\n`;
    writeFileSync(join(dir, `block${i + 1}.ts`), source);
    return { title: surroundings[i].title, file: `block${i + 1}.js`, block, source };
  });
  if (packages) symlinkSync(packages, join(dir, 'node_modules'));
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(root, 'ts/tsconfig.base.json'),
    compilerOptions: { outDir: 'out', rootDir: '.', declaration: false, types: [], skipLibCheck: false, allowUnreachableCode: false, allowUnusedLabels: false },
    include: ['*.ts'],
  }));
  try {
    execFileSync(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  } catch (error) {
    throw new Error(`the page does not compile:\n${error.stdout}`);
  }
  return hashes;
}

/** A digest of text, to show that it was not changed. */
export const digest = (text) => createHash('sha256').update(text).digest('hex');
