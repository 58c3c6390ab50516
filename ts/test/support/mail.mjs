// Mailpit of bench/peers: a real SMTP server that stores every message.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, root, until } from './server.mjs';

/** Starts it; code(address) waits for a mail that was not read before and returns its six digits, link(address) its link. */
export async function startMail() {
  const program = join(root, 'bin/mailpit');
  execFileSync('go', ['build', '-o', program, 'github.com/axllent/mailpit'], { cwd: join(root, 'bench/peers'), env: { ...process.env, CGO_ENABLED: '0' } });
  const dir = mkdtempSync(join(tmpdir(), 'kalam-mail-'));
  const [smtp, api] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const child = spawn(program, ['--smtp', smtp, '--listen', api, '--database', join(dir, 'mail.db'), '--quiet', '--disable-version-check'], { stdio: 'ignore' });
  await until('the SMTP server', () => fetch(`http://${api}/readyz`).then((answer) => answer.ok, () => false));
  const get = async (path) => (await fetch(`http://${api}/api/v1/${path}`)).json();
  const read = new Set();
  /** What a pattern finds in the next mail to an address in which it finds something. */
  const next = (address, pattern) => until(`a mail to ${address}`, async () => {
    const { messages } = await get('messages');
    for (const { ID, To } of messages.reverse()) {
      if (read.has(ID) || !To.some(({ Address }) => Address === address)) continue;
      read.add(ID);
      const found = pattern.exec((await get(`message/${ID}`)).Text);
      if (found) return found[0];
    }
    return undefined;
  });
  return {
    smtp: `smtp://${smtp}`,
    code: (address) => next(address, /\b\d{6}\b/),
    link: (address) => next(address, /https?:\S+/),
    close() {
      child.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
