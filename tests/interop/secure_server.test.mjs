// ringcast-server over https:// and wss://, with Node's TLS and npm ws, the openssl program, curl, and Chromium on the page.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { key, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { freePort, startServer } from './server.mjs';

makeAuthority('ca');
makeAuthority('foreign-ca');
makeCertificate('server');

let server;
let tlsPort;
before(async () => {
  tlsPort = await freePort();
  server = await startServer(['--shards', '2', '--listen-tls', `127.0.0.1:${tlsPort}`, '--tls-cert', pem('server'), '--tls-key', key('server')]);
});
after(() => server?.stop());

const trusting = { ca: readFileSync(pem('ca')), perMessageDeflate: false };
async function open(path, options = {}) {
  const ws = new WebSocket(`wss://localhost:${tlsPort}${path}`, { ...trusting, ...options });
  await once(ws, 'open');
  return ws;
}
async function close(ws) {
  const closed = once(ws, 'close');
  ws.close();
  return (await closed)[0];
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  test(`ws: ${version}: every size comes back, whole and in fragments, and the end is clean`, async () => {
    const ws = await open('/echo', { minVersion: version, maxVersion: version });
    assert.equal(ws._socket.getProtocol(), version);
    for (const size of [0, 1, 125, 126, 16384, 65535, 65536, 1 << 20]) {
      for (const payload of [Buffer.alloc(size, 0xc3), 'x'.repeat(size)]) {
        for (const pieces of [1, 3]) {
          const answered = once(ws, 'message');
          const step = Math.ceil(size / pieces);
          for (let i = 0; i < pieces; ++i) ws.send(payload.slice(i * step, (i + 1) * step), { fin: i === pieces - 1, binary: typeof payload !== 'string' });
          const [data, binary] = await answered;
          assert.equal(binary, typeof payload !== 'string');
          assert.equal(Buffer.compare(data, Buffer.from(payload)), 0);
        }
      }
    }
    const pong = once(ws, 'pong');
    ws.ping('are you there');
    assert.equal((await pong)[0].toString(), 'are you there');
    assert.equal(await close(ws), 1005);
  });
}

test('ws: one order for encrypted and plain members of a room', async () => {
  const members = [];
  for (let i = 0; i < 10; ++i) {
    if (i % 2) {
      members.push(new WebSocket(`${server.ws}/broadcast/mixed`, { perMessageDeflate: false }));
      await once(members[i], 'open');
    } else {
      members.push(await open('/broadcast/mixed'));
    }
  }
  const heard = members.map(() => []);
  const all = Promise.all(members.map((ws, i) => new Promise((resolve) => {
    ws.on('message', (data) => { if (heard[i].push(data.toString()) === 500) resolve(); });
  })));
  for (let n = 0; n < 500; ++n) members[n % 10].send(`${n} ${'y'.repeat((n * 37) % 3000)}`);
  await all;
  for (const order of heard) assert.deepEqual(order, heard[0]);
  for (const ws of members) await close(ws);
});

test('ws: who does not trust the authority, or wants another host, does not connect', async () => {
  const failure = async (url, options) => (await once(new WebSocket(url, { ...trusting, ...options }), 'error'))[0].code;
  assert.match(await failure(`wss://localhost:${tlsPort}/echo`, { ca: readFileSync(pem('foreign-ca')) }), /UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/);
  assert.equal(await failure(`wss://localhost:${tlsPort}/echo`, { servername: 'other.test' }), 'ERR_TLS_CERT_ALTNAME_INVALID');
});

const UPGRADE = 'GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

test('openssl s_client: an upgrade and an echo, byte by byte', async () => {
  const client = spawn('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${tlsPort}`, '-servername', 'localhost', '-CAfile', pem('ca'),
    '-verify_return_error'], { stdio: ['pipe', 'pipe', 'ignore'] });
  let said = '';
  client.stdout.setEncoding('latin1').on('data', (text) => { said += text; });
  const timer = setTimeout(() => client.kill('SIGKILL'), 10_000);
  for (const byte of Buffer.from(UPGRADE + '\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xe8', 'latin1')) client.stdin.write(Buffer.from([byte]));
  await once(client, 'close');
  clearTimeout(timer);
  assert.match(said, /^HTTP\/1\.1 101 /);
  assert.match(said, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  assert.ok(said.endsWith('\r\n\r\n\x81\x02hi\x88\x02\x03\xe8'), JSON.stringify(said));
});

test('curl: the upgrade of a request, the service face, and an unknown authority', () => {
  const curl = (...args) => spawnSync('curl', ['-sS', '--http1.1', '--max-time', '5', ...args], { encoding: 'latin1' });
  const ready = curl('--cacert', pem('ca'), `https://localhost:${tlsPort}/health/ready`);
  assert.equal(ready.status, 0, ready.stderr);
  assert.match(ready.stdout, /"ready"/);
  const upgraded = curl('--cacert', pem('ca'), '-i', '--max-time', '1', '-H', 'Upgrade: websocket', '-H', 'Connection: Upgrade',
    '-H', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '-H', 'Sec-WebSocket-Version: 13', `https://localhost:${tlsPort}/echo`);
  assert.match(upgraded.stdout, /^HTTP\/1\.1 101 /);
  assert.match(upgraded.stdout, /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
  assert.equal(curl('--cacert', pem('foreign-ca'), `https://localhost:${tlsPort}/health/ready`).status, 60);
});
