// The packages as people get them: packed, installed into a project of its own,
// and used there by Node, by Vite without a configuration, and by a plain page,
// as the blocks of docs/typescript.md say.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { serveFiles, startBrowser } from './support/browser.mjs';
import { compilePage } from './support/page.mjs';
import { freePort, root, startServer, until } from './support/server.mjs';

const run = promisify(execFile);
const ts = join(root, 'ts');
const vite = join(ts, 'node_modules/vite/bin/vite.js');

/** The blocks of a language in docs/typescript.md. */
const documented = (language) => [...readFileSync(join(root, 'docs/typescript.md'), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms)]
  .filter(([, l]) => l === language).map(([, , text]) => text);
const [install, compress] = documented('sh');

let dir, project, server, browser;

const app = `import { createClient, Auth } from '@kalamdb/client';
import { createConsumerClient } from '@kalamdb/consumer';

const url = new URLSearchParams(location.search).get('url') ?? 'http://localhost:8080';
const authProvider = async () => Auth.basic('alice', 'Secret123!');
try {
  const client = createClient({ url, authProvider });
  const row = await client.queryOne('SELECT CURRENT_USER() AS me');
  const consumer = createConsumerClient({ url, authProvider });
  const same = await consumer.queryOne('SELECT CURRENT_USER() AS me');
  for await (const rows of client.live('SELECT * FROM chat.messages')) {
    document.title = [row?.['me']?.asString(), same?.['me']?.asString(), rows.length > 0].join(' ');
    break;
  }
  await client.shutdown();
} catch (error) {
  document.title = String(error);
}
`;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kalam-packages-'));
  project = join(dir, 'project');
  mkdirSync(join(project, 'src'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }');
  // make ts is done.
  await run('bash', ['-ec', install.replace('make ts\n', '').replaceAll('~/my-app', project)], {
    cwd: root, env: { ...process.env, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_prefer_offline: 'true' },
  });
  writeFileSync(join(project, 'src/main.ts'), app);
  writeFileSync(join(project, 'index.html'), '<!doctype html><title></title><script type="module" src="/src/main.ts"></script>');
  server = await startServer();
  browser = await startBrowser({ port: server.port });
});

after(async () => {
  await browser?.close();
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Opens the app and gives the title that it ends with. */
async function titleOf(url, path = '/') {
  const page = await browser.context.newPage();
  await page.goto(`${url}${path}?url=${encodeURIComponent(server.url)}`);
  // A development server may load the page again when it has found a package.
  await page.waitForFunction(() => document.title !== '', undefined, { timeout: 60_000 });
  const title = await page.title();
  await page.close();
  return title;
}

test('no install scripts, and nothing in the tarball but what runs', () => {
  for (const name of ['client', 'consumer']) {
    const folder = join(project, 'node_modules/@kalamdb', name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    assert.equal(manifest.scripts, undefined);
    assert.deepEqual(readdirSync(folder).sort(), ['README.md', 'dist', 'package.json']);
    const files = readdirSync(join(folder, 'dist'));
    assert.equal(files.includes('kalam.wasm'), name === 'client');
    assert.equal(files.includes('kalam.wasm.br'), name === 'client');
    assert.ok(files.every((file) => /\.(js|d\.ts|wasm|br)$/.test(file)), files.join(' '));
  }
});

test('the blocks of the page run in the project', async () => {
  const modules = compilePage(join(dir, 'page'), { packages: join(project, 'node_modules') });
  for (const { file } of modules) {
    await run(process.execPath, ['--import', join(ts, 'test/support/mapport.mjs'), join(dir, 'page/out', file)], {
      env: { ...process.env, KALAM_PORT: String(server.port) }, timeout: 60_000,
    });
  }
});

describe('in Chromium', () => {
  test('vite build, without a configuration', async () => {
    await run(process.execPath, [vite, 'build'], { cwd: project });
    await run('bash', ['-ec', compress], { cwd: project });
    for (const end of ['.wasm', '.wasm.br']) assert.equal(readdirSync(join(project, 'dist/assets')).filter((f) => f.endsWith(end)).length, 1);
    const files = await serveFiles({ '/': join(project, 'dist') });
    try {
      assert.equal(await titleOf(files.url), 'alice alice true');
    } finally {
      await files.close();
    }
  });

  test('nginx sends the compressed module of the build', async () => {
    const port = await freePort();
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
    writeFileSync(join(dir, 'nginx.conf'), `${process.getuid() === 0 ? 'user root;' : ''} daemon off; pid ${dir}/nginx.pid; error_log stderr; events {}
http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; root ${project}/dist;
${documented('nginx')[0]}} }`);
    const nginx = spawn('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'inherit'] });
    const missing = await Promise.race([once(nginx, 'spawn').then(() => false), once(nginx, 'error').then(() => true)]).catch(() => true);
    if (missing) {
      console.log('# nginx is not installed');
      return;
    }
    try {
      const [module] = readdirSync(join(project, 'dist/assets')).filter((name) => name.endsWith('.wasm'));
      const get = async (encoding) => {
        const { stdout } = await run('curl', ['-sS', '-H', `Accept-Encoding: ${encoding}`, '-o', join(dir, 'got'), '-D', '-', `http://127.0.0.1:${port}/assets/${module}`]);
        return { headers: stdout.toLowerCase(), body: readFileSync(join(dir, 'got')) };
      };
      await until('nginx', () => get('identity').catch(() => null));
      const is = (name) => readFileSync(join(project, 'dist/assets', name));
      const small = await get('gzip, br');
      assert.match(small.headers, /content-type: application\/wasm\r\n/);
      assert.match(small.headers, /content-encoding: br\r\n/);
      assert.match(small.headers, /vary: accept-encoding\r\n/);
      assert.ok(small.body.equals(is(module + '.br')));
      const plain = await get('gzip');
      assert.match(plain.headers, /content-type: application\/wasm\r\n/);
      assert.match(plain.headers, /vary: accept-encoding\r\n/);
      assert.doesNotMatch(plain.headers, /content-encoding/);
      assert.ok(plain.body.equals(is(module)));
    } finally {
      nginx.kill();
    }
  });

  test('vite dev, without a configuration', async () => {
    const dev = spawn(process.execPath, [vite, '--port', '0', '--host', 'localhost'], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NO_COLOR: '1' } });
    const url = await new Promise((resolve, reject) => {
      let output = '';
      dev.stdout.on('data', (chunk) => {
        output += chunk;
        const found = /(http:\/\/localhost:\d+)\//.exec(output);
        if (found) resolve(found[1]);
      });
      dev.once('exit', () => reject(new Error(output)));
    });
    try {
      assert.equal(await titleOf(url), 'alice alice true');
    } finally {
      dev.kill();
    }
  });

  test('a plain page from a static server', async () => {
    const files = await serveFiles({
      '/node_modules/': join(project, 'node_modules'),
      '/': () => ({
        body: `<!doctype html><title></title>
${documented('html').join('')}
<script type="module">${app}</script>`,
      }),
    });
    try {
      assert.equal(await titleOf(files.url), 'alice alice true');
    } finally {
      await files.close();
    }
  });
});
