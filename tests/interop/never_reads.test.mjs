// A peer that asks and asks and never reads: the server stops reading it, and its memory stays where it was.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import { key, makeSelfSigned, pem } from './certificates.mjs';
import { freePort, memoryCounts, startServer } from './server.mjs';

const growthMax = 10 * 1024;
const asked = 8 << 20; // bytes that the peer would like to send

const frame = (opcode, payload, rsv1 = 0) => {
  const head = payload.length < 126 ? Buffer.from([0x80 | rsv1 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
    : payload.length < 65536 ? Buffer.from([0x80 | rsv1 | opcode, 0xfe, payload.length >> 8, payload.length & 255, 0, 0, 0, 0])
      : (() => { const b = Buffer.alloc(14); b[0] = 0x80 | rsv1 | opcode; b[1] = 0xff; b.writeBigUInt64BE(BigInt(payload.length), 2); return b; })();
  return Buffer.concat([head, payload]);
};
const deflated = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const repeated = (what) => Buffer.concat(Array.from({ length: Math.ceil(asked / what.length) }, () => what));
const get = (path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: t\r\n\r\n`);

const ways = {
  'GET /': { asks: get('/') },
  'GET /rooms': { asks: get('/rooms') },
  'POST to a room': { asks: Buffer.from('POST /rooms/r/messages HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi') },
  'small frames to the echo': { open: '/echo', asks: frame(1, Buffer.from('hello')) },
  'large frames to the echo': { open: '/echo', asks: frame(2, Buffer.alloc(300_000)) },
  'compressed frames to the echo': { open: '/echo', deflates: true, asks: frame(1, deflated(Buffer.alloc(1 << 20, 'a')), 0x40) },
  pings: { open: '/echo', asks: frame(9, Buffer.alloc(125)) },
};

let server;
let securePort;
before(async () => {
  makeSelfSigned('server');
  securePort = await freePort();
  server = await startServer(['--shards', '2', '--listen-tls', `127.0.0.1:${securePort}`, '--tls-cert', pem('server'), '--tls-key', key('server')]);
});
after(() => server?.stop());

const memoryKb = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]);

async function connect(secure) {
  const socket = secure ? tls.connect({ port: securePort, host: '127.0.0.1', rejectUnauthorized: false }) : net.connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, secure ? 'secureConnect' : 'connect');
  return socket;
}

async function upgrade(socket, target, deflates) {
  socket.write(`GET ${target} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n`
    + `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${deflates ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''}\r\n`);
  const [answer] = await once(socket, 'data');
  assert.match(answer.toString(), /^HTTP\/1.1 101/);
}

for (const secure of [false, true]) {
  for (const [name, way] of Object.entries(ways)) {
    test(`${name}${secure ? ' over TLS' : ''}: the memory stays where it was, and others are served`, async (context) => {
      // Warm: what every connection needs once is there before it is measured.
      const first = await connect(secure);
      if (way.open) await upgrade(first, way.open, way.deflates);
      first.write(way.asks);
      await once(first, 'data');
      first.destroy();
      const before = memoryKb();
      const sockets = await Promise.all([1, 2, 3, 4].map(() => connect(secure)));
      for (const socket of sockets) {
        if (way.open) await upgrade(socket, way.open, way.deflates);
        socket.pause();
        socket.write(repeated(way.asks));
      }
      let most = before;
      for (let i = 0; i < 15; ++i) {
        await sleep(100);
        most = Math.max(most, memoryKb());
        assert.equal((await fetch(`${server.http}/health/live`, { headers: { Connection: 'close' } })).status, 200);
      }
      for (const socket of sockets) socket.destroy();
      if (memoryCounts) assert.ok(most - before <= growthMax, `${before} KiB became ${most} KiB`);
      else context.diagnostic('the memory is not counted under a sanitizer');
      assert.equal(server.child.exitCode, null);
    });
  }
}
