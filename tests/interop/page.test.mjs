// The page of GET / in headless Chromium: two tabs in one room, and what can go wrong for a person who uses it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
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
  await composer(page).focus();
  await page.keyboard.press('Enter');
  await shows(page, 'kept');
  await page.close();
  await second.stop();
  for (let index = complaints.length - 1; index >= 0; index -= 1) {
    if (/ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection to/.test(complaints[index])) complaints.splice(index, 1);
  }
});

test('no tab complained', () => assert.deepEqual(complaints, []));
