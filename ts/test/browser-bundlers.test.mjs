// The packages in what other bundlers make: programs for Node, scripts for
// pages, and a Next.js application. browser-packages.test.mjs has Vite.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import esbuild from 'esbuild';
import { build as rolldown } from 'rolldown';
import { build as vite } from 'vite';
import webpack from 'webpack';
import { serveFiles, startBrowser } from './support/browser.mjs';
import { freePort, root, startServer, until } from './support/server.mjs';

const run = promisify(execFile);
const ts = join(root, 'ts');
const wasm = join(ts, 'client/dist/kalam.wasm');

let project, away, server, browser, pagePort, appPort;

const ask = `import { createClient } from '@kalamdb/client';
import { kalamAuth } from '@kalamdb/client/auth';

export async function ask(url, options, verify) {
  const kept = new Map(); // in Node, which keeps no cookies
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => { kept.set(key, value); }, removeItem: (key) => { kept.delete(key); } };
  const auth = kalamAuth(typeof document === 'undefined' ? { url, storage } : { url });
  const client = createClient({ url, authProvider: auth, ...options });
  try {
    await auth.signIn('alice', 'Secret123!');
    const me = (await client.queryOne('SELECT CURRENT_USER() AS me')).me.asString();
    if (verify && (await verify(url, (await auth()).token)) !== me) throw new Error('verifySession says something else');
    return me;
  } catch (error) {
    return [error.name, error.code, error.message].join(' ');
  } finally {
    await client.shutdown();
    auth.close();
  }
}
`;
const verify = `import { verifySession } from '@kalamdb/client/server';

export const verify = (url, token) => verifySession(
  new Request('http://app.example.com/', { headers: { Authorization: 'Bearer ' + token } }), { jwksUrl: url + '/.well-known/jwks.json' });
`;
const sources = {
  'ask.js': ask,
  'verify.js': verify,
  'node.js': `import { ask } from './ask.js';\nimport { verify } from './verify.js';\nask(process.env.KALAM_URL, {}, verify).then(console.log);\n`,
  'page.js': `import { ask } from './ask.js';\nask(new URLSearchParams(location.search).get('url')).then((me) => { document.title = me; });\n`,
  'file.js': `import wasmUrl from '@kalamdb/client/kalam.wasm';\nimport { ask } from './ask.js';\nask(new URLSearchParams(location.search).get('url'), { wasmUrl }).then((me) => { document.title = me; });\n`,
  'bytes.js': `import wasmUrl from '@kalamdb/client/kalam.wasm';\nimport { ask } from './ask.js';\nask(process.env.KALAM_URL, { wasmUrl }).then(console.log);\n`,
};

before(async () => {
  // Inside ts, so that the bundlers and React are found; the packages are as they are published.
  project = mkdtempSync(join(ts, '.bundlers-'));
  away = mkdtempSync(join(tmpdir(), 'kalam-bundlers-'));
  const packed = await run('npm', ['pack', '--pack-destination', away, '--workspaces'], { cwd: ts });
  for (const name of packed.stdout.trim().split('\n')) {
    const folder = join(project, 'node_modules/@kalamdb', name.startsWith('kalamdb-client') ? 'client' : 'consumer');
    mkdirSync(folder, { recursive: true });
    await run('tar', ['-xzf', join(away, name), '-C', folder, '--strip-components=1']);
  }
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }');
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(project, name), source);
  [pagePort, appPort] = [await freePort(), await freePort()];
  server = await startServer({ env: { KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS: `http://localhost:${pagePort},http://localhost:${appPort}` } });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.close();
  for (const dir of [project, away]) rmSync(dir, { recursive: true, force: true });
});

/** Runs a program; returns what it prints. */
async function output(file) {
  const { stdout } = await run(process.execPath, ['--no-warnings', file], { cwd: dirname(file), env: { ...process.env, KALAM_URL: server.url }, timeout: 60_000 });
  return stdout.trim();
}

