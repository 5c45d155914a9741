// --authorize-url: node's own servers as the application, which permits, refuses, hangs, answers garbage and dies; what is kept, and what is asked once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { identity, makeAuthority, makeCertificate, pem } from './certificates.mjs';
import { freePort, runToEnd, startServer } from './server.mjs';

const everything = { user: 'alice', rooms: ['*'], publish: ['*'] };
const now = () => Math.floor(Date.now() / 1000);

// The application: `answer(question, response)` decides, and what it was asked is kept.
async function startApplication(answer, { tls } = {}) {
  const questions = [];
  const serve = async (request, response) => {
    const parts = await request.toArray();
    assert.equal(request.method, 'POST');
    assert.equal(request.headers['content-type'], 'application/json');
    const question = JSON.parse(Buffer.concat(parts));
    questions.push(question);
    await application.answer(question, response);
  };
  const server = tls ? https.createServer(tls, serve) : http.createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const application = {
    answer, questions, server,
    url: `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${server.address().port}/authorize?v=1`,
    async stop() { server.closeAllConnections(); server.close(); await once(server, 'close'); },
  };
  return application;
}
const say = (status, body) => (question, response) => {
  response.statusCode = status;
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

async function startAsking(application, args = []) {
  const adminPort = await freePort();
  const server = await startServer(['--shards', '2', '--history-messages', '10', '--admin-listen', `127.0.0.1:${adminPort}`,
    '--authorize-url', application.url ?? application, ...args]);
  server.admin = `http://127.0.0.1:${adminPort}`;
  server.numbers = async () => {
    const text = await (await fetch(`${server.admin}/metrics`)).text();
    const results = [...text.matchAll(/^ringcast_authorize_results_total\{result="(\w+)"\} (\d+)$/gm)].map(([, name, count]) => [name, Number(count)]);
    const one = (name) => Number(text.match(new RegExp(`^ringcast_authorize_${name}_total (\\d+)$`, 'm'))[1]);
    return { ...Object.fromEntries(results), questions: one('questions'), cached: one('cached') };
  };
  return server;
}

// Answers the WebSocket once it is open, or {status, challenge, error} of a refusal.
function connect(server, target, { protocols = [], headers = {} } = {}) {
  const ws = new WebSocket(`${server.ws}${target}`, protocols, { headers });
  ws.texts = [];
  ws.on('message', (data, binary) => ws.texts.push(binary ? data : data.toString()));
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve(ws));
    ws.on('unexpected-response', async (request, answer) => {
      const parts = await answer.toArray();
      resolve({ status: answer.statusCode, challenge: answer.headers['www-authenticate'], error: JSON.parse(Buffer.concat(parts)).error });
      request.destroy();
    });
    ws.on('error', reject);
  });
}
async function close(...all) {
  for (const ws of all) {
    if (!(ws instanceof WebSocket) || ws.readyState === WebSocket.CLOSED) continue;
    const closed = once(ws, 'close');
    ws.close(1000);
    await closed;
  }
}
async function until(holds) {
  const deadline = Date.now() + 10_000;
  while (!await holds()) {
    assert.ok(Date.now() < deadline, 'it did not happen');
    await sleep(5);
  }
}
const statusOf = (said) => (said instanceof WebSocket ? 101 : said.status);

test('the application is asked with what matters, and what it permits holds', async () => {
  const application = await startApplication(say(200, { user: 'bob', rooms: ['a', 'b*'], publish: ['a'] }));
  const server = await startAsking(application);
  const all = [
    await connect(server, '/broadcast/a?token=secret-1&name=n&user=somebody', { headers: { Cookie: 'session=1', Origin: 'http://page.test' } }),
    await connect(server, '/broadcast/bb', { protocols: ['ringcast.v1', 'bearer.secret-2'] }),
    await connect(server, '/broadcast/c', { headers: { Authorization: 'Basic dTpw' } }),
    await connect(server, '/chat/a?name=n', { headers: { Authorization: 'Bearer secret-3' } }),
    await connect(server, '/echo'),
  ];
  assert.deepEqual(all.map(statusOf), [101, 101, 403, 101, 101]);
  assert.match(all[2].error, /room/);
  const asked = application.questions.map(({ address, ...rest }) => {
    assert.match(address, /^127\.0\.0\.1:\d+$/);
    return rest;
  });
  assert.deepEqual(asked[0], { wants: 'join', method: 'GET', path: '/broadcast/a', room: 'a', name: 'n', user: 'somebody', token: 'secret-1',
    headers: { cookie: 'session=1', origin: 'http://page.test' } });
  assert.equal(asked[1].token, 'secret-2');
  assert.deepEqual(asked[2].headers, { authorization: 'Basic dTpw' });
  assert.equal(asked[3].token, 'secret-3');
  assert.deepEqual(asked[4], { wants: 'connect', method: 'GET', path: '/echo', headers: {} });
  // The user is the application's word, not the address's.
  const room = await (await fetch(`${server.http}/rooms/a`)).json();
  assert.deepEqual(room.users, [{ user: 'bob', connections: 2 }]);
  // It may publish in a, and not in bb.
  all[0].send('hello');
  await until(() => all[0].texts.includes('hello'));
  const closed = once(all[1], 'close');
  all[1].send('hello');
  assert.equal((await closed)[0], 1008);
  // Reading and event streams are asked about, too.
  assert.equal((await fetch(`${server.http}/rooms/c/messages`)).status, 403);
  const stream = await fetch(`${server.http}/broadcast/a`, { headers: { Accept: 'text/event-stream' } });
  assert.equal(stream.status, 200);
  await stream.body.cancel();
  // Who runs the server is not asked about, a page of another site in their browser is.
  const publish = (headers) => fetch(`${server.admin}/rooms/a/messages`, { method: 'POST', body: 'x', headers });
  const before = application.questions.length;
  assert.equal((await publish({})).status, 200);
  assert.equal((await publish({ Origin: 'http://evil.test' })).status, 403);
  assert.equal(application.questions.length, before);
  await close(...all);
  assert.deepEqual(await server.stop(), [0, null]);
  for (const secret of ['secret-', 'dTpw', 'session=1']) assert.ok(!server.stderr().includes(secret), secret);
  await application.stop();
});

