// The TypeScript of docs/authentication.md and ts/client/README.md, and the
// commands of the examples' READMEs, run as they stand.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { blocks, supplied } from './support/page.mjs';
import { freePort, root, startServer } from './support/server.mjs';

const run = promisify(execFile);
const mapped = join(root, 'ts/test/support/mapport.mjs');
const document = (path) => readFileSync(join(root, path), 'utf8');

let dir, server, env;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-readmes-'));
  server = await startServer();
  env = { ...process.env, KALAM_PORT: String(server.port), NODE_OPTIONS: `--import ${mapped}`, NO_COLOR: '1', npm_config_prefer_offline: 'true' };
});

after(async () => {
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Compiles modules and returns the folder with what came of them. */
function compile(name, modules) {
  const folder = join(dir, name);
  mkdirSync(folder);
  symlinkSync(join(root, 'ts/node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const [file, text] of Object.entries(modules)) writeFileSync(join(folder, file), text);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: join(root, 'ts/tsconfig.base.json'), compilerOptions: { rootDir: '.', outDir: 'out', declaration: false }, include: ['*.ts'],
  }));
  try {
    execFileSync(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', folder], { encoding: 'utf8' });
  } catch (error) {
    throw new Error(error.stdout);
  }
  return join(folder, 'out');
}

/** Starts a command that goes on by itself, waits for what it prints, and ends it. */
async function until(command, args, options, what) {
  const child = spawn(command, args, { ...options, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`it does not print ${what}: ${output}`)), 60_000);
      const read = (chunk) => {
        output += chunk;
        const found = what.exec(output);
        if (found) resolve(clearTimeout(timer) ?? found);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${output}`)));
    });
  } finally {
    try {
      process.kill(-child.pid, 'SIGKILL'); // what it started, too
    } catch {
      // it has ended
    }
  }
}

test('docs/authentication.md', async () => {
  const out = compile('authentication', {
    'supplied.ts': supplied,
    'main.ts': `import { same, whoami } from './supplied.js';
const kept = new Map<string, string>();
const yourStorage = {
  getItem: async (key: string) => kept.get(key) ?? null,
  setItem: async (key: string, value: string) => { kept.set(key, value); },
  removeItem: async (key: string) => { kept.delete(key); },
};
${blocks(document('docs/authentication.md')).join('\n')}
same([begun?.user.id, profile.name, open.length], [profile.id, 'Greta', 1]);
await app.shutdown();
same([login.user.id, refreshed.user.id], ['alice', 'alice']);
const other = createClient({ url: 'http://localhost:8080', authProvider });
same(await whoami(other), 'alice');
same([userId, auth.user?.id, kept.size], ['alice', 'alice', 1]);
await other.shutdown();
await client.shutdown();
auth.close();
await db.shutdown();
`,
  });
  await run(process.execPath, [join(out, 'main.js')], { env, timeout: 60_000 });
});

test('ts/client/README.md', async () => {
  const [block] = blocks(document('ts/client/README.md'));
  await until(process.execPath, [join(compile('client', { 'main.ts': block }), 'main.js')], {}, /Hello/);
});

test('examples/web-chat/README.md', async () => {
  // A folder that is like the project's, because npm install writes into it.
  const project = join(dir, 'project');
  const example = join(project, 'examples/web-chat');
  cpSync(join(root, 'examples/web-chat'), example, { recursive: true, filter: (path) => !path.endsWith('node_modules') });
  symlinkSync(join(root, 'bin'), join(project, 'bin'));
  for (const name of ['client', 'consumer']) {
    for (const part of ['package.json', 'dist']) cpSync(join(root, 'ts', name, part), join(project, 'ts', name, part), { recursive: true });
  }
  const [first, relay, page, ...rest] = [...document('examples/web-chat/README.md').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text);
  assert.equal(first, 'make ts run\n'); // done: the packages and the server are there
  assert.deepEqual(rest, []);
  const there = { cwd: project };
  const setUp = relay.replace('localhost:8080', `localhost:${server.port}`);
  await until('bash', ['-ec', setUp], there, /> node relay\.mjs/);
  assert.ok(readdirSync(join(example, 'node_modules')).includes('@kalamdb'));
  await until('bash', ['-ec', page], there, /http:\/\/localhost:\d+\//);
});

test('examples/one-page/README.md', async () => {
  const [serve, files, ...rest] = [...document('examples/one-page/README.md').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text);
  assert.deepEqual(rest, []);
  const [first, ...command] = serve.trim().split('\n');
  assert.equal(first, 'make ts build'); // done
  const port = await freePort();
  const there = { cwd: root };
  const own = `${command.join('\n').replace('--data demo', `--data ${join(dir, 'one-page')}`)} --listen localhost:0`;
  await until('bash', ['-ec', own], there, / serves http:/);
  await until('bash', ['-ec', `${files.trim().replace('3000', String(port))} & until curl -fs http://localhost:${port}/examples/one-page/; do sleep 0.1; done; wait`], there, /<title>Notes/);
});
