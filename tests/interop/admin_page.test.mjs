// The dashboard of GET /admin in headless Chromium: numbers that live, what asks first, and what peers have chosen stays text.
import assert from 'node:assert/strict';
import http from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { openBrowser } from './browser.mjs';
import { freePort, startServer } from './server.mjs';

let adminPort;
let admin;
let args;
let server;
let browser;
const complaints = []; // What a tab wrote to its console as an error: a broken policy, an exception.
before(async () => {
  adminPort = await freePort();
  admin = `http://127.0.0.1:${adminPort}`;
  args = ['--shards', '2', '--history-messages', '20', '--admin-listen', `127.0.0.1:${adminPort}`];
  server = await startServer(args);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function dashboard(expectsErrors = false) {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => complaints.push(`${error}`));
  if (!expectsErrors) page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  await page.goto(`${admin}/admin`);
  await page.getByText('Live', { exact: true }).waitFor();
  return page;
}
async function join(room, query = '', kind = 'broadcast') {
  const ws = new WebSocket(`${server.ws}/${kind}/${encodeURIComponent(room)}${query}`);
  ws.heard = [];
  ws.ended = new Promise((resolve) => { ws.on('close', (code, reason) => resolve(`${code} ${reason}`)); });
  ws.on('message', (data) => ws.heard.push(String(data)));
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  return ws;
}
const tile = (page, title) => page.locator('.tile', { hasText: title });
const valueOf = async (page, title) => Number((await tile(page, title).locator('.value span').innerText()).replaceAll(',', ''));
async function until(what, describe = `${what}`) {
  for (let i = 0; i < 800; i += 1) {
    if (await what()) return;
    await sleep(25);
  }
  assert.fail(`it never came: ${describe}`);
}
const roomRow = (page, name) => page.locator('#rooms tr').filter({ has: page.getByRole('button', { name, exact: true }) });
const focused = (page) => page.evaluate(() => document.activeElement.id);

test('numbers change under load, and every shard has its row', async () => {
  const page = await dashboard();
  assert.equal(await page.locator('#shards tr').count(), 2);
  const members = await Promise.all(Array.from({ length: 20 }, (_, i) => join('load', `?user=u${i}`)));
  await until(async () => (await valueOf(page, 'Open connections')) >= 20);
  const timer = setInterval(() => members[0].send('hello'), 5);
  try {
    await until(async () => (await valueOf(page, 'Received')) > 10);
    await until(async () => (await valueOf(page, 'Delivered')) > 200);
    await until(async () => (await valueOf(page, 'Receive to send')) > 0);
    assert.match(await tile(page, 'Receive to send').locator('.value').innerText(), /^[\d.]+\s*(µs|ms)$/);
    // The picture has a line.
    await until(async () => (await tile(page, 'Delivered').locator('path.line').getAttribute('d')).split('L').length > 2);
    await roomRow(page, 'load').waitFor();
    assert.equal(await roomRow(page, 'load').locator('td').nth(1).innerText(), '20');
  } finally {
    clearInterval(timer);
  }
  for (const ws of members) ws.terminate();
  await until(async () => (await page.locator('#closes').innerText()).includes('1006 cut off'));
  await roomRow(page, 'load').waitFor({ state: 'detached' });
  await page.close();
});

test('it asks once a second at most, and not at all while nobody can see it', async () => {
  const page = await dashboard();
  let polls = 0;
  page.on('request', (request) => { if (request.url().endsWith('/admin/state')) polls += 1; });
  const begun = Date.now();
  await sleep(4000);
  const passed = (Date.now() - begun) / 1000;
  assert.ok(polls >= 1 && polls <= passed + 2, `${polls} in ${passed} s`);
  // Chromium headless shows every tab, so the page is told by hand.
  const setHidden = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await setHidden(true);
  await sleep(500); // What was under way.
  polls = 0;
  await sleep(2500);
  assert.equal(polls, 0);
  await setHidden(false);
  await until(() => polls > 0);
  await page.close();
});

test('a connection is closed after a question, and not without a yes', async () => {
  const [kept, gone] = [await join('asks', '?user=kept'), await join('asks', '?user=gone')];
  const page = await dashboard();
  await page.getByLabel('Search connections').fill('gone');
  const close = page.getByRole('button', { name: 'Close connection of gone' });
  await close.waitFor();
  await until(async () => (await page.locator('#connections tr').count()) === 1);
  // No: by the button, and by the key.
  await close.click();
  const dialog = page.getByRole('dialog', { name: 'Close this connection?' });
  assert.match(await dialog.innerText(), /gone at 127\.0\.0\.1:\d+, in asks/);
  assert.equal(await focused(page), 'ask-no');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await close.click();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(gone.readyState, WebSocket.OPEN);
  // Yes.
  await close.click();
  await dialog.getByLabel('Code').selectOption('1000');
  await dialog.getByLabel('Reason').fill('time to go');
  await dialog.getByRole('button', { name: 'Close connection' }).click();
  assert.equal(await gone.ended, '1000 time to go');
  await page.getByText('The connection of gone is closed.').waitFor();
  assert.equal(kept.readyState, WebSocket.OPEN);
  kept.terminate();
  await page.close();
});

test('by the keyboard alone: a room is found, listened to, spoken to and closed', async () => {
  const members = [await join('keys/ä b', '?name=Ada', 'chat'), await join('keys/ä b', '?user=u1')];
  members[0].send('before anybody listened');
  const page = await dashboard(true); // of a room that is empty it is told 404
  await page.keyboard.press('/');
  assert.equal(await focused(page), 'room-search');
  await page.keyboard.type('keys/ä b');
  await page.keyboard.press('Enter');
  const sheet = page.getByRole('dialog', { name: 'keys/ä b' });
  await sheet.getByText('2 members').waitFor();
  await sheet.getByText('Ada', { exact: true }).waitFor();
  const log = sheet.getByRole('log');
  await log.getByText('Ada: before anybody listened').waitFor();
  // Nobody is told that somebody listens, and the room has one member more.
  const heard = members[1].heard.length;
  await sheet.getByRole('button', { name: 'Listen' }).focus();
  await page.keyboard.press('Enter');
  await sheet.getByText('3 members').waitFor();
  members[0].send('now');
  members[1].send(Buffer.from([1, 2, 3]));
  await log.getByText('Ada: now').waitFor();
  await log.getByText('3 bytes, not text').waitFor();
  await until(() => members[1].heard.length === heard + 2);
  // It speaks, after a question.
  await sheet.getByLabel('Message to the room').focus();
  await page.keyboard.type('from <b>above</b>');
  await page.keyboard.press('Enter');
  const question = page.getByRole('dialog', { name: 'Publish to keys/ä b?' });
  await question.getByText('from <b>above</b>').waitFor();
  await page.keyboard.press('Escape');
  await sleep(200);
  assert.ok(!members[0].heard.includes('from <b>above</b>'));
  await page.keyboard.press('Enter'); // the focus is in the message again
  await question.getByRole('button', { name: 'Publish', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('Queued for 3 of 3 members.').waitFor();
  await until(() => members[0].heard.includes('from <b>above</b>'));
  await log.getByText('from <b>above</b>').waitFor();
  assert.equal(await sheet.getByLabel('Message to the room').inputValue(), '');
  // It closes it.
  await sheet.getByRole('button', { name: 'Close room…' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Close this room?' }).getByRole('button', { name: 'Close room' }).focus();
  await page.keyboard.press('Enter');
  for (const ws of members) assert.equal(await ws.ended, '1008 closed by the administrator');
  await page.getByText('3 members were closed.').waitFor();
  await log.getByText('No longer listening: 1008').waitFor();
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'hidden' });
  await page.close();
});

test('what peers have chosen is text, never markup', async () => {
  const evil = '<img src=x onerror="document.title=\'broken\'">';
  const other = await join(evil, `?name=${encodeURIComponent('<i>Eve</i>"\'&')}`, 'chat');
  const page = await dashboard();
  await page.getByLabel('Search rooms').fill('<img');
  await roomRow(page, evil).getByRole('button', { name: evil, exact: true }).click();
  const sheet = page.getByRole('dialog', { name: evil });
  await sheet.getByText('<i>Eve</i>"\'&', { exact: true }).waitFor();
  await sheet.getByRole('button', { name: 'Listen' }).click();
  await sheet.getByText('2 members').waitFor();
  other.send(`<script>document.title='broken'</script>${evil}`);
  await sheet.getByRole('log').getByText('<script>').waitFor();
  assert.equal(await page.locator('img, i:not(.meter i):not(.bars i), script').count(), 1); // the page's own script
  assert.equal(await page.title(), 'ringcast dashboard');
  await page.keyboard.press('Escape');
  await page.getByLabel('Search connections').fill('eve');
  await page.locator('#connections').getByText('<i>Eve</i>"\'&', { exact: true }).waitFor();
  other.terminate();
  await page.close();
});

test('10,000 rooms are listed in pages, and searched', async () => {
  const feed = [];
  // A connection sits in one room of these endpoints, so rooms are as many as connections: few of them here, the rest are asked of a stand-in.
  const page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  const names = Array.from({ length: 10_000 }, (_, i) => `room ${String(i).padStart(5, '0')}`);
  await page.route(/\/rooms\?/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const from = query.get('after') === null ? 0 : names.indexOf(query.get('after')) + 1;
    const rooms = names.slice(from, from + Number(query.get('limit'))).map((name) => ({ name, members: 1 }));
    feed.push(rooms.length);
    return route.fulfill({ json: { rooms, next: from + rooms.length < names.length ? rooms[rooms.length - 1].name : null } });
  });
  await page.goto(`${admin}/admin`);
  await page.getByRole('button', { name: 'room 00049', exact: true }).waitFor();
  assert.equal(await page.locator('#rooms tr').count(), 50);
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.getByRole('button', { name: 'room 00050', exact: true }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'room 00049', exact: true }).count(), 0);
  await page.getByRole('button', { name: 'First page' }).click();
  await page.getByRole('button', { name: 'room 00000', exact: true }).waitFor();
  assert.ok(feed.every((rooms) => rooms <= 50));
  await page.getByLabel('Search rooms').fill('09999');
  await page.getByText('1 room found').waitFor();
  assert.deepEqual(await page.locator('#rooms .name').allInnerTexts(), ['room 09999']);
  await page.getByLabel('Search rooms').fill('room 0');
  await page.getByText('The first 50 rooms found').waitFor();
  assert.equal(await page.locator('#rooms tr').count(), 50);
  await page.getByLabel('Search rooms').fill('nowhere');
  await page.getByText('No room of 10,000 has that in its name.').waitFor();
  await page.getByLabel('Search rooms').fill('');
  await page.getByRole('button', { name: 'room 00000', exact: true }).waitFor();
  await page.close();
});

