// Tokens (JWT) at every door of the server, made by node's crypto and not by us; the listener for those who run it; SIGHUP.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { freePort, runToEnd, startServer } from './server.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-tokens-'));
const file = (name) => path.join(folder, name);
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

const secret = crypto.randomBytes(48).toString('base64');
const pairs = {
  EdDSA: crypto.generateKeyPairSync('ed25519'),
  ES256: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const signers = {
  HS256: (text) => crypto.createHmac('sha256', secret).update(text).digest(),
  EdDSA: (text) => crypto.sign(null, text, pairs.EdDSA.privateKey),
  ES256: (text) => crypto.sign('sha256', text, { key: pairs.ES256.privateKey, dsaEncoding: 'ieee-p1363' }),
  RS256: (text) => crypto.sign('sha256', text, pairs.RS256.privateKey),
};
const jwks = () => ({ keys: Object.entries(pairs).map(([alg, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid: `${alg}-1`, alg, use: 'sig' })) });
const everything = { sub: 'alice', rooms: ['*'], publish: ['*'] };

function token(claims = everything, { alg = 'HS256', header = {}, sign = signers[alg] } = {}) {
  const kid = alg === 'HS256' ? {} : { kid: `${alg}-1` };
  const text = `${base64url(JSON.stringify({ alg, typ: 'JWT', ...kid, ...header }))}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(sign(Buffer.from(text)))}`;
}

let server;
let admin;
before(async () => {
  writeFileSync(file('secret'), `${secret}\n`);
  writeFileSync(file('jwks.json'), JSON.stringify(jwks()));
  const adminPort = await freePort();
  admin = `http://127.0.0.1:${adminPort}`;
  server = await startServer(['--shards', '2', '--history-messages', '10', '--jwt-hs256-key-file', file('secret'), '--jwt-jwks-file', file('jwks.json'),
    '--admin-listen', `127.0.0.1:${adminPort}`]);
});
after(async () => {
  assert.deepEqual(await server?.stop(), [0, null]);
  rmSync(folder, { recursive: true });
});

// Answers the WebSocket once it is open, or {status, challenge, error} of a refusal.
function connect(target, { protocols = [], headers = {}, address = server.ws } = {}) {
  const ws = new WebSocket(`${address}${target}`, protocols, { headers });
  ws.texts = [];
  ws.on('message', (data, binary) => ws.texts.push(binary ? data : data.toString()));
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve(ws));
    ws.on('unexpected-response', async (request, answer) => {
      const parts = await answer.toArray();
      resolve({ status: answer.statusCode, challenge: answer.headers['www-authenticate'], error: JSON.parse(Buffer.concat(parts)).error });
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
async function until(holds) {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'it did not happen');
    await sleep(5);
  }
}
async function refusals() {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Object.fromEntries([...text.matchAll(/^ringcast_token_refusals_total\{reason="(\w+)"\} (\d+)$/gm)].map(([, why, count]) => [why, Number(count)]));
}
const bearer = (text) => ({ headers: { Authorization: `Bearer ${text}` } });

test('a token of each algorithm comes in by each way', async () => {
  for (const alg of Object.keys(signers)) {
    const good = token(everything, { alg });
    const all = [await connect('/broadcast/a', bearer(good)), await connect(`/broadcast/a?token=${good}`),
      await connect('/broadcast/a', { protocols: ['ringcast.v1', `bearer.${good}`] }), await connect('/chat/a?name=alice', bearer(good)), await connect('/echo', bearer(good))];
    for (const ws of all) assert.ok(ws instanceof WebSocket, `${alg}: ${JSON.stringify(ws)}`);
    assert.equal(all[2].protocol, 'ringcast.v1');
    assert.equal(all[0].protocol, '');
    await close(...all);
  }
});

test('each wrong token is refused with its reason, counted, and not logged', async () => {
  const rsaPem = pairs.RS256.publicKey.export({ format: 'pem', type: 'spki' });
  const hmac = (key) => (text) => crypto.createHmac('sha256', key).update(text).digest();
  const good = token();
  const wrong = [
    ['malformed', 'garbage'],
    ['malformed', `${good}=`],
    ['algorithm', token(everything, { header: { alg: 'none' }, sign: () => '' })],
    ['algorithm', token(everything, { header: { alg: 'HS256', kid: 'RS256-1' }, sign: hmac(rsaPem) })],
    ['unknown_key', token(everything, { header: { kid: 'nobody' } })],
    ['signature', token(everything, { sign: hmac(crypto.randomBytes(32)) })],
    ['signature', token(everything, { alg: 'EdDSA', sign: (text) => crypto.sign(null, text, crypto.generateKeyPairSync('ed25519').privateKey) })],
    ['expired', token({ ...everything, exp: now() - 31 })],
    ['not_yet_valid', token({ ...everything, nbf: now() + 60 })],
    ['audience', token({ ...everything, aud: 'somebody else' })],
    ['claims', token({ ...everything, rooms: 'all' })],
    ['critical', token(everything, { header: { crit: ['b64'] } })],
  ];
  const earlier = await refusals();
  for (const [why, text] of wrong) {
    const answer = await connect('/broadcast/a', bearer(text));
    assert.equal(answer.status, 401, why);
    assert.match(answer.challenge, /^Bearer realm="ringcast", error="invalid_token", error_description="[^"]+"$/);
    assert.ok(answer.error.length > 10);
  }
  const later = await refusals();
  for (const why of new Set(wrong.map(([name]) => name))) {
    assert.equal(later[why] - earlier[why], wrong.filter(([name]) => name === why).length, why);
  }
  for (const [, text] of wrong) assert.ok(!server.stderr().includes(text));
  // Above the bound of a line of a head nobody looks for a token.
  assert.equal((await connect('/broadcast/a', bearer('x'.repeat(8160)))).status, 401);
  const large = await fetch(`${server.http}/rooms/a`, bearer('x'.repeat(100_000))).catch((refused) => refused);
  assert.ok(large.status === 431 || large instanceof Error);
  assert.equal((await connect('/broadcast/a')).status, 401);
  assert.equal((await connect('/broadcast/a')).challenge, 'Bearer realm="ringcast"');
  const several = await connect(`/broadcast/a?token=${good}`, bearer(good));
  assert.equal(several.status, 400);
  assert.match(several.challenge, /error="invalid_request"/);
});

test('a token is for its rooms, at every door', async () => {
  const some = token({ sub: 'bob', rooms: ['prices/*', 'lobby'], publish: ['lobby'] });
  for (const target of ['/broadcast/other', '/chat/other?name=n']) {
    const refused = await connect(target, bearer(some));
    assert.equal(refused.status, 403);
    assert.match(refused.challenge, /error="insufficient_scope"/);
  }
  for (const target of ['/rooms/other', '/rooms/other/messages', '/broadcast/other']) {
    const headers = { ...bearer(some).headers, Accept: target.startsWith('/broadcast') ? 'text/event-stream' : '*/*' };
    assert.equal((await fetch(server.http + target, { headers })).status, 403, target);
    const { Authorization, ...without } = headers;
    assert.equal((await fetch(server.http + target, { headers: without })).status, 401, target);
  }
  const inside = await connect('/broadcast/prices%2Fgold', bearer(some));
  assert.equal((await fetch(`${server.http}/rooms/prices%2Fgold/messages?token=${some}`)).status, 200);
  const stream = await fetch(`${server.http}/broadcast/lobby?token=${some}`, { headers: { Accept: 'text/event-stream' } });
  assert.equal(stream.status, 200);
  await stream.body.cancel();
  // It may hear there and not speak.
  const closed = once(inside, 'close');
  inside.send('mine');
  assert.equal((await closed)[0], 1008);
  const speaks = await connect('/broadcast/lobby', bearer(some));
  speaks.send('hello');
  await until(() => speaks.texts.includes('hello'));
  await close(speaks);
});

test('a user is whom the token names, and nobody else', async () => {
  const watcher = await connect(`/broadcast/who?presence=1&token=${token({ ...everything, sub: 'watcher' })}`);
  const before = (await refusals()).user;
  const of = (sub) => bearer(token({ ...everything, sub }));
  for (const target of ['/broadcast/who?user=mallory', '/broadcast/who?user=', '/broadcast/who?user=Carol', '/chat/who?name=mallory', '/chat/who?name=carol%20']) {
    const { status, challenge, error } = await connect(target, of('carol'));
    assert.deepEqual([status, error], [403, 'somebody else is named than the token or the certificate is of'], target);
    assert.match(challenge, /error="insufficient_scope"/);
  }
  const stream = await fetch(`${server.http}/broadcast/who?user=mallory`, { headers: { ...of('carol').headers, Accept: 'text/event-stream' } });
  assert.equal(stream.status, 403);
  assert.equal((await refusals()).user, before + 6);
  const carol = await connect('/broadcast/who', of('carol'));
  await until(() => watcher.texts.includes('{"joined":"carol"}'));
  const again = await connect('/broadcast/who?user=carol', of('carol'));
  assert.ok(!watcher.texts.some((text) => text.includes('mallory')));
  const { users } = await (await fetch(`${server.http}/rooms/who`, bearer(token()))).json();
  assert.deepEqual(users.map(({ user }) => user).sort(), ['carol', 'watcher']);
  await close(watcher, carol, again);
  // In a chat it is the name, too; a token of nobody has none, and takes one.
  const chat = await connect('/chat/names', of('dora'));
  const same = await connect('/chat/names?name=dora', of('dora'));
  assert.deepEqual([same.status, same.error], [400, 'this name is taken in this room']);
  const { sub, ...nobody } = everything;
  const free = await connect('/chat/names?name=whoever', bearer(token(nobody)));
  await until(() => chat.texts.includes('whoever joined'));
  assert.equal(chat.texts[0], 'dora joined');
  await close(chat, free);
});

test('a connection ends with its token, unless it has sent a new one', async () => {
  const soon = () => ({ ...everything, exp: now() + 5 });
  const ends = await connect('/broadcast/x', bearer(token(soon())));
  const ended = once(ends, 'close');
  const stays = await connect('/broadcast/x?seq=1', bearer(token(soon())));
  const chat = await connect('/chat/x', bearer(token(soon())));
  const chatEnded = once(chat, 'close');
  const leaves = [];
  stays.on('close', (code, reason) => leaves.push([code, reason.toString()]));
  const later = now() + 1000;
  stays.send(JSON.stringify({ token: token({ ...everything, exp: later }) }));
  await until(() => stays.texts.includes(`{"token":{"expires":${later}}}`));
  for (const [code, reason] of [await ended, await chatEnded]) {
    assert.equal(code, 4001);
    assert.equal(reason.toString(), 'the token has expired');
  }
  assert.ok(!ends.texts.some((text) => text.includes('token'))); // a new token is nothing for the room
  stays.send('still here');
  await until(() => stays.texts.some((text) => text.endsWith('still here')));
  assert.deepEqual(leaves, []);
  // The new one may permit less: now it hears, and does not speak.
  stays.send(JSON.stringify({ token: token({ ...everything, publish: [] }) }));
  await until(() => stays.texts.includes('{"token":{"expires":null}}'));
  stays.send('mine');
  await until(() => leaves.length > 0);
  assert.equal(leaves[0][0], 1008);
});

test('a new token that is not good closes with 4001 and its reason', async () => {
  const cases = [
    [{ token: 'garbage' }, /three parts/],
    [{ token: token({ ...everything, exp: now() - 100 }) }, /expired/],
    [{ token: token({ ...everything, sub: 'mallory' }) }, /wrong form/],
    [{ token: token({ ...everything, rooms: ['other'] }) }, /does not permit/],
    [{ token: 7 }, /three parts/],
    [{ token: token(), and: 'more' }, /three parts/],
    [{ token: 'x'.repeat(100_000) }, /8192/],
  ];
  const ways = { protocols: ['ringcast.v1', `bearer.${token()}`] };
  for (const [message, why] of cases) {
    const ws = await connect('/broadcast/x', ways);
    const closed = once(ws, 'close');
    ws.send(JSON.stringify(message));
    const [code, reason] = await closed;
    assert.equal(code, 4001, JSON.stringify(message).slice(0, 80));
    assert.match(reason.toString(), why);
  }
  // Who did not ask for numbers speaks to the room.
  const plain = await connect('/broadcast/x', bearer(token()));
  plain.send('{"token":"x"}');
  await until(() => plain.texts.includes('{"token":"x"}'));
  await close(plain);
});

test('what is for those who run the server is at --admin-listen only', async () => {
  for (const target of ['/metrics', '/rooms']) {
    assert.equal((await fetch(server.http + target, bearer(token()))).status, 404, target);
    assert.equal((await fetch(admin + target)).status, 200, target);
  }
  const post = (from, headers = {}) => fetch(`${from}/rooms/adm/messages`, { method: 'POST', body: 'hello', headers: { 'Content-Type': 'text/plain', ...headers } });
  const member = await connect('/broadcast/adm', bearer(token()));
  assert.equal((await post(server.http, bearer(token()).headers)).status, 404);
  assert.equal((await post(admin)).status, 200);
  await until(() => member.texts.includes('hello'));
  assert.equal((await post(admin, bearer(token({ ...everything, publish: [] })).headers)).status, 403);
  assert.equal((await post(admin, bearer('garbage').headers)).status, 401);
  assert.equal((await fetch(`${admin}/rooms/adm`)).status, 200);
  // A page of another site, open in the browser of somebody who may reach this address, may not.
  const elsewhere = { Origin: 'http://evil.example' };
  for (const origin of ['http://evil.example', 'null', `${admin}.evil.example`]) assert.equal((await post(admin, { Origin: origin })).status, 403, origin);
  assert.equal((await post(admin, { Origin: admin })).status, 200);
  assert.equal((await fetch(`${admin}/rooms/adm/messages`, { headers: elsewhere })).status, 401);
  assert.equal((await connect('/broadcast/adm', { address: admin.replace('http', 'ws'), headers: elsewhere })).status, 401);
  await close(await connect('/broadcast/adm', { address: admin.replace('http', 'ws') }));
  for (const from of [admin, server.http]) {
    for (const target of ['/health/ready', '/']) assert.equal((await fetch(from + target)).status, 200);
  }
  await close(member);
});

test('SIGHUP reads the keys again, and a broken file changes nothing', async () => {
  const said = async (what) => {
    const from = server.stderr().length;
    server.child.kill('SIGHUP');
    await until(() => server.stderr().slice(from).includes(what));
  };
  const member = await connect('/broadcast/r', bearer(token(everything, { alg: 'ES256' })));
  writeFileSync(file('jwks.json'), '{"keys":[');
  await said('the keys of tokens stay as they were');
  assert.ok(server.stderr().includes('jwks.json: this is no JSON object'));
  await close(await connect('/broadcast/r', bearer(token(everything, { alg: 'ES256' }))));
  const old = pairs.ES256;
  pairs.ES256 = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(file('jwks.json'), JSON.stringify(jwks()));
  await said('the keys of tokens were read again');
  await close(await connect('/broadcast/r', bearer(token(everything, { alg: 'ES256' }))));
  const byOldKey = token(everything, { alg: 'ES256', sign: (text) => crypto.sign('sha256', text, { key: old.privateKey, dsaEncoding: 'ieee-p1363' }) });
  assert.equal((await connect('/broadcast/r', bearer(byOldKey))).status, 401);
  await close(member); // who is in stays
});

test('options that cannot be meant are refused in one sentence', async () => {
  writeFileSync(file('short'), 'too short\n');
  writeFileSync(file('empty.json'), '{"keys":[]}');
  writeFileSync(file('large'), Buffer.alloc((1 << 20) + 1, 'x'));
  const cases = [
    [['--jwt-hs256-key-file', file('nowhere')], /nowhere: No such file/],
    [['--jwt-hs256-key-file', file('short')], /short: a secret of 9 bytes is too short/],
    [['--jwt-hs256-key-file', folder], /Is a directory/],
    [['--jwt-hs256-key-file', file('large')], /at most 1048576 bytes/],
    [['--jwt-jwks-file', file('empty.json')], /no key of this set/],
    [['--jwt-audience', 'chat'], /--jwt-audience is given with/],
    [['--admin-listen', 'nonsense'], /nonsense/],
  ];
  for (const [args, why] of cases) {
    const { status, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--shards', '1', ...args]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, why);
  }
});

test('without tokens --admin-listen alone moves what is for those who run the server', async () => {
  const port = await freePort();
  const open = await startServer(['--shards', '1', '--admin-listen', `127.0.0.1:${port}`]);
  try {
    for (const target of ['/metrics', '/rooms']) {
      assert.equal((await fetch(open.http + target)).status, 404);
      assert.equal((await fetch(`http://127.0.0.1:${port}${target}`)).status, 200);
    }
    const ws = new WebSocket(`${open.ws}/broadcast/x`);
    await once(ws, 'open');
    await close(ws);
  } finally {
    await open.stop();
  }
});
