// [[room]] in a file of options: other rules for the rooms whose names match.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { startServer } from './server.mjs';

let server, folder, file;
const tables = `
[[room]]
pattern = "small/*"
max_message_bytes = 10

[[room]]
pattern = "kept/*"
history_messages = 2

[[room]]
pattern = "*"
max_message_bytes = 100
`;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ringcast-'));
  file = path.join(folder, 'ringcast.toml');
  await writeFile(file, tables);
  server = await startServer(['--config', file, '--shards', '2']);
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const join = async (room, query = '') => {
  const ws = new WebSocket(`${server.ws}/broadcast/${encodeURIComponent(room)}${query}`, { perMessageDeflate: false });
  ws.heard = []; // what was said before may come with the answer to the upgrade
  ws.on('message', (data) => ws.heard.push(String(data)));
  await once(ws, 'open');
  return ws;
};
const post = async (room, text) =>
  (await fetch(`${server.http}/rooms/${encodeURIComponent(room)}/messages`, { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain' } })).status;

test('a message has the bound of its room, for members and for POST', async () => {
  for (const [room, most] of [['small/one', 10], ['kept/one', 1 << 20], ['other', 100]]) {
    const ws = await join(room);
    ws.send('x'.repeat(most));
    assert.equal((await once(ws, 'message'))[0].length, most);
    ws.send('x'.repeat(most + 1));
    assert.equal((await once(ws, 'close'))[0], 1009, room);
    assert.equal(await post(room, 'y'.repeat(most)), 200);
    assert.equal(await post(room, 'y'.repeat(most + 1)), 413);
  }
});

test('a room keeps what its table says, and the others nothing', async () => {
  for (const [room, expected] of [['kept/two', ['b', 'c', 'live']], ['small/two', ['live']]]) {
    for (const text of ['a', 'b', 'c']) assert.equal(await post(room, text), 200);
    const ws = await join(room, '?history=10');
    assert.equal(await post(room, 'live'), 200);
    while (!ws.heard.includes('live')) await once(ws, 'message');
    assert.deepEqual(ws.heard, expected);
    ws.close();
  }
});

test('SIGHUP names tables that have changed, and those that have not are left alone', async () => {
  const says = async (text) => {
    const before = server.stderr().length;
    await writeFile(file, text);
    server.child.kill('SIGHUP');
    while (!/SIGHUP: (no option|[a-z_]+ =)/.test(server.stderr().slice(before))) await sleep(10);
    await sleep(50);
    return server.stderr().slice(before);
  };
  assert.doesNotMatch(await says(tables), /\[\[room\]\]/);
  assert.match(await says(tables.replace('= 10\n', '= 11\n')), /only a new start changes \[\[room\]\]/);
});
