// [[room]] in a file of options: other rules for the rooms whose names match.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { freePort, runToEnd, startServer } from './server.mjs';

let server, folder, file;
const tables = `
[[room]]
pattern = "small/*"
max_message_bytes = 10

[[room]]
pattern = "kept/*"
history_messages = 2

[[room]]
pattern = "*"
max_message_bytes = 100
`;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ringcast-'));
  file = path.join(folder, 'ringcast.toml');
  await writeFile(file, tables);
  server = await startServer(['--config', file, '--shards', '2']);
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const join = async (room, query = '') => {
  const ws = new WebSocket(`${server.ws}/broadcast/${encodeURIComponent(room)}${query}`, { perMessageDeflate: false });
  ws.heard = []; // what was said before may come with the answer to the upgrade
  ws.on('message', (data) => ws.heard.push(String(data)));
  await once(ws, 'open');
  return ws;
};
const post = async (room, text) =>
  (await fetch(`${server.http}/rooms/${encodeURIComponent(room)}/messages`, { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain' } })).status;

test('a message has the bound of its room, for members and for POST', async () => {
  for (const [room, most] of [['small/one', 10], ['kept/one', 1 << 20], ['other', 100]]) {
    const ws = await join(room);
    ws.send('x'.repeat(most));
    assert.equal((await once(ws, 'message'))[0].length, most);
    ws.send('x'.repeat(most + 1));
    assert.equal((await once(ws, 'close'))[0], 1009, room);
    assert.equal(await post(room, 'y'.repeat(most)), 200);
    assert.equal(await post(room, 'y'.repeat(most + 1)), 413);
  }
});

test('a room keeps what its table says, and the others nothing', async () => {
  for (const [room, expected] of [['kept/two', ['b', 'c', 'live']], ['small/two', ['live']]]) {
    for (const text of ['a', 'b', 'c']) assert.equal(await post(room, text), 200);
    const ws = await join(room, '?history=10');
    assert.equal(await post(room, 'live'), 200);
    while (!ws.heard.includes('live')) await once(ws, 'message');
    assert.deepEqual(ws.heard, expected);
    ws.close();
  }
});

test('SIGHUP names tables that have changed, and those that have not are left alone', async () => {
  const says = async (text) => {
    const before = server.stderr().length;
    await writeFile(file, text);
    server.child.kill('SIGHUP');
    while (!/SIGHUP: (no option|[a-z_]+ =)/.test(server.stderr().slice(before))) await sleep(10);
    await sleep(50);
    return server.stderr().slice(before);
  };
  assert.doesNotMatch(await says(tables), /\[\[room\]\]/);
  assert.match(await says(tables.replace('= 10\n', '= 11\n')), /only a new start changes \[\[room\]\]/);
});

// A server of its own, for tables that are not those above.
async function withTables(text, options, run) {
  const other = path.join(folder, 'other.toml');
  await writeFile(other, text);
  const mine = await startServer(['--config', other, '--shards', '2', ...options]);
  try {
    await run(mine);
  } finally {
    assert.deepEqual(await mine.stop(), [0, null], mine.stderr());
  }
}

// Answers 101 and the WebSocket, or the status and the error of the refusal.
const enter = (mine, target, headers = {}) => new Promise((resolve, reject) => {
  const ws = new WebSocket(mine.ws + target, { perMessageDeflate: false, headers });
  ws.heard = [];
  ws.on('message', (data) => ws.heard.push(String(data)));
  ws.closed = once(ws, 'close').catch(() => {});
  ws.on('open', () => resolve({ status: 101, ws }));
  ws.on('unexpected-response', (_, response) => {
    let body = '';
    response.on('data', (part) => { body += part; });
    response.on('end', () => resolve({ status: response.statusCode, error: JSON.parse(body).error }));
  });
  ws.on('error', reject);
});
const say = (mine, room, text, headers = {}) =>
  fetch(`${mine.http}/rooms/${encodeURIComponent(room)}/messages`, { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain', ...headers } });
// The log has a thread of its own.
const logged = async (mine, words) => {
  while (!words.test(mine.stderr())) await sleep(10);
};
const metric = async (address, name) => {
  const text = await (await fetch(`${address}/metrics`)).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `)).split(' ')[1]);
};

test('a room takes so many members, over all shards and endpoints, and event streams too', async () => {
  await withTables('[[room]]\npattern = "small"\nmax_members = 3\n', [], async (mine) => {
    const targets = ['/broadcast/small', '/chat/small?name=a', '/broadcast/small?history=1', '/chat/small?name=b', '/broadcast/small'];
    const answers = [];
    for (const target of targets) answers.push(await enter(mine, target));
    assert.deepEqual(answers.map((each) => each.status), [101, 101, 101, 503, 503]);
    assert.equal(answers[3].error, 'this room has as many members as it takes');
    const stream = await fetch(`${mine.http}/broadcast/small`, { headers: { Accept: 'text/event-stream' } });
    assert.equal(stream.status, 503);
    assert.equal(await metric(mine.http, 'ringcast_refusals_total{reason="room_full"}'), 3);
    await logged(mine, /refused 127\.0\.0\.1:\d+: room_full/);
    answers[0].ws.close();
    await answers[0].ws.closed;
    let again = { status: 503 };
    for (let i = 0; i < 100 && again.status === 503; i += 1) again = await enter(mine, '/chat/small?name=b');
    assert.equal(again.status, 101); // its name was not taken by the try that was refused
    assert.equal((await enter(mine, '/broadcast/small')).status, 503);
    for (const { ws } of [...answers, again]) ws?.terminate();
  });
});

test('a room is said its burst: POST is answered 429, a member is told how many were lost', async () => {
  await withTables('[[room]]\npattern = "slow"\nmax_room_messages_per_s = 1\nburst_room_messages = 4\n', [], async (mine) => {
    const { ws } = await enter(mine, '/broadcast/slow');
    const { ws: other } = await enter(mine, '/broadcast/slow');
    for (const text of ['1', '2', '3']) assert.equal((await say(mine, 'slow', text)).status, 200);
    ws.send('4');
    while (other.heard.length < 4) await once(other, 'message');
    const key = { 'Idempotency-Key': 'k' };
    const refused = await say(mine, 'slow', '5', key);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal((await refused.json()).error, 'this room is said more than it may be');
    for (const text of ['6', '7', '8']) ws.send(text);
    while (!ws.heard.some((text) => text.startsWith('{'))) await once(ws, 'message');
    await logged(mine, /refused a message for the room "slow"/);
    await sleep(1100);
    assert.equal((await say(mine, 'slow', '5', key)).status, 200); // the first that was made
    assert.equal((await say(mine, 'slow', '5', key)).status, 200); // told again, and not said again
    while (!other.heard.includes('5')) await once(other, 'message');
    await sleep(100);
    assert.ok(other.heard.filter((text) => text === '5').length === 1);
    assert.ok((await metric(mine.http, 'ringcast_refusals_total{reason="room_rate"}')) >= 3);
    assert.ok(!other.heard.some((text) => text.startsWith('{')));
    ws.terminate();
    other.terminate();
  });
});

test('a room without presence names nobody', async () => {
  await withTables('[[room]]\npattern = "quiet"\npresence = "off"\n', [], async (mine) => {
    for (const [room, users] of [['quiet', 0], ['other', 1]]) {
      const { ws } = await enter(mine, `/broadcast/${room}?user=ada&presence=1`);
      await sleep(100);
      assert.deepEqual(ws.heard, users ? ['{"joined":"ada"}'] : []);
      assert.equal((await (await fetch(`${mine.http}/rooms/${room}`)).json()).user_count, users);
      ws.terminate();
    }
  });
});

test('who may join and publish, by tables: with tokens', async () => {
  const secret = crypto.randomBytes(48).toString('base64');
  const key = path.join(folder, 'secret');
  await writeFile(key, secret);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const bearer = (claims) => {
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
    return { Authorization: `Bearer ${text}.${crypto.createHmac('sha256', secret).update(text).digest('base64url')}` };
  };
  const text = `
[[room]]
pattern = "public/*"
join = "anyone"
publish = "user:admin-*"

[[room]]
pattern = "members/*"
join = "token"

[[room]]
pattern = "team/*"
join = ["claims", "user:admin-*"]
publish = ["claims", "user:admin-*"]
`;
  const none = {};
  const ada = bearer({ sub: 'ada', rooms: ['team/a'], publish: ['team/a', 'members/*'] });
  const admin = bearer({ sub: 'admin-eve' });
  const nameless = bearer({ rooms: ['*'], publish: ['*'] });
  const adminPort = await freePort();
  await withTables(text, ['--jwt-hs256-key-file', key, '--admin-listen', `127.0.0.1:${adminPort}`], async (mine) => {
    // room, who, status of joining, and whether what is said there is heard or closes with 1008
    const rows = [
      ['public/x', none, 101, false], ['public/x', ada, 101, false], ['public/x', admin, 101, true], ['public/x', nameless, 101, false],
      ['members/x', none, 401], ['members/x', ada, 101, true], ['members/x', admin, 101, false],
      ['team/a', none, 401], ['team/a', ada, 101, true], ['team/b', ada, 403], ['team/b', admin, 101, true], ['team/b', nameless, 101, true],
      ['other', none, 401], ['other', admin, 403], ['other', nameless, 101, true],
    ];
    for (const [room, who, status, publishes] of rows) {
      const name = who === none || who === nameless ? '?name=n' : ''; // a token that names somebody names them
      for (const target of [`/broadcast/${encodeURIComponent(room)}?seq=1`, `/chat/${encodeURIComponent(room)}${name}`]) {
        const answer = await enter(mine, target, who);
        assert.equal(answer.status, status, `${target} ${JSON.stringify(who)}`);
        if (status !== 101) continue;
        answer.ws.send('hello');
        const heard = async () => {
          while (!answer.ws.heard.some((each) => each.endsWith('hello'))) await once(answer.ws, 'message');
          return true;
        };
        const said = await Promise.race([heard(), answer.ws.closed.then(([code]) => code)]);
        assert.equal(said, publishes ? true : 1008, `${target} ${JSON.stringify(who)}`);
        answer.ws.terminate();
        await answer.ws.closed;
      }
      const expected = status === 101 ? 404 : status; // nobody is there any more, as soon as the server has seen it
      const read = async () => (await fetch(`${mine.http}/rooms/${encodeURIComponent(room)}`, { headers: who })).status;
      for (let i = 0; i < 250 && (await read()) !== expected; i += 1) await sleep(20);
      assert.equal(await read(), expected, room);
    }
    // A stranger cannot make a token of its own count where it needs none.
    const { ws } = await enter(mine, '/broadcast/public%2Fx?seq=1');
    ws.send(JSON.stringify({ token: 'x' }));
    assert.equal((await ws.closed)[0], 1008);
    // Those who run the server may publish everywhere.
    const posted = await fetch(`http://127.0.0.1:${adminPort}/rooms/public%2Fx/messages`, { method: 'POST', body: 'x' });
    assert.equal(posted.status, 200);
  });
});

test('who may join and publish, by tables: without tokens', async () => {
  await withTables('[[room]]\npattern = "news"\npublish = "nobody"\n[[room]]\npattern = "closed"\njoin = "nobody"\n', [], async (mine) => {
    const { ws } = await enter(mine, '/broadcast/news');
    ws.send('x');
    assert.equal((await ws.closed)[0], 1008);
    assert.equal((await say(mine, 'news', 'x')).status, 403);
    assert.equal((await enter(mine, '/broadcast/closed')).status, 403);
    const { ws: free } = await enter(mine, '/broadcast/other');
    free.send('x');
    await once(free, 'message');
    assert.equal((await say(mine, 'other', 'x')).status, 200);
    free.terminate();
  });
});

test('tables that ask for tokens where there are none are refused at the start', async () => {
  const other = path.join(folder, 'tokens.toml');
  await writeFile(other, '[[room]]\npattern = "a"\njoin = "token"\n');
  for (const [option, status] of [['--config', 2], ['--check-config', 1]]) {
    const run = await runToEnd([option, other]);
    assert.equal(run.status, status);
    assert.match(run.stderr, /\[\[room\]\] "a": join asks for tokens, and --jwt-hs256-key-file and --jwt-jwks-file are not given/);
  }
});
