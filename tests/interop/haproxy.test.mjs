// The PROXY protocol as Debian's haproxy speaks it, both versions, plain and in front of TLS: a bound by address, the list of connections and both logs
// are of those behind it. Who is no proxy, and a proxy that says nothing of the kind, is closed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { key, makeSelfSigned, pem } from './certificates.mjs';
import { freePort, startServer } from './server.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-haproxy-'));
const accessLog = path.join(folder, 'access');
let server;
let tlsPort;
let admin;
let haproxy;
const front = {};
before(async () => {
  makeSelfSigned('server');
  const adminPort = await freePort();
  tlsPort = await freePort();
  admin = `http://127.0.0.1:${adminPort}`;
  server = await startServer(['--shards', '2', '--max-connections-per-ip', '2', '--trusted-proxies', '127.0.0.1', '--proxy-protocol', 'on',
    '--listen-tls', `127.0.0.1:${tlsPort}`, '--tls-cert', pem('server'), '--tls-key', key('server'), '--admin-listen', `127.0.0.1:${adminPort}`,
    '--access-log', accessLog], { ready: `${admin}/health/ready` });
  const ways = { line: [server.port, 'send-proxy'], binary: [server.port, 'send-proxy-v2 proxy-v2-options crc32c'], tls: [tlsPort, 'send-proxy-v2'], silent: [server.port, ''] };
  let text = 'global\n  maxconn 200\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n';
  for (const [name, [port, how]] of Object.entries(ways)) {
    front[name] = await freePort();
    text += `listen ${name}\n  bind 127.0.0.1:${front[name]}\n  server one 127.0.0.1:${port} ${how}\n`;
  }
  writeFileSync(path.join(folder, 'haproxy.cfg'), text);
  haproxy = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'haproxy', '-db', '-f', path.join(folder, 'haproxy.cfg')],
    { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
  for (let i = 0; i < 500; i += 1) {
    const there = await fetch(`http://127.0.0.1:${front.line}/health/ready`).catch(() => null);
    if (there?.status === 200) return;
    await sleep(20);
  }
  throw new Error('haproxy did not begin to serve');
});
after(async () => {
  if (haproxy?.exitCode === null) {
    haproxy.kill('SIGTERM');
    await once(haproxy, 'exit');
  }
  assert.deepEqual(await server?.stop(), [0, null]);
  rmSync(folder, { recursive: true });
});

// The open WebSocket, the status of the refusal, or what it failed with.
function connect(port, localAddress, { scheme = 'ws', headers = {} } = {}) {
  const ws = new WebSocket(`${scheme}://127.0.0.1:${port}/broadcast/lobby`, { perMessageDeflate: false, localAddress, headers, rejectUnauthorized: false });
  return new Promise((resolve) => {
    ws.once('open', () => resolve(ws));
    ws.once('unexpected-response', (request, answer) => {
      request.destroy();
      resolve(answer.statusCode);
    });
    ws.once('error', (error) => resolve(error.code ?? error.message));
  });
}

async function counted(name) {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(text.match(new RegExp(`^ringcast_refusals_total\\{reason="${name}"\\} (\\d+)$`, 'm'))[1]);
}

async function close(...all) {
  for (const ws of all) {
    const closed = once(ws, 'close');
    ws.close(1000);
    await closed;
  }
}

for (const [way, scheme, user] of [['line', 'ws', '127.0.0.31'], ['binary', 'ws', '127.0.0.32'], ['tls', 'wss', '127.0.0.33']]) {
  test(`a bound of 2 by address is that of who asks haproxy: ${way}`, async () => {
    const first = await connect(front[way], user, { scheme, headers: { 'X-Forwarded-For': '6.6.6.6' } });
    const second = await connect(front[way], user, { scheme, headers: { 'X-Forwarded-For': '6.6.6.7' } });
    for (const ws of [first, second]) assert.ok(ws instanceof WebSocket, `${ws}`);
    const before = await counted('address_full');
    assert.ok(!((await connect(front[way], user, { scheme })) instanceof WebSocket));
    assert.equal(await counted('address_full'), before + 1);
    const other = await connect(front[way], '127.0.0.39', { scheme });
    assert.ok(other instanceof WebSocket, `${other}`);
    const { connections } = await (await fetch(`${admin}/connections?limit=1000&room=lobby`)).json();
    const addresses = connections.map((c) => c.address.split(':')[0]).sort();
    assert.deepEqual(addresses, [user, user, '127.0.0.39'].sort());
    assert.ok(connections.every((c) => /:[1-9]\d*$/.test(c.address)), 'with the port that it has there');
    await close(first, second, other);
    for (let i = 0; !server.stderr().includes(`refused ${user}:`) && i < 500; i += 1) await sleep(10);
    assert.match(server.stderr(), new RegExp(`refused ${user}:\\d+: address_full`));
    for (let i = 0; !readFileSync(accessLog, 'utf8').includes(`"${user}:`) && i < 500; i += 1) await sleep(10);
    const lines = readFileSync(accessLog, 'utf8').trim().split('\n').map(JSON.parse);
    assert.equal(lines.filter((line) => line.event === 'opened' && line.address.startsWith(`${user}:`)).length, 2);
    assert.ok(!lines.some((line) => line.address.startsWith('6.6.6.')), 'of an address that is no proxy\'s a header is a stranger\'s');
  });
}

test('a proxy that says nothing of it, and a stranger who does, are closed, counted and logged', async () => {
  const noHeader = await counted('proxy_header');
  assert.ok(!((await connect(front.silent, '127.0.0.34')) instanceof WebSocket));
  assert.equal(await counted('proxy_header'), noHeader + 1);
  const strangers = await counted('not_a_proxy');
  for (const port of [server.port, tlsPort]) {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.35' });
    const answer = [];
    socket.on('data', (data) => answer.push(data)).on('error', () => {});
    socket.write('PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve)); // with or without a reset: what it sent is not read
    assert.equal(Buffer.concat(answer).toString(), '');
  }
  assert.equal(await counted('not_a_proxy'), strangers + 2);
  assert.match(server.stderr(), /refused 127\.0\.0\.35:\d+: not_a_proxy/);
  assert.match(server.stderr(), /refused 127\.0\.0\.1:\d+: proxy_header/);
});
