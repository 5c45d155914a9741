// The page of GET / in headless Chromium: two tabs in one room, and what can go wrong for a person who uses it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import WebSocket from 'ws';
import { joinRoom, openBrowser } from './browser.mjs';
import { startServer } from './server.mjs';

let server;
let browser;
const complaints = []; // What a tab wrote to its console as an error: a broken policy, an exception.
before(async () => {
  server = await startServer();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function tab(context = browser.context) {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (error) => complaints.push(`${error}`));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  return page;
}
const log = (page) => page.getByRole('log');
const composer = (page) => page.getByLabel('Message', { exact: true });
async function say(page, text) {
  await composer(page).fill(text);
  await page.keyboard.press('Enter');
}
const shows = (page, text) => log(page).getByText(text, { exact: true }).first().waitFor();

test('two tabs in one room see each other’s messages', async () => {
  const [ada, bob] = [await tab(), await tab()];
  await joinRoom(ada, server.http, 'tabs', 'Ada');
  await joinRoom(bob, server.http, 'tabs', 'Bob');
  await shows(ada, 'Bob joined');
  await say(ada, 'hello from Ada');
  await say(bob, 'hello from Bob');
  for (const page of [ada, bob]) {
    await shows(page, 'hello from Ada');
    await shows(page, 'hello from Bob');
  }
  // Each knows which message is its own, and both know who is here.
  assert.equal(await ada.locator('.said.mine .words').innerText(), 'hello from Ada');
  assert.equal(await bob.locator('.said.mine .words').innerText(), 'hello from Bob');
  for (const page of [ada, bob]) {
    await page.locator('#members li').nth(1).waitFor();
    assert.deepEqual((await page.locator('#members li span').allInnerTexts()).sort(), ['Ada', 'Bob']);
  }
  await bob.getByRole('button', { name: 'Leave' }).click();
  await shows(ada, 'Bob left');
  assert.equal(await bob.getByLabel('Your name').evaluate((field) => field === document.activeElement), true);
  await ada.close();
  await bob.close();
});

test('what others say is text, never markup', async () => {
  const page = await tab();
  await joinRoom(page, server.http, 'markup', 'Ada');
  const text = '<img src=x onerror="document.title=\'broken\'"><b>bold</b>';
  const other = new WebSocket(`${server.ws}/chat/markup?name=${encodeURIComponent('<i>Eve</i>')}`);
  other.on('open', () => other.send(text));
  await shows(page, '<i>Eve</i> joined');
  await shows(page, text);
  assert.equal(await log(page).locator('img, i').count(), 0);
  other.terminate();
  await page.close();
});

test('a name that is taken, empty or too long is explained beside its field', async () => {
  const holder = new WebSocket(`${server.ws}/chat/taken?name=Ada`);
  await new Promise((resolve) => { holder.once('message', resolve); });
  const page = await tab();
  await page.goto(`${server.http}/#taken`);
  assert.equal(await page.getByRole('textbox', { name: 'Room' }).inputValue(), 'taken');
  const name = page.getByLabel('Your name');
  const tries = [['Ada', /already in this room/], ['', /Type the name/], ['x'.repeat(65), /65 bytes/]];
  for (const [typed, said] of tries) {
    await name.fill(typed);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: said }).waitFor();
    assert.equal(await name.getAttribute('aria-invalid'), 'true');
    assert.equal(await name.evaluate((field) => field === document.activeElement), true);
  }
  // The browser itself writes the refused upgrade to the console; that one is expected.
  const refused = complaints.findIndex((text) => /\/chat\/taken.*400/.test(text));
  assert.notEqual(refused, -1);
  complaints.splice(refused, 1);
  await name.fill('Grace');
  await page.keyboard.press('Enter');
  await shows(page, 'You joined');
  holder.terminate();
  await page.close();
});

