// --webhook-url: what the application is told, checked by node's crypto; retries, what is dropped, and what is left when the server ends.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { freePort, runToEnd, startServer } from './server.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-webhooks-'));
after(() => rmSync(folder, { recursive: true }));
const secret = crypto.randomBytes(48).toString('base64');
const keyFile = path.join(folder, 'key');
writeFileSync(keyFile, `${secret}\n`);

// As the README says it is done.
function verify(headers, body, key = secret) {
  const timestamp = headers['ringcast-timestamp'];
  const wanted = `v1=${crypto.createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex')}`;
  return Math.abs(Date.now() / 1000 - timestamp) < 300 && crypto.timingSafeEqual(Buffer.from(wanted), Buffer.from(headers['ringcast-signature']));
}

// The application. `answer(number of the request)` says with which status it answers; only what it answers with 200 counts as taken.
async function startApplication(answer = () => 200, port = 0) {
  const application = { events: [], batches: [], requests: 0, answer };
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    assert.ok(verify(request.headers, body));
    assert.ok(!verify(request.headers, body, 'another key'));
    assert.ok(!verify({ ...request.headers, 'ringcast-timestamp': `${Number(request.headers['ringcast-timestamp']) - 1}` }, body));
    const status = await application.answer(++application.requests);
    if (status === 'die') return response.destroy();
    if (status === 200) {
      application.batches.push(JSON.parse(body));
      application.events.push(...application.batches.at(-1));
    }
    response.statusCode = status;
    return response.end();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  application.port = server.address().port;
  application.url = `http://127.0.0.1:${application.port}/hooks`;
  application.stop = async () => { server.closeAllConnections(); server.close(); await once(server, 'close'); };
  return application;
}

async function startTelling(url, args = [], { delay = '20ms' } = {}) {
  const server = await startServer(['--shards', '2', '--webhook-url', url, '--webhook-key-file', keyFile, '--webhook-delay', delay, ...args]);
  server.numbers = async () => {
    const text = await (await fetch(`${server.http}/metrics`)).text();
    const found = [...text.matchAll(/^ringcast_webhook_(\w+?)(?:_total)? (\d+)$/gm)].map(([, name, count]) => [name, Number(count)]);
    return Object.fromEntries(found);
  };
  return server;
}

async function connect(server, target) {
  const ws = new WebSocket(`${server.ws}${target}`);
  await once(ws, 'open');
  return ws;
}
async function close(...all) {
  for (const ws of all) {
    const closed = once(ws, 'close');
    ws.close(1000);
    await closed;
  }
}
async function until(holds) {
  const deadline = Date.now() + 15_000;
  while (!await holds()) {
    assert.ok(Date.now() < deadline, 'it did not happen');
    await sleep(5);
  }
}
const short = ({ event, room, user, code }) => [event, room, user, code].filter((each) => each !== undefined).join(' ');
// Each id once, and its number one more than the one before.
function assertWhole(events, from = 1) {
  const ids = events.map(({ id }) => id.split('-'));
  assert.equal(new Set(ids.map(([epoch]) => epoch)).size, 1);
  assert.deepEqual(ids.map(([, number]) => Number(number)), ids.map((_, i) => i + from));
}

test('rooms, users and connections are told in their order, each change once', async () => {
  const application = await startApplication();
  const server = await startTelling(application.url);
  const began = Date.now();
  const one = await connect(server, '/broadcast/a?user=alice');
  await until(() => application.events.length === 2);
  const two = await connect(server, '/broadcast/a?user=alice');
  const three = await connect(server, '/chat/a?name=n');
  const echo = await connect(server, '/echo');
  await close(echo, one, two, three);
  await until(() => application.events.length === 8);
  assert.deepEqual(application.events.map(short), ['room_occupied a', 'user_joined a alice', 'connection_closed 1000', 'connection_closed a alice 1000',
    'user_left a alice', 'connection_closed a alice 1000', 'room_vacated a', 'connection_closed a 1000']);
  assertWhole(application.events);
  for (const { time } of application.events) assert.ok(time >= began && time <= Date.now());
  const gone = application.events.filter(({ event }) => event === 'connection_closed');
  assert.equal(new Set(gone.map(({ connection }) => connection)).size, 4);
  for (const { connection, address } of gone.slice(1)) {
    assert.match(connection, /^[0-9a-f]{16}$/);
    assert.match(address, /^127\.0\.0\.1:\d+$/);
  }
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
});

test('only the events that are asked for are told, in batches', async () => {
  const application = await startApplication();
  const server = await startTelling(application.url, ['--webhook-events', 'room_occupied', '--webhook-events', 'room_vacated', '--webhook-batch', '10']);
  const all = await Promise.all(Array.from({ length: 25 }, (_, i) => connect(server, `/broadcast/r${i}?user=u`)));
  await close(...all);
  await until(() => application.events.length === 50);
  assert.deepEqual([...new Set(application.events.map(({ event }) => event))].sort(), ['room_occupied', 'room_vacated']);
  assert.ok(application.batches.every((batch) => batch.length <= 10));
  assert.ok(application.batches.length < 50);
  assertWhole(application.events);
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
});

