// verifySession, with the keys of real servers and of one that is hostile.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { verifySession } from '@kalamdb/client/server';
import { password, root, startServer, until } from '../../test/support/server.mjs';

const run = promisify(execFile);
const secret = '9fKq2vXr7LmZt4Wc8Yb1Nd6Gh3Js5Pa0';

let server, jwksUrl, token;

async function login(url, user = 'alice') {
  const answer = await fetch(`${url}/v1/api/auth/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user, password }) });
  return (await answer.json()).access_token;
}

const bearer = (t) => ({ headers: { authorization: `Bearer ${t}` } });
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A key pair and a server that publishes what it is told, and counts how often. */
async function startIssuer() {
  const made = () => {
    const pair = generateKeyPairSync('ed25519');
    return { ...pair, kid: `key${made.count = (made.count ?? 0) + 1}` };
  };
  const issuer = { fetches: 0, keys: [made()], status: 200, made };
  const http = createServer((request, response) => {
    issuer.fetches++;
    const keys = issuer.keys.map(({ publicKey, kid }) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'EdDSA' }));
    response.writeHead(issuer.status, { 'Content-Type': 'application/json' }).end(issuer.body ?? JSON.stringify({ keys }));
  }).listen(0, 'localhost');
  await once(http, 'listening');
  issuer.jwksUrl = `http://localhost:${http.address().port}/jwks.json`;
  issuer.close = () => http.close();
  issuer.token = (claims = {}, { key = issuer.keys[0], header = {} } = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const signed = `${encode({ alg: 'EdDSA', typ: 'JWT', kid: key.kid, ...header })}.${encode({ iss: 'kalamdb', sub: 'alice', token_type: 'access', sid: 's', iat: now, exp: now + 60, ...claims })}`;
    return `${signed}.${signWith(null, Buffer.from(signed), key.privateKey).toString('base64url')}`;
  };
  return issuer;
}

before(async () => {
  server = await startServer();
  jwksUrl = `${server.url}/.well-known/jwks.json`;
  token = await login(server.url);
});

after(() => server?.close());

describe('with a real server', () => {
  test('a Request, and the headers of Node, say who sent them', async () => {
    assert.equal(await verifySession(new Request('http://app.test/', { headers: { Authorization: `Bearer ${token}` } }), { jwksUrl }), 'alice');
    assert.equal(await verifySession(bearer(token), { jwksUrl }), 'alice');
  });

  test('nobody without a token, with two, with a password, with the token in another cookie', async () => {
    for (const headers of [{}, { authorization: `Bearer ${token}, Bearer ${token}` }, { authorization: 'Basic YTpi' }, { authorization: 'Bearer ' }, { cookie: `t=${token}` }, { cookie: `kalamdb_refresh=${token}` }]) {
      assert.equal(await verifySession({ headers }, { jwksUrl }), null, JSON.stringify(headers));
    }
  });

  test('a cookie of the application, if it is named', async () => {
    const verify = (cookie) => verifySession({ headers: { cookie } }, { jwksUrl, cookie: 'app_token' });
    assert.equal(await verify(`a=b; app_token=${token}`), 'alice');
    assert.equal(await verify(`app_token=${token}; app_token=x`), null); // a neighbour's may stand first
    assert.equal(await verifySession({ headers: { authorization: 'Bearer x.y.z', cookie: `app_token=${token}` } }, { jwksUrl, cookie: 'app_token' }), null);
  });

  test('a token that was tampered with is nobody', async () => {
    const [header, claims, signature] = token.split('.');
    const said = JSON.parse(Buffer.from(claims, 'base64url'));
    const forged = [
      `${header}.${encode({ ...said, sub: 'admin' })}.${signature}`,
      `${encode({ alg: 'none' })}.${claims}.`, `${encode({ alg: 'none' })}.${claims}.${signature}`,
      `${header}.${claims}.${Buffer.alloc(64).toString('base64url')}`, `${header}.${claims}`, `${token}.x`, `${header}.${claims}.!`, 'a.b.c', '..', token.slice(0, -9), 'x'.repeat(9000),
    ];
    for (const t of forged) assert.equal(await verifySession(bearer(t), { jwksUrl }), null, t.slice(0, 40));
  });

  test('the public key is no secret of HS256', async () => {
    const [jwk] = (await (await fetch(jwksUrl)).json()).keys;
    const signed = `${encode({ alg: 'HS256', kid: jwk.kid })}.${token.split('.')[1]}`;
    const forged = `${signed}.${createHmac('sha256', Buffer.from(jwk.x, 'base64url')).update(signed).digest('base64url')}`;
    assert.equal(await verifySession(bearer(forged), { jwksUrl }), null);
  });

  test('a refresh token signs in nobody', async () => {
    const answer = await fetch(`${server.url}/v1/api/auth/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'alice', password }) });
    assert.equal(await verifySession(bearer((await answer.json()).refresh_token), { jwksUrl }), null);
  });

  test('keys that were rotated are found', async () => {
    const own = await startServer();
    try {
      const url = `${own.url}/.well-known/jwks.json`;
      assert.equal(await verifySession(bearer(await login(own.url)), { jwksUrl: `${url}?before` }), 'alice');
      const before = (await (await fetch(url)).json()).keys.map((k) => k.kid);
      await run(join(root, 'bin/kalam'), ['keys', 'rotate', '--revoke', '--data', own.dir]);
      await until('the new key', async () => (await (await fetch(url)).json()).keys.some((k) => !before.includes(k.kid)));
      const fresh = await until('a token of the new key', async () => {
        const t = await login(own.url);
        return !before.includes(JSON.parse(Buffer.from(t.split('.')[0], 'base64url')).kid) && t;
      });
      assert.equal(await verifySession(bearer(fresh), { jwksUrl: url }), 'alice');
    } finally {
      await own.close();
    }
  });

  test('HS256 with the secret, and only with it', async () => {
    const own = await startServer({ env: { KALAMDB_JWT_SECRET: secret } });
    try {
      const t = await login(own.url, 'bob');
      assert.equal(await verifySession(bearer(t), { secret }), 'bob');
      assert.equal(await verifySession(bearer(t), { secret: secret.replace('9', '8') }), null);
      assert.equal(await verifySession(bearer(t), { jwksUrl }), null);
      assert.equal(await verifySession(bearer(token), { secret }), null); // EdDSA is not expected there
    } finally {
      await own.close();
    }
  });

  test('options that say nothing, or too much, are refused', async () => {
    for (const options of [{}, { jwksUrl, secret }, { secret: 'short' }]) {
      await assert.rejects(verifySession(bearer(token), options), { code: 'INVALID_ARGUMENT' });
    }
  });

  test('many requests at once do not touch the session', async () => {
    const login = await fetch(`${server.url}/v1/api/auth/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'bob', password }) });
    const session = await login.json();
    const seen = await Promise.all(Array.from({ length: 50 }, () => verifySession({ headers: { ...bearer(session.access_token).headers, cookie: `kalamdb_refresh=${session.refresh_token}` } }, { jwksUrl })));
    assert.deepEqual([...new Set(seen)], ['bob']);
    const renewed = await fetch(`${server.url}/v1/api/auth/refresh`, { method: 'POST', headers: { Authorization: `Bearer ${session.refresh_token}` } });
    assert.equal(renewed.status, 200);
  });
});

