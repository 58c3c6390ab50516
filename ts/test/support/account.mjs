// The life of an account with client.auth and client.accounts, in Node and in a
// page alike: what it saw, for comparing.

/** tools: createClient, url, code(address): the six digits of the next mail to an address. */
export async function lifeOfAnAccount({ createClient, url, code }) {
  const seen = {};
  const states = [];
  const nobody = () => createClient({ url, authProvider: async () => null });
  const client = nobody();
  client.onAuthStateChange(({ state }) => states.push(state));
  const refused = (call) => call.then(() => 'done', (error) => `${error.name} ${error.code}`);
  const me = async (c = client) => (await c.queryOne('SELECT CURRENT_USER() AS me')).me.asString();

  seen.before = await refused(client.auth.me());
  const [address, moved] = ['ida@example.com', 'ida@other.example'];
  seen.signUp = await client.accounts.signUp({ email: address, password: 'correct-horse-9', name: 'Ida' });
  seen.wrongCode = await refused(client.accounts.redeemCode({ email: address, code: '12345x' }));
  const { user } = await client.accounts.redeemCode({ email: address, code: await code(address) });
  const profile = await client.auth.me();
  seen.me = [profile.id === user.id, (await me()) === user.id, profile.email, profile.email_verified, profile.name, profile.role];
  seen.rename = (await client.accounts.updateProfile({ name: 'Ida B.' })).name;

  // A live query goes on while the address changes.
  await client.insert('chat.messages', { room: 'r', body: 'one' });
  let rows, ended;
  await client.live("SELECT body FROM chat.messages WHERE room = 'r'", (all) => { rows = all.map((r) => r.body.asString()); }, { onError: (error) => { ended = error.code; } });
  seen.move = await client.accounts.updateProfile({ email: moved });
  const answer = await client.accounts.redeemCode({ email: moved, code: await code(moved) });
  seen.moved = [answer.user.email, answer.access_token];
  await client.insert('chat.messages', { room: 'r', body: 'two' });
  while (rows?.length !== 2) await new Promise((done) => setTimeout(done, 10));
  seen.live = [rows, ended];

  // A second device, by code.
  const other = nobody();
  await other.accounts.sendCode(moved);
  seen.byCode = (await other.accounts.redeemCode({ email: moved, code: await code(moved), purpose: 'login' })).user.id === user.id;
  seen.sessions = (await client.auth.sessions()).map((s) => `${s.current} ${s.auth_method}`).sort();
  const [first] = (await client.auth.sessions()).filter((s) => !s.current);
  await client.auth.endSession(first.id);
  seen.endedTwice = await refused(client.auth.endSession(first.id));
  seen.ended = await refused(other.query('SELECT 1'));
  await other.accounts.sendCode(moved, 'reset');
  await other.accounts.redeemCode({ email: moved, code: await code(moved), purpose: 'reset', password: 'another-horse-9' });
  seen.afterReset = await refused(client.query('SELECT 1')); // a reset ends all others
  seen.others = await other.auth.endOtherSessions();
  seen.wrongPassword = await refused(other.auth.changePassword('wrong-horse-9', 'third-horse-9'));
  await other.auth.changePassword('another-horse-9', 'third-horse-9');
  await other.auth.logout();
  seen.loggedOut = await refused(other.auth.me());

  const again = createClient({ url, authProvider: async () => ({ type: 'basic', user: moved, password: 'third-horse-9' }) });
  seen.again = (await me(again)) === user.id;
  seen.delete = await refused(again.accounts.deleteAccount('wrong-horse-9'));
  await again.accounts.deleteAccount('third-horse-9');
  seen.deleted = await refused(again.auth.me());

  // Without a name, and then with one: id, session and live query stay.
  const anonymous = nobody();
  const start = await anonymous.accounts.signInAnonymously();
  let mine;
  await anonymous.live('SELECT body FROM chat.messages', (all) => { mine = all.length; });
  seen.upgrade = await anonymous.accounts.upgrade({ email: address, password: 'correct-horse-9' });
  const upgraded = await anonymous.accounts.redeemCode({ email: address, code: await code(address) });
  seen.upgraded = [upgraded.user.id === start.user.id, upgraded.user.email, upgraded.access_token];
  await anonymous.insert('chat.messages', { room: 'r', body: 'mine' });
  while (mine !== 1) await new Promise((done) => setTimeout(done, 10));
  seen.oneSession = (await anonymous.auth.sessions()).map((s) => s.auth_method);

  for (const c of [client, other, again, anonymous]) await c.shutdown();
  return { ...seen, states: [...new Set(states)] };
}

export const expected = {
  before: 'KalamAuthError UNAUTHENTICATED',
  signUp: null,
  wrongCode: 'KalamServerError INVALID_CODE',
  me: [true, true, 'ida@example.com', true, 'Ida', 'user'],
  rename: 'Ida B.',
  move: null,
  moved: ['ida@other.example', undefined],
  live: [['one', 'two'], undefined],
  byCode: true,
  sessions: ['false code', 'true code'],
  endedTwice: 'KalamServerError NOT_FOUND',
  ended: 'KalamAuthError INVALID_CREDENTIALS',
  afterReset: 'KalamAuthError INVALID_CREDENTIALS',
  others: 0,
  wrongPassword: 'KalamServerError WRONG_PASSWORD',
  loggedOut: 'KalamAuthError UNAUTHENTICATED',
  again: true,
  delete: 'KalamServerError WRONG_PASSWORD',
  deleted: 'KalamAuthError INVALID_CREDENTIALS',
  upgrade: null,
  upgraded: [true, 'ida@example.com', undefined],
  oneSession: ['anonymous'],
  states: ['signed-out', 'signed-in'],
};
