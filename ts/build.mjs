// Builds the packages: node build.mjs. The Go toolchain compiles the core and
// gives wasm_exec.js, the glue between Go and JavaScript.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..');
const dist = join(here, 'client/dist');

/** Compiles the core. The same tree and toolchain give the same bytes, wherever they are. */
export function buildWasm(tree, out, env = {}) {
  execFileSync('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', out, './cmd/kalamwasm'], {
    cwd: tree,
    env: { ...process.env, GOFLAGS: '', GOOS: 'js', GOARCH: 'wasm', ...env },
    stdio: 'inherit',
  });
}

/** Makes a module of wasm_exec.js: what it takes from the global object is given to it, and what it puts there comes back. */
function glue() {
  const goroot = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  const code = readFileSync(join(goroot, 'lib/wasm/wasm_exec.js'), 'utf8');
  return `// From the Go toolchain, under its BSD licence: https://go.dev/LICENSE
export function startGo(globalThis, fs, crypto, setTimeout) {
${code}
return new globalThis.Go();
}
`;
}

function main() {
  for (const name of ['client', 'consumer']) rmSync(join(here, name, 'dist'), { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const wasm = join(dist, 'kalam.wasm');
  buildWasm(root, wasm);
  const raw = readFileSync(wasm);
  const small = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } });
  writeFileSync(`${wasm}.br`, small);
  writeFileSync(join(dist, 'wasm_exec.js'), glue());
  const tsc = join(here, 'node_modules/typescript/bin/tsc');
  for (const name of ['client', 'consumer']) execFileSync(process.execPath, [tsc, '-p', join(here, name)], { stdio: 'inherit' });
  console.log(`kalam.wasm: ${raw.length} bytes, ${small.length} with brotli`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