describe('with keys of a test', () => {
  let issuer;
  before(async () => {
    issuer = await startIssuer();
  });
  after(() => issuer?.close());
  const verify = (t, options) => verifySession(bearer(t), { jwksUrl: issuer.jwksUrl, ...options });

  test('claims that are not right are nobody', async () => {
    const now = Date.now() / 1000;
    assert.equal(await verify(issuer.token()), 'alice');
    const wrong = [
      { exp: now - 1 }, { exp: undefined }, { exp: String(now + 60) }, { nbf: now + 120 }, { nbf: 'soon' }, { iat: now + 120 }, { iss: 'other' }, { iss: undefined },
      { token_type: 'refresh' }, { token_type: undefined }, { sub: '' }, { sub: 1 }, { sub: undefined }, { aud: 'elsewhere' }, { aud: ['elsewhere'] },
    ];
    for (const claims of wrong) assert.equal(await verify(issuer.token(claims)), null, JSON.stringify(claims));
    assert.equal(await verify(issuer.token({ nbf: now + 30, iat: now + 30 })), 'alice'); // clocks differ
  });

  test('an audience and an issuer of one\'s own', async () => {
    assert.equal(await verify(issuer.token({ aud: ['a', 'b'] }), { audience: 'b' }), 'alice');
    assert.equal(await verify(issuer.token(), { audience: 'b' }), null);
    assert.equal(await verify(issuer.token({ iss: 'other' }), { issuer: 'other' }), 'alice');
  });

  test('headers that lead elsewhere lead nowhere', async () => {
    const evil = issuer.made();
    const jwk = evil.publicKey.export({ format: 'jwk' });
    for (const header of [{ jwk }, { jku: 'http://localhost:1/' }, { x5u: 'http://localhost:1/' }, { kid: undefined, jwk }]) {
      assert.equal(await verify(issuer.token({}, { key: { ...evil, kid: issuer.keys[0].kid }, header })), null);
    }
    assert.equal(await verify(issuer.token({}, { header: { crit: ['exp'] } })), null);
    assert.equal(await verify(issuer.token({}, { header: { alg: 'ES256' } })), null);
  });

  test('a storm of unknown keys asks once, and good tokens pass', async () => {
    const own = await startIssuer();
    try {
      const storm = Array.from({ length: 200 }, (_, i) => verifySession(bearer(own.token({}, { header: { kid: `unknown${i}` } })), { jwksUrl: own.jwksUrl }));
      assert.deepEqual([...new Set(await Promise.all(storm))], [null]);
      for (let i = 0; i < 50; i++) await verifySession(bearer(own.token({}, { header: { kid: `more${i}` } })), { jwksUrl: own.jwksUrl });
      assert.equal(await verifySession(bearer(own.token()), { jwksUrl: own.jwksUrl }), 'alice');
      assert.equal(own.fetches, 1);
    } finally {
      own.close();
    }
  });

  test('a new key is found after a pause, an old one is gone within minutes, and keys last an hour without the server', async () => {
    const own = await startIssuer();
    const now = performance.now.bind(performance);
    let later = 0;
    performance.now = () => now() + later;
    const check = (t) => verifySession(bearer(t), { jwksUrl: own.jwksUrl });
    try {
      const old = own.token();
      assert.equal(await check(old), 'alice');
      own.keys = [own.made()];
      const fresh = own.token();
      assert.equal(await check(fresh), null);
      later = 31_000;
      assert.equal(await check(fresh), 'alice');
      assert.equal(await check(old), null);
      assert.equal(own.fetches, 2);
      const [gone] = own.keys;
      own.keys = [own.made()];
      later += 6 * 60_000;
      await until('the old key is gone', async () => (await check(own.token({}, { key: gone }))) === null);
      own.status = 503;
      later += 50 * 60_000;
      assert.equal(await check(own.token()), 'alice');
      later += 15 * 60_000;
      await assert.rejects(check(own.token()), { code: 'KEYS_UNAVAILABLE' });
    } finally {
      performance.now = now;
      own.close();
    }
  });

  test('a server that is away is an error and no sign-out, and is not asked by every request', async () => {
    const own = await startIssuer();
    try {
      own.status = 503;
      for (let i = 0; i < 20; i++) await assert.rejects(verifySession(bearer(own.token()), { jwksUrl: own.jwksUrl }), { code: 'KEYS_UNAVAILABLE', retryable: true });
      assert.equal(own.fetches, 1);
    } finally {
      own.close();
    }
  });

  test('an answer that is no set of keys is an error', async () => {
    for (const body of ['<html>', '{}', 'null', '[]', `{"keys":[],"x":"${'x'.repeat(70_000)}"}`]) {
      const own = await startIssuer();
      own.body = body;
      await assert.rejects(verifySession(bearer(own.token()), { jwksUrl: own.jwksUrl }), { code: 'KEYS_UNAVAILABLE' });
      own.close();
    }
  });
});
