// Rooms that remember, with npm ws: history, positions, resuming, and what GET says of it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { startServer } from './server.mjs';

const kept = 20;
let server;
before(async () => { server = await startServer(['--history-messages', String(kept), '--shards', '2']); });
after(() => server?.stop());

const post = async (room, body, type = 'text/plain') =>
  (await fetch(`${server.http}/rooms/${room}/messages`, { method: 'POST', body, headers: { 'Content-Type': type } })).json();
const get = async (path) => {
  const response = await fetch(server.http + path);
  return { status: response.status, body: await response.json() };
};

// Hears `count` messages, as text, or as a Buffer where binary, and closes.
async function hear(path, count, options = {}) {
  const ws = new WebSocket(server.ws + path, options.protocols ?? [], options);
  const heard = [];
  await new Promise((resolve, reject) => {
    ws.on('error', reject);
    ws.on('message', (data, binary) => {
      heard.push(binary ? data : data.toString());
      if (heard.length === count) resolve();
    });
    setTimeout(() => reject(new Error(`${path}: ${heard.length} of ${count}: ${heard.slice(-3)}`)), 10_000).unref();
  });
  const closed = once(ws, 'close');
  ws.close(1000);
  await closed;
  return { heard, protocol: ws.protocol };
}

test('a room nobody is in keeps what was posted, and counts it', async () => {
  const first = await post('kept', 'a');
  const second = await post('kept', 'b');
  assert.match(first.epoch, /^[0-9a-f]{16}$/);
  assert.equal(second.epoch, first.epoch);
  assert.deepEqual([first.seq, second.seq], [1, 2]);
  const { body } = await get('/rooms/kept/messages');
  assert.deepEqual(body, {
    room: 'kept', epoch: first.epoch, messages: [{ seq: 1, text: 'a' }, { seq: 2, text: 'b' }], next: `${first.epoch}:2`, more: false, missing: false,
  });
});

test('history=N is heard first, with and without numbers, compressed or not', async () => {
  for (let i = 1; i <= 30; ++i) await post('past', `message ${i}`);
  for (const perMessageDeflate of [false, true]) {
    const plain = await hear('/broadcast/past?history=3', 3, { perMessageDeflate });
    assert.deepEqual(plain.heard, ['message 28', 'message 29', 'message 30']);
    const numbered = await hear('/broadcast/past?history=3&seq=1', 4, { perMessageDeflate });
    const hello = JSON.parse(numbered.heard[0]);
    assert.deepEqual([hello.room, hello.seq, hello.resumed], ['past', 30, false]);
    assert.deepEqual(numbered.heard.slice(1), ['28\nmessage 28', '29\nmessage 29', '30\nmessage 30']);
  }
});

test('the subprotocol ringcast.v1 asks for numbers, and binary messages have eight bytes in front', async () => {
  await post('binary', Buffer.from([1, 2, 3]), 'application/octet-stream');
  const { heard, protocol } = await hear('/broadcast/binary?history=1', 2, { protocols: ['ringcast.v1'] });
  assert.equal(protocol, 'ringcast.v1');
  assert.deepEqual([...heard[1]], [0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3]);
  const { body } = await get('/rooms/binary/messages');
  assert.equal(body.messages[0].binary, Buffer.from([1, 2, 3]).toString('base64'));
});

test('who comes back with its position hears everything behind it, or is told that it does not', async () => {
  let last;
  for (let i = 1; i <= 40; ++i) last = await post('back', `m${i}`);
  const resumed = await hear(`/broadcast/back?seq=1&since=${last.epoch}:35`, 6);
  assert.equal(JSON.parse(resumed.heard[0]).resumed, true);
  assert.deepEqual(resumed.heard.slice(1), [36, 37, 38, 39, 40].map((n) => `${n}\nm${n}`));
  // Not kept any more; of another epoch; from the future.
  for (const since of [`${last.epoch}:3`, `00000000000000ff:39`, `${last.epoch}:41`]) {
    const lost = await hear(`/broadcast/back?seq=1&since=${since}&history=2`, 3);
    assert.equal(JSON.parse(lost.heard[0]).resumed, false);
    assert.deepEqual(lost.heard.slice(1), ['39\nm39', '40\nm40']);
    const all = await hear(`/broadcast/back?seq=1&since=${since}`, 1 + kept);
    assert.equal(all.heard[1], '21\nm21');
    assert.equal((await get(`/rooms/back/messages?since=${since}`)).body.missing, true);
  }
  const page = (await get(`/rooms/back/messages?since=${last.epoch}:30&limit=4`)).body;
  assert.deepEqual([page.messages.map((m) => m.seq), page.more, page.next], [[31, 32, 33, 34], true, `${last.epoch}:34`]);
});

