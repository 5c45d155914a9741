// A client's certificate says who the user is (--tls-client-user): by its common name or its first alternative name, beside tokens and without them.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { identity, key, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { freePort, runToEnd, startServer } from './server.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-client-user-'));
const secret = crypto.randomBytes(48).toString('base64');
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
function token(claims) {
  const text = `${part({ alg: 'HS256' })}.${part({ rooms: ['*'], publish: ['*'], ...claims })}`;
  return `${text}.${crypto.createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const servers = {};
async function start(...more) {
  const tlsPort = await freePort();
  const server = await startServer(['--shards', '2', '--listen-tls', `127.0.0.1:${tlsPort}`, '--tls-cert', pem('server'), '--tls-key', key('server'),
    '--tls-client-ca', pem('ca'), ...more]);
  server.wss = `wss://127.0.0.1:${tlsPort}`;
  server.tlsPort = tlsPort;
  return server;
}
before(async () => {
  makeAuthority('ca');
  makeCertificate('server');
  makeCertificate('alice', { names: 'DNS:alice.example,URI:https://alice.example/me' });
  makeCertificate('bob', { names: 'URI:spiffe://example.org/bob,DNS:bob.example' });
  makeCertificate('carol', { names: 'email:carol@example.org' });
  makeCertificate('nameless', { names: 'IP:192.0.2.1' });
  makeCertificate('x'.repeat(64), { names: `DNS:${'y'.repeat(61)}.org` });
  writeFileSync(path.join(folder, 'secret'), secret);
  servers.subject = await start('--tls-client-user', 'subject');
  servers.san = await start('--tls-client-user', 'san');
  servers.off = await start();
  servers.tokens = await start('--tls-client-user', 'subject', '--jwt-hs256-key-file', path.join(folder, 'secret'), '--admin-listen', '127.0.0.1:0');
});
after(async () => {
  for (const server of Object.values(servers)) assert.deepEqual(await server.stop(), [0, null]);
  rmSync(folder, { recursive: true });
});

// Answers the WebSocket once it is open, or {status, error} of a refusal.
function connect(server, target, who, { protocols = [], headers = {} } = {}) {
  const ws = new WebSocket(`${server.wss}${target}`, protocols, { headers, rejectUnauthorized: false, ...(who ? identity(who) : {}) });
  ws.texts = [];
  ws.on('message', (data) => ws.texts.push(data.toString()));
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve(ws));
    ws.on('unexpected-response', async (request, answer) => {
      const parts = await answer.toArray();
      resolve({ status: answer.statusCode, error: JSON.parse(Buffer.concat(parts)).error });
      request.destroy();
    });
    ws.on('error', reject);
  });
}
async function close(...all) {
  for (const ws of all) {
    const closed = once(ws, 'close');
    ws.close(1000);
    await closed;
  }
}
const usersOf = async (server, room) => (await (await fetch(`${server.http}/rooms/${room}`)).json()).users.map(({ user }) => user).sort();
const isOpen = (ws) => assert.ok(ws instanceof WebSocket, JSON.stringify(ws));

test('the user is the common name, or the first alternative name', async () => {
  for (const [way, names] of [['subject', { alice: 'alice', bob: 'bob', carol: 'carol' }], ['san', { alice: 'alice.example', bob: 'spiffe://example.org/bob', carol: 'carol@example.org' }]]) {
    const all = [];
    for (const [who, name] of Object.entries(names)) {
      all.push(await connect(servers[way], '/broadcast/a', who), await connect(servers[way], `/broadcast/a?user=${encodeURIComponent(name)}`, who));
      all.push(await connect(servers[way], '/chat/c', who));
    }
    all.forEach(isOpen);
    assert.deepEqual(await usersOf(servers[way], 'a'), Object.values(names).sort());
    const { names: seats, users } = await (await fetch(`${servers[way].http}/rooms/c`)).json();
    assert.deepEqual(seats.sort(), Object.values(names).sort());
    assert.deepEqual(users.map(({ user }) => user).sort(), Object.values(names).sort());
    await close(...all);
  }
});

