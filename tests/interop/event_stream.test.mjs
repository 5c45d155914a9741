// Server-sent events with clients that nobody here wrote: the npm package eventsource, curl -N, and plain TCP.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';
import { Raw } from './raw.mjs';
import { freePort, startServer } from './server.mjs';

const options = ['--history-messages', '50', '--shards', '2', '--ping-interval-s', '1'];
let server;
before(async () => { server = await startServer(options); });
after(() => server?.stop());

const post = async (room, body, type = 'text/plain', to = server) =>
  (await fetch(`${to.http}/rooms/${room}/messages`, { method: 'POST', body, headers: { 'Content-Type': type } })).json();

async function until(what, ready) {
  for (const deadline = Date.now() + 15_000; !ready();) {
    assert.ok(Date.now() < deadline, `waited for ${what}`);
    await sleep(10);
  }
}

// All that an EventSource hears, in order: [name, data, last event id].
function listen(url) {
  const source = new EventSource(url);
  const heard = [];
  for (const name of ['message', 'binary', 'joined', 'gap', 'close']) source.addEventListener(name, (e) => heard.push([name, e.data, e.lastEventId]));
  return { source, heard, of: (name) => heard.filter(([n]) => n === name) };
}

test('history first, then what is said, text and bytes, beside WebSockets', async () => {
  for (let i = 1; i <= 5; ++i) await post('both', `line ${i}\nand more`);
  const { source, heard, of } = listen(`${server.http}/broadcast/both?history=2`);
  await until('the history', () => of('message').length === 2);
  const ws = new WebSocket(`${server.ws}/broadcast/both`);
  await once(ws, 'open');
  ws.send('hi');
  ws.send(Buffer.from([0, 255]));
  await until('what was said', () => of('binary').length === 1);
  const { epoch } = JSON.parse(of('joined')[0][1]);
  assert.deepEqual(heard.map(([name, data, id]) => [name, name === 'joined' ? JSON.parse(data).seq : data, id]), [
    ['joined', 5, `${epoch}:3`],
    ['message', 'line 4\nand more', `${epoch}:4`], ['message', 'line 5\nand more', `${epoch}:5`],
    ['message', 'hi', `${epoch}:6`], ['binary', Buffer.from([0, 255]).toString('base64'), `${epoch}:7`],
  ]);
  source.close();
  ws.close();
});

test('a hundred streams hear a thousand messages each, in order', async () => {
  const streams = Array.from({ length: 100 }, () => listen(`${server.http}/broadcast/many`));
  await until('all of them', () => streams.every(({ of }) => of('joined').length === 1));
  const ws = new WebSocket(`${server.ws}/broadcast/many`);
  await once(ws, 'open');
  for (let i = 1; i <= 1000; ++i) ws.send(`m${i}`);
  await until('all messages', () => streams.every(({ of }) => of('message').length >= 1000));
  for (const { of, source } of streams) {
    assert.deepEqual(of('message').map(([, data]) => data), Array.from({ length: 1000 }, (_, i) => `m${i + 1}`));
    assert.deepEqual(of('message').map(([, , id]) => Number(id.split(':')[1])), Array.from({ length: 1000 }, (_, i) => i + 1));
    source.close();
  }
  ws.close();
});

test('it comes back by itself with what it has heard, and after a restart it is told', async () => {
  const port = await freePort();
  let own = await startServer(options, { port });
  const { source, of } = listen(`${own.http}/broadcast/again?history=10`);
  await until('it is there', () => of('joined').length === 1);
  await post('again', 'one', 'text/plain', own);
  await until('one', () => of('message').length === 1);
  await own.stop();
  await until('the reason', () => of('close').length === 1);
  assert.equal(JSON.parse(of('close')[0][1]).code, 1001);
  own = await startServer(options, { port });
  await post('again', 'two', 'text/plain', own);
  await until('two', () => of('message').length === 2);
  const [before, behind] = of('joined').map(([, data]) => JSON.parse(data));
  assert.notEqual(before.epoch, behind.epoch);
  assert.equal(behind.resumed, false);
  source.close();
  await own.stop();
});

test('Last-Event-ID goes in front of ?since=, and what is no position is refused in words', async () => {
  const last = await post('id', 'a');
  await post('id', 'b');
  const open = async (headers, query = '') => {
    const raw = await Raw.to(server.port);
    raw.write(`GET /broadcast/id${query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n${headers}\r\n`);
    const body = await raw.until('an event or an answer', () => (raw.bytes.includes('\n\n\r\n') || raw.bytes.includes('}') ? raw.bytes.toString() : undefined));
    raw.socket.destroy();
    return body;
  };
  assert.match(await open(`Last-Event-ID: ${last.epoch}:1\r\n`, `?since=${last.epoch}:0`), /id: [0-9a-f]+:1\nevent: joined\ndata: .*"resumed":true/);
  assert.match(await open('', `?since=${last.epoch}:0`), /id: [0-9a-f]+:0\nevent: joined\ndata: .*"resumed":true/);
  assert.match(await open(`Last-Event-ID: ${last.epoch}:99\r\n`), /"resumed":false/);
  for (const wrong of ['x', `${last.epoch}:-1`, 'a'.repeat(4000)]) assert.match(await open(`Last-Event-ID: ${wrong}\r\n`), /^HTTP\/1.1 400[^]*position/);
  assert.match(await open('', '?history=x'), /^HTTP\/1.1 400/);
});

test('curl -N hears it line by line, and comments keep it awake', async () => {
  const curl = spawn('curl', ['-sN', '--max-time', '20', '-H', 'Accept: text/event-stream', `${server.http}/broadcast/curl`]);
  let out = '';
  curl.stdout.setEncoding('utf8').on('data', (text) => { out += text; });
  await until('the stream', () => out.includes('event: joined'));
  await post('curl', 'to curl');
  await until('the message', () => out.includes('data: to curl\n\n'));
  await until('two comments', () => out.split('\n:\n').length > 2);
  curl.kill('SIGTERM');
  await once(curl, 'close');
});

test('each policy tells a stream what it took, or ends it', async () => {
  for (const policy of ['drop-oldest', 'drop-newest', 'latest', 'close']) {
    const own = await startServer(['--shards', '1', '--slow-consumer', policy, '--send-queue-bytes', '65536']);
    const raw = await Raw.to(own.port);
    raw.write('GET /broadcast/slow HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n');
    await raw.until('the stream', () => (raw.bytes.includes('event: joined') ? true : undefined));
    raw.socket.pause();
    const body = 'x'.repeat(60_000);
    let report;
    for (let i = 0; i < 2000; ++i) {
      report = await post('slow', body, 'text/plain', own);
      if (report.dropped > 0 || report.conflated > 0) break;
    }
    assert.ok(report.dropped > 0 || report.conflated > 0, `${policy}: ${JSON.stringify(report)}`);
    raw.socket.resume();
    if (policy === 'close') {
      await raw.until('the reason', () => (raw.bytes.includes('"code":1013') || raw.ended ? true : undefined)).catch(() => {});
    } else {
      await raw.until('the gap', () => (/event: gap\ndata: \{"from":\d+,"to":\d+\}/.test(raw.bytes.toString('latin1')) ? true : undefined));
    }
    raw.socket.destroy();
    await own.stop();
  }
});
