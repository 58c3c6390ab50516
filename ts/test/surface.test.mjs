// The surface of the packages of KalamDB 0.4 is all there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from './support/server.mjs';

const dir = mkdtempSync(join(tmpdir(), 'kalam-surface-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('an application written for 0.4 compiles and finds everything', async () => {
  copyFileSync(join(root, 'ts/test/support/surface.ts'), join(dir, 'surface.ts'));
  symlinkSync(join(root, 'ts/node_modules'), join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(root, 'ts/tsconfig.base.json'), compilerOptions: { rootDir: '.', outDir: 'out', types: ['node'], declaration: false }, include: ['surface.ts'],
  }));
  try {
    execFileSync(process.execPath, [join(root, 'ts/node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout);
  }
  const { values } = await import(pathToFileURL(join(dir, 'out/surface.js')));
  assert.deepEqual(Object.entries(values).filter(([, value]) => value === undefined), []);
  assert.equal(values.defaults, true);
  assert.deepEqual(Object.entries(values.levels).filter(([name]) => Number.isNaN(Number(name))), [['Verbose', 0], ['Debug', 1], ['Info', 2], ['Warn', 3], ['Error', 4], ['None', 5]]);
  assert.deepEqual(Object.values(values.MessageType), ['subscription_ack', 'initial_data_batch', 'change', 'error']);
  assert.deepEqual(Object.values(values.ChangeType), ['insert', 'update', 'delete']);
});