test('rows keep their place while somebody points at them', async () => {
  const first = await Promise.all(Array.from({ length: 3 }, (_, i) => join(`still ${i}`)));
  const page = await dashboard();
  await roomRow(page, 'still 0').waitFor();
  await roomRow(page, 'still 0').hover();
  const before = await page.locator('#rooms .name').allInnerTexts();
  first[1].terminate();
  const other = await Promise.all(Array.from({ length: 10 }, (_, i) => join(`more ${i}`)));
  await until(async () => (await page.locator('#rooms tr').evaluateAll((rows) => rows.filter((row) => row.style.opacity !== '').length)) === 1);
  assert.deepEqual(await page.locator('#rooms .name').allInnerTexts(), before);
  await page.mouse.move(1, 1);
  await roomRow(page, 'more 9').waitFor();
  await roomRow(page, 'still 1').waitFor({ state: 'detached' });
  for (const ws of [...first, ...other]) ws.terminate();
  await page.close();
});

test('a page of another site can neither close nor read', async () => {
  const victim = await join('victim');
  const { connections } = await (await fetch(`${admin}/connections?room=victim`)).json();
  const site = http.createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><title>elsewhere</title><form id="f" method="post" enctype="text/plain"><input name="a" value="b"></form>');
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  const page = await browser.context.newPage();
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  const outcome = await page.evaluate(async ({ address, id }) => {
    const tried = {};
    const attempt = async (name, target, options) => {
      try {
        const answer = await fetch(address + target, options);
        tried[name] = answer.type === 'opaque' ? 'opaque' : `${answer.status} ${await answer.text()}`;
      } catch {
        tried[name] = 'refused';
      }
    };
    await attempt('token', '/admin/token', {});
    await attempt('opaque token', '/admin/token', { mode: 'no-cors' });
    await attempt('delete', `/connections/${id}`, { method: 'DELETE' });
    await attempt('delete with a header', `/connections/${id}`, { method: 'DELETE', headers: { 'X-Ringcast-Admin': 'x' } });
    await attempt('publish', '/rooms/victim/messages', { method: 'POST', mode: 'no-cors', body: 'from elsewhere' });
    const frame = document.createElement('iframe');
    frame.name = 'frame';
    document.body.append(frame);
    const form = document.getElementById('f');
    form.action = `${address}/rooms/victim/messages`;
    form.target = 'frame';
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    form.submit();
    await loaded;
    return tried;
  }, { address: admin, id: connections[0].id });
  assert.deepEqual(outcome, { token: 'refused', 'opaque token': 'opaque', delete: 'refused', 'delete with a header': 'refused', publish: 'opaque' });
  // Its frame stays empty.
  await page.evaluate((address) => {
    const frame = document.createElement('iframe');
    frame.src = `${address}/admin`;
    frame.name = 'shown';
    document.body.append(frame);
    return new Promise((resolve) => { frame.onload = resolve; });
  }, admin);
  assert.equal(await page.frame('shown').locator('#tiles').count(), 0);
  await sleep(300);
  assert.equal(victim.readyState, WebSocket.OPEN);
  assert.deepEqual(victim.heard, []);
  victim.terminate();
  await page.close();
  site.close();
});

