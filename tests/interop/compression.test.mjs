// npm ws with permessage-deflate, in every combination of its options, against every mode of our server; and as a server of our client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { key, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { faces, startClient } from './client.mjs';
import { countsOf } from './counts.mjs';
import { freePort, startServer } from './server.mjs';

const modes = ['shared', 'dedicated', 'off'];
const clients = {
  'its defaults': true,
  'no takeover by either': { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
  'no takeover by the server': { serverNoContextTakeover: true, threshold: 0 },
  'no takeover by the client': { clientNoContextTakeover: true, threshold: 0 },
  'windows of 9 and 10 bits': { serverMaxWindowBits: 9, clientMaxWindowBits: 10, threshold: 0 },
  'a window of 15 bits named': { serverMaxWindowBits: 15, clientMaxWindowBits: 15, threshold: 0 },
  'little memory': { threshold: 0, zlibDeflateOptions: { memLevel: 1, level: 9 } },
};

async function open(server, path, perMessageDeflate) {
  const ws = new WebSocket(server.ws + path, { perMessageDeflate, ca: server.ca });
  const arrived = [];
  const waiting = [];
  ws.on('message', (data, binary) => (waiting.length ? waiting.shift()([data, binary]) : arrived.push([data, binary])));
  await once(ws, 'open');
  ws.next = () => (arrived.length ? arrived.shift() : new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no message on ${path}`)), 10_000);
    waiting.push((message) => { clearTimeout(timer); resolve(message); });
  }));
  ws.leave = async () => {
    const closed = once(ws, 'close');
    ws.close(1000);
    assert.equal((await closed)[0], 1000);
  };
  return ws;
}

const sentence = (length, index) => `{"n":${index},"said":"${'all members see the same messages in the same order '.repeat(length / 50 + 1)}`.slice(0, length);
const noise = (length) => Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)));

for (const mode of modes) {
  test(`ws against --compression ${mode}`, async (t) => {
    const server = await startServer(['--shards', '2', '--compression', mode]);
    t.after(() => server.stop());
    for (const [what, options] of Object.entries(clients)) {
      await t.test(what, async () => {
        const ws = await open(server, '/echo', options);
        assert.equal(ws.extensions.includes('permessage-deflate'), mode !== 'off');
        for (const length of [0, 1, 63, 64, 255, 256, 1024, 65535, 65536, 1 << 20]) {
          ws.send(sentence(length, length));
          const [text, isBinary] = await ws.next();
          assert.deepEqual([isBinary, text.toString() === sentence(length, length)], [false, true], `${length} bytes of text`);
          const bytes = noise(length);
          ws.send(bytes);
          assert.ok((await ws.next())[0].equals(bytes), `${length} bytes of noise`);
        }
        ws.send('in ', { fin: false });
        ws.send('three ', { fin: false });
        ws.send('pieces', { fin: true });
        assert.equal((await ws.next())[0].toString(), 'in three pieces');
        for (let index = 0; index < 300; index += 1) ws.send(sentence(20 + index * 3, index));
        for (let index = 0; index < 300; index += 1) assert.equal((await ws.next())[0].toString(), sentence(20 + index * 3, index));
        await ws.leave();
      });
    }

    await t.test('a room of members with different extensions', async () => {
      const members = await Promise.all([false, ...Object.values(clients), false].map((options) => open(server, '/broadcast/mixed', options)));
      const lonely = await open(server, '/broadcast/mixed?self=0', true);
      for (let index = 0; index < 100; index += 1) {
        members[index % members.length].send(sentence(30 * index + 1, index));
        for (const member of [...members, lonely]) assert.equal((await member.next())[0].toString(), sentence(30 * index + 1, index));
      }
      lonely.send(sentence(900, 7));
      for (const member of members) assert.equal((await member.next())[0].toString(), sentence(900, 7));
      const listed = await (await fetch(`${server.http}/rooms/mixed`)).json();
      assert.equal(listed.members, members.length + 1);
      const answer = await fetch(`${server.http}/rooms/mixed/messages`, { method: 'POST', body: sentence(2000, 9), headers: { 'Content-Type': 'text/plain' } });
      assert.deepEqual(countsOf(await answer.json()), { members: members.length + 1, queued: members.length + 1, conflated: 0, dropped: 0 });
      for (const member of [...members, lonely]) {
        assert.equal((await member.next())[0].toString(), sentence(2000, 9));
        await member.leave();
      }
    });

    await t.test('a chat of members with different extensions', async () => {
      const ada = await open(server, '/chat/lounge?name=Ada', true);
      assert.equal((await ada.next())[0].toString(), 'Ada joined');
      const bob = await open(server, '/chat/lounge?name=Bob', false);
      for (const member of [ada, bob]) assert.equal((await member.next())[0].toString(), 'Bob joined');
      const taken = new WebSocket(`${server.ws}/chat/lounge?name=Ada`);
      const [, refused] = await once(taken, 'unexpected-response').finally(() => taken.on('error', () => {}));
      assert.equal(refused.statusCode, 400);
      taken.terminate();
      bob.send(sentence(5000, 1));
      for (const member of [ada, bob]) assert.equal((await member.next())[0].toString(), `Bob: ${sentence(5000, 1)}`);
      await ada.leave();
      assert.equal((await bob.next())[0].toString(), 'Ada left');
      await bob.leave();
    });
  });
}

for (const mode of ['shared', 'dedicated']) {
  test(`wss with --compression ${mode}: echoes, and a room of encrypted and plain, deflating and other members`, async (t) => {
    makeAuthority('ca');
    makeCertificate('server');
    const tlsPort = await freePort();
    const server = await startServer(['--shards', '2', '--compression', mode, '--listen-tls', `127.0.0.1:${tlsPort}`,
      '--tls-cert', pem('server'), '--tls-key', key('server')]);
    t.after(() => server.stop());
    const secure = { ws: `wss://localhost:${tlsPort}`, ca: readFileSync(pem('ca')) };
    const echo = await open(secure, '/echo', { threshold: 0 });
    assert.ok(echo.extensions.includes('permessage-deflate'));
    for (const length of [0, 1, 64, 256, 1024, 16384, 65536, 1 << 20]) {
      for (const message of [sentence(length, length), noise(length)]) {
        echo.send(message);
        assert.ok((await echo.next())[0].equals(Buffer.from(message)), `${length} bytes`);
      }
    }
    await echo.leave();
    const members = [];
    for (const where of [secure, server]) {
      for (const options of [{ threshold: 0 }, false, { serverMaxWindowBits: 9 }]) members.push(await open(where, '/broadcast/mixed', options));
    }
    for (let index = 0; index < 60; index += 1) {
      members[index % members.length].send(sentence(100 * index, index));
      for (const member of members) assert.equal((await member.next())[0].toString(), sentence(100 * index, index));
    }
    await Promise.all(members.map((member) => member.leave()));
  });
}

test('a message that inflates beyond --max-message-bytes ends with 1009', async (t) => {
  const server = await startServer(['--max-message-bytes', '5000']);
  t.after(() => server.stop());
  for (const [length, code] of [[5000, 1000], [5001, 1009]]) {
    const ws = await open(server, '/echo', { threshold: 0 });
    ws.on('error', () => {});
    const closed = once(ws, 'close');
    ws.send(Buffer.alloc(length));
    if (code === 1000) {
      assert.equal((await ws.next())[0].length, length);
      ws.close(1000);
    }
    assert.equal((await closed)[0], code);
  }
});

const servers = {
  'its defaults': { threshold: 0 },
  'no takeover by either': { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
  'no takeover by the client': { clientNoContextTakeover: true, threshold: 0 },
  'windows of 9 and 10 bits': { serverMaxWindowBits: 9, clientMaxWindowBits: 10, threshold: 0 },
};
for (const face of faces) {
  for (const mode of modes) {
    for (const [what, perMessageDeflate] of Object.entries(servers)) {
      test(`our client, ${face}, --compression ${mode}, against a ws server with ${what}`, async (t) => {
        const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate });
        await once(sockets, 'listening');
        const args = ['--face', face, '--compression', mode, '--compression-threshold', '1'];
        const client = startClient(`ws://127.0.0.1:${sockets.address().port}/`, args);
        t.after(async () => {
          await client.stop();
          sockets.close();
        });
        const [ws] = await once(sockets, 'connection');
        assert.equal(ws.extensions.includes('permessage-deflate'), mode !== 'off');
        for (const length of [0, 1, 64, 256, 1024, 65536, 1 << 20]) {
          for (const message of [sentence(length, length), noise(length)]) {
            const answered = once(ws, 'message');
            ws.send(message);
            const [data, isBinary] = await answered;
            assert.deepEqual([isBinary, data.equals(Buffer.from(message))], [typeof message !== 'string', true], `${length} bytes`);
          }
        }
        let arrived = 0;
        const all = new Promise((resolve) => ws.on('message', (data) => {
          assert.equal(data.toString(), sentence(20 + arrived * 3, arrived));
          arrived += 1;
          if (arrived === 200) resolve();
        }));
        for (let index = 0; index < 200; index += 1) ws.send(sentence(20 + index * 3, index));
        await all;
      });
    }
  }
}
