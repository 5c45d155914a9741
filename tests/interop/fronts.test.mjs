// What the README prints for nginx and HAProxy, run as it is printed, in front of a server. With RINGCAST_SLOW members are idle for three minutes,
// with the times that are printed; without it for seconds, with short ones.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { key, makeSelfSigned, pem } from './certificates.mjs';
import { printed, put, startHaproxy, startNginx } from './fronts.mjs';
import { frame } from './raw.mjs';
import { freePort, startServer } from './server.mjs';

const slow = Boolean(process.env.RINGCAST_SLOW);
const IDLE_S = slow ? 180 : 7;
const MEMBERS = 20;

makeSelfSigned('front');
writeFileSync(pem('both'), readFileSync(pem('front'), 'utf8') + readFileSync(key('front'), 'utf8'));
const times = slow ? {} : { '75s': '3s' };

const fronts = [
  {
    name: 'nginx',
    start: (port, server) => startNginx(put(printed('nginx')[0], {
      'listen 443 ': `listen 127.0.0.1:${port} `, '127.0.0.1:8080': `127.0.0.1:${server.port}`, '/etc/ssl/chat.pem': pem('front'), '/etc/ssl/chat.key': key('front'), ...times,
    }), port),
    websocketsOverHttp2: false,
  },
  {
    name: 'HAProxy',
    start: (port, server) => startHaproxy(put(printed('haproxy')[0], {
      'bind :443 ': `bind 127.0.0.1:${port} `, '127.0.0.1:8080': `127.0.0.1:${server.port}`, '/etc/ssl/chat-and-key.pem': pem('both'), ...times,
    }), port),
    websocketsOverHttp2: true,
  },
];

for (const { name, start, websocketsOverHttp2 } of fronts) {
  describe(`behind ${name}`, () => {
    let server;
    let front;
    before(async () => {
      server = await startServer(['--shards', '2', '--trusted-proxies', '127.0.0.1', '--max-connections-per-ip', '3', ...(slow ? [] : ['--ping-interval-s', '1'])]);
      front = await start(await freePort(), server);
      // HAProxy asks whether the server is ready before it sends somebody there.
      for (let i = 0; i < 250 && (await get('/health/ready')).status !== 200; i += 1) await sleep(20);
    });
    after(async () => {
      await front?.stop();
      assert.deepEqual(await server?.stop(), [0, null]);
    });

    async function get(path, headers = {}) {
      const request = https.get({ host: '127.0.0.1', port: front.port, path, headers, rejectUnauthorized: false, agent: false });
      const [answer] = await once(request, 'response');
      let body = '';
      for await (const part of answer) body += part;
      return { status: answer.statusCode, headers: answer.headers, body };
    }

    // The open WebSocket, or the status of the refusal.
    async function connect(path, localAddress = '127.0.0.1', headers = {}) {
      const ws = new WebSocket(`wss://127.0.0.1:${front.port}${path}`, { rejectUnauthorized: false, localAddress, headers });
      return new Promise((resolve, reject) => {
        ws.once('open', () => resolve(ws));
        ws.once('unexpected-response', (request, answer) => {
          request.destroy();
          resolve(answer.statusCode);
        });
        ws.once('error', reject);
      });
    }

    test('a page comes over HTTP/2 with its policy', async () => {
      const session = http2.connect(`https://127.0.0.1:${front.port}`, { rejectUnauthorized: false });
      const stream = session.request({ ':path': '/' });
      const [headers] = await once(stream, 'response');
      let page = '';
      for await (const part of stream) page += part;
      assert.equal(session.alpnProtocol, 'h2');
      assert.equal(headers[':status'], 200);
      assert.match(headers['content-security-policy'], /script-src 'sha256-/);
      assert.match(page, /<title>ringcast<\/title>/);
      session.close();
    });

    test('a WebSocket over TLS sends and hears messages of every size', async () => {
      const ws = await connect('/echo', '127.0.0.31');
      for (const size of [0, 1, 126, 65_536, 1 << 20]) {
        const payload = Buffer.alloc(size, 'x');
        ws.send(payload);
        const [heard, binary] = await once(ws, 'message');
        assert.ok(binary && heard.equals(payload), `${size} bytes`);
      }
      ws.close(4000);
      assert.equal((await once(ws, 'close'))[0], 4000);
    });

    test(`a WebSocket over HTTP/2 (RFC 8441) ${websocketsOverHttp2 ? 'is handed on' : 'is not offered'}`, async () => {
      const session = http2.connect(`https://127.0.0.1:${front.port}`, { rejectUnauthorized: false });
      await once(session, 'remoteSettings');
      assert.equal(Boolean(session.remoteSettings.enableConnectProtocol), websocketsOverHttp2);
      if (websocketsOverHttp2) {
        const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/echo', ':scheme': 'https', ':authority': 'localhost', 'sec-websocket-version': '13' }, { endStream: false });
        const [headers] = await once(stream, 'response');
        assert.equal(headers[':status'], 200);
        stream.write(frame(1, 'over two'));
        const [heard] = await once(stream, 'data');
        assert.deepEqual(heard, frame(1, 'over two', { masked: false }));
        stream.close();
      }
      session.destroy();
    });

    test('an event stream is heard at once', async () => {
      const request = https.get({ host: '127.0.0.1', port: front.port, path: '/broadcast/stream', headers: { Accept: 'text/event-stream' }, rejectUnauthorized: false, agent: false });
      const [answer] = await once(request, 'response');
      assert.equal(answer.statusCode, 200);
      let heard = '';
      answer.on('data', (part) => { heard += part; });
      const said = https.request({ host: '127.0.0.1', port: front.port, path: '/rooms/stream/messages', method: 'POST', headers: { 'Content-Type': 'text/plain' }, rejectUnauthorized: false, agent: false });
      said.end('now');
      const [done] = await once(said, 'response');
      assert.equal(done.statusCode, 200);
      done.resume();
      for (let i = 0; i < 250 && !heard.includes('data: now'); i += 1) await sleep(20);
      assert.match(heard, /^data: now$/m);
      request.destroy();
    });

    test('a bound by address counts who asked the proxy, and not what it claims', async () => {
      const open = [];
      for (const user of ['127.0.0.41', '127.0.0.42']) {
        for (let i = 0; i < 3; i += 1) {
          const ws = await connect('/echo', user, { 'X-Forwarded-For': `6.6.6.${i}` });
          assert.ok(ws instanceof WebSocket, `${user}: ${ws}`);
          open.push(ws);
        }
        assert.equal(await connect('/echo', user, { 'X-Forwarded-For': '6.6.6.6' }), 503);
      }
      for (const ws of open) ws.terminate();
    });

    test(`${MEMBERS} members that say nothing are there after ${IDLE_S} s`, { timeout: (IDLE_S + 60) * 1000 }, async () => {
      const members = [];
      let closed = 0;
      let pings = 0;
      for (let i = 0; i < MEMBERS; i += 1) {
        const ws = await connect('/broadcast/idle', `127.0.1.${1 + i}`);
        assert.ok(ws instanceof WebSocket, `${ws}`);
        ws.on('close', () => { closed += 1; });
        ws.on('ping', () => { pings += 1; });
        members.push(ws);
      }
      await sleep(IDLE_S * 1000);
      assert.equal(closed, 0);
      assert.ok(pings >= MEMBERS, `${pings} pings`);
      const heard = Promise.all(members.map((ws) => once(ws, 'message')));
      members[0].send('still here');
      assert.ok((await heard).every(([text]) => String(text) === 'still here'));
      for (const ws of members) ws.terminate();
    });
  });
}
