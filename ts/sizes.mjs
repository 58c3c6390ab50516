// Prints what a visitor of a page downloads, and fails above the budget:
// node sizes.mjs [bytes for the module]. Sizes are after brotli.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'rolldown';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** The bytes of a module with all that it imports, minified and compressed. */
async function bundled(entry) {
  const { output } = await build({ input: entry, write: false, logLevel: 'silent', output: { minify: true, format: 'es' } });
  return brotliCompressSync(output.map((o) => o.code ?? '').join('\n')).length;
}

const glue = await bundled(path('client/dist/wasm_exec.js'));
const rows = [
  ['kalam.wasm', readFileSync(path('client/dist/kalam.wasm.br')).length, Number(process.argv[2] ?? 786432)],
  ['@kalamdb/client without the glue of Go', (await bundled(path('client/dist/index.js'))) - glue, 15 * 1024],
  ['the glue of Go', glue, 5 * 1024],
];
let good = true;
for (const [what, bytes, limit] of rows) {
  console.log(`${String(bytes).padStart(8)} bytes of ${limit}  ${what}`);
  good &&= bytes <= limit;
}
process.exit(good ? 0 : 1);
