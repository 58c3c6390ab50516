// The relay: copies what somebody writes to the other members of the room.
//
//   node relay.mjs [url]     the password of the user relay is in RELAY_PASSWORD
//
// It comes back to what it missed, and a message that comes to it twice is
// copied once, because the copy has the id of the original.
import { Auth } from '@kalamdb/client';
import { createConsumerClient, runAgent } from '@kalamdb/consumer';

const client = createConsumerClient({
  url: process.argv[2] ?? 'http://localhost:8080',
  authProvider: async () => Auth.basic('relay', process.env.RELAY_PASSWORD ?? 'Secret123!'),
});
client.onAuthStateChange(({ state, error }) => {
  if (state === 'offline') console.error(`relay: ${error?.message}; it goes on when it can`);
});
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());

const work = runAgent({
  client, name: 'relay', topic: 'chat.written', groupId: 'relay', start: 'earliest', stopSignal: stop.signal,
  retry: { maxAttempts: 10 },
  onRow: async ({ user, message }, row) => {
    const typing = row._table === 'chat.typing';
    if (typing && Date.now() - message.timestamp_ms > 3000) return; // it is over
    if (row.room === 'general') await join(row.room, user);
    for (const member of await othersIn(row.room, user)) {
      if (typing) await as(member, 'INSERT INTO chat.typing (room, sender, name) VALUES ($1, $2, $3)', [row.room, user, row.name]);
      else {
        const file = await attachmentOf(row, user);
        await as(member, `INSERT INTO chat.messages (id, room, sender, name, body, created_at, attachment)
          VALUES ($1, $2, $3, $4, $5, $6, ${file ? 'FILE("file")' : 'NULL'})
          ON CONFLICT (id) DO NOTHING`, [row.id, row.room, user, row.name, row.body, row.created_at], file && { file });
      }
    }
  },
  onError: ({ error, runKey }) => console.error(runKey, error),
});
try {
  await work;
} catch (error) {
  console.error(`relay: ${error.message}`); // a wrong password, no topic, no right to it
  process.exitCode = 1;
}
await client.shutdown();

/** Makes a user a member of a room that is open to all. */
function join(room, user) {
  return client.query('INSERT INTO chat.members (room, member) VALUES ($1, $2) ON CONFLICT (room, member) DO NOTHING', [room, user]);
}

/** The other members of a room, if the user is one. */
async function othersIn(room, user) {
  const rows = await client.queryAll(
    `SELECT other.member FROM chat.members me JOIN chat.members other ON other.room = me.room
      WHERE me.room = $1 AND me.member = $2 AND other.member <> $2`, [room, user]);
  return rows.map((row) => row.member.asString());
}

/** The content of a row's attachment, if it has one and it is still there. */
async function attachmentOf(row, user) {
  const file = client.baseClient.wrapRow(row, 'chat.messages').file('attachment');
  if (!file) return undefined;
  try {
    const answer = await fetch(await file.downloadUrl({ expiresIn: 60, userId: user }));
    if (answer.ok) return new File([await answer.blob()], file.name, { type: file.mime });
    throw new Error(`${file.name}: status ${answer.status}`);
  } catch (error) {
    if (error.code === 'FILE_NOT_FOUND') return undefined; // its user has deleted it
    throw error;
  }
}

/** Runs a statement as a user, with no more rights than the user has. */
function as(user, sql, params, files) {
  const statement = `EXECUTE AS USER '${user.replaceAll("'", "''")}' (${sql})`;
  return files ? client.baseClient.queryWithFiles(statement, files, params) : client.query(statement, params);
}
