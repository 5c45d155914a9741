// What may be done by the admin address, and by whom it may not: pages of other sites, forms, names of strangers.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { freePort, startServer } from './server.mjs';

let server;
let adminPort;
let admin;
before(async () => {
  adminPort = await freePort();
  admin = `http://127.0.0.1:${adminPort}`;
  server = await startServer(['--shards', '2', '--history-messages', '20', '--admin-listen', `127.0.0.1:${adminPort}`, '--admin-host', 'ops.example.org']);
});
after(() => server?.stop());

// fetch() has a Host of its own, so requests are made by hand. Answers {status, body, headers}.
function send(method, target, headers = {}, body = undefined, port = adminPort) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method, path: target, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (more) => { text += more; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}
const token = async () => (await send('GET', '/admin/token')).body.token;
const withToken = async (more = {}) => ({ 'X-Ringcast-Admin': await token(), ...more });

async function join(room, query = '', kind = 'broadcast') {
  const ws = new WebSocket(`${server.ws}/${kind}/${encodeURIComponent(room)}${query}`);
  ws.ended = new Promise((resolve) => { ws.on('close', (code, reason) => resolve(`${code} ${reason}`)); });
  ws.on('message', () => {});
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  return ws;
}
const connectionsOf = async (room) => (await send('GET', `/connections?room=${encodeURIComponent(room)}`)).body.connections;
async function until(what) {
  for (let i = 0; i < 500; i += 1) {
    if (await what()) return;
    await sleep(10);
  }
  assert.fail(`it never came: ${what}`);
}
async function logged(pattern) {
  await until(() => pattern.test(server.stderr()));
}
async function counted(action) {
  const text = (await send('GET', '/metrics')).body;
  return Number(new RegExp(`^ringcast_admin_actions_total\\{action="${action}"\\} (\\d+)$`, 'm').exec(text)[1]);
}

test('the connection that is named is closed with code and reason, once, and it is logged and counted', async () => {
  const [one, other] = [await join('single', '?user=one'), await join('single', '?user=other')];
  await until(async () => (await connectionsOf('single')).length === 2);
  const { id } = (await connectionsOf('single')).find(({ user }) => user === 'one');
  const before = await counted('close_connection');
  const answer = await send('DELETE', `/connections/${id}?code=4321&reason=${encodeURIComponent('enough "now"')}`, await withToken());
  assert.deepEqual([answer.status, answer.body], [200, { closed: 1 }]);
  assert.equal(await one.ended, '4321 enough "now"');
  assert.equal(other.readyState, WebSocket.OPEN);
  assert.equal(await counted('close_connection'), before + 1);
  await logged(new RegExp(`admin 127\\.0\\.0\\.1:\\d+: close connection ${id} with 4321 "enough \\\\"now\\\\""`));
  // It has gone, and nobody else is hit instead.
  await until(async () => (await connectionsOf('single')).length === 1);
  assert.equal((await send('DELETE', `/connections/${id}`, await withToken())).status, 404);
  assert.equal(other.readyState, WebSocket.OPEN);
  other.terminate();
});

test('an old generation of a slot closes nobody', async () => {
  const first = await Promise.all(Array.from({ length: 10 }, () => join('slots')));
  await until(async () => (await connectionsOf('slots')).length === 10);
  const old = (await connectionsOf('slots')).map((c) => c.id);
  for (const ws of first) ws.close(1000);
  await Promise.all(first.map((ws) => ws.ended));
  await until(async () => (await connectionsOf('slots')).length === 0);
  const crowd = await Promise.all(Array.from({ length: 60 }, () => join('slots')));
  await until(async () => (await connectionsOf('slots')).length === 60);
  // 2 digits of the shard, 6 of the generation, 8 of the slot.
  const place = (id) => id.slice(0, 2) + id.slice(8);
  const places = new Set((await connectionsOf('slots')).map((c) => place(c.id)));
  assert.ok(old.some((id) => places.has(place(id))), 'a slot is used again');
  const headers = await withToken();
  for (const id of old) assert.equal((await send('DELETE', `/connections/${id}`, headers)).status, 404);
  assert.equal((await connectionsOf('slots')).length, 60);
  for (const ws of crowd) ws.terminate();
});

test('a room is closed over all shards and others stay', async () => {
  const inside = []; // More than a page of GET /connections has.
  while (inside.length < 1100) inside.push(...await Promise.all(Array.from({ length: 100 }, () => join('whole/room <b>'))));
  const outside = await join('another');
  await until(async () => (await send('GET', `/rooms/${encodeURIComponent('whole/room <b>')}`)).body.members === 1100);
  const before = await counted('close_room');
  const target = `/rooms/${encodeURIComponent('whole/room <b>')}?code=1012&reason=moved`;
  assert.deepEqual((await send('DELETE', target, await withToken())).body, { closed: 1100 });
  assert.deepEqual(new Set(await Promise.all(inside.map((ws) => ws.ended))), new Set(['1012 moved']));
  assert.equal(outside.readyState, WebSocket.OPEN);
  assert.equal((await send('DELETE', target, await withToken())).status, 404);
  assert.equal(await counted('close_room'), before + 2);
  await logged(/admin 127\.0\.0\.1:\d+: close room "whole\/room <b>" with 1012 "moved"/);
  outside.terminate();
});

