// docs/typescript.md: its blocks run, and it speaks of every export.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Auth, createClient } from '@kalamdb/client';
import { blocks } from './support/page.mjs';
import { password, root, startServer } from './support/server.mjs';

const run = promisify(execFile);
const text = readFileSync(join(root, 'docs/typescript.md'), 'utf8');
let dir, server;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-docs-'));
  mkdirSync(join(dir, 'src'));
  symlinkSync(join(root, 'ts/node_modules'), join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  blocks(text).forEach((block, i) => writeFileSync(join(dir, `src/block${i + 1}.ts`), block));
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(root, 'ts/tsconfig.base.json'), compilerOptions: { rootDir: 'src', outDir: 'out', declaration: false }, include: ['src'],
  }));
  try {
    execFileSync(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  } catch (error) {
    throw new Error(error.stdout);
  }
  server = await startServer();
  const admin = createClient({ url: server.url, authProvider: async () => Auth.basic('admin', password) });
  await admin.query(`CREATE NAMESPACE app;
    CREATE USER TABLE app.tasks (id INT PRIMARY KEY, title TEXT NOT NULL, done BOOLEAN NOT NULL DEFAULT false);
    CREATE USER TABLE app.photos (id INT PRIMARY KEY, photo FILE);
    CREATE TOPIC app.task_events`);
  await admin.query('ALTER TOPIC app.task_events ADD SOURCE app.tasks ON INSERT');
  await admin.shutdown();
});

after(async () => {
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

for (let i = 1; i <= blocks(text).length; i++) {
  test(`block ${i}`, async () => {
    const { stdout } = await run(process.execPath, ['--import', join(root, 'ts/test/support/mapport.mjs'), join(dir, `out/block${i}.js`)], {
      env: { ...process.env, KALAM_PORT: String(server.port) }, timeout: 60_000,
    });
    // What a comment after console.log says is what it prints, but for spaces.
    const printed = stdout.replace(/\s+/g, ' ');
    for (const [, said] of blocks(text)[i - 1].matchAll(/console\.log\(.*\);? *(?:\}\);)? *\/\/ (.*)/g)) {
      if (said !== 'any version') assert.ok(printed.includes(said.replace(/\s+/g, ' ')), `${said} is not in ${printed}`);
    }
  });
}

test('every export is there', () => {
  const missing = [];
  for (const name of ['client', 'consumer']) {
    const read = (file) => readFileSync(join(root, 'ts', name, 'src', file), 'utf8');
    const names = [...read('index.ts').matchAll(/^export (?:type )?\{([^}]*)\}/gms)].flatMap(([, list]) => list.split(','));
    if (name === 'client') names.push(...[...read('messages.ts').matchAll(/^export (?:interface|type|enum|const|function) (\w+)/gm)].map(([, n]) => n));
    for (const n of names.map((n) => n.trim()).filter((n) => n !== '' && n !== 'default')) {
      if (!new RegExp(`\\b${n}\\b`).test(text)) missing.push(`${name}: ${n}`);
    }
  }
  assert.deepEqual(missing, []);
});
