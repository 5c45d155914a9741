// Pictures of the page with a conversation in it: desktop, dark, phone, and the door. Called by tools/screenshot.
//   --server PROGRAM  default build/release/ringcast-server      --out FOLDER  default build/screenshots
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { values: options } = parseArgs({
  options: { server: { type: 'string' }, out: { type: 'string', default: path.join(root, 'build/screenshots') } },
});
if (options.server) process.env.RINGCAST_SERVER = path.resolve(options.server);
const { startServer } = await import('./server.mjs');
const { openBrowser, joinRoom } = await import('./browser.mjs');
const { default: WebSocket } = await import('ws');

const ROOM = 'lighthouse';
const SEATED = ['Ada', 'Alan', 'Barbara', 'Edsger', 'Hedy', 'Katherine', 'Radia', 'Tim'];
const TALK = [
  ['Ada', 'Morning! Is everyone on the same core again?'],
  ['Radia', 'Half of us are on the other one, and I cannot tell which half.'],
  ['Radia', 'Which is rather the point.'],
  ['me', 'Same order for all of us, whichever core we sit on.'],
  ['Hedy', 'I sent three at once from the train and they came as one packet.'],
  ['Alan', 'One span, sixteen messages, one send. The kernel says thank you.'],
  ['Katherine', 'I checked the sums:\n16 × 1 send ≫ 1 send × 16'],
  ['me', 'Then let’s ship it.'],
];

const EARLIER = ['Tim: Has anybody seen the new log? https://example.org/ringcast', 'Barbara: Reading it now.'];

await mkdir(options.out, { recursive: true });
const server = await startServer(['--shards', '2', '--history-messages', '100']);
const people = new Map();
for (const name of SEATED) {
  const ws = new WebSocket(`${server.ws}/chat/${ROOM}?name=${encodeURIComponent(name)}`);
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  people.set(name, ws);
}

async function picture(name, contextOptions, person, scene) {
  const browser = await openBrowser({ deviceScaleFactor: 2, locale: 'en-GB', ...contextOptions });
  try {
    const page = browser.context.pages()[0];
    await scene(page, person);
    await page.screenshot({ path: path.join(options.out, `${name}.png`) });
    console.log(path.relative(process.cwd(), path.join(options.out, `${name}.png`)));
  } finally {
    await browser.close();
  }
}

async function conversation(page, person) {
  await joinRoom(page, server.http, ROOM, person);
  for (const [name, text] of TALK) {
    if (name === 'me') {
      await page.getByLabel('Message', { exact: true }).fill(text);
      await page.keyboard.press('Enter');
    } else {
      people.get(name).send(text);
    }
    await page.getByText(text.split('\n')[0]).first().waitFor();
  }
  await sleep(1200);
}
const door = async (page) => {
  await page.goto(`${server.http}/#${ROOM}`);
  await sleep(600);
};

// Away for a moment, while the others went on.
async function away(page, person) {
  const body = (text) => ({ method: 'POST', body: text, headers: { 'Content-Type': 'text/plain' } });
  for (const text of EARLIER) await fetch(`${server.http}/rooms/${ROOM}/messages`, body(text));
  await joinRoom(page, server.http, ROOM, person);
  await page.getByText('You joined').waitFor();
  await page.getByText('From a program').click();
  await page.evaluate(() => { attempts = 5; socket.close(); });
  await page.getByRole('status').filter({ hasText: 'Disconnected' }).waitFor();
  for (const text of ['Hedy: Where did she go?', 'Alan: A tunnel, I suppose.']) await fetch(`${server.http}/rooms/${ROOM}/messages`, body(text));
  await page.getByRole('button', { name: 'Try now' }).click();
  await page.getByText('You were away').waitFor();
  await page.getByRole('status').filter({ hasText: 'Connected as' }).waitFor();
  await sleep(1200);
}

const desktop = { viewport: { width: 1180, height: 760 } };
const phone = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };
const narrow = { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true };
try {
  await picture('desktop', { ...desktop, colorScheme: 'light' }, 'Grace', conversation);
  await picture('desktop-dark', { ...desktop, colorScheme: 'dark' }, 'Grace', conversation);
  await picture('phone', { ...phone, colorScheme: 'light' }, 'Grace', conversation);
  await picture('phone-dark', { ...phone, colorScheme: 'dark' }, 'Grace', conversation);
  await picture('narrow', { ...narrow, colorScheme: 'light' }, 'Grace', conversation);
  await picture('phone-members', { ...phone, colorScheme: 'light' }, 'Grace', async (page, person) => {
    await conversation(page, person);
    await page.getByRole('button', { name: 'members' }).click();
    await sleep(200);
  });
  await picture('away', { ...desktop, colorScheme: 'light' }, 'Grace', away);
  await picture('door', { ...desktop, colorScheme: 'light' }, '', door);
  await picture('door-dark', { ...desktop, colorScheme: 'dark' }, '', door);
  await picture('door-narrow', { ...narrow, colorScheme: 'light' }, '', door);
} finally {
  for (const ws of people.values()) ws.terminate();
  await server.stop();
}
