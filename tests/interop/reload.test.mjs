// SIGHUP: the file of options is read again. What may change does, also for connections that are open; what may not is named; a broken file
// changes nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import WebSocket from 'ws';
import { startServer } from './server.mjs';

async function withServer(options, run) {
  const folder = await mkdtemp(path.join(tmpdir(), 'ringcast-'));
  const file = path.join(folder, 'ringcast.toml');
  await writeFile(file, options);
  const server = await startServer(['--config', file, '--shards', '2']);
  // Writes the file, and waits until the log answers with these words.
  const reload = async (text, says) => {
    const before = server.stderr().length;
    await writeFile(file, text);
    server.child.kill('SIGHUP');
    const deadline = Date.now() + 10_000;
    while (!says.test(server.stderr().slice(before))) {
      assert.ok(Date.now() < deadline, `${says} is not in ${server.stderr().slice(before)}`);
      await sleep(10);
    }
  };
  try {
    await run(server, reload, file);
    assert.deepEqual(await server.stop(), [0, null]);
  } finally {
    await server.stop('SIGKILL');
    await rm(folder, { recursive: true });
  }
}

const connect = async (server, where = '/echo', options = {}) => {
  const ws = new WebSocket(server.ws + where, { perMessageDeflate: false, ...options });
  ws.on('error', () => {});
  await once(ws, 'open');
  return ws;
};
const echoes = async (ws, bytes) => {
  ws.send(Buffer.alloc(bytes));
  return Promise.race([once(ws, 'message').then(() => 'echoed'), once(ws, 'close').then(([code]) => code)]);
};

test('max_message_bytes: more and less, for connections that are open', async () => {
  await withServer('max_message_bytes = 100\n', async (server, reload) => {
    const [first, second] = [await connect(server), await connect(server)];
    assert.equal(await echoes(first, 100), 'echoed');
    await reload('max_message_bytes = 200\n', /SIGHUP: max_message_bytes = 200B/);
    assert.equal(await echoes(first, 200), 'echoed');
    assert.equal(await echoes(first, 201), 1009);
    await reload('max_message_bytes = 50\n', /SIGHUP: max_message_bytes = 50B/);
    assert.equal(await echoes(second, 50), 'echoed');
    assert.equal(await echoes(second, 51), 1009);
  });
});

test('allowed_origin: from the next upgrade on', async () => {
  await withServer('', async (server, reload) => {
    const status = async () => {
      const ws = new WebSocket(`${server.ws}/echo`, { origin: 'https://example.org' });
      ws.on('error', () => {});
      const answer = await Promise.race([once(ws, 'open').then(() => 101), once(ws, 'unexpected-response').then(([, response]) => response.statusCode)]);
      ws.terminate();
      return answer;
    };
    assert.equal(await status(), 101);
    await reload('allowed_origin = "https://other.org"\n', /SIGHUP: allowed_origin = https:\/\/other.org/);
    for (let i = 0; i < 8; i += 1) assert.equal(await status(), 403); // on every shard
    await reload('', /SIGHUP: allowed_origin = nothing/);
    for (let i = 0; i < 8; i += 1) assert.equal(await status(), 101);
  });
});

test('idle_timeout_s: switched on for connections that are open, from then on', async () => {
  await withServer('', async (server, reload) => {
    const ws = await connect(server);
    await sleep(300);
    const closed = once(ws, 'close');
    await reload('idle_timeout_s = "250ms"\n', /idle_timeout_s = 250ms/);
    assert.equal(ws.readyState, WebSocket.OPEN); // what went before does not count
    assert.equal((await closed)[0], 1001);
  });
});

test('ping_interval_s and pong_timeout_s: for connections that are open', async () => {
  await withServer('ping_interval_s = 0\n', async (server, reload) => {
    const [ws, deaf] = [await connect(server), await connect(server, '/echo', { autoPong: false })];
    deaf.pong = () => {};
    const closed = once(deaf, 'close');
    const pinged = once(ws, 'ping');
    await reload('ping_interval_s = "100ms"\npong_timeout_s = 1\n', /ping_interval_s = 100ms, pong_timeout_s = 1s/);
    await pinged;
    assert.equal((await closed)[0], 1006);
    assert.equal(await echoes(ws, 1), 'echoed');
  });
});

test('close_timeout_s: how long a stop waits for who does not answer', async () => {
  await withServer('close_timeout_s = 3600\n', async (server, reload) => {
    const ws = await connect(server);
    ws._socket.pause(); // it hears no Close frame
    await reload('close_timeout_s = 1\n', /close_timeout_s = 1s/);
    assert.deepEqual(await server.stop(), [0, null]);
    ws.terminate();
  });
});

test('log_level: from the next line on', async () => {
  await withServer('', async (server, reload) => {
    // A line of less weight is not written any more, its own among them.
    await reload('log_level = "warning"\nspin_us = 20\n', /only a new start changes spin_us = 20us/);
    assert.doesNotMatch(server.stderr(), /SIGHUP: log_level/);
    await reload('log_level = "info"\n', /SIGHUP: log_level = info/);
  });
});

test('what may not change is named, together with what does', async () => {
  await withServer('spin_us = 10\n', async (server, reload) => {
    await reload('spin_us = 20\nmax_connections = 5\nmax_message_bytes = 7\n', /SIGHUP: max_message_bytes = 7B/);
    await reload('spin_us = 20\nmax_connections = 5\nmax_message_bytes = 7\n', /only a new start changes max_connections = 5, spin_us = 20us/);
    assert.match(server.stderr(), /only a new start changes max_connections = 5, spin_us = 20us/);
    await reload('spin_us = 10\nmax_message_bytes = 7\n', /SIGHUP: no option has changed/);
    assert.equal(await echoes(await connect(server), 8), 1009);
  });
});

test('a broken file, and one that is gone, change nothing and are told', async () => {
  await withServer('max_message_bytes = 10\n', async (server, reload, file) => {
    const ws = await connect(server);
    await reload('max_message_bytes = 5\nshards = "many"\n', /SIGHUP changed no option: .*ringcast.toml:2: shards: 'many' is not a number/);
    await reload('max_message_bytes = 5\n[', /SIGHUP changed no option: .*ringcast.toml:2: /);
    await reload('allowed_origin = "nonsense"\nmax_message_bytes = 5', /SIGHUP changed no option: .*ringcast.toml:1: allowed_origin/);
    await rm(file);
    await rm(file, { force: true });
    server.child.kill('SIGHUP');
    while (!/SIGHUP changed no option: .*No such file or directory/.test(server.stderr())) await sleep(10);
    assert.equal(await echoes(ws, 10), 'echoed');
    ws.terminate();
  });
});

test('the command line stays above the file', async () => {
  await withServer('', async (server, reload) => {
    await reload('shards = 1\n', /SIGHUP: no option has changed/);
  });
});
