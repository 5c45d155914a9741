// Our client, both faces, plain and in TLS, with npm ws as its server: what ws sends must come back, and each end must be told as it was.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { after, before, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { identity, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { faces, startClient } from './client.mjs';

makeAuthority('ca');
makeCertificate('server');

// A server whose `accept` decides about the connections of one test.
async function serve(scheme) {
  const web = scheme === 'wss' ? https.createServer(identity('server')) : http.createServer();
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => [...offered].find((name) => name.startsWith('chosen')) ?? false,
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  const server = {
    url: `${scheme}://localhost:${web.address().port}`,
    onUpgrade: null, // (request, socket, head) => true when it has answered by itself
    connection: () => once(sockets, 'connection'),
    async stop() {
      for (const ws of sockets.clients) ws.terminate();
      web.close();
      web.closeAllConnections();
    },
  };
  web.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    if (server.onUpgrade?.(request, socket, head)) return;
    sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request));
  });
  return server;
}

for (const scheme of ['ws', 'wss']) {
  for (const face of faces) {
    describe(`${face} over ${scheme}`, () => {
      let server;
      before(async () => { server = await serve(scheme); });
      after(() => server.stop());

      // A connected pair: the server's end, its request, and the client.
      async function meet({ args = [], path = '/' } = {}) {
        const arrived = server.connection();
        const client = startClient(server.url + path, ['--face', face, '--attempts', '3', ...(scheme === 'wss' ? ['--ca', pem('ca')] : []), ...args]);
        const [ws, request] = await arrived;
        return { ws, request, client, opened: await client.next('open') };
      }
      async function mirrored(ws, payload, send = (data) => ws.send(data)) {
        const answered = once(ws, 'message');
        send(payload);
        const [data, binary] = await answered;
        assert.equal(binary, typeof payload !== 'string');
        assert.equal(Buffer.compare(data, Buffer.from(payload)), 0);
      }
      // Answers of the server to the upgrade, one after the other.
      function answerUpgradesWith(...answers) {
        server.onUpgrade = (request, socket) => {
          const answer = answers.shift();
          if (answer === undefined) return false;
          socket.end(answer);
          return true;
        };
      }
      const ofAttempt = (args = [], path = '/') =>
        startClient(server.url + path, ['--face', face, ...(scheme === 'wss' ? ['--ca', pem('ca')] : []), ...args]);

      test('messages of every size come back, text and binary', async () => {
        const { ws, client } = await meet();
        for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
          await mirrored(ws, Buffer.alloc(size, 0xc3));
          await mirrored(ws, 'é'.repeat(size / 2) + (size % 2 ? '!' : ''));
        }
        ws.close();
        await client.stop();
      });

      test('fragmented messages come back whole, with control frames between the fragments (RFC 6455 5.4)', async () => {
        const { ws, client } = await meet();
        await mirrored(ws, 'one two three', () => {
          ws.send('one ', { fin: false });
          ws.ping('between');
          ws.send('two ', { fin: false });
          ws.send('three', { fin: true });
        });
        const bytes = Buffer.alloc(300_000, 7);
        await mirrored(ws, bytes, () => {
          for (let at = 0; at < bytes.length; at += 10_000) ws.send(bytes.subarray(at, at + 10_000), { fin: at + 10_000 === bytes.length });
        });
        ws.close();
        await client.stop();
      });

      test('a thousand pipelined messages come back in order', async () => {
        const { ws, client } = await meet();
        const texts = Array.from({ length: 1000 }, (_, i) => `${i} ${'y'.repeat(i % 700)}`);
        const heard = [];
        const all = new Promise((resolve) => { ws.on('message', (data) => { if (heard.push(data.toString()) === texts.length) resolve(); }); });
        for (const text of texts) ws.send(text);
        await all;
        assert.deepEqual(heard, texts);
        ws.close();
        await client.stop();
      });

      test('pings are answered with their payload', async () => {
        const { ws, client } = await meet();
        for (const payload of ['', 'are you there', 'z'.repeat(125)]) {
          const answered = once(ws, 'pong');
          ws.ping(payload);
          assert.equal((await answered)[0].toString(), payload);
        }
        ws.close();
        await client.stop();
      });

      test('close codes and reasons of the server are told as they were', async () => {
        for (const [code, reason] of [[1000, 'bye'], [1000, ''], [1008, 'no manners'], [3000, ''], [4999, 'é'.repeat(61)]]) {
          const { ws, client } = await meet();
          const closed = once(ws, 'close');
          ws.close(code, reason);
          assert.equal((await closed)[0], code);
          let told = await client.next();
          if (told.event === 'disconnected') told = await client.next('close');
          assert.deepEqual([told.event, told.code, told.reason], ['close', code, reason]);
          if (face === 'event') assert.equal(told.clean, true);
          assert.equal(await client.stop(), 0);
        }
      });

      test('a close frame without a code is told as 1005 (RFC 6455 7.1.5)', async () => {
        const { ws, client } = await meet();
        ws.close();
        if (face === 'event') assert.equal((await client.next('disconnected')).code, 1005);
        assert.equal((await client.next('close')).code, 1005);
        await client.stop();
      });

      test('close codes and reasons of the client arrive', async () => {
        for (const [code, reason] of [[1000, 'bye'], [3001, ''], [4001, 'x'.repeat(123)]]) {
          const { ws, client } = await meet();
          const closed = once(ws, 'close');
          client.say(`close ${code} ${reason}`);
          const [told, why] = await closed;
          assert.deepEqual([told, why.toString()], [code, reason]);
          await client.stop();
        }
      });

      test('a subprotocol is agreed on', async () => {
        const { ws, request, opened, client } = await meet({ args: ['--subprotocol', 'other', '--subprotocol', 'chosen.v1'] });
        assert.equal(request.headers['sec-websocket-protocol'], 'other, chosen.v1');
        assert.equal(ws.protocol, 'chosen.v1');
        assert.equal(opened.subprotocol, 'chosen.v1');
        ws.close();
        await client.stop();
      });

      test('header fields, the path and a user of the URL arrive', async () => {
        const url = server.url;
        server.url = url.replace('://', '://ada:l%C3%B6ve@');
        const { ws, request, client } = await meet({ path: '/rooms/a%20b?since=5&x', args: ['--header', 'X-Token: abc', '--header', 'Origin: https://a.example'] });
        server.url = url;
        assert.equal(request.url, '/rooms/a%20b?since=5&x');
        assert.equal(request.headers['x-token'], 'abc');
        assert.equal(request.headers.origin, 'https://a.example');
        assert.equal(request.headers.host, new URL(url.replace(/^ws/, 'http')).host);
        assert.equal(request.headers.authorization, `Basic ${Buffer.from('ada:löve').toString('base64')}`);
        ws.close();
        await client.stop();
      });

      test('401, 403 and 404 are told and not tried again', async () => {
        for (const status of [401, 403, 404]) {
          answerUpgradesWith(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno`);
          const client = ofAttempt();
          if (face === 'event') {
            const error = await client.next('error');
            assert.deepEqual([error.kind, error.status, error.fatal], ['refused', status, true]);
          }
          const closed = await client.next('close');
          assert.equal(closed.code, 1006);
          if (face === 'coroutine') assert.equal(closed.status, status);
          await client.stop();
        }
        server.onUpgrade = null;
      });

      test('503 is tried again, not before its Retry-After', async () => {
        answerUpgradesWith('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n');
        const client = ofAttempt();
        if (face === 'event') {
          const error = await client.next('error');
          assert.deepEqual([error.kind, error.status, error.fatal], ['refused', 503, false]);
          assert.ok((await client.next('reconnecting')).delay_ms >= 1000);
        }
        const begin = Date.now();
        await client.next('open');
        if (face === 'coroutine') assert.ok(Date.now() - begin > 500);
        await client.stop();
        server.onUpgrade = null;
      });

      test('answers that are no upgrade are refused with a sentence', async () => {
        const cases = [
          ['SSH-2.0-OpenSSH_9.2\r\n\r\n', /./],
          ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n', /Sec-WebSocket-Accept/],
          ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', /200 OK/],
          [`HTTP/1.1 101 Switching Protocols\r\nX: ${'a'.repeat(100_000)}`, /./],
        ];
        for (const [answer, sentence] of cases) {
          answerUpgradesWith(answer);
          const client = ofAttempt();
          if (face === 'event') assert.match((await client.next('error')).text, sentence);
          assert.match((await client.next('close')).reason, sentence);
          await client.stop();
        }
        server.onUpgrade = null;
      });

      test('a broken frame of the server closes with 1002, bytes that are no UTF-8 with 1007', async () => {
        for (const [bytes, code] of [[[0x83, 0x00], 1002], [[0x81, 0x02, 0xc3, 0x28], 1007], [[0xc1, 0x00], 1002]]) {
          const { ws, client } = await meet();
          const closed = once(ws, 'close');
          ws._socket.write(Buffer.from(bytes));
          assert.equal((await closed)[0], code);
          await client.stop();
        }
      });

      test('a server that is killed is found again', async () => {
        const { ws, client } = await meet();
        const again = server.connection();
        ws.terminate();
        const [second] = await again;
        if (face === 'event') {
          assert.equal((await client.next('disconnected')).code, 1006);
          await client.next('reconnecting');
          await client.next('reconnected');
        }
        await mirrored(second, 'still here');
        second.close();
        await client.stop();
      });
    });
  }
}
