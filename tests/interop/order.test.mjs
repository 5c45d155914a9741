// One room over two shards: every member sees every message once, and all see the same order, wherever the senders sit.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { countsOf } from './counts.mjs';
import { startServer } from './server.mjs';

const MEMBERS = 64;
const SENDERS = 8;
const EACH = 250;
let server;
before(async () => { server = await startServer(['--shards', '2']); });
after(() => server?.stop());

// Opens count members and answers them with the texts each receives; complete(n) waits until each has n of them.
async function gather(count, path) {
  const members = await Promise.all(Array.from({ length: count }, async (_, index) => {
    const ws = new WebSocket(server.ws + path(index), { perMessageDeflate: false });
    const seen = [];
    ws.on('message', (data) => { seen.push(data.toString()); ws.emit('counted'); });
    await once(ws, 'open');
    return { ws, seen };
  }));
  const complete = (wanted) => Promise.all(members.map((member, index) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`member ${index} has ${member.seen.length} of ${wanted(index)}`)), 20_000);
    const look = () => { if (member.seen.length >= wanted(index)) { clearTimeout(timer); resolve(); } };
    member.ws.on('counted', look);
    look();
  })));
  return { members, complete, close: () => members.forEach(({ ws }) => ws.terminate()) };
}

function assertEachSenderInOrder(seen) {
  const next = new Map();
  for (const text of seen) {
    const [sender, number] = text.split(' ');
    assert.equal(Number(number), next.get(sender) ?? 0, `sender ${sender}`);
    next.set(sender, Number(number) + 1);
  }
}

async function talk(members) {
  for (let number = 0; number < EACH; number += 1) {
    for (let sender = 0; sender < SENDERS; sender += 1) members[sender].ws.send(`${sender} ${number}`);
    if (number % 10 === 0) await new Promise((resolve) => { setImmediate(resolve); });
  }
}

test('all members see the same order', async () => {
  const { members, complete, close } = await gather(MEMBERS, () => '/broadcast/order');
  await talk(members);
  await complete(() => SENDERS * EACH);
  assertEachSenderInOrder(members[0].seen);
  for (const { seen } of members) assert.deepEqual(seen, members[0].seen);
  close();
});

test('with self=0 each sender sees that same order without its own messages', async () => {
  const { members, complete, close } = await gather(MEMBERS, () => '/broadcast/order-self?self=0');
  await talk(members);
  await complete((index) => (index < SENDERS ? (SENDERS - 1) * EACH : SENDERS * EACH));
  const reference = members[MEMBERS - 1].seen;
  assertEachSenderInOrder(reference);
  members.forEach(({ seen }, index) => {
    const expected = index < SENDERS ? reference.filter((text) => !text.startsWith(`${index} `)) : reference;
    assert.deepEqual(seen, expected, `member ${index}`);
  });
  close();
});

test('messages published by POST take their place in the one order', async () => {
  const { members, complete, close } = await gather(16, () => '/broadcast/order-post');
  const posts = (async () => {
    for (let number = 0; number < 100; number += 1) {
      const answer = await fetch(`${server.http}/rooms/order-post/messages`, {
        method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: `post ${number}`,
      });
      assert.deepEqual(countsOf(await answer.json()), { members: 16, queued: 16, conflated: 0, dropped: 0 });
    }
  })();
  for (let number = 0; number < 100; number += 1) {
    members[0].ws.send(`0 ${number}`);
    members[1].ws.send(`1 ${number}`);
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
  await posts;
  await complete(() => 300);
  assertEachSenderInOrder(members[0].seen);
  for (const { seen } of members) assert.deepEqual(seen, members[0].seen);
  close();
});

test('members come and go while others talk, and nobody else misses anything', async () => {
  const { members, complete, close } = await gather(16, () => '/broadcast/order-churn');
  let running = true;
  const churn = (async () => {
    while (running) {
      const ws = new WebSocket(`${server.ws}/broadcast/order-churn`);
      await once(ws, 'open');
      ws.terminate();
    }
  })();
  await talk(members);
  await complete(() => SENDERS * EACH);
  running = false;
  await churn;
  assertEachSenderInOrder(members[0].seen);
  for (const { seen } of members) assert.deepEqual(seen, members[0].seen);
  close();
});
