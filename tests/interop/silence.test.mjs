// Silence: a handshake that does not complete within 10 s, and a frame that does not within 45 s, end the connection; an
// idle one that owes nothing stays. This file takes a good minute, nearly all of it asleep.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Raw, frame, rawWebSocket } from './raw.mjs';
import { startServer } from './server.mjs';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

// Seconds until the server ends the connection, at most limit.
async function secondsToEnd(raw, limit) {
  const started = performance.now();
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, limit * 1000);
    const done = () => { clearTimeout(timer); resolve(); };
    raw.socket.once('end', done);
    raw.socket.once('close', done);
  });
  return (performance.now() - started) / 1000;
}

test('silence is bounded', { concurrency: true }, async (t) => {
  const cases = [
    ['before the first byte of a request', 10, () => Raw.to(server.port)],
    ['inside the head of a request', 10, async () => (await Raw.to(server.port)).write('GET /echo HTTP/1.1\r\nHost: x\r\n')],
    ['inside the header of a frame', 45, async () => (await rawWebSocket(server.port, '/echo')).write(frame(1, 'hello').subarray(0, 1))],
    ['inside the payload of a frame', 45, async () => (await rawWebSocket(server.port, '/echo')).write(frame(1, 'hello').subarray(0, 9))],
  ];
  const idle = await rawWebSocket(server.port, '/echo');
  await Promise.all(cases.map(([name, seconds, open]) => t.test(name, async () => {
    const raw = await open();
    const took = await secondsToEnd(raw, seconds + 15);
    assert.ok(took > seconds - 2 && took < seconds + 8, `it took ${took} s instead of ${seconds}`);
    raw.destroy();
  })));
  idle.write(frame(1, 'still here'));
  let answer = await idle.frame();
  while (answer.opcode === 9) answer = await idle.frame(); // The server may have asked in the meantime whether it is alive.
  assert.equal(answer.payload.toString(), 'still here');
  idle.destroy();
});
