// A server before a server that loses answers: what was asked for is done, and
// whoever asked does not hear of it.
import { createServer, request as forward } from 'node:http';
import { once } from 'node:events';

/**
 * Forwards HTTP requests. `lose(request)` says whether the answer gets lost;
 * with `away` nothing gets through. `seen` holds what came: method, path, cookie.
 */
export async function startLossy(url, { lose = () => false } = {}) {
  const proxy = { lose, away: false, lost: 0, seen: [] };
  const server = createServer((request, response) => {
    if (proxy.away) return request.socket.destroy();
    proxy.seen.push({ method: request.method, path: request.url, cookie: request.headers.cookie, authorization: request.headers.authorization });
    const lost = proxy.lose(request);
    const onward = forward(new URL(request.url, url), { method: request.method, headers: request.headers }, (answer) => {
      if (lost) {
        proxy.lost++;
        answer.resume();
        answer.once('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => request.socket.destroy());
    request.pipe(onward);
  }).listen(0, 'localhost');
  await once(server, 'listening');
  return Object.assign(proxy, {
    url: `http://localhost:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}