test('after a restart of the server it goes on, with the new word', async () => {
  const page = await dashboard(true);
  const before = await join('again');
  // The word of the first life is known to the page.
  await page.getByRole('button', { name: 'Close room again' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close room' }).click();
  await before.ended;
  await page.getByText('1 member was closed.').waitFor();
  await server.stop();
  await page.getByText('The server does not answer').waitFor();
  server = await startServer(args);
  await page.getByText('The server was started again.').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  const now = await join('again');
  await page.getByRole('button', { name: 'Close room again' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close room' }).click();
  assert.equal(await now.ended, '1008 closed by the administrator');
  // A restart between two polls is noticed where the word is refused.
  await page.evaluate(() => { token = 'of another life'; });
  const last = await join('again');
  await page.getByRole('button', { name: 'Close room again' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close room' }).click();
  assert.equal(await last.ended, '1008 closed by the administrator');
  await page.close();
});

test('what was refused is said where it was asked for', async () => {
  const page = await dashboard(true);
  const ws = await join('soon gone');
  await page.getByRole('button', { name: 'Close room soon gone' }).click();
  ws.terminate();
  await until(async () => (await fetch(`${server.http}/rooms/soon%20gone`)).status === 404);
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Close room' }).click();
  await dialog.getByText('nobody is in this room').waitFor();
  await page.close();
});

test('no width makes it scroll sideways, and every control has a name', async () => {
  const members = await Promise.all(['x'.repeat(128), 'a room with a rather long name of many words'].flatMap((room) =>
    [join(room, `?name=${'W'.repeat(64)}`, 'chat'), join(room, `?user=${'m'.repeat(64)}`)]));
  const page = await dashboard();
  await page.locator('#connections tr').nth(3).waitFor();
  for (const [width, height] of [[320, 568], [390, 780], [768, 1024], [1180, 760], [1920, 1080]]) {
    await page.setViewportSize({ width, height });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, `${width}`);
    await page.getByRole('button', { name: 'x'.repeat(128), exact: true }).click();
    assert.equal(await page.locator('#room').evaluate((sheet) => sheet.scrollWidth - sheet.clientWidth), 0, `${width}`);
    await page.getByRole('button', { name: 'Close room…' }).click();
    const box = await page.locator('#ask').boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= width && box.y >= 0 && box.y + box.height <= height, `${width}`);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
  }
  const unnamed = await page.locator('button, input, select, textarea').evaluateAll((all) => all
    .filter((each) => !(each.getAttribute('aria-label') ?? each.textContent.trim()) && !(each.labels?.length > 0)).map((each) => each.outerHTML));
  assert.deepEqual(unnamed, []);
  for (const ws of members) ws.terminate();
  await page.close();
});

test('numbers keep their unit at its edges', async () => {
  const page = await dashboard();
  const words = (name, values) => page.evaluate(([what, all]) => all.map((value) => ({ bytesInWords, timeInWords, ageInWords, inWords })[what](value)), [name, values]);
  assert.deepEqual(await words('bytesInWords', [0, 999, 1000, 1024, 1023 * 1024, 1024 ** 2, 1008 * 1024 ** 2, 5 * 1024 ** 3, 2000 * 1024 ** 4]),
    ['0 B', '999 B', '0.977 KiB', '1.00 KiB', '0.999 MiB', '1.00 MiB', '0.984 GiB', '5.00 GiB', '2000 TiB']);
  assert.deepEqual(await words('timeInWords', [null, 1024, 57_344, 999_999, 1_000_000, 131_072_000, 2_000_000_000]), ['–', '1 µs', '57 µs', '1000 µs', '1 ms', '131 ms', '2 s']);
  assert.deepEqual(await words('ageInWords', [0, 59, 60, 3599, 3600, 86_399, 86_400]), ['0 s', '59 s', '1 min', '59 min', '1 h 0 min', '23 h 59 min', '1 d 0 h']);
  assert.deepEqual(await words('inWords', [0, 0.4, 9999, 10_000, 1_234_567]), ['0', '0', '9,999', '10K', '1.23M']);
  await page.close();
});

test('nothing was reported to the console as an error', () => assert.deepEqual(complaints, []));
