// The bounds that ringcast-server takes on its command line, as clients that nobody here wrote see them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { spawnSync } from 'node:child_process';
import WebSocket from 'ws';
import { startServer } from './server.mjs';

async function withServer(options, run) {
  const server = await startServer(options);
  try {
    await run(server);
  } finally {
    assert.deepEqual(await server.stop(), [0, null], server.stderr());
  }
}

// Answers 'open', or the status and body of the refusal.
async function connect(url, options = {}) {
  const socket = new WebSocket(url, { perMessageDeflate: false, ...options });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve({ socket, status: 101 }));
    socket.once('unexpected-response', (_, response) => {
      let body = '';
      response.on('data', (part) => { body += part; });
      response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'], body }));
    });
    socket.once('error', reject);
  });
}

// A connection that its client has seen end (the last test's, or the one that asked whether the server is ready) is gone a moment later.
async function connectSoon(url) {
  for (let i = 0; i < 100; i += 1) {
    const answer = await connect(url);
    if (answer.status === 101) return answer.socket;
  }
  throw new Error('refused 100 times');
}

for (const option of ['--max-connections', '--max-connections-per-ip']) {
  test(`${option}: the limit is accepted and the next one is refused with 503 and JSON`, async () => {
    await withServer(['--shards', '2', option, '4'], async (server) => {
      const open = [];
      for (let i = 0; i < 4; i += 1) open.push(await connectSoon(`${server.ws}/echo`));
      for (let i = 0; i < 8; i += 1) {
        const refused = await connect(`${server.ws}/echo`);
        assert.equal(refused.status, 503);
        assert.equal(refused.type, 'application/json');
        assert.equal(typeof JSON.parse(refused.body).error, 'string');
      }
      open[0].close();
      await once(open[0], 'close');
      open[0] = await connectSoon(`${server.ws}/echo`);
      assert.equal((await connect(`${server.ws}/echo`)).status, 503);
      for (const socket of open) socket.terminate();
    });
  });
}

test('--allowed-origin: a page that is not listed is refused with 403 and JSON, a program without an origin is not', async () => {
  await withServer(['--allowed-origin', 'https://one.example', '--allowed-origin', 'https://two.example:8443'], async (server) => {
    for (const origin of ['https://one.example', 'https://two.example:8443', undefined]) {
      const answer = await connect(`${server.ws}/chat/room?name=n`, { origin });
      assert.equal(answer.status, 101);
      answer.socket.close();
      await once(answer.socket, 'close');
    }
    for (const origin of ['https://two.example', 'http://one.example', 'null']) {
      const refused = await connect(`${server.ws}/chat/room?name=n`, { origin });
      assert.equal(refused.status, 403);
      assert.equal(refused.type, 'application/json');
      assert.deepEqual(JSON.parse(refused.body), { error: 'pages of this origin may not connect here' });
    }
    const post = (headers) => fetch(`${server.http}/rooms/r/messages`, { method: 'POST', body: 'x', headers });
    assert.equal((await post({ Origin: 'https://evil.example' })).status, 403);
    assert.equal((await post({ Origin: 'https://one.example' })).status, 200);
    assert.equal((await post({})).status, 200);
    assert.equal((await fetch(`${server.http}/health/ready`, { headers: { Origin: 'https://evil.example' } })).status, 200);
  });
});

test('--ping-interval-s and --idle-timeout-s: a peer that answers pings and says nothing is closed with 1001', async () => {
  await withServer(['--ping-interval-s', '1', '--idle-timeout-s', '3'], async (server) => {
    const { socket } = await connect(`${server.ws}/echo`);
    let pings = 0;
    socket.on('ping', () => { pings += 1; }); // ws answers by itself
    const began = performance.now();
    const [code, reason] = await once(socket, 'close', { signal: AbortSignal.timeout(10_000) });
    const seconds = (performance.now() - began) / 1000;
    assert.equal(code, 1001);
    assert.notEqual(reason.toString(), '');
    assert.ok(seconds > 2.9 && seconds < 6, `${seconds} s`);
    assert.ok(pings >= 1);
  });
});

test('--ping-interval-s and --pong-timeout-s: a peer that answers no ping is cut off', async () => {
  await withServer(['--ping-interval-s', '1', '--pong-timeout-s', '1'], async (server) => {
    const { socket } = await connect(`${server.ws}/echo`, { autoPong: false });
    const began = performance.now();
    const [code] = await once(socket, 'close', { signal: AbortSignal.timeout(10_000) });
    assert.equal(code, 1006);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds > 1.9 && seconds < 5, `${seconds} s`);
  });
});

test('a value that means nothing ends with one sentence and exit code 2', () => {
  for (const options of [
    ['--max-connections', '-1'], ['--max-connections', 'many'], ['--max-connections', '1073741825'], ['--max-connections-per-ip', '1.5'],
    ['--memory-bytes', '1048575'], ['--memory-bytes', '-1'], ['--memory-bytes', 'half'], ['--memory-bytes', '1125899906842625'], ['--memory-bytes'],
    ['--allowed-origin', 'example.org'], ['--allowed-origin', 'https://example.org/'], ['--allowed-origin', 'https://*.example.org'],
    ['--ping-interval-s', '86401'], ['--ping-interval-s', 'x'], ['--pong-timeout-s', '0'], ['--idle-timeout-s', '-5'], ['--idle-timeout-s'],
  ]) {
    const { status, stderr } = spawnSync(process.env.RINGCAST_SERVER, ['--listen', '127.0.0.1:0', ...options], { encoding: 'utf8', timeout: 10_000 });
    assert.equal(status, 2, `${options}: ${stderr}`);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.ok(stderr.includes(options[0]), `${options}: ${stderr}`);
  }
});
