// Start and end: options and addresses that cannot be, signals, and what is left running (nothing).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { freePort, runToEnd, startServer } from './server.mjs';

const assertOneSentence = ({ status, signal, stderr }, mentions) => {
  assert.deepEqual([status, signal], [2, null], stderr);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
  if (mentions) assert.match(stderr, mentions);
};

test('SIGTERM and SIGINT close every connection with 1001 and exit 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const server = await startServer();
    const paths = ['/echo', '/broadcast/end', '/broadcast/end', '/chat/end?name=Ada', '/chat/end?name=Bob'];
    const clients = await Promise.all(paths.map(async (path) => {
      const ws = new WebSocket(server.ws + path);
      await once(ws, 'open');
      return ws;
    }));
    const codes = Promise.all(clients.map(async (ws) => (await once(ws, 'close'))[0]));
    assert.deepEqual(await server.stop(signal), [0, null], server.stderr());
    assert.deepEqual(await codes, paths.map(() => 1001));
  }
});

test('SIGTERM with nobody there, and with one who has only connected', async () => {
  const server = await startServer();
  const silent = net.connect(server.port, '127.0.0.1');
  silent.on('error', () => {});
  await once(silent, 'connect');
  assert.deepEqual(await server.stop(), [0, null], server.stderr());
  silent.destroy();
});

