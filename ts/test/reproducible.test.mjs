// The same tree gives the same module, byte for byte, wherever it is.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildWasm } from '../build.mjs';
import { digest } from './support/page.mjs';
import { root } from './support/server.mjs';

test('the module is reproducible', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kalam-elsewhere-'));
  try {
    const tree = join(dir, 'tree');
    for (const name of ['go.mod', 'go.sum', 'auth', 'wire', 'client', 'consumer', 'cmd/kalamwasm']) {
      cpSync(join(root, name), join(tree, name), { recursive: true });
    }
    // A cache of its own, so that nothing is taken over from the first build.
    buildWasm(tree, join(dir, 'kalam.wasm'), { GOCACHE: join(dir, 'cache') });
    assert.equal(digest(readFileSync(join(dir, 'kalam.wasm'))), digest(readFileSync(join(root, 'ts/client/dist/kalam.wasm'))));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
