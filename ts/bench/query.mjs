// What a query costs through the package, as a ratio to a bare fetch of the same
// request: node query.mjs [url]. 16 in flight, in turns, medians.
import { createClient, Auth } from '@kalamdb/client';
import { startServer } from '../test/support/server.mjs';

const inFlight = 16;
const server = process.argv[2] ? undefined : await startServer();
const url = process.argv[2] ?? server.url;
const client = createClient({ url, authProvider: async () => Auth.basic('alice', 'Secret123!') });
const { access_token: token } = await client.login();
const sql = 'SELECT id, room, body FROM chat.messages WHERE id = $1';
await client.query('INSERT INTO chat.messages (id, body) VALUES (1, $1) ON CONFLICT (id) DO NOTHING', ['x'.repeat(100)]);
const body = JSON.stringify({ sql, params: [1] });

const bare = async () => {
  const response = await fetch(`${url}/v1/api/sql`, {
    method: 'POST', body, headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
  });
  return JSON.parse(await response.text());
};
const ours = () => client.query(sql, [1]);

async function rate(fn, milliseconds) {
  const end = performance.now() + milliseconds;
  let n = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (performance.now() < end) {
      await fn();
      n++;
    }
  }));
  return n / (milliseconds / 1000);
}

for (const fn of [bare, ours]) await rate(fn, 1000);
const ratios = [];
for (let i = 0; i < 7; i++) {
  const [b, o] = [await rate(bare, 1000), await rate(ours, 1000)];
  ratios.push(b / o);
  console.log(`bare ${b.toFixed(0)}/s  package ${o.toFixed(0)}/s  cost ${(b / o).toFixed(2)}x`);
}
ratios.sort((a, b) => a - b);
console.log(`a query costs ${ratios[3].toFixed(2)}x of a bare fetch`);
await client.shutdown();
await server?.close();
