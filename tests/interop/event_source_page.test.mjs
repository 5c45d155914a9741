// The browser's own EventSource, from a page of another origin, with WebSockets in the same room.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.mjs';
import { freePort, startServer } from './server.mjs';

const options = ['--history-messages', '50', '--shards', '2'];
let server;
let port;
let pages;
let browser;
before(async () => {
  port = await freePort();
  server = await startServer(options, { port });
  pages = http.createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end('<title>another origin</title>')).listen(0, '127.0.0.1');
  await once(pages, 'listening');
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  pages?.close();
  await server?.stop();
});

// What stands between a browser and a server on most ways, and ends connections when it likes.
async function proxyTo(target) {
  const open = new Set();
  const proxy = net.createServer((near) => {
    const far = net.connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => {}).on('close', () => { near.destroy(); far.destroy(); open.delete(socket); });
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const cut = () => { for (const socket of open) socket.destroy(); };
  return { url: `http://127.0.0.1:${proxy.address().port}`, cut, close: () => { proxy.close(); cut(); } };
}

test('a page hears history, comes back by itself, and misses nothing that is kept', async () => {
  const page = await browser.context.newPage();
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  const proxy = await proxyTo(port);
  const post = (body) => fetch(`${server.http}/rooms/page/messages`, { method: 'POST', body, headers: { 'Content-Type': 'text/plain' } });
  const heard = async (count) => {
    await page.waitForFunction((n) => window.heard.length === n, count, { timeout: 20_000 });
    return page.evaluate(() => window.heard);
  };
  await post('before');
  await page.evaluate((url) => {
    window.heard = [];
    window.source = new EventSource(url);
    window.source.onmessage = (e) => window.heard.push(e.data);
    window.source.addEventListener('joined', (e) => window.heard.push(JSON.parse(e.data).resumed ? 'resumed' : 'joined'));
  }, `${proxy.url}/broadcast/page?history=9`);
  await heard(2);
  await page.evaluate((url) => { window.ws = new WebSocket(url); window.ws.onopen = () => window.ws.send('live'); }, `${server.ws}/broadcast/page`);
  assert.deepEqual(await heard(3), ['joined', 'before', 'live']);
  // The connection is lost, and not the room.
  proxy.cut();
  await post('meanwhile');
  assert.deepEqual((await heard(5)).slice(3), ['resumed', 'meanwhile']);
  // The room is lost.
  await server.stop();
  server = await startServer(options, { port });
  await post('anew');
  assert.deepEqual((await heard(7)).slice(5), ['joined', 'anew']);
  await page.evaluate(() => window.source.close());
  await page.close();
  proxy.close();
});
