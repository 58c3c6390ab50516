// The declarations, as the compiler of an application reads them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { root } from './support/server.mjs';

const app = `import standard, { createClient, Auth, KalamDBClient, type ClientOptions, type Param, type WasmSource } from '@kalamdb/client';
import { kalamAuth, type AuthStorage, type KalamAuthState } from '@kalamdb/client/auth';
import { verifySession } from '@kalamdb/client/server';
import { createConsumerClient } from '@kalamdb/consumer';

const storage: AuthStorage = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
const auth = kalamAuth({ url: '/db', storage });
export const states: KalamAuthState[] = [auth.state];
export const withAuth = createClient({ url: '/db', authProvider: auth });
export const who: Promise<string | null> = verifySession({ headers: { authorization: 'Bearer x' } }, { jwksUrl: 'http://localhost:8080/.well-known/jwks.json' });
const options: ClientOptions = { url: 'http://localhost:8080', authProvider: async () => Auth.basic('alice', 'Secret123!') };
const client: KalamDBClient = createClient(options);
const values: Param[] = [1n, new Date(), new Float32Array(3), new ArrayBuffer(3), { toJSON: () => 1 }, { a: [1] }, undefined];
const bytes: WasmSource = new Uint8Array(1);
export const rows = client.live('SELECT 1 AS one', (all) => all[0]?.['one']?.asInt(), { params: values });
export const others = [new standard({ ...options, wasmUrl: bytes }), createConsumerClient(options)];
`;
const disposing = `import { createClient, type ClientOptions } from '@kalamdb/client';

export async function run(options: ClientOptions): Promise<void> {
  await using client = createClient(options);
  await client.query('SELECT 1');
}
`;
let dir;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-types-'));
  symlinkSync(join(root, 'ts/node_modules'), join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'app.ts'), app);
  writeFileSync(join(dir, 'disposing.ts'), disposing);
});

after(() => rmSync(dir, { recursive: true, force: true }));

/** Compiles a file strictly, the declarations of the packages with it. */
async function compile(compiler, file, options) {
  const name = `${compiler}-${options.module}-${options.lib.length}.json`;
  writeFileSync(join(dir, name), JSON.stringify({
    compilerOptions: { target: 'ES2022', strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, isolatedModules: true, noEmit: true, types: [], ...options },
    files: [file],
  }));
  const { stdout } = await new Promise((resolve) => execFile(process.execPath, [join(root, 'ts/node_modules', compiler, 'bin/tsc'), '-p', join(dir, name)], (error, stdout, stderr) => resolve({ stdout: stdout + stderr })));
  assert.equal(stdout, '');
}

const version = (compiler) => JSON.parse(readFileSync(join(root, 'ts/node_modules', compiler, 'package.json'), 'utf8')).version;

const node16 = { module: 'Node16', moduleResolution: 'Node16' };
const nodeNext = { module: 'NodeNext', moduleResolution: 'NodeNext' };
const bundler = { module: 'ES2022', moduleResolution: 'Bundler' };
const dom = { lib: ['ES2022', 'DOM'] };

const combinations = [
  ['typescript-5.0', 'Node, without the library dom', { ...node16, lib: ['ES2022'], types: ['node'] }],
  ['typescript', 'Node, without the library dom', { ...node16, lib: ['ES2022'], types: ['node'] }],
  ['typescript', 'Node', { ...nodeNext, ...dom }],
  ['typescript', 'a bundler', { ...bundler, ...dom }],
];
for (const [compiler, where, options] of combinations) {
  test(`the declarations compile with TypeScript ${version(compiler)} and the library es2022 for ${where}`, () => compile(compiler, 'app.ts', options));
}

test('with the library esnext.disposable there is await using', () => (
  compile('typescript', 'disposing.ts', { ...nodeNext, lib: ['ES2022', 'ESNext.Disposable', 'DOM'] })
));
