// How fast peers may send and come, by the options of ringcast-server, as clients that nobody here wrote see it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { key, makeSelfSigned, pem } from './certificates.mjs';
import { freePort, startServer } from './server.mjs';

async function withServer(options, run) {
  const server = await startServer(['--shards', '2', ...options]);
  try {
    await run(server);
  } finally {
    assert.deepEqual(await server.stop(), [0, null], server.stderr());
  }
}

async function join(url, options = { perMessageDeflate: false }) {
  const ws = new WebSocket(url, options);
  ws.heard = [];
  ws.closed = once(ws, 'close');
  ws.on('message', (data) => ws.heard.push(String(data)));
  await once(ws, 'open');
  return ws;
}

const heardAll = async (ws, count) => {
  while (ws.heard.length < count) await once(ws, 'message');
};
const metric = async (server, name) => {
  const text = await (await fetch(`${server.http}/metrics`)).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1]);
};

// The log has a thread of its own.
const said = async (server, words) => {
  while (!words.test(server.stderr())) await sleep(10);
};

test('push-back: what was sent faster comes later, all of it and in order', async () => {
  await withServer(['--max-messages-per-s', '20', '--burst-messages', '5'], async (server) => {
    const ws = await join(`${server.ws}/broadcast/room`);
    const began = Date.now();
    for (let i = 0; i < 25; i += 1) ws.send(String(i));
    await heardAll(ws, 25);
    assert.ok(Date.now() - began >= 900);
    assert.deepEqual(ws.heard, Array.from({ length: 25 }, (_, i) => String(i)));
    assert.ok((await metric(server, 'ringcast_inputs_paused_total')) > 0);
    ws.close();
  });
});

test('push-back holds for small and large messages, plain, encrypted and compressed', async () => {
  makeSelfSigned('rates');
  const port = await freePort();
  const options = ['--max-received-bytes-per-s', '400000', '--burst-received-bytes', '50000', '--listen-tls', `127.0.0.1:${port}`, '--tls-cert', pem('rates'),
    '--tls-key', key('rates')];
  await withServer(options, async (server) => {
    const one = async (address, bytes, count, perMessageDeflate) => {
      const ws = await join(`${address}/echo`, { perMessageDeflate, rejectUnauthorized: false });
      const began = Date.now();
      for (let i = 0; i < count; i += 1) ws.send(String(i).padStart(6, '0').padEnd(bytes, 'x'));
      await heardAll(ws, count);
      // Behind the last but one there was nothing left, whatever the burst was.
      assert.ok(Date.now() - began >= ((bytes * (count - 1) - 50_000) / 400_000) * 1000 - 5, `${address} ${bytes}`);
      assert.deepEqual(ws.heard.map((text) => Number(text.slice(0, 6))), Array.from({ length: count }, (_, i) => i));
      ws.terminate();
    };
    for (const address of [server.ws, `wss://127.0.0.1:${port}`])
      await Promise.all([one(address, 20_000, 20, false), one(address, 100, 3_000, false), one(address, 20_000, 20, { threshold: 0 }), one(address, 300_000, 3, false)]);
  });
});

test('drop: each endpoint tells how many, once a second at most, and the log names who it was', async () => {
  await withServer(['--max-messages-per-s', '1', '--burst-messages', '3', '--over-rate', 'drop'], async (server) => {
    for (const path of ['/broadcast/room', '/chat/room?name=n', '/echo']) {
      const ws = await join(server.ws + path);
      const before = path.startsWith('/chat') ? 1 : 0; // "n joined"
      await heardAll(ws, before);
      for (let i = 0; i < 10; i += 1) ws.send('x');
      await heardAll(ws, before + 4);
      await sleep(300);
      const told = ws.heard.filter((text) => text.startsWith('{')).map((text) => JSON.parse(text).dropped);
      assert.ok(told.length === 1 && told[0] >= 1 && told[0] <= 7, path);
      assert.equal(ws.heard.length, before + 4, path);
      ws.terminate();
    }
    assert.equal(await metric(server, 'ringcast_dropped_messages_total'), 21);
    await said(server, /refused 127\.0\.0\.1:\d+: message_rate/);
  });
});

test('close: bytes count as they are inflated', async () => {
  await withServer(['--max-received-bytes-per-s', '1KiB', '--over-rate', 'close'], async (server) => {
    const ws = await join(`${server.ws}/echo`, { perMessageDeflate: { threshold: 0 } });
    ws.send('a'.repeat(1023));
    await heardAll(ws, 1);
    ws.send('a'.repeat(1 << 19)); // a byte is left; some hundred bytes on the wire
    await heardAll(ws, 2);
    ws.send('b');
    const [code, reason] = await ws.closed;
    assert.equal(code, 1008);
    assert.equal(String(reason), 'messages come faster than this server takes them');
    assert.equal(await metric(server, 'ringcast_refusals_total{reason="message_rate"}'), 1);
  });
});

test('connections from one address: 429 and when to come back', async () => {
  await withServer(['--max-connects-per-ip-per-s', '1', '--burst-connects-per-ip', '6'], async (server) => {
    const answers = [];
    for (let i = 0; i < 12; i += 1) {
      const ws = new WebSocket(`${server.ws}/echo`);
      ws.on('error', () => {});
      answers.push(await Promise.race([
        once(ws, 'open').then(() => 101),
        once(ws, 'unexpected-response').then(([, response]) => [response.statusCode, response.headers['retry-after']].join()),
      ]));
      ws.terminate();
    }
    assert.ok(answers.includes('429,1'), answers.join(' '));
    assert.ok(answers.filter((each) => each === 101).length <= 8, answers.join(' '));
  });
});

test('SIGHUP changes what a WebSocket may send, also of one that waits', async () => {
  const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
  const folder = await mkdtemp('/tmp/ringcast-');
  const file = `${folder}/ringcast.toml`;
  await writeFile(file, 'max_messages_per_s = 1\n');
  try {
    await withServer(['--config', file], async (server) => {
      const ws = await join(`${server.ws}/echo`);
      for (let i = 0; i < 50; i += 1) ws.send('x');
      await heardAll(ws, 1);
      await writeFile(file, 'max_messages_per_s = 0\n');
      server.child.kill('SIGHUP');
      await heardAll(ws, 50);
      await said(server, /SIGHUP: max_messages_per_s = 0/);
      ws.close();
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