/** Opens a page with a script of a folder; returns the title that it ends with. */
async function titleOf(dir, script) {
  const files = await serveFiles({ '/index.html': () => ({ body: `<!doctype html><title></title>${script}` }), '/': dir }, { port: pagePort });
  const page = await browser.context.newPage();
  try {
    await page.goto(`${files.url}/index.html?url=${encodeURIComponent(server.url)}`);
    await page.waitForFunction(() => document.title !== '', undefined, { timeout: 60_000 });
    return await page.title();
  } finally {
    await page.close();
    await files.close();
  }
}

const esbuildTo = (entry, outfile, options) => esbuild.build({ entryPoints: [join(project, entry)], outfile, bundle: true, logLevel: 'error', absWorkingDir: project, ...options });

function webpackTo(entry, dir, options) {
  return new Promise((resolve, reject) => {
    webpack({ context: project, mode: 'production', optimization: { minimize: false }, entry: join(project, entry), ...options, output: { path: dir, filename: 'index.js', ...options.output } }, (error, stats) => {
      if (error || stats.hasErrors()) reject(error ?? new Error(stats.toString({ all: false, errors: true })));
      else resolve();
    });
  });
}

/** Bundlers for Node: each makes dir/index.js, or index.cjs; the last ones copy the module themselves. */
const forNode = {
  'esbuild to ES modules': (dir) => esbuildTo('node.js', join(dir, 'index.js'), { platform: 'node', format: 'esm' }),
  'esbuild to CommonJS': (dir) => esbuildTo('node.js', join(dir, 'index.cjs'), { platform: 'node', format: 'cjs' }),
  'rolldown to ES modules': (dir) => rolldown({ cwd: project, input: join(project, 'node.js'), platform: 'node', logLevel: 'silent', output: { dir, entryFileNames: 'index.js' } }),
  'rolldown to CommonJS': (dir) => rolldown({ cwd: project, input: join(project, 'node.js'), platform: 'node', logLevel: 'silent', output: { dir, format: 'cjs', entryFileNames: 'index.cjs', chunkFileNames: '[name].cjs' } }),
  'vite build --ssr': (dir) => vite({ root: project, configFile: false, logLevel: 'error', ssr: { noExternal: true }, build: { ssr: 'node.js', outDir: dir, rollupOptions: { output: { entryFileNames: 'index.js' } } } }),
  'webpack to CommonJS': (dir) => webpackTo('node.js', dir, { target: 'node', output: { filename: 'index.cjs' } }),
  'webpack to ES modules': (dir) => webpackTo('node.js', dir, { target: 'node18', experiments: { outputModule: true }, output: { module: true, library: { type: 'module' } } }),
};

describe('a bundle for Node', () => {
  for (const [name, make] of Object.entries(forNode)) {
    test(name, async () => {
      const built = join(project, 'out', name.replaceAll(' ', '-'));
      await make(built);
      const file = readdirSync(built).find((f) => /^index\.c?js$/.test(f));
      assert.equal(await output(join(built, file)), 'alice', 'where the package is installed');
      const alone = join(away, name.replaceAll(' ', '-'));
      cpSync(built, alone, { recursive: true });
      writeFileSync(join(alone, 'package.json'), '{ "type": "module" }');
      const said = await output(join(alone, file));
      if (name.startsWith('webpack')) return assert.equal(said, 'alice', 'where it is not');
      assert.match(said, /^KalamLoadError (WASM_NOT_FOUND cannot read .*kalam\.wasm: copy the file|WEBSOCKET_NOT_FOUND .*install ws beside the bundle)/, 'where it is not');
      cpSync(wasm, join(alone, 'kalam.wasm'));
      mkdirSync(join(alone, 'node_modules'));
      symlinkSync(join(ts, 'node_modules/ws'), join(alone, 'node_modules/ws')); // for Node before 22
      assert.equal(await output(join(alone, file)), 'alice', 'with the module beside it');
    });
  }

  test('esbuild, with the module in it', async () => {
    const file = join(away, 'bytes/index.cjs');
    await esbuildTo('bytes.js', file, { platform: 'node', format: 'cjs', target: 'node18', loader: { '.wasm': 'binary' } });
    assert.equal(await output(file), 'alice');
  });
});

