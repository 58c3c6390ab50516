// The frames in wire/testdata, which the Go tests read and write too: a server
// that sends them to the client, and the frames that the client sends.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { Auth, createClient } from '@kalamdb/client';
import { root, until } from './support/server.mjs';

const golden = (name) => JSON.parse(readFileSync(join(root, 'wire/testdata', `${name}.json`), 'utf8'));
const raw = (name) => readFileSync(join(root, 'wire/testdata', `${name}.json`), 'utf8');

test('every golden frame of the server reaches the application', async () => {
  const server = new WebSocketServer({ port: 0, host: 'localhost' });
  const got = [];
  server.on('connection', (socket) => {
    const send = (name, id) => socket.send(JSON.stringify({ ...golden(name), subscription_id: id }).replace(/"last_seq_id":\d+/, (m) => /"last_seq_id":\d+/.exec(raw(name))?.[0] ?? m));
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data));
      got.push(frame);
      if (frame.type === 'authenticate') socket.send(raw('server_auth_success_renew'));
      if (frame.type !== 'subscribe') return;
      for (const name of ['server_subscription_ack', 'server_initial_data_batch_empty', 'server_change_insert', 'server_change_update', 'server_change_delete']) {
        send(name, frame.subscription.id);
      }
    });
  });
  await until('the server', () => server.address());
  const client = createClient({ url: `http://localhost:${server.address().port}`, authProvider: async () => Auth.jwt('t') });
  const events = [];
  await client.subscribeWithSql('SELECT * FROM app.t', (event) => events.push(event));
  await until('the changes', () => events.filter((e) => e.type === 'change').length === 3);

  const authenticate = golden('client_authenticate_renew');
  assert.deepEqual(got[0], { ...authenticate, token: 't', protocol: { ...authenticate.protocol, compression: 'none' } });
  assert.deepEqual(Object.keys(got[1].subscription).sort(), Object.keys(golden('client_subscribe_snapshot').subscription).sort());
  assert.deepEqual(events[0].schema, golden('server_subscription_ack').schema);
  for (const [i, name] of ['server_change_insert', 'server_change_update', 'server_change_delete'].entries()) {
    const { change_type, rows = [], old_values = [] } = golden(name);
    const event = events.filter((e) => e.type === 'change')[i];
    assert.equal(event.change_type, change_type);
    const plain = (list = []) => JSON.parse(JSON.stringify(list));
    assert.deepEqual([plain(event.rows), plain(event.old_values)], [rows, old_values], name);
  }
  await client.shutdown();
  server.close();
});

test('malformed frames end in a new connection, and never in a hang', async () => {
  const server = new WebSocketServer({ port: 0, host: 'localhost' });
  const bad = ['not json', '{"type":"change"', '{"type":7}', '[]', '{"type":"initial_data_batch","rows":5}'];
  let connections = 0;
  server.on('connection', (socket) => {
    const text = bad[connections++];
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data));
      if (frame.type === 'authenticate') socket.send(raw('server_auth_success_renew'));
      if (frame.type !== 'subscribe') return;
      if (text !== undefined) return socket.send(text);
      const id = { subscription_id: frame.subscription.id };
      socket.send(JSON.stringify({ ...golden('server_subscription_ack'), ...id, batch_control: { batch_num: 0, has_more: false, status: 'ready', last_seq_id: null } }));
      socket.send(JSON.stringify({ ...golden('server_initial_data_batch_empty'), ...id, batch_control: { batch_num: 0, has_more: false, status: 'ready', last_seq_id: null } }));
    });
  });
  await until('the server', () => server.address());
  const client = createClient({ url: `http://localhost:${server.address().port}`, authProvider: async () => Auth.jwt('t') });
  client.setReconnectDelay(1, 10);
  for await (const rows of client.live('SELECT * FROM app.t')) {
    assert.deepEqual(rows, []);
    break;
  }
  assert.ok(connections >= 3, `${connections} connections`);
  await client.shutdown();
  server.close();
});
