// How long a page of a new tab takes until its first answer, with the module in
// the browser's cache: node first.mjs [rounds]. Milliseconds since the
// navigation began, medians; the page, its bundle and the server are on this
// machine and on different origins, so the query needs a preflight.
import { join } from 'node:path';
import { build } from 'rolldown';
import { serveFiles, startBrowser } from '../test/support/browser.mjs';
import { password, root, startServer } from '../test/support/server.mjs';

const rounds = Number(process.argv[2] ?? 9);
const server = await startServer();
const browser = await startBrowser();
const signIn = await fetch(`${server.url}/v1/api/auth/login`, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'alice', password }),
});
const token = (await signIn.json()).access_token;

const app = `
import { createClient, Auth } from '@kalamdb/client';
const times = { script: performance.now() };
const client = createClient({ url: ${JSON.stringify(server.url)}, authProvider: async () => Auth.jwt(${JSON.stringify(token)}) });
await client.initialize();
times.module = performance.now();
await client.query('SELECT 1');
times.answer = performance.now();
window.times = times;`;
const { output } = await build({
  input: 'app', write: false, logLevel: 'silent', output: { minify: true, format: 'es' },
  plugins: [{ name: 'app', resolveId: (id) => (id === 'app' ? id : id === '@kalamdb/client' ? join(root, 'ts/client/dist/index.js') : undefined), load: (id) => (id === 'app' ? app : undefined) }],
});
const code = output[0].code.replaceAll('./kalam.wasm', '/dist/kalam.wasm');
const page = (head) => () => ({ body: `<!doctype html><title>first</title>${head}<script type="module" src="/app.js"></script>` });
const files = await serveFiles({
  '/dist/': join(root, 'ts/client/dist'),
  '/app.js': () => ({ type: 'text/javascript', body: code }),
  '/preload': page('<link rel="preload" href="/dist/kalam.wasm" as="fetch" crossorigin>'),
  '/plain': page(''),
});

async function visit(path) {
  const tab = await browser.context.newPage();
  await tab.goto(files.url + path);
  await tab.waitForFunction(() => window.times !== undefined);
  const times = await tab.evaluate(() => window.times);
  await tab.close();
  return times;
}

const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
for (const path of ['/plain', '/preload']) console.log(`${path}, cold: ${(await visit(path)).answer.toFixed(0)} ms`);
await new Promise((done) => setTimeout(done, 3000)); // Chromium keeps what it has compiled
const all = { '/plain': [], '/preload': [] };
for (let i = 0; i < rounds; i++) for (const path of Object.keys(all)) all[path].push(await visit(path));
for (const [path, times] of Object.entries(all)) {
  const of = (name) => `${median(times.map((t) => t[name])).toFixed(0)} (least ${Math.min(...times.map((t) => t[name])).toFixed(0)})`;
  console.log(`${path}: script runs ${of('script')}, module runs ${of('module')}, first answer ${of('answer')} ms`);
}
await browser.close();
await files.close();
await server.close();