test('a reader who scrolled back stays there and is told of new messages', async () => {
  const page = await tab();
  await joinRoom(page, server.http, 'scroll', 'Ada');
  const other = new WebSocket(`${server.ws}/chat/scroll?name=Bob`);
  await new Promise((resolve) => { other.once('open', resolve); });
  for (let line = 0; line < 60; line += 1) other.send(`line ${line}`);
  await shows(page, 'line 59');
  assert.ok(await log(page).evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 5));
  await log(page).evaluate((box) => { box.scrollTop = 0; });
  other.send('one more');
  await page.getByRole('button', { name: '1 new message' }).click();
  await page.waitForFunction(() => {
    const box = document.getElementById('log');
    return box.scrollHeight - box.scrollTop - box.clientHeight < 5;
  });
  other.terminate();
  await page.close();
});

test('at 320 pixels nothing is wider than the screen, and everything works by keyboard', async () => {
  const page = await tab();
  await page.setViewportSize({ width: 320, height: 568 });
  await page.goto(`${server.http}/#narrow`);
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  assert.ok(await fits(), 'the door is wider');
  await page.getByLabel('Your name').focus();
  await page.keyboard.type('Ada');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await log(page).waitFor();
  await page.keyboard.type(`a word without any end ${'x'.repeat(300)}`);
  await page.keyboard.press('Enter');
  await page.locator('.said.mine').waitFor();
  assert.ok(await fits(), 'a long word made the page wider');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Leave');
  for (const button of await page.getByRole('button').all()) {
    const box = await button.boundingBox();
    assert.ok(box === null || (box.width >= 44 && box.height >= 44), `${await button.textContent()} is too small for a thumb`);
  }
  await page.close();
});

test('a lost server is told, kept text is not lost, and the page comes back by itself', async () => {
  const first = await startServer();
  const page = await tab();
  await joinRoom(page, first.http, 'again', 'Ada');
  await shows(page, 'You joined');
  await first.stop();
  await page.getByRole('status').filter({ hasText: 'Disconnected' }).waitFor();
  await shows(page, 'The server is going away.');
  await say(page, 'kept');
  assert.equal(await composer(page).inputValue(), 'kept');
  const second = await startServer(['--shards', '2'], { port: first.port });
  await page.getByRole('status').filter({ hasText: 'Connected as Ada' }).waitFor();
  await shows(page, 'You are back. Messages sent meanwhile are not shown.'); // this one keeps nothing
  await composer(page).focus();
  await page.keyboard.press('Enter');
  await shows(page, 'kept');
  await page.close();
  await second.stop();
  for (let index = complaints.length - 1; index >= 0; index -= 1) {
    if (/ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection to/.test(complaints[index])) complaints.splice(index, 1);
  }
});

// A server that remembers, for who comes late and who comes back.
async function rememberingServer(messages = 100) {
  return startServer(['--shards', '2', '--history-messages', String(messages)]);
}
async function speaker(address, room, name) {
  const ws = new WebSocket(`${address.ws}/chat/${room}?name=${name}`);
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  return ws;
}
const post = (address, room, body) => fetch(`${address.http}/rooms/${room}/messages`, { method: 'POST', body, headers: { 'Content-Type': 'text/plain' } });
// What the entries say, in their order, without joining and leaving.
const saidIn = (page) => log(page).locator('.said .words, .away').allInnerTexts();
// Cut off, and not back before it is told to try.
const cutOff = async (page) => {
  await page.evaluate(() => { attempts = 5; socket.close(); });
  await page.getByRole('status').filter({ hasText: 'Disconnected' }).waitFor();
};
const comeBack = (page) => page.getByRole('button', { name: 'Try now' }).click();

