// Starts real servers for tests: bin/kalam with the demo data, on a free port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
export const password = 'Secret123!';

/** A server with alice, bob and admin. Options: port, dir, env. */
export async function startServer(options = {}) {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'kalam-ts-'));
  const child = spawn(join(root, 'bin/kalam'), ['serve', '--demo', '--data', dir, '--listen', `localhost:${options.port ?? 0}`], {
    env: { ...process.env, KALAMDB_RATE_LIMIT_MAX_AUTH_REQUESTS_PER_IP_PER_SEC: '1000', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const url = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      output += chunk;
      const found = / serves (http\S+) /.exec(output);
      if (found) resolve(found[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`kalam serve ended with ${code}: ${output}`)));
  });
  const end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  return {
    url,
    port: Number(new URL(url).port),
    dir,
    output: () => output,
    /** Ends it without warning. */
    kill: () => end('SIGKILL'),
    /** Ends it in order; the data go too, unless they were given. */
    async close() {
      await end('SIGTERM');
      if (!options.dir && !options.keep) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A port that is free now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a function gives something true, for 30 seconds at most. */
export async function until(what, check, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}
