// A bound by address behind Debian's nginx: it counts those who ask nginx, whose word is taken, and nobody else's.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { freePort, runToEnd, startServer } from './server.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-nginx-'));
let server;
let nginx;
let front;
before(async () => {
  server = await startServer(['--shards', '2', '--max-connections-per-ip', '2', '--trusted-proxies', '127.0.0.1', '--trusted-proxies', '::1']);
  const port = await freePort();
  front = `127.0.0.1:${port}`;
  writeFileSync(path.join(folder, 'nginx.conf'), `
    daemon off; master_process off; pid ${folder}/pid; error_log stderr;
    events {}
    http {
      access_log off;
      client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c; uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
      server {
        listen ${front};
        location / {
          proxy_pass http://127.0.0.1:${server.port};
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
      }
    }`);
  nginx = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nginx', '-e', 'stderr', '-p', folder, '-c', `${folder}/nginx.conf`],
    { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
  for (let i = 0; i < 500; i += 1) {
    const there = await fetch(`http://${front}/health/ready`).catch(() => null);
    if (there?.status === 200) return;
    await sleep(20);
  }
  throw new Error('nginx did not begin to serve');
});
after(async () => {
  if (nginx?.exitCode === null) {
    nginx.kill('SIGTERM');
    await once(nginx, 'exit');
  }
  assert.deepEqual(await server?.stop(), [0, null]);
  rmSync(folder, { recursive: true });
});

// The open WebSocket, or the status of the refusal.
async function connect(address, localAddress, headers = {}) {
  const ws = new WebSocket(`ws://${address}/echo`, { perMessageDeflate: false, localAddress, headers });
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(ws));
    ws.once('unexpected-response', (request, answer) => {
      request.destroy();
      resolve(answer.statusCode);
    });
    ws.once('error', reject);
  });
}

test('three users behind nginx have a bound of 2 each, and what they claim to be changes nothing', async () => {
  const open = [];
  for (const user of ['127.0.0.11', '127.0.0.12', '127.0.0.13']) {
    for (let i = 0; i < 2; i += 1) {
      const ws = await connect(front, user, { 'X-Forwarded-For': `6.6.6.${i}` });
      assert.ok(ws instanceof WebSocket, `${user}: ${ws}`);
      open.push(ws);
    }
    assert.equal(await connect(front, user), 503);
    assert.equal(await connect(front, user, { 'X-Forwarded-For': '6.6.6.6', Forwarded: 'for=6.6.6.6' }), 503);
  }
  // Past nginx a header is a stranger's.
  const direct = `127.0.0.1:${server.port}`;
  for (let i = 0; i < 2; i += 1) open.push(await connect(direct, '127.0.0.21', { 'X-Forwarded-For': `7.7.7.${i}` }));
  assert.equal(await connect(direct, '127.0.0.21', { 'X-Forwarded-For': '7.7.7.7' }), 503);
  for (const ws of open) ws.terminate();
  // The log names who asked nginx.
  for (const user of ['127.0.0.11:0', '127.0.0.12:0', '127.0.0.13:0', '127.0.0.21:']) assert.ok(server.stderr().includes(`refused ${user}`), server.stderr());
  assert.ok(!server.stderr().includes('refused 127.0.0.1:'), server.stderr());
});

test('who is connected is told by the address of who asked the proxy', async () => {
  const ws = await connect(front, '127.0.0.77');
  const { connections } = await (await fetch(`${server.http}/connections?limit=1000`)).json();
  assert.deepEqual(connections.filter((c) => c.kind === 'websocket').map((c) => c.address), ['127.0.0.77:0']);
  ws.close();
  await once(ws, 'close');
});

test('options that cannot be meant are refused in one sentence', async () => {
  for (const [args, why] of [
    [['--trusted-proxies', 'nginx'], /'nginx' is no trusted proxy/],
    [['--trusted-proxies', '10.0.0.0/33'], /a number up to 32/],
    [['--forwarded-header', 'x-real-ip'], /--forwarded-header: 'x-real-ip' is none of the words/],
  ]) {
    const { status, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--shards', '1', ...args]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, why);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
});