test('a refusal has the status of the application, is counted, logged, and kept for a second only', async () => {
  const application = await startApplication(say(403, 'no'));
  const server = await startAsking(application);
  assert.equal(statusOf(await connect(server, '/broadcast/a?token=x')), 403);
  assert.equal(statusOf(await connect(server, '/broadcast/a?token=x')), 403);
  assert.equal(application.questions.length, 1);
  application.answer = say(401, 'who');
  const unknown = await connect(server, '/broadcast/a?token=y');
  assert.equal(unknown.status, 401);
  assert.equal(unknown.challenge, 'Bearer realm="ringcast"');
  const read = await fetch(`${server.http}/rooms/a?token=y`);
  assert.equal(read.status, 401);
  assert.equal(read.headers.get('www-authenticate'), 'Bearer realm="ringcast"');
  const numbers = await server.numbers();
  assert.deepEqual([numbers.refused, numbers.permitted, numbers.questions, numbers.cached], [4, 0, 3, 1]);
  application.answer = say(200, everything);
  await until(async () => {
    const said = await connect(server, '/broadcast/a?token=x');
    await close(said);
    return statusOf(said) === 101;
  });
  assert.deepEqual(await server.stop(), [0, null]);
  assert.match(server.stderr(), /refused 127\.0\.0\.1:\d+: endpoint/);
  await application.stop();
});

test('an answer is kept for the same question, until it expires, and SIGHUP forgets it', async () => {
  const application = await startApplication(say(200, everything));
  const server = await startAsking(application);
  for (let i = 0; i < 5; ++i) await close(await connect(server, `/broadcast/a?token=x&since=${'0'.repeat(16)}:${i}`)); // not what it is asked
  assert.equal(application.questions.length, 1);
  await close(await connect(server, '/broadcast/b?token=x')); // another room
  await close(await connect(server, '/broadcast/a?token=y')); // another token
  assert.equal(application.questions.length, 3);
  await close(await connect(server, '/echo'));
  await close(await connect(server, '/echo')); // nobody, from one address
  assert.equal(application.questions.length, 4);
  const numbers = await server.numbers();
  assert.deepEqual([numbers.permitted, numbers.questions, numbers.cached], [9, 4, 5]);
  server.child.kill('SIGHUP');
  await until(() => /SIGHUP: no option has changed/.test(server.stderr()));
  await until(async () => {
    await close(await connect(server, '/broadcast/a?token=x'));
    return application.questions.length === 5;
  });
  application.answer = say(200, { ...everything, expires: now() + 2 });
  const soon = await connect(server, '/broadcast/a?token=z');
  const [code] = await once(soon, 'close');
  assert.equal(code, 4001);
  application.answer = say(200, { ...everything, expires: now() - 1 });
  assert.equal(statusOf(await connect(server, '/broadcast/a?token=z')), 401);
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
});

test('many with the same token at once ask once, on both shards', async () => {
  let release;
  const decided = new Promise((resolve) => { release = resolve; });
  const application = await startApplication(async (question, response) => { await decided; say(200, everything)(question, response); });
  const server = await startAsking(application);
  const connecting = Array.from({ length: 100 }, () => connect(server, '/broadcast/a?token=x'));
  await until(async () => /ringcast_connections\{kind="http"\} 1\d\d/.test(await (await fetch(`${server.admin}/metrics`)).text()));
  release();
  const all = await Promise.all(connecting);
  assert.ok(all.every((ws) => ws instanceof WebSocket));
  assert.equal(application.questions.length, 1);
  const numbers = await server.numbers();
  assert.deepEqual([numbers.permitted, numbers.questions], [100, 1]);
  await close(...all);
  assert.deepEqual(await server.stop(), [0, null]);
  await application.stop();
});