test('twice at once each member is closed once', async () => {
  const inside = await Promise.all(Array.from({ length: 100 }, () => join('twice')));
  await until(async () => (await connectionsOf('twice')).length === 100);
  const headers = await withToken();
  const answers = await Promise.all([1, 2].map(() => send('DELETE', '/rooms/twice', headers)));
  assert.equal(answers.reduce((sum, { body }) => sum + (body.closed ?? 0), 0), 100);
  assert.deepEqual(new Set(await Promise.all(inside.map((ws) => ws.ended))), new Set(['1008 closed by the administrator']));
});

test('a message is published with the token and logged; a program needs none and is not', async () => {
  const ws = await join('said');
  const heard = [];
  ws.on('message', (data) => heard.push(String(data)));
  const before = await counted('publish');
  const text = { 'Content-Type': 'text/plain' };
  assert.equal((await send('POST', '/rooms/said/messages', await withToken(text), 'from the dashboard')).status, 200);
  assert.equal((await send('POST', '/rooms/said/messages', text, 'from a program')).status, 200);
  await until(() => heard.length === 2);
  assert.deepEqual(heard, ['from the dashboard', 'from a program']);
  assert.equal(await counted('publish'), before + 1);
  await logged(/admin 127\.0\.0\.1:\d+: publish 18 bytes in room "said"/);
  assert.doesNotMatch(server.stderr(), /publish 14 bytes|from the dashboard/);
  ws.terminate();
});

test('what a page of another site can send changes nothing', async () => {
  const ws = await join('guarded');
  await until(async () => (await connectionsOf('guarded')).length === 1);
  const { id } = (await connectionsOf('guarded'))[0];
  const right = await withToken();
  const host = `127.0.0.1:${adminPort}`;
  const before = await counted('refused');
  const wrong = [
    {}, // a form, or no-cors: no header of its own
    { 'X-Ringcast-Admin': '' },
    { 'X-Ringcast-Admin': 'x'.repeat(32) },
    { 'X-Ringcast-Admin': right['X-Ringcast-Admin'].slice(1) },
    { 'X-Ringcast-Admin': `${right['X-Ringcast-Admin']}0` },
    { ...right, Origin: 'http://evil.example' },
    { ...right, Origin: 'null' },
    { ...right, Origin: `http://${host}.evil.example` },
    { ...right, Origin: `http://127.0.0.1:${server.port}` }, // the public pages of the same machine
    { ...right, 'Sec-Fetch-Site': 'cross-site' },
    { ...right, 'Sec-Fetch-Site': 'same-site' },
  ];
  // DNS rebinding: Origin and Host agree, and are not ours.
  const misdirected = [
    { ...right, Host: `evil.example:${adminPort}`, Origin: `http://evil.example:${adminPort}` },
    { ...right, Host: `evil.example:${adminPort}` },
    { ...right, Host: `127.0.0.1.evil.example:${adminPort}` },
    { ...right, Host: `localhost.evil.example:${adminPort}` },
    { ...right, Host: `1.evil.example` },
  ];
  for (const headers of misdirected) {
    for (const target of [`/connections/${id}`, '/rooms/guarded']) assert.equal((await send('DELETE', target, headers)).status, 421, JSON.stringify(headers));
    assert.equal((await send('GET', '/admin/token', headers)).status, 421);
    assert.equal((await send('POST', '/rooms/guarded/messages', { 'Content-Type': 'text/plain', ...headers }, 'x')).status, 421);
  }
  for (const headers of wrong) {
    for (const target of [`/connections/${id}`, '/rooms/guarded']) {
      const { status, body } = await send('DELETE', target, headers);
      assert.equal(status, 403, JSON.stringify(headers));
      assert.equal(typeof body.error, 'string');
    }
  }
  assert.equal(await counted('refused'), before + 2 * wrong.length);
  await logged(/admin 127\.0\.0\.1:\d+: DELETE "\/rooms\/guarded" is refused: /);
  assert.equal(ws.readyState, WebSocket.OPEN);
  // Nor is anything published, with or without the token.
  for (const headers of [{ Origin: 'http://evil.example' }, { 'Sec-Fetch-Site': 'cross-site' }, { 'X-Ringcast-Admin': 'wrong' }]) {
    assert.equal((await send('POST', '/rooms/guarded/messages', { 'Content-Type': 'text/plain', ...headers }, 'x')).status, 403, JSON.stringify(headers));
  }
  // The word itself is for nobody else, and nobody may read an answer across origins.
  for (const headers of wrong.slice(5).map(({ 'X-Ringcast-Admin': _, ...rest }) => rest)) assert.equal((await send('GET', '/admin/token', headers)).status, 403, JSON.stringify(headers));
  const preflight = await send('OPTIONS', `/connections/${id}`, { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'DELETE' });
  assert.ok(preflight.status >= 400, `${preflight.status}`);
  for (const { headers } of [preflight, await send('GET', '/admin/token'), await send('GET', '/admin/state')]) assert.equal(headers['access-control-allow-origin'], undefined);
  // By any of its own names it is the same server.
  for (const name of [host, `localhost:${adminPort}`, `[::1]:${adminPort}`, 'ops.example.org', `OPS.example.org:${adminPort}`]) {
    const { status } = await send('DELETE', '/connections/ffffffffffffffff', { ...right, Host: name, Origin: `https://${name}`, 'Sec-Fetch-Site': 'same-origin' });
    assert.equal(status, 404, name);
  }
  ws.terminate();
});