test('who comes late is shown what was said last, and who was away what was said meanwhile, once and in order', async () => {
  const remembering = await rememberingServer();
  for (let i = 0; i < 60; i += 1) await post(remembering, 'past', `Bob: earlier ${i}`);
  const page = await tab();
  await joinRoom(page, remembering.http, 'past', 'Ada');
  await shows(page, 'earlier 59');
  const first = await saidIn(page);
  assert.deepEqual(first, Array.from({ length: 50 }, (_, i) => `earlier ${i + 10}`));
  await post(remembering, 'past', 'Bob: live');
  await shows(page, 'live');
  await cutOff(page);
  for (let i = 0; i < 3; i += 1) await post(remembering, 'past', `Bob: meanwhile ${i}`);
  await comeBack(page);
  await shows(page, 'You were away: 3 messages');
  await post(remembering, 'past', 'Bob: again live');
  await shows(page, 'again live');
  assert.deepEqual(await saidIn(page), [...first, 'live', 'You were away: 3 messages', 'meanwhile 0', 'meanwhile 1', 'meanwhile 2', 'again live']);
  // Nothing is counted twice: the position went on behind what was replayed.
  await cutOff(page);
  await comeBack(page);
  await shows(page, 'You were away. Nothing was said.');
  await page.close();
  await remembering.stop();
});

test('messages that are not kept any more are told to be missing', async () => {
  const forgetful = await rememberingServer(10);
  const page = await tab();
  await joinRoom(page, forgetful.http, 'short', 'Ada');
  await shows(page, 'You joined');
  await cutOff(page);
  for (let i = 0; i < 30; i += 1) await post(forgetful, 'short', `Bob: lost ${i}`);
  await comeBack(page);
  await shows(page, 'You were away, and messages are missing here.');
  await shows(page, 'lost 29');
  assert.equal(await log(page).getByText('lost 5', { exact: true }).count(), 0);
  await page.close();
  await forgetful.stop();
});

test('somebody who forges our joining does not put the past in a wrong place', async () => {
  const remembering = await rememberingServer();
  for (const text of ['Bob: one', 'Ada joined', 'Bob: two', 'Ada left']) await post(remembering, 'forged', text);
  const page = await tab();
  await joinRoom(page, remembering.http, 'forged', 'Ada');
  await shows(page, 'You joined');
  await post(remembering, 'forged', 'Ada joined');
  await post(remembering, 'forged', 'Bob: three');
  await shows(page, 'three');
  assert.deepEqual(await saidIn(page), ['one', 'two', 'three']);
  await page.close();
  await remembering.stop();
});

test('who reloads neither leaves nor comes for the others; who leaves is gone soon', async () => {
  const page = await tab();
  await joinRoom(page, server.http, 'reload', 'Ada');
  let bob = await speaker(server, 'reload', 'Bob');
  await shows(page, 'Bob joined');
  await page.evaluate(() => {
    globalThis.sizes = new Set();
    new MutationObserver(() => sizes.add(document.querySelectorAll('#members li').length)).observe(document.getElementById('members'), { childList: true });
  });
  bob.close(1000);
  await new Promise((resolve) => { bob.once('close', resolve); });
  bob = await speaker(server, 'reload', 'Bob');
  bob.send('back');
  await shows(page, 'back');
  assert.deepEqual(await page.evaluate(() => [...sizes].filter((size) => size !== 2)), []);
  assert.deepEqual(await log(page).locator('.event').allInnerTexts(), ['You joined', 'Bob joined']);
  bob.close(1000);
  await shows(page, 'Bob left');
  assert.equal(await page.locator('#members li').count(), 1);
  await page.close();
});