test('a second signal ends it at once, even with a client that does not answer', async () => {
  const server = await startServer();
  const raw = net.connect(server.port, '127.0.0.1');
  raw.on('error', () => {});
  raw.write('GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
  await once(raw, 'data');
  raw.pause();
  const ended = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  await new Promise((resolve) => { setTimeout(resolve, 100); });
  const asked = Date.now();
  server.child.kill('SIGTERM');
  await ended;
  assert.ok(Date.now() - asked < 1000, 'it took longer than a second');
  raw.destroy();
});

test('a port in use is one sentence and exit 2', async () => {
  const server = await startServer();
  assertOneSentence(await runToEnd(['--listen', `127.0.0.1:${server.port}`]), new RegExp(`${server.port}`));
  // The first one is not disturbed.
  assert.equal((await fetch(`${server.http}/health/ready`)).status, 200);
  await server.stop();
  const foreign = net.createServer().listen(0, '127.0.0.1');
  await once(foreign, 'listening');
  const { port } = foreign.address();
  assertOneSentence(await runToEnd(['--listen', `127.0.0.1:${port}`]), new RegExp(`${port}`));
  const free = await freePort();
  assertOneSentence(await runToEnd(['--listen', `127.0.0.1:${free}`, '--listen', `127.0.0.1:${port}`]), new RegExp(`${port}`));
  foreign.close();
});

test('bad options and addresses are one sentence and exit 2', async () => {
  const port = await freePort();
  const listen = ['--listen', `127.0.0.1:${port}`];
  for (const args of [
    ['--no-such-option'], [...listen, 'stray'], [...listen, '--shards', '0'], [...listen, '--shards', 'many'],
    [...listen, '--shards', '-1'], [...listen, '--max-message-bytes', '-1'], [...listen, '--max-message-bytes', 'big'],
    [...listen, '--send-queue-bytes', 'x'], [...listen, '--slow-consumer', 'maybe'], [...listen, '--log-level', 'loud'],
    ['--listen'], ['--listen', 'nonsense'], ['--listen', '127.0.0.1'], ['--listen', '127.0.0.1:'], ['--listen', '127.0.0.1:70000'],
    ['--listen', '300.0.0.1:8080'], ['--listen', '192.0.2.1:8080'],
  ]) {
    assertOneSentence(await runToEnd(args));
  }
});

test('the environment counts below the command line', async () => {
  const server = await startServer(['--max-message-bytes', '20B'],
    { under: ['env', 'RINGCAST_SHARDS=1', 'RINGCAST_MAX_MESSAGE_BYTES=10', 'RINGCAST_LISTEN=192.0.2.1:1', 'RINGCAST_SHARD=9'] });
  const ws = new WebSocket(`${server.ws}/echo`);
  await once(ws, 'open');
  ws.send('x'.repeat(20));
  assert.equal((await once(ws, 'message'))[0].length, 20);
  ws.close();
  assert.deepEqual(await server.stop(), [0, null]);
  assert.match(server.stderr(), /with 1 shard/);
  assert.match(server.stderr(), /RINGCAST_SHARD in the environment is no option and is ignored, did you mean RINGCAST_SHARDS\?/);
  assertOneSentence(await runToEnd([], { under: ['env', 'RINGCAST_SHARDS=many'] }), /^RINGCAST_SHARDS: 'many' is not a number; allowed: 1 to 256, or auto/);
});

test('a file of options: started with, checked, and refused with its line', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ringcast-'));
  const file = path.join(folder, 'ringcast.toml');
  try {
    await writeFile(file, 'shards = 1\nmax_message_bytes = "10B"\n');
    assert.deepEqual(await runToEnd(['--check-config', file]), { status: 0, signal: null, stdout: `${file}: nothing is wrong\n`, stderr: '' });
    const server = await startServer(['--config', file, '--max-message-bytes', '20']);
    const ws = new WebSocket(`${server.ws}/echo`);
    await once(ws, 'open');
    ws.send('x'.repeat(20));
    assert.equal((await once(ws, 'message'))[0].length, 20);
    ws.close();
    assert.deepEqual(await server.stop(), [0, null]);
    assert.match(server.stderr(), /with 1 shard/);

    await writeFile(file, '# a comment\nmax_conections = 1\n');
    const said = `${file}:2: max_conections is not known, did you mean max_connections?\n`;
    assert.deepEqual(await runToEnd(['--check-config', file]), { status: 1, signal: null, stdout: '', stderr: said });
    assert.deepEqual(await runToEnd(['--config', file]), { status: 2, signal: null, stdout: '', stderr: said });
    // What belongs together is judged with all that is given.
    await writeFile(file, 'listen_tls = "127.0.0.1:1"\n');
    assert.equal((await runToEnd(['--check-config', file])).status, 1);
    assert.equal((await runToEnd(['--check-config', file, '--tls-cert', 'a', '--tls-key', 'b'])).status, 0);
    // The example is a file that may be used as it is.
    const example = await runToEnd(['--print-config']);
    await writeFile(file, example.stdout);
    assert.deepEqual([example.status, (await runToEnd(['--check-config', file])).status], [0, 0]);
    // As somebody who is not root sees it.
    await chmod(file, 0);
    const unreadable = await runToEnd(['--config', file], { under: ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'] });
    assert.deepEqual([unreadable.status, unreadable.stderr], [2, `${file}: Permission denied\n`]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('--version and --help say it on stdout and exit 0', async () => {
  const version = await runToEnd(['--version']);
  assert.equal(version.status, 0);
  assert.match(version.stdout, /\d+\.\d+\.\d+/);
  const help = await runToEnd(['--help']);
  assert.equal(help.status, 0);
  for (const option of ['--listen', '--shards', '--max-message-bytes', '--send-queue-bytes', '--slow-consumer', '--log-level', '--version']) {
    assert.ok(help.stdout.includes(option), option);
  }
});

test('two addresses, and one shard', async () => {
  const second = await freePort();
  const server = await startServer(['--listen', `127.0.0.1:${second}`, '--shards', '1']);
  for (const port of [server.port, second]) assert.equal((await fetch(`http://127.0.0.1:${port}/health/live`)).status, 200);
  assert.deepEqual(await server.stop(), [0, null]);
});

test('--max-message-bytes at the limit and above', async () => {
  const server = await startServer(['--max-message-bytes', '1000']);
  for (const [length, expected] of [[999, 'echoed'], [1000, 'echoed'], [1001, 1009]]) {
    const ws = new WebSocket(`${server.ws}/echo`, { perMessageDeflate: false });
    ws.on('error', () => {});
    await once(ws, 'open');
    ws.send(Buffer.alloc(length));
    const result = await Promise.race([once(ws, 'message').then(() => 'echoed'), once(ws, 'close').then(([code]) => code)]);
    assert.equal(result, expected, `${length} bytes`);
    ws.terminate();
  }
  await server.stop();
});

test('io_uring refused is one sentence that says how to allow it, and exit 3', async () => {
  const filter = path.join(path.dirname(fileURLToPath(import.meta.url)), 'without_io_uring.py');
  for (const refusal of ['EPERM', 'ENOSYS']) {
    const result = await runToEnd(['--listen', `127.0.0.1:${await freePort()}`], { under: ['/usr/bin/python3', filter, refusal] });
    assert.equal(result.status, 3, result.stderr);
    assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
    assert.match(result.stderr, /io_uring/);
  }
});

test('sixty starts in a row: each is ready at once and ends with 0', async () => {
  for (let start = 0; start < 60; start += 1) {
    const server = await startServer();
    assert.deepEqual(await server.stop(), [0, null], server.stderr());
  }
});