test('bad input is answered in words', async () => {
  const headers = await withToken();
  for (const id of ['x', '1', '0'.repeat(15), '0'.repeat(17), 'g'.repeat(16), '-000000000000001', '%00']) {
    assert.equal((await send('DELETE', `/connections/${id}`, headers)).status, 400, id);
  }
  assert.equal((await send('DELETE', `/connections/${'0'.repeat(16)}`, headers)).status, 404);
  assert.equal((await send('DELETE', '/connections/ff00000100000000', headers)).status, 404); // of a shard that there is not
  for (const query of ['code=', 'code=x', 'code=999', 'code=1004', 'code=1005', 'code=1006', 'code=1015', 'code=2000', 'code=5000', 'code=66536', 'code=-1', `reason=${'x'.repeat(124)}`]) {
    assert.equal((await send('DELETE', `/rooms/nobody?${query}`, headers)).status, 400, query);
  }
  for (const query of ['code=1000', 'code=1014', 'code=3000', 'code=4999', `reason=${'x'.repeat(123)}`, 'reason=']) {
    assert.equal((await send('DELETE', `/rooms/nobody?${query}`, headers)).status, 404, query);
  }
  assert.equal((await send('DELETE', `/rooms/${'x'.repeat(129)}`, headers)).status, 400);
  assert.equal((await send('DELETE', '/rooms/a%0Ab', headers)).status, 400);
  // What a peer has chosen is one line of the log.
  assert.doesNotMatch(server.stderr(), /^b"/m);
});

test('none of it is there for others', async () => {
  for (const [method, target] of [['GET', '/admin'], ['GET', '/admin/state'], ['GET', '/admin/token'], ['DELETE', '/connections/0000000000000000']]) {
    assert.equal((await send(method, target, {}, undefined, server.port)).status, 404, target);
  }
  assert.ok((await send('DELETE', '/rooms/lobby', await withToken(), undefined, server.port)).status >= 404);
  // Without an address for admin there is the page, and nothing can be closed.
  const plain = await startServer(['--shards', '1']);
  try {
    assert.equal((await send('GET', '/admin', {}, undefined, plain.port)).status, 200);
    assert.equal((await send('GET', '/admin/state', {}, undefined, plain.port)).body.actions, false);
    assert.equal((await send('GET', '/admin/token', {}, undefined, plain.port)).status, 404);
    assert.ok((await send('DELETE', '/connections/0000000000000000', {}, undefined, plain.port)).status >= 404);
    assert.ok((await send('DELETE', '/rooms/lobby', {}, undefined, plain.port)).status >= 404);
  } finally {
    await plain.stop();
  }
});

test('the state is small, and says what there is', async () => {
  const members = await Promise.all(Array.from({ length: 20 }, () => join('stated')));
  const before = (await send('GET', '/admin/state')).body;
  for (let i = 0; i < 10; i += 1) members[0].send('hello');
  const delivered = ({ shards }) => shards.reduce((sum, shard) => sum + shard.deliveries, 0);
  await until(async () => delivered((await send('GET', '/admin/state')).body) - delivered(before) === 200);
  const { body, headers } = await send('GET', '/admin/state');
  assert.equal(headers['cache-control'], 'no-store');
  assert.equal(body.shards.length, 2);
  assert.equal(body.actions, true);
  assert.equal(body.start, before.start);
  const times = body.shards.flatMap((shard) => shard.receive_to_send);
  assert.equal(times.reduce((sum, [, count]) => sum + count, 0), body.shards.reduce((sum, shard) => sum + shard.received, 0));
  assert.ok(JSON.stringify(body).length < 16_000);
  for (const ws of members) ws.terminate();
  await until(async () => (await send('GET', '/admin/state')).body.closes[1006] >= 20);
});