test('a flood is drawn a few times a second, ends where it ended, and can be read back', async () => {
  const page = await tab();
  await joinRoom(page, server.http, 'flood', 'Ada');
  const bob = await speaker(server, 'flood', 'Bob');
  await shows(page, 'Bob joined');
  await page.evaluate(() => {
    globalThis.draws = 0;
    const plain = append;
    append = (...all) => { draws += 1; plain(...all); };
  });
  const begun = Date.now();
  for (let i = 0; i < 3000; i += 1) {
    bob.send(`line ${i}`);
    if (i % 30 === 0) await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
  await shows(page, 'line 2999');
  const draws = await page.evaluate(() => draws);
  // Until the room is known to be busy it is drawn at once, and then at most ten times a second.
  assert.ok(draws < 40 + (Date.now() - begun) / 100, `${draws} times`);
  await page.waitForFunction(() => document.getElementById('log').childElementCount <= 51);
  // Far up it is made when it comes into sight.
  await log(page).evaluate((box) => { box.scrollTop = box.scrollHeight / 2; });
  await page.waitForFunction(() => {
    const box = document.getElementById('log').getBoundingClientRect();
    return document.elementFromPoint(box.left + 80, box.top + box.height / 2).closest('.said') !== null;
  });
  const shown = await log(page).locator('.words').allInnerTexts();
  const numbers = shown.map((text) => Number(text.slice(5)));
  assert.ok(numbers.every((number, i) => i === 0 || number > numbers[i - 1]), 'out of order');
  bob.close(1000);
  await page.close();
});

test('addresses are links, and nothing else is', async () => {
  const page = await tab();
  await joinRoom(page, server.http, 'links', 'Ada');
  const tries = [
    ['see https://example.org/a?b=c&d#e, and (http://example.org/x_(y)).', ['https://example.org/a?b=c&d#e', 'http://example.org/x_(y)']],
    ['javascript:alert(1) data:text/html,x ftp://example.org file:///etc/passwd', []],
    ['https://example.org/"onmouseover="alert(1)', ['https://example.org/']],
    ['<a href="javascript:1">https://</a> https://[ http://', []],
    ['HTTPS://EXAMPLE.ORG!', ['HTTPS://EXAMPLE.ORG']],
  ];
  for (const [text] of tries) await say(page, text);
  await page.locator('.said').nth(tries.length - 1).waitFor();
  for (const [index, [text, links]] of tries.entries()) {
    const words = page.locator('.said .words').nth(index);
    assert.equal(await words.innerText(), text);
    assert.deepEqual(await words.locator('a').allInnerTexts(), links);
  }
  const link = page.locator('.words a').first();
  assert.deepEqual(await link.evaluate((a) => [a.rel, a.target, a.href]), ['noopener noreferrer', '_blank', 'https://example.org/a?b=c&d#e']);
  await page.close();
});

test('names beside each other never share a colour', async () => {
  const page = await tab();
  await joinRoom(page, server.http, 'colours', 'Ada');
  const people = await Promise.all(Array.from({ length: 30 }, (_, i) => speaker(server, 'colours', `guest${i * 7}`)));
  await page.locator('#members li').nth(30).waitFor();
  for (let i = 0; i < 90; i += 1) people[(i * 11) % 30].send(`word ${i}`);
  await shows(page, 'word 89');
  const huesOf = (selector) => page.locator(selector).evaluateAll((all) => all.map((one) => one.style.getPropertyValue('--hue')));
  const seats = await huesOf('#ring .seat');
  assert.equal(seats.length, 31);
  seats.forEach((hue, i) => assert.notEqual(hue, seats[(i + 1) % seats.length], `seat ${i}`));
  const said = await page.locator('.said').evaluateAll((all) => all.map((one) => [one.querySelector('b').textContent, one.style.getPropertyValue('--hue')]));
  for (let i = 1; i < said.length; i += 1) {
    if (said[i][0] !== said[i - 1][0]) assert.notEqual(said[i][1], said[i - 1][1], `${said[i - 1]} beside ${said[i]}`);
  }
  people.forEach((ws) => ws.terminate());
  await page.close();
});

test('what a developer copies works, whatever the room is called', async () => {
  const page = await tab();
  const room = `it's; $(touch x) & 'more'`;
  await joinRoom(page, server.http, room, 'Ada');
  await page.getByText('From a program').click();
  const command = await page.locator('#way-say').innerText();
  const { stdout } = await promisify(execFile)('bash', ['-c', command]);
  assert.equal(JSON.parse(stdout).members, 1);
  await shows(page, 'hello');
  const ws = new WebSocket(await page.locator('#way-hear').innerText());
  const [hello] = await once(ws, 'message');
  assert.equal(JSON.parse(hello).room, room);
  ws.terminate();
  await page.close();
});

test('no tab complained', () => assert.deepEqual(complaints, []));
