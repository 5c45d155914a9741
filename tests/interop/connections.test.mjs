// GET /connections: who is connected and who is slow, as an operator asks.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { key, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { rawWebSocket } from './raw.mjs';
import { freePort, startServer } from './server.mjs';

makeAuthority('ca');
makeCertificate('server');

let server;
let tlsPort;
before(async () => {
  tlsPort = await freePort();
  server = await startServer(['--shards', '2', '--send-queue-bytes', String(256 << 20), '--memory-bytes', String(1 << 30),
    '--listen-tls', `127.0.0.1:${tlsPort}`, '--tls-cert', pem('server'), '--tls-key', key('server')]);
});
after(() => server?.stop());

async function ask(query = '', status = 200) {
  const answer = await fetch(`${server.http}/connections${query}`);
  assert.equal(answer.status, status, query);
  assert.equal(answer.headers.get('content-type'), 'application/json');
  return answer.json();
}

// The answer once it is as wanted: what has just happened may be told a turn later.
async function askUntil(query, wanted) {
  for (let i = 0; i < 300; i += 1) {
    const page = await ask(query);
    if (wanted(page)) return page;
    await sleep(10);
  }
  throw new Error(`never as wanted: ${JSON.stringify(await ask(query))}`);
}

async function open(url, options = {}) {
  const ws = new WebSocket(url, { perMessageDeflate: false, ...options });
  await once(ws, 'open');
  return ws;
}

test('who never reads stands first, with about the bytes that wait for it', async () => {
  const bytes = 60_000;
  const count = 400;
  const slow = await rawWebSocket(server.port, '/broadcast/slow?user=sleepy');
  slow.socket.pause();
  const readers = await Promise.all([1, 2, 3].map(() => open(`${server.ws}/broadcast/slow`)));
  for (let i = 0; i < count; i += 1) {
    const heard = readers.map((ws) => once(ws, 'message'));
    readers[0].send('x'.repeat(bytes));
    await Promise.all(heard);
  }
  const page = await ask('?sort=behind&limit=2');
  assert.equal(page.connections.length, 2);
  const [first, second] = page.connections;
  assert.equal(first.user, 'sleepy');
  assert.deepEqual(first.rooms, ['slow']);
  assert.equal(first.kind, 'websocket');
  assert.equal(first.messages_in, 0);
  // What the kernel has taken is counted there; of the send under way it may have a part.
  const said = count * (bytes + 4);
  const known = first.bytes_behind + first.bytes_unacknowledged + first.bytes_out;
  assert.ok(known >= said && known <= said + 1_000_000, `${known} of ${said}`);
  assert.ok(first.bytes_behind > said / 3, `${first.bytes_behind} of ${said}`);
  assert.equal(first.messages_out + first.messages_behind, count);
  assert.equal(second.bytes_behind, 0);
  assert.equal(typeof page.next, 'string');
  slow.destroy();
  for (const ws of readers) ws.terminate();
  await askUntil('?room=slow', ({ total }) => total === 0);
});

test('each kind of connection says what it is', async () => {
  const plain = await open(`${server.ws}/chat/kinds?name=Ann`);
  const packed = await open(`${server.ws}/broadcast/kinds`, { perMessageDeflate: true });
  const secret = await open(`wss://127.0.0.1:${tlsPort}/broadcast/kinds?user=u7`, { rejectUnauthorized: false });
  const stop = new AbortController();
  await fetch(`${server.http}/broadcast/kinds`, { headers: { Accept: 'text/event-stream' }, signal: stop.signal });
  const { connections } = await askUntil('?room=kinds', ({ total }) => total === 4);
  const by = (what) => connections.find(what);
  assert.equal(by((c) => c.name === 'Ann').compression, null);
  assert.equal(by((c) => c.name === 'Ann').tls, null);
  assert.equal(by((c) => c.compression).compression, 'shared');
  assert.equal(by((c) => c.tls).tls, 'TLSv1.3');
  assert.equal(by((c) => c.tls).user, 'u7');
  assert.ok(by((c) => c.kind === 'event-stream'));
  const everybody = await ask();
  assert.ok(everybody.connections.some((c) => c.kind === 'http' && c.rooms.length === 0)); // who asks
  for (const c of everybody.connections) {
    assert.match(c.id, /^[0-9a-f]{16}$/);
    assert.match(c.address, /^127\.0\.0\.1:\d+$/);
    assert.ok(c.age_s >= 0 && c.age_s < 200);
    assert.ok(c.bytes_in > 0 || c.kind === 'http');
  }
  secret.pong();
  assert.equal((await askUntil('?room=kinds', (page) => page.connections.some((c) => c.pong_age_s !== null))).total, 4);
  stop.abort();
  for (const ws of [plain, packed, secret]) ws.terminate();
  await askUntil('?room=kinds', ({ total }) => total === 0);
});

test('pages follow each other without a hole', async () => {
  const members = await Promise.all(Array.from({ length: 25 }, () => open(`${server.ws}/broadcast/pages`)));
  const ids = new Set();
  let after = '';
  let pages = 0;
  do {
    const page = await ask(`?room=pages&limit=10${after}`);
    for (const { id } of page.connections) ids.add(id);
    after = page.next ? `&after=${page.next}` : '';
    pages += 1;
  } while (after);
  assert.equal(pages, 3);
  assert.equal(ids.size, 25);
  for (const ws of members) ws.terminate();
});

test('what cannot be answered is refused in words', async () => {
  const limit = 'limit is a number from 1 to 1000';
  const sort = 'sort is one of behind, age, messages_in, messages_out';
  const afterRule = 'after is what another page has said as next: KEY:ID';
  const cases = [['?limit=0', limit], ['?limit=-1', limit], ['?limit=1001', limit], ['?limit=99999999999', limit], ['?limit=ten', limit],
    ['?limit=', limit], ['?limit=1e3', limit], ['?sort=', sort], ['?sort=rtt', sort], ['?sort=BEHIND', sort], ['?after=', afterRule],
    ['?after=1', afterRule], ['?after=x:1', afterRule], ['?after=1:', afterRule], ['?after=1:zz', afterRule],
    ['?after=99999999999999999999:1', afterRule], ['?after=1:11111111111111111', afterRule]];
  for (const [query, words] of cases) assert.deepEqual(await ask(query, 400), { error: words }, query);
  for (const room of ['', 'a%0Ab', '%00', 'x'.repeat(5000)]) {
    const { error } = await ask(`?room=${room}`, 400);
    assert.match(error, /^room: /, room.slice(0, 10));
  }
  for (const fine of ['?limit=1', '?limit=1000', '?after=0:0', '?room=nobody%20here']) await ask(fine);
});
