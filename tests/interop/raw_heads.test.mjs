// Requests as bytes: what is malformed or too large is refused with the status HTTP has for it, JSON, and the end of the
// connection; what is well formed is answered on a connection that stays.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Raw, UPGRADE, frame } from './raw.mjs';
import { countsOf } from './counts.mjs';
import { startServer } from './server.mjs';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const post = (headers, body = '') => `POST /rooms/heads/messages HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`;

const REFUSED = [
  ['no request line', 400, 'GARBAGE\r\n\r\n'],
  ['a request line of two words', 400, 'GET /\r\n\r\n'],
  ['a target that does not start with a slash', 400, 'GET rooms HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['a header without a colon', 400, get('/', 'NoColon\r\n')],
  ['a space before the colon (RFC 9112 5.1)', 400, get('/', 'Accept : */*\r\n')],
  ['a space in a header name', 400, get('/', 'Acc ept: */*\r\n')],
  ['obsolete line folding (RFC 9112 5.2)', 400, get('/', 'Accept: text/plain,\r\n text/html\r\n')],
  ['a control character in a header value', 400, get('/', 'Accept: a\u0001b\r\n')],
  ['a NUL in the target', 400, get('/\u0000')],
  ['HTTP/1.1 without Host (RFC 9112 3.2)', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['two Host headers (RFC 9112 3.2)', 400, get('/', 'Host: other\r\n')],
  ['Content-Length and Transfer-Encoding together (RFC 9112 6.1)', 400,
    post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
  ['two different Content-Lengths (RFC 9112 6.3)', 400, post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello')],
  ['a Content-Length that is no number', 400, post('Content-Length: five\r\n', 'hello')],
  ['a negative Content-Length', 400, post('Content-Length: -5\r\n', 'hello')],
  ['a Content-Length beyond 64 bits', 400, post('Content-Length: 99999999999999999999999\r\n', 'hello')],
  ['a chunk size that is no number', 400, post('Transfer-Encoding: chunked\r\n', 'zz\r\nhello\r\n0\r\n\r\n')],
  ['a body above the limit', 413, post(`Content-Length: ${(1 << 20) + 1}\r\n`)],
  ['a chunked body above the limit', 413, post('Transfer-Encoding: chunked\r\n',
    `100001\r\n${'x'.repeat(0x100001)}\r\n0\r\n\r\n`)],
  ['a target of 100,000 bytes', 414, get(`/${'x'.repeat(100_000)}`)],
  ['a header of 100,000 bytes', 431, get('/', `X-Long: ${'x'.repeat(100_000)}\r\n`)],
  ['ten thousand headers', 431, get('/', 'X: y\r\n'.repeat(10_000))],
  ['a transfer coding before chunked that is not understood (RFC 9112 6.1)', 501,
    post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')],
  ['a last transfer coding that is not chunked (RFC 9112 6.3)', 400, post('Transfer-Encoding: gzip\r\n', '0\r\n\r\n')],
  ['chunked before another transfer coding (RFC 9112 6.3)', 400, post('Transfer-Encoding: chunked, gzip\r\n', '0\r\n\r\n')],
  ['chunked twice (RFC 9112 6.1)', 400, post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
  ['a Host with two ports (RFC 9110 7.2)', 400, 'GET / HTTP/1.1\r\nHost: a:b:c\r\n\r\n'],
  ['a Host with a port that is no number (RFC 9110 7.2)', 400, 'GET / HTTP/1.1\r\nHost: localhost:http\r\n\r\n'],
  ['another major version (RFC 9110 15.6.6)', 505, 'GET / HTTP/2.0\r\nHost: localhost\r\n\r\n'],
  ...[['a blank behind a chunk size', '5 \r\nhello'], ['an empty chunk extension', '5;\r\nhello'],
    ['a chunk extension without a name', '5;=x\r\nhello'], ['a chunk extension that is no token', '5;a b\r\nhello'],
    ['a quoted chunk extension without its end', '5;a="b\r\nhello'], ['a trailer without a colon', '5\r\nhello\r\n0\r\nX\r\n'],
    ['a trailer with a blank before its colon', '5\r\nhello\r\n0\r\nX : y\r\n'],
  ].map(([name, body]) => [`${name} (RFC 9112 7.1)`, 400, post('Transfer-Encoding: chunked\r\n', `${body}\r\n0\r\n\r\n`)]),
  ['a method nobody knows (RFC 9110 15.6.2)', 501, 'BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
];

for (const [name, status, bytes] of REFUSED) {
  test(`${status}: ${name}`, async () => {
    const raw = await Raw.to(server.port);
    raw.write(Buffer.from(bytes, 'latin1'));
    const answer = await raw.response();
    assert.equal(answer.status, status, answer.line);
    assert.equal(typeof JSON.parse(answer.body).error, 'string');
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.equal(answer.headers.connection?.toLowerCase(), 'close');
    await raw.end();
    raw.destroy();
  });
}

test('a later minor version is answered as HTTP/1.1 (RFC 9112 2.3)', async () => {
  const raw = await Raw.to(server.port);
  for (let round = 0; round < 2; round += 1) {
    raw.write('GET /health/live HTTP/1.2\r\nHost: localhost\r\n\r\n');
    const answer = await raw.response();
    assert.equal(answer.line, 'HTTP/1.1 200 OK');
  }
  raw.destroy();
});

test('100 Continue goes to who waits for it, and not to HTTP/1.0 nor to who is refused (RFC 9110 10.1.1)', async () => {
  const expect = 'Content-Type: text/plain\r\nContent-Length: 5\r\nExpect: 100-continue\r\n';
  const raw = await Raw.to(server.port);
  raw.write(post(expect));
  assert.equal((await raw.response()).status, 100);
  raw.write('hello');
  assert.equal((await raw.response()).status, 200);
  raw.destroy();
  for (const [status, head] of [[404, 'POST /nowhere HTTP/1.1'], [405, 'POST /rooms HTTP/1.1']]) {
    const refused = await Raw.to(server.port);
    refused.write(`${head}\r\nHost: localhost\r\n${expect}\r\n`);
    assert.equal((await refused.response()).status, status);
    await refused.end();
  }
  const old = await Raw.to(server.port);
  old.write(`POST /rooms/heads/messages HTTP/1.0\r\n${expect}\r\n`);
  await sleep(50);
  assert.equal(old.bytes.length, 0);
  old.write('hello');
  assert.equal((await old.response()).status, 200);
  await old.end();
});

test('who shuts down its writing side gets its answers, and then the end at once', async () => {
  for (const requests of [get('/health/live'), get('/rooms') + get('/health/live') + get('/')]) {
    const raw = await Raw.to(server.port);
    const began = Date.now();
    raw.socket.allowHalfOpen = true;
    raw.socket.end(requests);
    for (const _ of requests.match(/GET/g)) assert.equal((await raw.response()).status, 200);
    await raw.end();
    assert.ok(Date.now() - began < 5_000, 'an idle connection is kept for ten seconds, this one is not');
  }
});

test('pipelined requests are answered in their order, on a connection that stays', async () => {
  const raw = await Raw.to(server.port);
  raw.write(get('/health/live') + get('/rooms') + get('/rooms/heads') + get('/'));
  const answers = [await raw.response(), await raw.response(), await raw.response(), await raw.response()];
  assert.deepEqual(answers.map((answer) => answer.status), [200, 200, answers[2].status, 200]);
  JSON.parse(answers[1].body);
  JSON.parse(answers[2].body);
  assert.match(answers[3].headers['content-type'], /^text\/html/);
  raw.write(get('/health/live'));
  assert.equal((await raw.response()).status, 200);
  raw.destroy();
});

test('the answer of POST comes before that of the request behind it', async () => {
  const raw = await Raw.to(server.port);
  const rounds = 50;
  const one = post('Content-Type: text/plain\r\nContent-Length: 5\r\n', 'hello') + get('/health/live');
  raw.write(one.repeat(rounds));
  for (let round = 0; round < rounds; round += 1) {
    assert.equal(JSON.parse((await raw.response()).body).members, 0);
    assert.equal((await raw.response()).status, 200);
  }
  raw.destroy();
});

test('a request byte by byte', async () => {
  const raw = await Raw.to(server.port);
  for (const byte of get('/health/live')) {
    raw.write(byte);
    await sleep(1);
  }
  assert.equal((await raw.response()).status, 200);
  raw.destroy();
});

test('a chunked body, cut in the middle of everything, is one message', async () => {
  const raw = await Raw.to(server.port);
  const body = '5\r\nhello\r\n1;note=x\r\n,\r\n6\r\n world\r\n0\r\nX-Trailer: y\r\n\r\n';
  for (const byte of post('Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n', body)) {
    raw.write(byte);
    await sleep(0);
  }
  const answer = await raw.response();
  assert.equal(answer.status, 200, answer.line);
  assert.deepEqual(countsOf(JSON.parse(answer.body)), { members: 0, queued: 0, conflated: 0, dropped: 0 });
  raw.write(get('/health/live'));
  assert.equal((await raw.response()).status, 200);
  raw.destroy();
});

test('Connection: close and HTTP/1.0 end the connection after the answer', async () => {
  for (const request of [get('/health/live', 'Connection: close\r\n'), 'GET /health/live HTTP/1.0\r\n\r\n']) {
    const raw = await Raw.to(server.port);
    raw.write(request);
    assert.equal((await raw.response()).status, 200);
    await raw.end();
  }
});

test('an upgrade on a connection that has answered plain requests before', async () => {
  const raw = await Raw.to(server.port);
  raw.write(get('/health/live'));
  assert.equal((await raw.response()).status, 200);
  raw.write(UPGRADE('/echo'));
  assert.equal((await raw.response()).status, 101);
  raw.write(frame(1, 'now a WebSocket'));
  assert.equal((await raw.frame()).payload.toString(), 'now a WebSocket');
  raw.destroy();
});

const WITHOUT = (name) => UPGRADE('/echo').split('\r\n').filter((line) => !line.startsWith(`${name}:`)).join('\r\n');
for (const [name, status, bytes] of [
  ['without Upgrade', 400, WITHOUT('Upgrade')],
  ['without Connection: Upgrade', 400, WITHOUT('Connection')],
  ['without a key', 400, WITHOUT('Sec-WebSocket-Key')],
  ['with a key that is not 16 bytes of base64', 400, UPGRADE('/echo').replace('dGhlIHNhbXBsZSBub25jZQ==', 'c2hvcnQ=')],
  ['by POST', 400, UPGRADE('/echo').replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')],
  ['of version 8', 426, UPGRADE('/echo').replace('Version: 13', 'Version: 8')],
  ['of no version', 426, WITHOUT('Sec-WebSocket-Version')],
]) {
  test(`${status}: an upgrade ${name}`, async () => {
    const raw = await Raw.to(server.port);
    raw.write(bytes);
    const answer = await raw.response();
    const allowed = name === 'by POST' ? [400, 405] : name === 'of no version' ? [400, 426] : [status];
    assert.ok(allowed.includes(answer.status), answer.line);
    assert.equal(typeof JSON.parse(answer.body).error, 'string');
    if (answer.status === 426) {
      assert.equal(answer.headers['sec-websocket-version'], '13');
      assert.equal(answer.headers.upgrade, 'websocket');
    }
    raw.destroy();
  });
}