describe('a script for pages', () => {
  test('esbuild to an IIFE', async () => {
    const dir = join(away, 'iife');
    await esbuildTo('page.js', join(dir, 'index.js'), { format: 'iife' });
    const script = '<script src="/index.js"></script>';
    assert.match(await titleOf(dir, script), /^KalamLoadError WASM_NOT_FOUND http.*\/kalam\.wasm gives status 404 .*: serve the file dist\/kalam\.wasm/);
    cpSync(wasm, join(dir, 'kalam.wasm'));
    assert.equal(await titleOf(dir, script), 'alice');
  });

  test('esbuild, which copies the module', async () => {
    const dir = join(away, 'file');
    await esbuildTo('file.js', join(dir, 'index.js'), { format: 'esm', loader: { '.wasm': 'file' } });
    assert.equal(await titleOf(dir, '<script type="module" src="/index.js"></script>'), 'alice');
  });

  test('webpack', async () => {
    const dir = join(away, 'webpack');
    await webpackTo('page.js', dir, { target: 'web', performance: { hints: false } });
    assert.equal(await titleOf(dir, '<script src="/index.js"></script>'), 'alice');
  });
});

test('Next.js: a server component, a route handler, a client component', async () => {
  const app = join(project, 'next');
  mkdirSync(join(app, 'app/api/me'), { recursive: true });
  const files = {
    'package.json': '{ "name": "app", "private": true }',
    'next.config.mjs': `export default { turbopack: { root: ${JSON.stringify(ts)} } };`,
    'app/ask.js': ask,
    'app/verify.js': verify,
    'app/layout.jsx': 'export default function Layout({ children }) { return <html><body>{children}</body></html>; }',
    'app/page.jsx': `import { ask } from './ask.js';
import { verify } from './verify.js';
import Me from './me.jsx';
export const dynamic = 'force-dynamic';
export default async function Page() {
  return <><p id="server">{await ask(process.env.KALAM_URL, {}, verify)}</p><Me url={process.env.KALAM_URL} /></>;
}`,
    'app/me.jsx': `'use client';
import { useEffect, useState } from 'react';
import { ask } from './ask.js';
export default function Me({ url }) {
  const [me, setMe] = useState('');
  useEffect(() => { ask(url).then(setMe); }, [url]);
  return <p id="client">{me}</p>;
}`,
    'app/api/me/route.js': `import { ask } from '../../ask.js';
import { verify } from '../../verify.js';
export const dynamic = 'force-dynamic';
export const GET = async () => Response.json({ me: await ask(process.env.KALAM_URL, {}, verify) });`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(app, name), text);
  const next = join(ts, 'node_modules/next/dist/bin/next');
  const env = { ...process.env, KALAM_URL: server.url, NEXT_TELEMETRY_DISABLED: '1' };
  await run(process.execPath, [next, 'build'], { cwd: app, env });
  const started = spawn(process.execPath, [next, 'start', '-p', String(appPort)], { cwd: app, env, stdio: 'ignore' });
  const page = await browser.context.newPage();
  try {
    const url = `http://localhost:${appPort}`;
    const route = await until('next start', () => fetch(`${url}/api/me`).catch(() => undefined));
    assert.deepEqual(await route.json(), { me: 'alice' });
    await page.goto(url);
    assert.equal(await page.textContent('#server'), 'alice');
    await page.waitForFunction(() => document.querySelector('#client').textContent !== '', undefined, { timeout: 60_000 });
    assert.equal(await page.textContent('#client'), 'alice');
  } finally {
    await page.close();
    started.kill();
  }
});
