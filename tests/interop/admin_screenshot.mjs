// Pictures of the dashboard of a server that has something to do: desktop, dark, one room, a question, phone. Called by tools/screenshot; takes two minutes, so
// that the sparklines are full.
//   --server PROGRAM  default build/release/ringcast-server      --out FOLDER  default build/screenshots      --seconds N  default 100
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { values: options } = parseArgs({
  options: { server: { type: 'string' }, out: { type: 'string', default: path.join(root, 'build/screenshots') }, seconds: { type: 'string', default: '100' } },
});
if (options.server) process.env.RINGCAST_SERVER = path.resolve(options.server);
const { freePort, startServer } = await import('./server.mjs');
const { openBrowser } = await import('./browser.mjs');
const { default: WebSocket } = await import('ws');

const NAMES = ['Ada', 'Alan', 'Barbara', 'Edsger', 'Grace', 'Hedy', 'Katherine', 'Radia', 'Tim', 'Lynn', 'Jim', 'Edith', 'Ken', 'Ruth'];
const ROOMS = [['lighthouse', 14], ['prices/BTC-EUR', 60], ['support', 6], ['team/kernel', 9], ['match/4711', 34], ['maps/tiles', 4]];
const isChat = (room) => ['lighthouse', 'support', 'team/kernel'].includes(room);
const WORDS = ['Morning!', 'Is everyone on the same core again?', 'Same order for all of us.', 'One span, sixteen messages, one send.', 'Then let’s ship it.', 'I checked the sums.'];

await mkdir(options.out, { recursive: true });
const adminPort = await freePort();
const server = await startServer(['--shards', '2', '--history-messages', '100', '--slow-consumer', 'drop-oldest', '--ping-interval-s', '0', '--admin-listen', `127.0.0.1:${adminPort}`]);
const members = [];
async function join(room, query, kind) {
  const ws = new WebSocket(`${server.ws}/${kind}/${encodeURIComponent(room)}${query}`, { perMessageDeflate: false });
  ws.on('error', () => {}).on('message', () => {});
  await new Promise((resolve) => { ws.once('open', resolve).once('error', resolve); });
  return Object.assign(ws, { room });
}
for (const [room, count] of ROOMS)
  for (let i = 0; i < count; i += 1) members.push(isChat(room) ? await join(room, `?name=${NAMES[i]}`, 'chat') : await join(room, `?user=u${i + 1}`, 'broadcast'));
const stuck = await join('maps/tiles', '?user=phone-in-a-tunnel', 'broadcast');
stuck._socket.pause(); // For ever: it is not asked whether it is there.

// What goes wrong in any server, a little of it.
for (const [i, ws] of members.splice(60, 7).entries()) i % 3 === 0 ? ws.terminate() : ws.close(i % 3 === 1 ? 1000 : 1001);
for (const query of ['', '?name=']) await join('lighthouse', query, 'chat');
await join('lighthouse', '?name=Ada', 'chat');

const tile = 'x'.repeat(24_000);
let said = 0;
const timer = setInterval(() => {
  const busy = 4 + 3 * Math.sin(performance.now() / 9000) + Math.random() * 2;
  for (let i = 0; i < busy; i += 1) {
    const ws = members[(said * 7) % members.length];
    said += 1;
    if (ws.readyState !== WebSocket.OPEN || ws.room === 'maps/tiles') continue;
    ws.send(isChat(ws.room) ? WORDS[said % WORDS.length] : `{"bid":${(60_000 + (said % 977)).toFixed(2)}}`);
  }
  members.find(({ room }) => room === 'maps/tiles').send(tile);
}, 50);

const browser = await openBrowser({ deviceScaleFactor: 1, locale: 'en-GB', viewport: { width: 1180, height: 900 } });
try {
  const page = browser.context.pages()[0];
  const picture = async (name) => {
    await page.screenshot({ path: path.join(options.out, `${name}.png`) });
    console.log(path.relative(process.cwd(), path.join(options.out, `${name}.png`)));
  };
  await page.goto(`http://127.0.0.1:${adminPort}/admin`);
  await sleep(Number(options.seconds) * 1000);
  await page.setViewportSize({ width: 1180, height: 1330 });
  await sleep(500);
  await picture('admin');
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture('admin-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1180, height: 760 });
  await page.getByRole('button', { name: 'lighthouse', exact: true }).click();
  await page.getByRole('button', { name: 'Listen' }).click();
  await sleep(3000);
  await picture('admin-room');
  await page.getByRole('button', { name: 'Close room…' }).click();
  await sleep(200);
  await picture('admin-question');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  for (const [name, width, height] of [['admin-phone', 390, 780], ['admin-narrow', 320, 568]]) {
    await page.setViewportSize({ width, height });
    await sleep(300);
    await picture(name);
  }
  await page.locator('#connections-title').scrollIntoViewIfNeeded();
  await page.evaluate(() => document.getElementById('rooms-title').scrollIntoView());
  await picture('admin-narrow-rooms');
} finally {
  clearInterval(timer);
  for (const ws of [...members, stuck]) ws.terminate();
  await browser.close();
  await server.stop();
}
