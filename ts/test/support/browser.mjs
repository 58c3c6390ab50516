// A headless Chromium and a static file server for the tests in the browser.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** Starts Chromium with a profile of its own. Requests for port 8080 go to the given one. */
export async function startBrowser({ port } = {}) {
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  if (!executablePath) throw new Error('Chromium is missing: install the Debian package chromium');
  const profile = mkdtempSync(join(tmpdir(), 'kalam-chromium-'));
  const args = port ? [...flags, `--host-resolver-rules=MAP localhost:8080 localhost:${port}`] : flags;
  const context = await chromium.launchPersistentContext(profile, { executablePath, args });
  return {
    context,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css',
  '.wasm': 'application/wasm', '.json': 'application/json', '.svg': 'image/svg+xml',
};

/**
 * Serves files: routes are prefixes and the folders behind them, or functions
 * that give the body. A .br beside a file is sent in place of it.
 */
export async function serveFiles(routes, { headers = {}, port = 0 } = {}) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://x').pathname));
    for (const [prefix, target] of Object.entries(routes)) {
      if (!path.startsWith(prefix)) continue;
      if (typeof target === 'function') {
        const { type = 'text/html; charset=utf-8', body, status = 200 } = target(path);
        response.writeHead(status, { 'Content-Type': type, ...headers }).end(body);
        return;
      }
      let file = join(target, path.slice(prefix.length));
      if (existsSync(file) && statSync(file).isDirectory()) file = join(file, 'index.html');
      if (!existsSync(file)) continue;
      const out = { 'Content-Type': types[extname(file)] ?? 'application/octet-stream', 'Cache-Control': 'max-age=60', ...headers };
      if (existsSync(`${file}.br`) && /\bbr\b/.test(request.headers['accept-encoding'] ?? '')) {
        response.writeHead(200, { ...out, 'Content-Encoding': 'br' }).end(readFileSync(`${file}.br`));
      } else {
        response.writeHead(200, out).end(readFileSync(file));
      }
      return;
    }
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found');
  }).listen(port, 'localhost');
  await once(server, 'listening');
  return {
    url: `http://localhost:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A page without a bundler, in which the packages have their names. */
export const plainPage = (script) => `<!doctype html>
<title>test</title>
<script type="importmap">
{ "imports": { "@kalamdb/client": "/packages/client/dist/index.js", "@kalamdb/client/auth": "/packages/client/dist/kalamauth.js", "@kalamdb/client/core": "/packages/client/dist/core.js", "@kalamdb/consumer": "/packages/consumer/dist/index.js" } }
</script>
<script type="module">
addEventListener('unhandledrejection', (event) => { window.unhandled = String(event.reason); });
${script}
</script>`;
