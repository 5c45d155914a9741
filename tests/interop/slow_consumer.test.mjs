// A member that does not read: its queue is bounded, its policy decides, it is told, and the others see no delay.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { rawWebSocket } from './raw.mjs';
import { countsOf } from './counts.mjs';
import { startServer } from './server.mjs';

const MESSAGE_BYTES = 32 * 1024;
const MESSAGES = 1500; // 48 MB: more than the kernel's buffers of one loopback connection hold.
const numbered = (number) => Buffer.from(String(number).padStart(8, '0').padEnd(MESSAGE_BYTES, 'x'));
const numberOf = (payload) => Number(payload.subarray(0, 8).toString());

// Starts a server with the policy, lets one member talk to itself and to a second one that does not read, and answers both.
async function withSlowMember(policy, run, target = '/broadcast/slow') {
  const server = await startServer(['--shards', '2', '--send-queue-bytes', '131072', ...(policy ? ['--slow-consumer', policy] : [])]);
  try {
    const slow = await rawWebSocket(server.port, target);
    slow.socket.pause();
    const fast = new WebSocket(`${server.ws}/broadcast/slow`, { perMessageDeflate: false });
    await once(fast, 'open');
    const waits = [];
    for (let number = 0; number < MESSAGES; number += 1) {
      const started = performance.now();
      fast.send(numbered(number));
      const [data] = await once(fast, 'message', { signal: AbortSignal.timeout(10_000) });
      waits.push(performance.now() - started);
      assert.equal(numberOf(data), number);
    }
    // The others see no delay: not one message waited for the slow member's socket.
    waits.sort((a, b) => a - b);
    assert.ok(waits[Math.floor(waits.length * 0.99)] < 500, `99 % of the messages took ${waits[Math.floor(waits.length * 0.99)]} ms`);
    await run(server, slow, fast);
    fast.terminate();
    slow.destroy();
  } finally {
    assert.deepEqual(await server.stop(), [0, null], server.stderr());
  }
}

// Reads what the slow member is sent until the number appears or a close frame comes; answers { numbers, code, reason }.
async function readUntil(slow, last) {
  slow.socket.resume();
  const numbers = [];
  for (;;) {
    const { opcode, payload } = await slow.frame();
    if (opcode === 8) return { numbers, code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
    if (payload.length !== MESSAGE_BYTES) continue; // A notice of the server, if it sends any, is no message of the room.
    numbers.push(numberOf(payload));
    if (numbers.at(-1) === last) return { numbers };
  }
}
const assertRising = (numbers) => numbers.forEach((number, index) => assert.ok(index === 0 || number > numbers[index - 1]));
async function publish(server, number) {
  const answer = await fetch(`${server.http}/rooms/slow/messages`, { method: 'POST', body: numbered(number) });
  return answer.json();
}

test('close, the default: the slow member gets what fits, then 1013 with a reason, and leaves the room', async () => {
  for (const policy of [null, 'close']) {
    await withSlowMember(policy, async (server, slow) => {
      const counts = await publish(server, MESSAGES);
      assert.deepEqual(countsOf(counts), { members: 1, queued: 1, conflated: 0, dropped: 0 });
      const { numbers, code, reason } = await readUntil(slow, -1);
      assert.deepEqual(numbers, numbers.map((_, index) => index)); // Everything up to the close, without a gap.
      assert.ok(numbers.length < MESSAGES);
      assert.equal(code, 1013);
      assert.notEqual(reason, '');
      await slow.end();
    });
  }
});

test('drop-newest: what does not fit is dropped, and the member goes on when it reads again', async () => {
  await withSlowMember('drop-newest', async (server, slow) => {
    const counts = await publish(server, MESSAGES);
    assert.equal(counts.members, 2);
    assert.deepEqual([counts.queued, counts.dropped], [1, 1]);
    slow.socket.resume();
    await sleep(500);
    await publish(server, MESSAGES + 1);
    const { numbers } = await readUntil(slow, MESSAGES + 1);
    assertRising(numbers);
    const gap = numbers.findIndex((number, index) => number !== index);
    assert.ok(gap > 0 && !numbers.includes(MESSAGES));
  });
});

for (const policy of ['drop-oldest', 'latest']) {
  test(`${policy}: the member loses what is old, never the newest`, async () => {
    await withSlowMember(policy, async (server, slow) => {
      // Its queue has room for three messages, or the newest alone, so of five more each takes the place of one before: `conflated` counts
      // messages, and `queued` the members, which will both be sent the new one.
      let conflated = 0;
      for (let more = 0; more < 5; more += 1) {
        const counts = await publish(server, MESSAGES + more);
        assert.deepEqual([counts.members, counts.queued, counts.dropped], [2, 2, 0]);
        conflated += counts.conflated;
      }
      // Each of the five takes the place of one that waits for the slow member, and on a busy machine also for the fast one.
      assert.ok(conflated >= 1 && conflated <= 10, `${conflated} messages`);
      const { numbers } = await readUntil(slow, MESSAGES + 4);
      assertRising(numbers);
      assert.ok(numbers.length < MESSAGES);
    });
  });
}

// Reads what a member with ?gaps=1 is sent until the last number has come; answers what it received and what it was told to have lost, as
// sequence numbers. The room numbers its messages from 1.
async function readWithGaps(slow, last) {
  slow.socket.resume();
  const received = [];
  const told = [];
  let expected = 1; // the sequence number that the next message has, if what we were told is true
  for (;;) {
    const { opcode, payload } = await slow.frame();
    assert.notEqual(opcode, 8, payload.toString('latin1'));
    if (opcode === 1) {
      const { gap } = JSON.parse(payload.toString());
      assert.equal(gap.from, expected, 'a gap begins behind what came before it');
      assert.ok(gap.to >= gap.from);
      for (let sequence = gap.from; sequence <= gap.to; sequence += 1) told.push(sequence);
      expected = gap.to + 1;
      continue;
    }
    const number = numberOf(payload);
    assert.equal(number + 1, expected, 'a message that is neither the next one nor behind a gap that was told');
    received.push(expected);
    expected += 1;
    if (number === last) return { received, told };
  }
}

for (const policy of ['drop-newest', 'drop-oldest', 'latest']) {
  test(`${policy} with ?gaps=1: the member is told exactly which messages it lost, each gap in front of what follows it`, async () => {
    await withSlowMember(policy, async (server, slow, fast) => {
      const reading = readWithGaps(slow, MESSAGES + 1);
      if (policy === 'drop-newest') await sleep(500); // it has to take what waits before there is room for a newer one
      for (const number of [MESSAGES, MESSAGES + 1]) {
        fast.send(numbered(number));
        await once(fast, 'message', { signal: AbortSignal.timeout(10_000) });
      }
      const { received, told } = await reading;
      assert.ok(told.length >= 1);
      assert.equal(received.length + told.length, MESSAGES + 2);
      assert.equal(new Set([...received, ...told]).size, MESSAGES + 2);
    }, '/broadcast/slow?gaps=1');
  });
}
