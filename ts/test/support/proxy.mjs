// A TCP proxy that can cut what goes through it.
import { connect, createServer } from 'node:net';
import { once } from 'node:events';

/** Forwards to a port; cut() breaks all connections at once, with open = false new ones are refused. */
export async function startProxy(port) {
  const sockets = new Set();
  const proxy = { open: true };
  const server = createServer((inside) => {
    if (!proxy.open) return inside.destroy();
    const outside = connect({ port, host: 'localhost' });
    for (const [a, b] of [[inside, outside], [outside, inside]]) {
      sockets.add(a);
      a.on('error', () => {});
      a.on('close', () => {
        sockets.delete(a);
        b.destroy();
      });
      a.pipe(b);
    }
  }).listen(0, 'localhost');
  await once(server, 'listening');
  return Object.assign(proxy, {
    url: `http://localhost:${server.address().port}`,
    cut: () => sockets.forEach((s) => s.resetAndDestroy()),
    async close() {
      sockets.forEach((s) => s.destroy());
      server.close();
      await once(server, 'close');
    },
  });
}
