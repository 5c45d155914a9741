// How busy the page's main thread is while a room talks: node tests/interop/page_busy.mjs [--rate 1000] [--seconds 5] [--server PROGRAM]
// Chromium's own accounts (Performance.getMetrics of its DevTools protocol) in processor time of that thread, headless, over the time in which the
// messages came. --no-check: the last message need not have been drawn.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { server: { type: 'string' }, rate: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '5' },
    'no-check': { type: 'boolean', default: false } },
});
if (options.server) process.env.RINGCAST_SERVER = path.resolve(options.server);
const { startServer } = await import('./server.mjs');
const { joinRoom, openBrowser } = await import('./browser.mjs');
const { default: WebSocket } = await import('ws');

const NAMES = ['Alan', 'Barbara', 'Edsger', 'Grace', 'Hedy', 'Katherine', 'Radia', 'Tim', 'Lynn', 'Jim'];
const STEP_MS = 10;
const rate = Number(options.rate);
const seconds = Number(options.seconds);
const server = await startServer(['--shards', '1']);
const browser = await openBrowser({ viewport: { width: 1180, height: 760 } });
try {
  const speakers = await Promise.all(NAMES.map(async (name) => {
    const ws = new WebSocket(`${server.ws}/chat/busy?name=${name}`);
    ws.on('message', () => {});
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    return ws;
  }));
  const page = browser.context.pages()[0];
  await joinRoom(page, server.http, 'busy', 'Ada');
  const devtools = await browser.context.newCDPSession(page);
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const metrics = async () => Object.fromEntries((await devtools.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  let sent = 0;
  const talk = async (forMs) => {
    const begun = performance.now();
    const before = sent;
    while (performance.now() - begun < forMs) {
      const due = before + ((performance.now() - begun) / 1000) * rate;
      for (; sent < due; sent += 1) speakers[sent % speakers.length].send(`message ${sent}, as long as what people say in a chat usually is`);
      await sleep(STEP_MS);
    }
  };
  await talk(2000); // The log is full from here on, as it will stay.
  const before = await metrics();
  await talk(seconds * 1000);
  const after = await metrics();
  if (!options['no-check']) await page.getByText(`message ${sent - 1},`).waitFor();
  const share = (name) => `${((100 * (after[name] - before[name])) / (after.Timestamp - before.Timestamp)).toFixed(1)} %`;
  console.log(`${rate} messages a second: main thread busy ${share('TaskDuration')} (script ${share('ScriptDuration')}, layout ${share('LayoutDuration')}, ` +
    `style ${share('RecalcStyleDuration')}), ${after.LayoutCount - before.LayoutCount} layouts in ${(after.Timestamp - before.Timestamp).toFixed(1)} s`);
  for (const ws of speakers) ws.terminate();
} finally {
  await browser.close();
  await server.stop();
}
