// apps/examples/resuming_client.cpp, which is client_options::resume, in a room of the real server: cut off, restarted, and with a server that
// was restarted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { program as serverProgram, startServer } from './server.mjs';

const program = path.join(path.dirname(serverProgram), 'example-resuming-client');
let server;
let proxy;
let folder;
const sockets = new Set();
before(async () => {
  server = await startServer(['--shards', '2', '--history-messages', '1000']);
  folder = await mkdtemp(path.join(os.tmpdir(), 'ringcast-resume-'));
  // Between both, so that a connection can be cut without a word from either.
  proxy = net.createServer((from) => {
    const to = net.connect(server.port, '127.0.0.1');
    for (const [one, other] of [[from, to], [to, from]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => { sockets.delete(one); other.destroy(); });
      one.pipe(other);
    }
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
});
after(async () => {
  cut();
  proxy?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});
const cut = () => sockets.forEach((socket) => socket.resetAndDestroy());

const post = async (text) => {
  const answer = await fetch(`${server.http}/rooms/resumed/messages`, { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain' } });
  return answer.json();
};

// The client with what it said so far; wait(stream, text) until a line is there.
function start() {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, `ws://127.0.0.1:${proxy.address().port}/broadcast/resumed`, path.join(folder, 'position')]);
  const said = { stdout: [], stderr: [] };
  for (const stream of ['stdout', 'stderr']) {
    let rest = '';
    child[stream].setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      said[stream].push(...lines);
      child.emit('said');
    });
  }
  return {
    said,
    async wait(stream, text) {
      const late = AbortSignal.timeout(15_000);
      while (!said[stream].includes(text)) {
        await once(child, 'said', { signal: late }).catch(() => assert.fail(`no ${text}: ${JSON.stringify(said)}`));
      }
    },
    async end() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test('cut off, it hears what was said meanwhile, each once and in order, and a second run goes on', async () => {
  const first = start();
  await first.wait('stderr', 'connected');
  const expected = [];
  const say = async (text) => {
    expected.push(text);
    return post(text);
  };
  // Connected is not yet in the room: who comes first hears only what is said then.
  while ((await post('warming up')).members === 0) ;
  await first.wait('stdout', 'warming up');
  for (let round = 0; round < 5; round += 1) {
    for (let i = 0; i < 20; i += 1) {
      if (i === 7) cut();
      await say(`round ${round} message ${i}`);
    }
    await first.wait('stdout', expected.at(-1));
  }
  const heard = first.said.stdout.filter((line) => line !== 'warming up');
  assert.deepEqual(heard, expected);
  assert.ok(first.said.stderr.includes('nothing is missing'));
  assert.ok(!first.said.stderr.some((line) => line.startsWith('something')), first.said.stderr.join());
  const newest = (await (await fetch(`${server.http}/rooms/resumed/messages?limit=1`)).json()).next;
  while ((await readFile(path.join(folder, 'position'), 'utf8')).trim() !== newest) await sleep(10);
  await first.end();

  const last = await say('while nobody ran');
  const second = start();
  await second.wait('stdout', 'while nobody ran');
  assert.deepEqual(second.said.stdout, ['while nobody ran']);
  await second.wait('stderr', 'nothing is missing');
  await post('one more');
  await second.wait('stdout', 'one more');
  assert.match(await readFile(path.join(folder, 'position'), 'utf8'), new RegExp(`^${last.epoch}:`));
  await second.end();
});

test('of a server that began anew it says that something may be missing', async () => {
  const client = start();
  await client.wait('stderr', 'nothing is missing');
  await server.stop();
  server = await startServer(['--shards', '2', '--history-messages', '1000'], { port: server.port });
  await post('after the restart');
  await client.wait('stdout', 'after the restart');
  assert.equal(client.said.stderr.filter((line) => line.startsWith('something may be missing')).length, 1);
  await client.end();
});
