// Two servers behind nginx as the README prints it, and one of them drains: its members come back to the other one through nginx, as fast as they were let
// go and no faster, and nobody is refused. With RINGCAST_SLOW there are 5,000 (or RINGCAST_STORM of them), without it 300.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { key, makeSelfSigned, pem } from './certificates.mjs';
import { printed, put, startNginx } from './fronts.mjs';
import { freePort, program, startServer } from './server.mjs';

const slow = Boolean(process.env.RINGCAST_SLOW);
const MEMBERS = slow ? Number(process.env.RINGCAST_STORM ?? 5000) : 300;
const DRAIN_S = slow ? 10 : 3;
const MEASURED_S = DRAIN_S + (slow ? 110 : 7); // until all are back, who make a TLS handshake each

makeSelfSigned('storm');
const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-storm-'));
const report = path.join(folder, 'report.json');
let servers;
let front;
before(async () => {
  servers = await Promise.all([0, 1].map(() => startServer(['--shards', '1', '--trusted-proxies', '127.0.0.1', '--drain-seconds', `${DRAIN_S}`])));
  const port = await freePort();
  // Two for each member; and nginx ends connections in their handshake when a sixteenth is left.
  front = await startNginx(put(printed('nginx')[0], {
    'listen 443 ': `listen 127.0.0.1:${port} `, 'server 127.0.0.1:8080;': servers.map((each) => `server 127.0.0.1:${each.port};`).join(' '),
    '/etc/ssl/chat.pem': pem('storm'), '/etc/ssl/chat.key': key('storm'),
  }), port, { workerConnections: 3 * MEMBERS + 512 });
});
after(async () => {
  await front?.stop();
  for (const each of servers ?? []) await each.stop('SIGKILL');
  rmSync(folder, { recursive: true });
});

const membersOf = async (server) => (await (await fetch(`${server.http}/metrics`)).text()).match(/^ringcast_connections{kind="websocket"} (\d+)$/m)[1];

test(`${MEMBERS} members, of whom half are let go over ${DRAIN_S} s, and none is refused`, { timeout: (MEASURED_S + 330) * 1000 }, async () => {
  const load = new Promise((resolve) => {
    execFile(path.join(path.dirname(program), 'ringcast-load'), [
      `wss://127.0.0.1:${front.port}/broadcast/storm-{i}`, '--tls-insecure', '--mode', 'reconnect-storm', '--ended-by-server', '--connections', `${MEMBERS}`, '--duration', `${MEASURED_S}`,
      '--assert', 'refused==0', '--json', report,
    ], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, said: stdout + stderr }));
  });
  let held = [];
  let ended = null;
  load.then((told) => { ended = told; });
  for (let i = 0; i < 3000 && ended === null && held.reduce((sum, each) => sum + each, 0) < MEMBERS; i += 1) {
    await sleep(100);
    held = (await Promise.all(servers.map(membersOf))).map(Number);
  }
  assert.equal(held[0] + held[1], MEMBERS, ended?.said);
  assert.ok(held[0] > MEMBERS / 3, `${held}`);
  await sleep(500); // the measured time has begun
  servers[0].child.kill('SIGTERM');
  const { code, said } = await load;
  assert.equal(code, 0, said);
  const { returns, connections } = JSON.parse(readFileSync(report, 'utf8'));
  console.log(`# ${MEMBERS} members, ${held[0]} let go over ${DRAIN_S} s: ${JSON.stringify(returns)}`);
  assert.equal(returns.refused, 0);
  assert.equal(returns.ended, held[0]);
  assert.equal(returns.returned, held[0]);
  assert.equal(connections, MEMBERS);
  // An even drain lets a tenth go each second; the seconds of the short form are too few, and other tests beside it too many, to tell as much.
  const most = slow ? (2 * held[0]) / DRAIN_S : held[0] - 1;
  assert.ok(returns.peak_per_second <= most, `${returns.peak_per_second} in one second`);
});
