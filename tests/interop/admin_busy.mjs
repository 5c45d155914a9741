// How busy the dashboard's main thread is: node tests/interop/admin_busy.mjs [--connections 1000] [--seconds 20] [--rate 50] [--server PROGRAM]
// Chromium's own account (Performance.getMetrics of its DevTools protocol) in processor time of that thread, headless. First with the overview, then with one
// room open and listened to, in which so many messages are said each second.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { server: { type: 'string' }, connections: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '20' }, rate: { type: 'string', default: '50' } },
});
if (options.server) process.env.RINGCAST_SERVER = path.resolve(options.server);
const { freePort, startServer } = await import('./server.mjs');
const { openBrowser } = await import('./browser.mjs');
const { default: WebSocket } = await import('ws');

const ROOMS = 50;
const STEP_MS = 20;
const adminPort = await freePort();
const server = await startServer(['--shards', '2', '--max-connections-per-ip', '0', '--admin-listen', `127.0.0.1:${adminPort}`]);
const browser = await openBrowser({ viewport: { width: 1180, height: 900 } });
const members = [];
let sent = 0;
try {
  for (let i = 0; i < Number(options.connections); i += 1) {
    const ws = new WebSocket(`${server.ws}/broadcast/room%20${i % ROOMS}?user=u${i}`);
    ws.on('message', () => {});
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    members.push(ws);
  }
  const page = browser.context.pages()[0];
  await page.goto(`http://127.0.0.1:${adminPort}/admin`);
  await page.getByText('Live', { exact: true }).waitFor();
  const devtools = await browser.context.newCDPSession(page);
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const metrics = async () => Object.fromEntries((await devtools.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const talk = async (seconds) => {
    const begun = performance.now();
    const first = sent;
    while (performance.now() - begun < seconds * 1000) {
      const due = first + ((performance.now() - begun) / 1000) * Number(options.rate);
      for (; sent < due; sent += 1) members[0].send(`message ${sent}, as long as what programs say in a room`);
      await sleep(STEP_MS);
    }
  };
  const measure = async (what) => {
    await talk(3);
    const before = await metrics();
    await talk(Number(options.seconds));
    const after = await metrics();
    const share = (name) => `${((100 * (after[name] - before[name])) / (after.Timestamp - before.Timestamp)).toFixed(1)} %`;
    console.log(`${options.connections} connections, ${what}: main thread busy ${share('TaskDuration')} (script ${share('ScriptDuration')}, layout ${share('LayoutDuration')}, style ${share('RecalcStyleDuration')})`);
  };
  await measure('overview');
  await page.getByRole('button', { name: 'Show more' }).click();
  await measure('overview with 100 rows');
  await page.getByLabel('Search rooms').fill('room 0');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Listen' }).click();
  await measure(`a room, listened to, ${options.rate} messages a second`);
} finally {
  for (const ws of members) ws.terminate();
  await browser.close();
  await server.stop();
}
