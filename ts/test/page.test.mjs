// The page of the documentation, block by block, in Node.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { blocks, compilePage, pagePath } from './support/page.mjs';
import { root, startServer } from './support/server.mjs';

const run = promisify(execFile);
const packages = join(root, 'ts/node_modules');
const node18 = join(packages, 'node/bin/node');

let dir, server, modules;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-page-'));
  modules = compilePage(join(dir, 'page'), { packages });
  server = await startServer();
});

after(async () => {
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a block in a Node of its own. */
async function runBlock(node, file, wrap = (command) => command) {
  const command = wrap([node, '--import', join(root, 'ts/test/support/mapport.mjs'), join(dir, 'page/out', file)]);
  return run(command[0], command.slice(1), { env: { ...process.env, KALAM_PORT: String(server.port) }, timeout: 60_000 });
}

test('the copy of the page is the page', () => {
  const original = join(root, '../shared/authentication-page.md');
  const page = (path) => readFileSync(path, 'utf8').split('\n---\n')[1]; // what stands before introduces it
  if (existsSync(original)) assert.equal(page(pagePath), page(original));
  assert.equal(blocks().length, 7);
});

test('the blocks are as they stand', () => {
  const page = readFileSync(pagePath, 'utf8');
  for (const { block, source } of modules) {
    assert.ok(page.includes('```ts\n' + block + '```'));
    assert.ok(source.includes(block));
  }
});

test('a block with a wrong type does not compile', () => {
  const page = readFileSync(pagePath, 'utf8').replace("url: 'http://localhost:8080',\n  authProvider,", "url: 'http://localhost:8080',");
  assert.throws(() => compilePage(join(dir, 'wrong'), { page, packages }), /authProvider/);
});

test('Node 18 is Node 18', async () => {
  assert.match((await run(node18, ['--version'])).stdout, /^v18\./);
});

for (const [name, node] of [['this Node', process.execPath], ['Node 18', node18]]) {
  describe(`the blocks in ${name}`, () => {
    for (let i = 0; i < 7; i++) test(`block ${i + 1}`, () => runBlock(node, modules[i].file));
  });
}

test('the blocks with localhost as ::1 alone, in Node 18', async () => {
  const hosts = join(dir, 'hosts');
  writeFileSync(hosts, '::1 localhost\n');
  const inNamespace = (command) => ['unshare', '--mount', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh', ...command];
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
  } catch {
    console.log('# a hosts file of our own needs the rights of root');
    return;
  }
  for (const { file } of modules) await runBlock(node18, file, inNamespace);
});
