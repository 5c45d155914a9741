// GET /metrics: exact for known traffic, as promtool checks it, and scraped by a real Prometheus (Debian's package prometheus).
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { key, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { freePort, startServer } from './server.mjs';

makeAuthority('ca');
makeCertificate('server');

let server;
let tlsPort;
before(async () => {
  tlsPort = await freePort();
  server = await startServer(['--shards', '2', '--history-messages', '10', '--listen-tls', `127.0.0.1:${tlsPort}`,
    '--tls-cert', pem('server'), '--tls-key', key('server')]);
});
after(() => server?.stop());

async function scrape() {
  const answer = await fetch(`${server.http}/metrics`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  return answer.text();
}

// { 'ringcast_connections{kind="http"}': 1, ... }
async function metrics() {
  const lines = (await scrape()).split('\n').filter((line) => line && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

// What has been added between two of them, where it is not 0.
async function added(work) {
  const from = await metrics();
  await work();
  const to = await metrics();
  return Object.fromEntries(Object.keys(to).map((name) => [name, to[name] - from[name]]).filter(([, by]) => by !== 0));
}

async function open(url, options = {}) {
  const ws = new WebSocket(url, { perMessageDeflate: false, ...options });
  await once(ws, 'open');
  return ws;
}

async function close(...all) {
  for (const ws of all) {
    const closed = once(ws, 'close');
    ws.close(1000);
    await closed;
  }
}

test('messages, deliveries and the ends of connections are counted exactly', async () => {
  const sum = await added(async () => {
    const members = await Promise.all([1, 2, 3].map(() => open(`${server.ws}/broadcast/counted`)));
    for (let i = 0; i < 5; ++i) {
      const heard = members.map((ws) => once(ws, 'message'));
      members[i % 3].send('hello');
      await Promise.all(heard);
    }
    const echo = await open(`${server.ws}/echo`);
    echo.send('hello');
    await once(echo, 'message');
    assert.equal((await metrics())['ringcast_connections{kind="websocket"}'], 4);
    await close(...members, echo);
  });
  assert.equal(sum.ringcast_handshakes_total, 4);
  assert.equal(sum.ringcast_received_messages_total, 6);
  assert.equal(sum.ringcast_sent_messages_total, 1);
  assert.equal(sum.ringcast_deliveries_total, 15);
  assert.equal(sum['ringcast_closes_total{code="1000"}'], 4);
  assert.equal(sum['ringcast_shard_deliveries_total{shard="0"}'] ?? 0, 15 - (sum['ringcast_shard_deliveries_total{shard="1"}'] ?? 0));
  assert.equal(sum.ringcast_receive_to_send_seconds_count, 6);
  assert.ok(sum.ringcast_received_bytes_total > 6 * 11 && sum.ringcast_sent_bytes_total > 16 * 7);
  assert.ok((await metrics()).ringcast_history_bytes > 0);
  assert.ok((await metrics()).ringcast_resident_memory_bytes > 1e6);
});

test('TLS handshakes are full or resumed', async () => {
  const connect = async (session) => {
    const socket = tls.connect({ host: '127.0.0.1', port: tlsPort, servername: 'localhost', ca: readFileSync(pem('ca')), session });
    const ticket = once(socket, 'session');
    await once(socket, 'secureConnect');
    socket.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [[given]] = await Promise.all([ticket, once(socket, 'data')]);
    socket.destroy();
    return given;
  };
  const sum = await added(async () => connect(await connect()));
  assert.equal(sum['ringcast_tls_handshakes_total{kind="full"}'], 1);
  assert.equal(sum['ringcast_tls_handshakes_total{kind="resumed"}'], 1);
});

test('compressed messages are counted before and after', async () => {
  const text = 'again and '.repeat(200);
  const sum = await added(async () => {
    const ws = await open(`${server.ws}/echo`, { perMessageDeflate: { threshold: 0 } });
    ws.send(text);
    await once(ws, 'message');
    await close(ws);
  });
  assert.equal(sum.ringcast_inflated_messages_total, 1);
  assert.equal(sum.ringcast_inflate_out_bytes_total, text.length);
  assert.equal(sum.ringcast_deflated_messages_total, 1);
  assert.equal(sum.ringcast_deflate_in_bytes_total, text.length);
  assert.ok(sum.ringcast_deflate_out_bytes_total < text.length / 4);
});

test('promtool finds nothing wrong', async () => {
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: await scrape(), encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.error?.message ?? checked.stderr + checked.stdout);
  assert.equal(checked.stderr + checked.stdout, '');
});

test('a real Prometheus scrapes it and answers a query', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-prometheus-'));
  const port = await freePort();
  const file = path.join(folder, 'prometheus.yml');
  writeFileSync(file, 'global: {scrape_interval: 200ms}\nscrape_configs: [{job_name: ringcast, static_configs: '
    + `[{targets: ["127.0.0.1:${server.port}"]}]}]\n`);
  const prometheus = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'prometheus', `--config.file=${file}`, `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
  const ended = once(prometheus, 'exit');
  const ask = async (query) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
    return (await answer.json()).data.result;
  };
  try {
    let found = [];
    for (const deadline = Date.now() + 60_000; found.length === 0 && Date.now() < deadline; await sleep(200)) {
      found = await ask('up{job="ringcast"} == 1').catch(() => []);
    }
    assert.equal(found.length, 1, 'the target is up');
    const [accepted] = await ask('ringcast_connections_accepted_total');
    assert.ok(Number(accepted.value[1]) > 0);
    const [p99] = await ask('histogram_quantile(0.99, ringcast_turn_seconds_bucket)');
    assert.ok(Number(p99.value[1]) > 0 && Number(p99.value[1]) < 17, `p99 ${p99.value[1]}`);
    assert.ok((await ask('count({__name__=~"ringcast_.*"})'))[0].value[1] > 300);
  } finally {
    prometheus.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
});
