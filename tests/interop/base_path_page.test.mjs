// The server below a path, as a part of a site that nginx hands on as the README says: the page in Chromium, and every other way in.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { joinRoom, openBrowser } from './browser.mjs';
import { printed, put, startNginx } from './fronts.mjs';
import { freePort, runToEnd, startServer } from './server.mjs';

let server;
let front;
let browser;
let site;
before(async () => {
  const port = await freePort();
  const own = await freePort();
  site = `127.0.0.1:${port}`;
  server = await startServer(['--shards', '2', '--history-messages', '100', '--base-path', '/chat-server'], { port: own, ready: '/chat-server/health/ready' });
  const location = put(printed('nginx')[1], { '127.0.0.1:8080': `127.0.0.1:${own}` });
  front = await startNginx(`server { listen ${site}; location / { return 404 'of the site'; }\n${location} }`, port);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await front?.stop();
  assert.deepEqual(await server?.stop(), [0, null]);
});

test('two tabs talk, see the past and the members, and show links below the path', async () => {
  const [ada, bob] = [await browser.context.newPage(), await browser.context.newPage()];
  const asked = [];
  for (const page of [ada, bob]) {
    page.setDefaultTimeout(20_000);
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    page.on('websocket', (socket) => asked.push(new URL(socket.url()).pathname));
  }
  await joinRoom(ada, `http://${site}/chat-server`, 'below', 'Ada');
  await ada.getByLabel('Message', { exact: true }).fill('before Bob');
  await ada.keyboard.press('Enter');
  await ada.getByRole('log').getByText('before Bob', { exact: true }).first().waitFor();
  await joinRoom(bob, `http://${site}/chat-server`, 'below', 'Bob');
  await bob.getByRole('log').getByText('before Bob', { exact: true }).first().waitFor();
  await bob.getByLabel('Message', { exact: true }).fill('hello below');
  await bob.keyboard.press('Enter');
  await ada.getByRole('log').getByText('hello below', { exact: true }).first().waitFor();
  await ada.getByRole('list').getByText('Bob', { exact: true }).first().waitFor();
  assert.ok(asked.includes('/chat-server/chat/below') && asked.includes('/chat-server/rooms/below') && asked.includes('/chat-server/rooms/below/messages'), `${asked}`);
  assert.deepEqual(asked.filter((path) => !path.startsWith('/chat-server/')), []);
  assert.equal(await ada.locator('#way-hear').textContent(), `ws://${site}/chat-server/broadcast/below?seq=1`);
  assert.match(await ada.locator('#way-say').textContent(), new RegExp(`'http://${site}/chat-server/rooms/below/messages'$`));
  await ada.close();
  await bob.close();
});

test('every endpoint is below the path, and nothing beside it', async () => {
  for (const path of ['/', '/rooms', '/metrics', '/connections', '/health/live', '/health/ready']) {
    assert.equal((await fetch(`${server.http}/chat-server${path}`)).status, 200, path);
    assert.equal((await fetch(server.http + path)).status, 404, path);
  }
  const ws = new WebSocket(`ws://${site}/chat-server/echo`);
  await once(ws, 'open');
  ws.send('echo');
  assert.equal(String((await once(ws, 'message'))[0]), 'echo');
  ws.terminate();
  const said = await fetch(`${server.http}/chat-server/rooms/below/messages`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: 'x' });
  assert.equal(said.status, 200);
});

test('the path without its slash leads to the page, with what was asked besides', async () => {
  for (const query of ['', '?token=a.b.c']) {
    const answer = await fetch(`${server.http}/chat-server${query}`, { redirect: 'manual' });
    assert.deepEqual([answer.status, answer.headers.get('location')], [308, `/chat-server/${query}`]);
  }
});

test('what cannot be a base path is refused in one sentence', async () => {
  for (const path of ['/', 'chat', '/chat/', '/a//b', '/../b', '/{room}', '/a*', '/a b', '/a?b', `/${'a'.repeat(200)}`]) {
    const { status, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--shards', '1', '--base-path', path]);
    assert.equal(status, 2, `${path}: ${stderr}`);
    assert.match(stderr, /^--base-path: '.*' is no path to stand below; allowed: \/chat-server/);
  }
});
