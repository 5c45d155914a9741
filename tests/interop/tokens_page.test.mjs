// Tokens in Chromium: the page of GET / with ?token=, and a WebSocket with a token among its subprotocols.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.mjs';
import { startServer } from './server.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-tokens-page-'));
const secret = crypto.randomBytes(48).toString('base64');
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
function token(claims) {
  const text = `${part({ alg: 'HS256' })}.${part(claims)}`;
  return `${text}.${crypto.createHmac('sha256', secret).update(text).digest('base64url')}`;
}
const good = (sub) => token({ sub, rooms: ['lobby'], publish: ['lobby'] });

let server;
let browser;
before(async () => {
  writeFileSync(path.join(folder, 'secret'), secret);
  server = await startServer(['--shards', '2', '--history-messages', '10', '--jwt-hs256-key-file', path.join(folder, 'secret'), '--admin-listen', '127.0.0.1:0']);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

test('the page joins, remembers and knows its members with ?token=, and shares a link without it', async () => {
  for (const name of ['Ada', 'Bob']) {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(15_000);
    await page.goto(`${server.http}/?token=${good(name)}#lobby`);
    // Nobody can be called otherwise than the token says.
    assert.equal(await page.getByLabel('Your name').inputValue(), name);
    assert.equal(await page.getByLabel('Your name').isEditable(), false);
    await page.getByRole('button', { name: 'Join' }).click();
    await page.getByRole('log').waitFor();
    await page.getByLabel('Message', { exact: true }).fill(`hello from ${name}`);
    await page.keyboard.press('Enter');
    for (const said of name === 'Bob' ? ['hello from Ada', 'hello from Bob'] : ['hello from Ada']) {
      await page.getByRole('log').getByText(said, { exact: true }).first().waitFor();
    }
    await page.locator('#members li').first().waitFor();
    if (name === 'Ada') continue;
    await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.locator('#share').click();
    await page.getByText('Copied', { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${server.http}/#lobby`);
  }
});

test('a browser takes the subprotocol that it is answered, and is told when it has to come back', async () => {
  const page = await browser.context.newPage();
  await page.goto(server.http);
  const talk = (text) => page.evaluate(([address, bearer]) => new Promise((resolve) => {
    const ws = new WebSocket(address, ['ringcast.v1', `bearer.${bearer}`]);
    const heard = { protocol: null, first: null };
    ws.onopen = () => { heard.protocol = ws.protocol; };
    ws.onmessage = ({ data }) => { heard.first ??= data; };
    ws.onclose = ({ code, reason }) => resolve({ ...heard, code, reason });
  }), [`${server.ws}/broadcast/lobby`, text]);
  // Past its time, and within the skew of 30 s: it comes in, for a moment.
  const heard = await talk(token({ sub: 'ada', rooms: ['lobby'], exp: Math.floor(Date.now() / 1000) - 27 }));
  assert.equal(heard.protocol, 'ringcast.v1');
  assert.equal(JSON.parse(heard.first).room, 'lobby');
  assert.deepEqual([heard.code, heard.reason], [4001, 'the token has expired']);
  assert.deepEqual(await talk('garbage'), { protocol: null, first: null, code: 1006, reason: '' });
});
