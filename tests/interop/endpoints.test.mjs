// npm ws as a client of every endpoint.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { countsOf } from './counts.mjs';
import { startServer } from './server.mjs';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

// A connection whose messages wait in a queue: next() answers { data, binary }, text() the next one as text.
async function open(path, options = {}) {
  const ws = new WebSocket(server.ws + path, options);
  const arrived = [];
  const waiting = [];
  ws.on('message', (data, binary) => (waiting.length ? waiting.shift()({ data, binary }) : arrived.push({ data, binary })));
  await once(ws, 'open');
  return {
    ws,
    arrived,
    next: () => (arrived.length ? arrived.shift() : new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no message on ${path}`)), 10_000);
      waiting.push((message) => { clearTimeout(timer); resolve(message); });
    })),
    async text() {
      const { data, binary } = await this.next();
      assert.equal(binary, false);
      return data.toString();
    },
    async close(code = 1000, reason = '') {
      const closed = once(ws, 'close');
      ws.close(code, reason);
      return (await closed)[0];
    },
  };
}

// The answer to an upgrade that is refused: { status, headers, body }.
async function refusal(path, options = {}) {
  const ws = new WebSocket(server.ws + path, options);
  ws.on('error', () => {});
  const opened = once(ws, 'open').then(() => { throw new Error(`${path} was accepted`); });
  const answered = new Promise((resolve) => {
    ws.on('unexpected-response', (request, response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => { body += text; })
        .on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
  });
  opened.catch(() => {});
  return Promise.race([opened, answered]);
}

const json = async (path, init) => {
  const answer = await fetch(server.http + path, init);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
  return { status: answer.status, body: await answer.json() };
};

test('WS /echo sends each message back with its opcode', async () => {
  for (const options of [{}, { perMessageDeflate: false }]) {
    const client = await open('/echo', options);
    for (const length of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
      const bytes = Buffer.alloc(length, 'ringcast');
      client.ws.send(bytes, { binary: true });
      const echoed = await client.next();
      assert.equal(echoed.binary, true);
      assert.ok(echoed.data.equals(bytes), `${length} bytes`);
      client.ws.send(bytes.toString());
      assert.equal(await client.text(), bytes.toString());
    }
    assert.equal(await client.close(), 1000);
  }
});

test('WS /echo joins fragments, and answers a ping inside them', async () => {
  const client = await open('/echo', { perMessageDeflate: false });
  client.ws.send('Grü', { fin: false });
  const pong = once(client.ws, 'pong');
  client.ws.ping('between');
  assert.equal((await pong)[0].toString(), 'between');
  client.ws.send('ße, ', { fin: false });
  client.ws.send('環', { fin: true });
  assert.equal(await client.text(), 'Grüße, 環');
  await client.close();
});

test('WS /echo keeps order with a thousand messages in flight', async () => {
  const client = await open('/echo');
  for (let index = 0; index < 1000; index += 1) client.ws.send(`${index}`);
  for (let index = 0; index < 1000; index += 1) assert.equal(await client.text(), `${index}`);
  await client.close();
});

test('a message over --max-message-bytes ends with 1009', async () => {
  const client = await open('/echo');
  const closed = once(client.ws, 'close');
  client.ws.on('error', () => {}); // The rest of the message may meet a closed socket.
  client.ws.send(Buffer.alloc((1 << 20) + 1));
  assert.equal((await closed)[0], 1009);
});

test('WS /broadcast reaches every member unchanged, the sender too', async () => {
  const members = await Promise.all(Array.from({ length: 8 }, () => open('/broadcast/everyone')));
  const elsewhere = await open('/broadcast/elsewhere');
  members[3].ws.send('text');
  members[3].ws.send(Buffer.from([0, 255, 1]), { binary: true });
  for (const member of members) {
    assert.equal(await member.text(), 'text');
    const second = await member.next();
    assert.deepEqual([second.binary, [...second.data]], [true, [0, 255, 1]]);
  }
  elsewhere.ws.send('own room');
  assert.equal(await elsewhere.text(), 'own room');
  await Promise.all([...members, elsewhere].map((member) => member.close()));
});

test('WS /broadcast?self=0 leaves the sender out, and only the sender', async () => {
  const quiet = await open('/broadcast/quiet?self=0');
  const other = await open('/broadcast/quiet?self=0');
  const plain = await open('/broadcast/quiet');
  quiet.ws.send('from quiet');
  assert.equal(await other.text(), 'from quiet');
  assert.equal(await plain.text(), 'from quiet');
  plain.ws.send('from plain');
  for (const member of [quiet, other, plain]) assert.equal(await member.text(), 'from plain');
  assert.equal(quiet.arrived.length, 0);
  await Promise.all([quiet, other, plain].map((member) => member.close()));
});

test('WS /chat says who joined, who said what, who left', async () => {
  const ada = await open('/chat/lounge?name=Ada');
  assert.equal(await ada.text(), 'Ada joined');
  const bob = await open(`/chat/lounge?name=${encodeURIComponent('Böb 環')}`);
  for (const member of [ada, bob]) assert.equal(await member.text(), 'Böb 環 joined');
  bob.ws.send('hello: <b>all</b>');
  for (const member of [ada, bob]) assert.equal(await member.text(), 'Böb 環: hello: <b>all</b>');
  await bob.close();
  assert.equal(await ada.text(), 'Böb 環 left');
  const again = await open(`/chat/lounge?name=${encodeURIComponent('Böb 環')}`);
  assert.equal(await ada.text(), 'Böb 環 joined');
  again.ws.terminate();
  assert.equal(await ada.text(), 'Böb 環 left');
  await ada.close();
});

test('WS /chat refuses a bad name with 400 and JSON', async () => {
  const ada = await open('/chat/refusals?name=Ada');
  const refused = {
    'a name already in the room': '?name=Ada',
    'no name': '',
    'an empty name': '?name=',
    'a name of 65 bytes': `?name=${'x'.repeat(65)}`,
    'a name of 66 bytes in 22 characters': `?name=${encodeURIComponent('環'.repeat(22))}`,
    'a line feed': '?name=a%0Ab',
    'a NUL': '?name=a%00b',
    'a delete': '?name=a%7Fb',
    'bytes that are not UTF-8': '?name=a%FFb',
    'a broken escape': '?name=a%4',
  };
  for (const [what, query] of Object.entries(refused)) {
    const answer = await refusal(`/chat/refusals${query}`);
    assert.equal(answer.status, 400, what);
    assert.equal(typeof JSON.parse(answer.body).error, 'string', what);
  }
  for (const name of ['x'.repeat(64), '環'.repeat(21), 'A+B', 'a&b=c']) {
    const member = await open(`/chat/names?name=${encodeURIComponent(name)}`);
    assert.equal(await member.text(), `${name} joined`);
    await member.close();
  }
  // The same name is free in every other room.
  const other = await open('/chat/refusals-too?name=Ada');
  assert.equal(await other.text(), 'Ada joined');
  await Promise.all([ada.close(), other.close()]);
});

test('POST /rooms/{room}/messages publishes, and counts who got it', async () => {
  const members = await Promise.all(Array.from({ length: 5 }, () => open('/broadcast/posted')));
  const cases = [['text/plain', false], ['text/html; charset=utf-8', false], ['application/json', false], ['application/octet-stream', true], [null, true]];
  for (const [type, binary] of cases) {
    const body = Buffer.from('{"from":"outside"}');
    const answer = await json('/rooms/posted/messages', { method: 'POST', body, headers: type ? { 'Content-Type': type } : {} });
    assert.equal(answer.status, 200);
    assert.deepEqual(countsOf(answer.body), { members: 5, queued: 5, conflated: 0, dropped: 0 });
    assert.equal(answer.body.seq, cases.findIndex(([kind]) => kind === type) + 1);
    for (const member of members) {
      const message = await member.next();
      assert.deepEqual([message.binary, message.data.toString()], [binary, body.toString()], `${type}`);
    }
  }
  await Promise.all(members.map((member) => member.close()));
  const empty = await json('/rooms/nobody-here/messages', { method: 'POST', body: 'x', headers: { 'Content-Type': 'text/plain' } });
  assert.deepEqual(countsOf(empty.body), { members: 0, queued: 0, conflated: 0, dropped: 0 });
});

test('POST with an Idempotency-Key is published once, and answered the same each time', async () => {
  const heard = await open('/broadcast/once');
  const post = async (body, key, room = 'once', type = 'text/plain') => {
    const response = await fetch(`${server.http}/rooms/${room}/messages`, { method: 'POST', body, headers: { 'Content-Type': type, 'Idempotency-Key': key } });
    return { status: response.status, body: await response.json() };
  };
  const first = await post('paid', '"8e03978e"');
  assert.equal(first.status, 200);
  // Over other connections, and so to both shards.
  for (const again of await Promise.all(Array.from({ length: 20 }, () => post('paid', '"8e03978e"')))) assert.deepEqual(again, first);
  // Many at once: one of them is the first, the others are told to wait or what it was told.
  const race = await Promise.all(Array.from({ length: 20 }, () => post('raced', 'race')));
  assert.ok(race.every(({ status }) => status === 200 || status === 409));
  assert.equal(new Set(race.filter(({ status }) => status === 200).map(({ body }) => body.seq)).size, 1);
  assert.equal((await post('another', '"8e03978e"')).status, 422);
  assert.equal((await post('paid', '"8e03978e"', 'once', 'application/octet-stream')).status, 422);
  assert.equal((await post('paid', '"8e03978e"', 'elsewhere')).status, 200); // a key belongs to its room
  assert.equal((await post('paid', 'k'.repeat(255))).status, 200);
  assert.equal((await post('paid', 'k'.repeat(256))).status, 400);
  // What was refused is not remembered: the same key may be used when it is right.
  assert.equal((await post(Buffer.from([0xff]), 'wrong')).status, 400);
  assert.equal((await post('right', 'wrong')).status, 200);
  await post('end', 'end');
  const texts = [];
  while (texts.at(-1) !== 'end') texts.push(await heard.text());
  assert.deepEqual(texts, ['paid', 'raced', 'paid', 'right', 'end']);
  await heard.close();
});

test('POST of a text that is not UTF-8 is refused, since no text frame may carry it', async () => {
  const member = await open('/broadcast/utf8');
  const answer = await json('/rooms/utf8/messages', { method: 'POST', body: Buffer.from([0xff]), headers: { 'Content-Type': 'text/plain' } });
  assert.equal(answer.status, 400);
  assert.equal(typeof answer.body.error, 'string');
  member.ws.send('next');
  assert.equal(await member.text(), 'next');
  await member.close();
});

test('GET /rooms and GET /rooms/{room} name rooms and members', async () => {
  const ada = await open('/chat/listed?name=Ada');
  assert.equal(await ada.text(), 'Ada joined');
  const bob = await open('/chat/listed?name=Bob');
  assert.equal(await bob.text(), 'Bob joined');
  const all = await json('/rooms');
  assert.equal(all.status, 200);
  assert.ok(JSON.stringify(all.body).includes('"listed"'), JSON.stringify(all.body));
  const one = await json('/rooms/listed');
  assert.equal(one.status, 200);
  const said = JSON.stringify(one.body);
  assert.ok(said.includes('"Ada"') && said.includes('"Bob"'), said);
  await Promise.all([ada.close(), bob.close()]);
});

test('GET /rooms has pages that name every room once and are continued where they ended', async () => {
  const names = Array.from({ length: 25 }, (_, i) => `page ${String(i).padStart(2, '0')} ä"\\`);
  const members = await Promise.all(names.map((name) => open(`/broadcast/${encodeURIComponent(name)}`)));
  for (const limit of [1, 7, 24, 25, 26, 1000]) {
    const seen = [];
    let next = null;
    do {
      const page = await json(`/rooms?limit=${limit}${next === null ? '' : `&after=${encodeURIComponent(next)}`}`);
      assert.equal(page.status, 200);
      assert.ok(page.body.rooms.length <= limit);
      assert.ok(page.body.next === null || page.body.rooms.length === limit, JSON.stringify(page.body));
      seen.push(...page.body.rooms.map((room) => room.name));
      next = page.body.next;
      assert.ok(seen.length < 1000);
    } while (next !== null);
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(seen.filter((name) => name.startsWith('page ')).sort(), names);
  }
  for (const bad of ['limit=0', 'limit=1001', 'limit=-1', 'limit=ten', 'limit=', 'limit=1x', 'after=', `after=${'a'.repeat(129)}`, 'after=%ff', 'after=%00']) {
    const answer = await json(`/rooms?${bad}`);
    assert.equal(answer.status, 400, bad);
    assert.ok(answer.body.error.length > 10, bad);
  }
  await Promise.all(members.map((member) => member.close()));
});

test('health answers 200', async () => {
  for (const path of ['/health/live', '/health/ready']) assert.equal((await fetch(server.http + path)).status, 200);
});

test('GET / is the page, self-contained, under its own policy', async () => {
  const answer = await fetch(`${server.http}/`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.match(answer.headers.get('content-security-policy'), /default-src 'none'.*script-src 'sha256-/);
  const page = await answer.text();
  assert.match(page, /^<!doctype html>/);
  assert.doesNotMatch(page, /(src|href)="(https?:)?\/\//);
});

test('a WebSocket endpoint asked without an upgrade answers 400 with JSON', async () => {
  for (const path of ['/echo', '/broadcast/x', '/chat/x?name=y']) {
    const answer = await json(path);
    assert.equal(answer.status, 400, path);
    assert.equal(typeof answer.body.error, 'string');
  }
});

test('a wrong version is answered with 426 and the right one', async () => {
  const answer = await refusal('/echo', { protocolVersion: 8 });
  assert.equal(answer.status, 426);
  assert.equal(answer.headers['sec-websocket-version'], '13');
});

test('what is not there is 404, what is not meant 405, with JSON', async () => {
  assert.equal((await json('/nowhere')).status, 404);
  assert.equal((await refusal('/nowhere')).status, 404);
  assert.equal((await json('/rooms', { method: 'DELETE' })).status, 405);
  assert.equal((await json('/rooms/x/messages', { method: 'DELETE' })).status, 405);
  assert.equal((await json('/rooms/x/messages')).status, 404);
});

test('subprotocols and extensions that nobody knows are ignored', async () => {
  const ws = new WebSocket(`${server.ws}/echo`, { headers: { 'Sec-WebSocket-Extensions': 'x-unknown; a=b' }, perMessageDeflate: false });
  await once(ws, 'open');
  assert.equal(ws.extensions, '');
  ws.terminate();
});
