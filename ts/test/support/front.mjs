// A server before a server that passes everything on, and says things of its own
// on the sockets that go through it.
import { createServer, request as forward } from 'node:http';
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';

/** say(frame) sends a text, or a Buffer as a binary frame, to every client. */
export async function startFront(url) {
  const clients = new Set();
  const server = createServer((request, response) => {
    const onward = forward(new URL(request.url, url), { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }).listen(0, 'localhost');
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (outside, request) => {
    const inside = new WebSocket(new URL(request.url, url.replace('http', 'ws')));
    const early = [];
    outside.on('message', (data, binary) => (inside.readyState === WebSocket.OPEN ? inside.send(data, { binary }) : early.push([data, binary])));
    inside.on('open', () => early.forEach(([data, binary]) => inside.send(data, { binary })));
    inside.on('message', (data, binary) => outside.send(data, { binary }));
    for (const [a, b] of [[inside, outside], [outside, inside]]) {
      a.on('close', () => b.close());
      a.on('error', () => b.terminate());
    }
    clients.add(outside);
    outside.on('close', () => clients.delete(outside));
  });
  await once(server, 'listening');
  return {
    url: `http://localhost:${server.address().port}`,
    say: (frame) => clients.forEach((socket) => socket.send(frame)),
    async close() {
      clients.forEach((socket) => socket.terminate());
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