test('a member of a chat may see the numbers, and hear what it missed', async () => {
  for (let i = 1; i <= 5; ++i) await post('talk', `Bob: ${i}`);
  const { heard } = await hear('/chat/talk?name=Ada&seq=1&history=2', 4);
  const hello = JSON.parse(heard[0]);
  assert.deepEqual([hello.room, hello.seq, hello.resumed], ['talk', 5, false]);
  assert.deepEqual(heard.slice(1), ['4\nBob: 4', '5\nBob: 5', '6\nAda joined']);
  await post('talk', 'Bob: meanwhile'); // 7 is that she left
  const back = await hear(`/chat/talk?name=Ada&since=${hello.epoch}:6`, 4, { protocols: ['ringcast.v1'] });
  assert.equal(back.protocol, 'ringcast.v1');
  assert.equal(JSON.parse(back.heard[0]).resumed, true);
  assert.deepEqual(back.heard.slice(1), ['7\nAda left', '8\nBob: meanwhile', '9\nAda joined']);
  // Without being asked it is as it was.
  assert.deepEqual((await hear('/chat/talk?name=Eve', 1)).heard, ['Eve joined']);
  assert.deepEqual((await hear('/chat/talk?name=Eve&history=1', 2)).heard, ['Eve left', 'Eve joined']);
  const refused = new WebSocket(`${server.ws}/chat/talk?name=Ada&since=nonsense`);
  assert.match(String((await once(refused, 'error'))[0]), /400/);
});

test('what is no position, no number and no room is refused in words', async () => {
  const epoch = (await post('bad', 'x')).epoch;
  for (const query of ['since=', 'since=1', `since=${epoch}`, `since=${epoch}:`, `since=${epoch}:-1`, `since=${epoch}:x`, `since=${epoch}:99999999999999999999`,
    'since=' + 'a'.repeat(4000)]) {
    const answer = await get(`/rooms/bad/messages?${query}`);
    assert.equal(answer.status, 400, query.slice(0, 60));
    assert.match(answer.body.error, /position/);
    await assert.rejects(hear(`/broadcast/bad?${query}`, 1), /400/);
  }
  for (const history of ['', '-1', 'x', '1.5', '4294967296']) await assert.rejects(hear(`/broadcast/bad?history=${history}`, 1), /400/);
  for (const limit of ['0', '1001', 'x', '']) assert.equal((await get(`/rooms/bad/messages?limit=${limit}`)).status, 400);
  assert.equal((await get('/rooms/never/messages')).status, 404);
  // More than there is: what there is.
  assert.deepEqual((await hear('/broadcast/bad?history=4294967295', 1)).heard, ['x']);
});

test('a long poll is answered by the next message, by its time, or by the stop', async () => {
  const last = await post('poll', 'a');
  const ask = (wait) => get(`/rooms/poll/messages?since=${last.epoch}:${last.seq}&wait=${wait}`);
  const waiting = Array.from({ length: 50 }, () => ask(60));
  await new Promise((resolve) => { setTimeout(resolve, 200); });
  await post('poll', 'b');
  for (const { status, body } of await Promise.all(waiting)) {
    assert.equal(status, 200);
    assert.deepEqual(body.messages, [{ seq: last.seq + 1, text: 'b' }]);
  }
  assert.equal((await ask(60)).body.messages.length, 1); // there is something already
  const quiet = await get(`/rooms/poll/messages?since=${last.epoch}:${last.seq + 1}&wait=1`);
  assert.deepEqual([quiet.body.messages, quiet.body.missing, quiet.body.next], [[], false, `${last.epoch}:${last.seq + 1}`]);
  for (const wait of ['61', 'x', '-1', '']) assert.equal((await ask(wait)).status, 400);
  // Whoever waits when the server stops is answered, and does not hold the stop up.
  const other = await startServer(['--history-messages', '5', '--shards', '2']);
  const said = await (await fetch(`${other.http}/rooms/r/messages`, { method: 'POST', body: 'x' })).json();
  const held = fetch(`${other.http}/rooms/r/messages?since=${said.epoch}:${said.seq}&wait=60`);
  await new Promise((resolve) => { setTimeout(resolve, 200); });
  const stopped = other.stop();
  assert.deepEqual((await (await held).json()).messages, []);
  await stopped;
});

test('without a history nobody is told of the past, and numbers go on all the same', async () => {
  const plain = await startServer(['--shards', '2']);
  try {
    const ws = new WebSocket(`${plain.ws}/broadcast/now?seq=1&history=5`);
    const [hello] = await once(ws, 'message');
    assert.equal(JSON.parse(hello.toString()).seq, 0);
    ws.send('one');
    const [one] = await once(ws, 'message');
    assert.equal(one.toString(), '1\none');
    ws.close();
    await once(ws, 'close');
  } finally {
    await plain.stop();
  }
});
