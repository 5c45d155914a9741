// Out of descriptors: new connections are refused, old ones keep working, the log stays quiet, and `ready` says 503.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { Raw } from './raw.mjs';
import { startServer } from './server.mjs';

const DESCRIPTORS = 96;

test('out of descriptors', async (t) => {
  const server = await startServer(['--shards', '2'], { under: ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`] });
  t.after(() => server.stop());
  const early = new WebSocket(`${server.ws}/echo`);
  await once(early, 'open');
  const asking = await Raw.to(server.port); // Kept open, because a new connection could not ask any more.
  const ready = async () => (await asking.write('GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n').response()).status;
  assert.equal(await ready(), 200);

  const crowd = Array.from({ length: DESCRIPTORS * 2 }, () => new WebSocket(`${server.ws}/broadcast/crowd`, { handshakeTimeout: 20_000 }));
  for (const ws of crowd) ws.on('error', () => {});
  const opened = () => crowd.filter((ws) => ws.readyState === WebSocket.OPEN).length;
  const started = Date.now();
  while (Date.now() - started < 3000) {
    early.send('still here?');
    const [data] = await once(early, 'message', { signal: AbortSignal.timeout(5000) });
    assert.equal(data.toString(), 'still here?');
    await sleep(50);
  }
  assert.ok(opened() > 0 && opened() < DESCRIPTORS, `${opened()} are open`);
  assert.equal(await ready(), 503);
  const complaints = server.stderr().split('\n').filter((line) => /descriptor|EMFILE|open files/i.test(line));
  const seconds = (Date.now() - started) / 1000;
  assert.ok(complaints.length >= 1 && complaints.length <= seconds + 2, `${complaints.length} lines in ${seconds} s`);

  for (const ws of crowd) ws.terminate();
  for (let tries = 0; tries < 100 && (await ready()) !== 200; tries += 1) await sleep(50);
  assert.equal(await ready(), 200);
  const late = new WebSocket(`${server.ws}/echo`);
  await once(late, 'open', { signal: AbortSignal.timeout(5000) });
  late.terminate();
  early.terminate();
  asking.destroy();
  assert.deepEqual(await server.stop(), [0, null], server.stderr());
});