test('nobody takes another name than that of the certificate', async () => {
  for (const target of ['/broadcast/a?user=bob', '/broadcast/a?user=', '/chat/a?name=bob']) {
    const { status, error } = await connect(servers.subject, target, 'alice');
    assert.deepEqual([status, error], [403, 'somebody else is named than the token or the certificate is of'], target);
  }
  const metrics = await (await fetch(`${servers.subject.http}/metrics`)).text();
  assert.match(metrics, /^ringcast_token_refusals_total\{reason="user"\} 3$/m);
});

test('a certificate that names nobody is refused, and one of 64 bytes is the longest', async () => {
  const longest = 'x'.repeat(64);
  const ws = await connect(servers.subject, '/broadcast/long', longest);
  isOpen(ws);
  assert.deepEqual(await usersOf(servers.subject, 'long'), [longest]);
  await close(ws);
  for (const who of ['nameless', longest]) { // 65 bytes in its alternative name
    const { status, error } = await connect(servers.san, '/broadcast/a', who);
    assert.deepEqual([status, error], [403, 'the certificate names nobody who could be a user'], who);
  }
});

test('every connection shows its certificate: a session is not resumed without it', async () => {
  const agent = new https.Agent({ keepAlive: false, maxCachedSessions: 100, rejectUnauthorized: false, ...identity('alice') });
  const reused = [];
  for (let i = 0; i < 3; i += 1) {
    await new Promise((resolve, reject) => {
      const request = https.get({ host: '127.0.0.1', port: servers.subject.tlsPort, path: '/health/live', agent }, (answer) => {
        reused.push(answer.socket.isSessionReused());
        answer.resume().on('end', resolve);
      });
      request.on('error', reject);
    });
  }
  assert.deepEqual(reused, [false, false, false]);
});

test('without the option a certificate is no user, and without TLS there is none', async () => {
  const ws = await connect(servers.off, '/broadcast/a?user=mallory', 'alice');
  isOpen(ws);
  assert.deepEqual(await usersOf(servers.off, 'a'), ['mallory']);
  await close(ws);
  const plain = new WebSocket(`${servers.subject.ws}/broadcast/plain?user=guest`);
  await once(plain, 'open');
  assert.deepEqual(await usersOf(servers.subject, 'plain'), ['guest']);
  await close(plain);
});

test('beside tokens both have to be of the same user', async () => {
  const bearer = (claims) => ({ headers: { Authorization: `Bearer ${token(claims)}` } });
  const { tokens } = servers;
  assert.equal((await connect(tokens, '/broadcast/a', 'alice')).status, 401);
  assert.equal((await connect(tokens, '/broadcast/a', 'alice', bearer({ sub: 'bob' }))).status, 403);
  const same = await connect(tokens, '/broadcast/a', 'alice', bearer({ sub: 'alice' }));
  isOpen(same);
  // A token without a user permits, and the certificate says whom; so it is with the next token.
  const nobody = await connect(tokens, '/broadcast/a', 'alice', { protocols: ['ringcast.v1', `bearer.${token({})}`] });
  isOpen(nobody);
  const renew = async (claims, expected) => {
    const before = nobody.texts.length;
    nobody.send(JSON.stringify({ token: token(claims) }));
    while (nobody.texts.length === before) await once(nobody, 'message');
    assert.equal(nobody.texts.at(-1), expected);
  };
  await renew({}, '{"token":{"expires":null}}');
  await renew({ sub: 'alice' }, '{"token":{"expires":null}}');
  const closed = once(nobody, 'close');
  nobody.send(JSON.stringify({ token: token({ sub: 'bob' }) }));
  assert.equal((await closed)[0], 4001);
  await close(same);
});

test('it is refused where nobody asks for certificates', async () => {
  const { status, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--tls-client-user', 'san']);
  assert.equal(status, 2);
  assert.match(stderr, /--tls-client-user is given with --tls-client-ca/);
});