test('what is not taken is sent again, and nothing is lost, doubled or in another order', async () => {
  const ways = [500, 'die', 302, 404, 503, 200];
  const application = await startApplication((request) => ways[(request - 1) % ways.length]);
  const server = await startTelling(application.url, ['--webhook-batch', '5']);
  for (let i = 0; i < 4; ++i) await close(await connect(server, `/broadcast/r${i}?user=u`));
  application.answer = (request) => (request < 6 ? ways[request - 1] : 200);
  await until(() => application.events.length === 20);
  assertWhole(application.events);
  const numbers = await server.numbers();
  assert.equal(numbers.events_delivered, 20);
  // What died on a kept connection was asked again at once.
  assert.equal(numbers.failures, 4);
  assert.equal(application.requests, application.batches.length + 5);
  assert.equal(numbers.events_dropped, 0);
  assert.deepEqual(await server.stop(), [0, null]);
  assert.match(server.stderr(), /a webhook was not taken, and is sent again: status 500/);
  await application.stop();
});

test('an application that is not there yet is told when it is', async () => {
  const port = await freePort();
  const server = await startTelling(`http://127.0.0.1:${port}/hooks`);
  await close(await connect(server, '/broadcast/a?user=u'));
  await until(async () => (await server.numbers()).failures >= 2);
  const application = await startApplication(() => 200, port);
  await until(() => application.events.length === 5);
  assertWhole(application.events);
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
});

test('beyond the bound the newest are dropped, counted, and told in their place', async () => {
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const application = await startApplication(async () => { await released; return 200; });
  const server = await startTelling(application.url, ['--webhook-queue', '20', '--webhook-batch', '10', '--webhook-timeout', '60s', '--webhook-events', 'connection_closed']);
  await close(await connect(server, '/echo'));
  await until(() => application.requests === 1); // one event is on its way
  for (let i = 0; i < 30; ++i) await close(await connect(server, '/echo'));
  await until(async () => (await server.numbers()).events_dropped === 11);
  assert.equal((await server.numbers()).events_queued, 19);
  release();
  await until(() => application.events.length === 21);
  assert.deepEqual(application.events.map(({ event }) => event), [...Array(20).fill('connection_closed'), 'events_dropped']);
  assert.equal(application.events[20].count, 11);
  assertWhole(application.events.slice(0, 20));
  assertWhole(application.events.slice(20), 32);
  await close(await connect(server, '/echo'));
  await until(() => application.events.length === 22);
  assertWhole(application.events.slice(21), 33);
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
});

test('what is queued when the server ends is delivered first, and an end does not wait for an application that is down', async () => {
  const application = await startApplication((request) => (request === 1 ? 500 : 200));
  const server = await startTelling(application.url, [], { delay: '60s' });
  const all = await Promise.all(Array.from({ length: 10 }, (_, i) => connect(server, `/broadcast/r${i}`)));
  assert.equal(application.requests, 0);
  assert.deepEqual(await server.stop(), [0, null]);
  assert.equal(application.events.length, 30);
  assertWhole(application.events);
  assert.ok(application.events.filter(({ event, code }) => event === 'connection_closed' && code === 1001).length === 10);
  for (const ws of all) ws.terminate();

  application.answer = () => new Promise(() => {}); // hangs
  const hanging = await startTelling(application.url, ['--webhook-timeout', '60s', '--close-timeout-s', '1']);
  const last = await connect(hanging, '/broadcast/a');
  const began = Date.now();
  assert.deepEqual(await hanging.stop(), [0, null]);
  assert.ok(Date.now() - began < 9_000);
  assert.match(hanging.stderr(), /3 events of webhooks were not taken when the server ended/);
  last.terminate();
  await application.stop();
});

test('SIGHUP reads the key again, and options that cannot be are refused at the start', async () => {
  const application = await startApplication();
  const server = await startTelling(application.url);
  writeFileSync(keyFile, 'short');
  server.child.kill('SIGHUP');
  await until(() => /the key of webhooks stays as it was/.test(server.stderr()));
  writeFileSync(keyFile, `${secret}\n`);
  server.child.kill('SIGHUP');
  await until(() => /the key of webhooks was read again/.test(server.stderr()));
  await close(await connect(server, '/echo'));
  await until(() => application.events.length === 1);
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
  const short = path.join(folder, 'short');
  writeFileSync(short, 'short');
  for (const [args, why] of [[['--webhook-url', 'http://localhost/'], /given together/], [['--webhook-key-file', keyFile], /given together/],
    [['--webhook-url', 'http://localhost/', '--webhook-key-file', short], /too short/],
    [['--webhook-url', 'http://localhost/', '--webhook-key-file', '/nowhere'], /nowhere/],
    [['--webhook-url', 'ftp://localhost/', '--webhook-key-file', keyFile], /--webhook-url: /],
    [['--webhook-url', 'http://localhost/', '--webhook-key-file', keyFile, '--webhook-events', 'everything'], /room_occupied/]]) {
    const { status, stderr } = await runToEnd(['--listen', '127.0.0.1:0', ...args]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, why);
  }
});