test('beyond the bound of waiting requests is 503, peers that vanish leave nothing, and a stop does not wait', async () => {
  const application = await startApplication(() => {}); // hangs
  const server = await startAsking(application, ['--authorize-waiting', '10', '--authorize-timeout', '60s']);
  const sockets = [];
  for (let i = 0; i < 10; ++i) {
    const socket = net.connect(server.port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write(`GET /broadcast/a?token=${i} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  }
  await until(() => application.questions.length === 10);
  const beyond = await connect(server, '/broadcast/a?token=beyond');
  assert.equal(beyond.status, 503);
  assert.equal((await server.numbers()).busy, 1);
  for (const socket of sockets.splice(5)) socket.resetAndDestroy();
  const answers = sockets.map((socket) => new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => { text += part; }).on('close', () => resolve(text));
  }));
  const began = Date.now();
  assert.deepEqual(await server.stop(), [0, null]);
  assert.ok(Date.now() - began < 9_000);
  for (const text of await Promise.all(answers)) assert.match(text, /^HTTP\/1\.1 503 .*the server is going away/s);
  await application.stop();
});

test('an application that hangs, dies, or answers what cannot be read is down, and the setting says what follows', async () => {
  const huge = JSON.stringify({ ...everything, more: 'x'.repeat(100_000) });
  const ways = [
    () => {}, // hangs
    (question, response) => response.destroy(),
    (question, response) => { response.writeHead(200, { 'Content-Length': 100 }); response.write('{"user'); response.destroy(); },
    (question, response) => response.socket.end('garbage\r\n\r\n'),
    say(200, 'not JSON'), say(200, '[]'), say(200, '"alice"'), say(200, ''), say(200, '{"user":"a","user":"b"}'), say(200, huge),
    say(200, { user: 7 }), say(200, { user: 'x'.repeat(65) }), say(200, { rooms: 'all' }), say(200, { rooms: [1] }), say(200, { expires: 'soon' }),
    say(204, ''), say(302, ''), say(404, 'no'), say(500, 'oops'), say(503, 'later'),
  ];
  const application = await startApplication(ways[0]);
  const [refusing, allowing] = [await startAsking(application, ['--authorize-timeout', '200ms']),
    await startAsking(application, ['--authorize-timeout', '200ms', '--authorize-when-down', 'allow'])];
  for (const [i, way] of ways.entries()) {
    application.answer = way;
    const refused = await connect(refusing, `/broadcast/a?token=${i}`);
    assert.deepEqual([i, refused.status, refused.error], [i, 503, 'the application gives no answer now']);
    const allowed = await connect(allowing, `/broadcast/a?token=${i}&user=mallory`);
    assert.equal(statusOf(allowed), 101, `${i}`);
    assert.deepEqual((await (await fetch(`${allowing.admin}/rooms/a`)).json()).users, []);
    await close(allowed);
  }
  await application.stop(); // nobody listens any more
  assert.equal(statusOf(await connect(refusing, '/broadcast/a?token=gone')), 503);
  const numbers = await refusing.numbers();
  assert.deepEqual([numbers.failed, numbers.permitted, numbers.refused], [ways.length + 1, 0, 0]);
  for (const server of [refusing, allowing]) {
    assert.deepEqual(await server.stop(), [0, null]);
    assert.match(server.stderr(), /the application gave no answer that says who may come in/);
  }
});

test('an application that comes back is asked again, also where its connections were kept', async () => {
  const application = await startApplication(say(200, everything));
  const { port } = application.server.address();
  const server = await startAsking(application);
  await close(await connect(server, '/broadcast/a?token=1'));
  await application.stop();
  assert.equal(statusOf(await connect(server, '/broadcast/a?token=2')), 503);
  const again = http.createServer(async (request, response) => { await request.toArray(); say(200, everything)({}, response); }).listen(port, '127.0.0.1');
  await once(again, 'listening');
  const back = await connect(server, '/broadcast/a?token=2');
  assert.equal(statusOf(back), 101);
  await close(back);
  assert.deepEqual(await server.stop(), [0, null]);
  again.closeAllConnections();
  again.close();
});

test('an application behind https is asked when its certificate is trusted, and is down when it is not', async () => {
  makeAuthority('ca');
  makeCertificate('application');
  const application = await startApplication(say(200, everything), { tls: identity('application') });
  const trusting = await startAsking(application, ['--application-ca', pem('ca')]);
  const wary = await startAsking(application);
  const ws = await connect(trusting, '/broadcast/a?token=x');
  assert.equal(statusOf(ws), 101);
  assert.equal(statusOf(await connect(wary, '/broadcast/a?token=x')), 503);
  await close(ws);
  for (const server of [trusting, wary]) assert.deepEqual(await server.stop(), [0, null]);
  assert.match(wary.stderr(), /not signed by an authority/);
  await application.stop();
});

test('options that cannot be are refused at the start', async () => {
  for (const [args, why] of [[['--authorize-url', 'ws://x/'], /--authorize-url: /], [['--authorize-url', 'nonsense'], /--authorize-url: /],
    [['--authorize-url', 'https://localhost/', '--application-ca', '/nowhere'], /\/nowhere/],
    [['--authorize-url', 'http://localhost/', '--jwt-hs256-key-file', '/nowhere'], /in place of/]]) {
    const { status, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', ...args]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, why);
  }
});
