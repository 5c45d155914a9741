// The page over https:// in headless Chromium: its WebSocket is then wss://, and the browser's own TLS (BoringSSL) is the other end.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { joinRoom, openBrowser } from './browser.mjs';
import { key, makeSelfSigned, pem } from './certificates.mjs';
import { freePort, startServer } from './server.mjs';

makeSelfSigned('server');

let server;
let https;
let browser;
before(async () => {
  const port = await freePort();
  https = `https://localhost:${port}`;
  server = await startServer(['--shards', '2', '--listen-tls', `127.0.0.1:${port}`, '--tls-cert', pem('server'), '--tls-key', key('server')]);
  browser = await openBrowser({ ignoreHTTPSErrors: true });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('two tabs talk over wss', async () => {
  const [ada, bob] = [await browser.context.newPage(), await browser.context.newPage()];
  const sockets = [];
  ada.on('websocket', (socket) => sockets.push(socket.url()));
  for (const page of [ada, bob]) page.setDefaultTimeout(15_000);
  await joinRoom(ada, https, 'secure', 'Ada');
  await joinRoom(bob, https, 'secure', 'Bob');
  await bob.getByLabel('Message', { exact: true }).fill('hello in TLS');
  await bob.keyboard.press('Enter');
  for (const page of [ada, bob]) await page.getByRole('log').getByText('hello in TLS', { exact: true }).first().waitFor();
  assert.ok(sockets.length > 0 && sockets.every((url) => url.startsWith(https.replace('https', 'wss'))), `${sockets}`);
  await ada.close();
  await bob.close();
});

test('echo of every size over wss, from a page', async () => {
  const page = await browser.context.newPage();
  await page.goto(`${https}/`);
  const wrong = await page.evaluate(async () => {
    const socket = new WebSocket(`wss://${location.host}/echo`);
    socket.binaryType = 'arraybuffer';
    await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error('not open')); });
    const answer = () => new Promise((resolve) => { socket.onmessage = ({ data }) => resolve(data); });
    const failures = [];
    for (const size of [0, 1, 125, 126, 16384, 65535, 65536, 1 << 20]) {
      const text = 'ü'.repeat(size / 2);
      let heard = answer();
      socket.send(text);
      if (await heard !== text) failures.push(`text of ${size}`);
      const bytes = new Uint8Array(size).fill(195);
      heard = answer();
      socket.send(bytes);
      const back = new Uint8Array(await heard);
      if (back.length !== size || back.some((byte) => byte !== 195)) failures.push(`binary of ${size}`);
    }
    const closed = new Promise((resolve) => { socket.onclose = resolve; });
    socket.close(4001, 'done');
    const { code, wasClean } = await closed;
    if (code !== 4001 || !wasClean) failures.push(`closed with ${code}`);
    return failures;
  });
  assert.deepEqual(wrong, []);
  await page.close();
});
