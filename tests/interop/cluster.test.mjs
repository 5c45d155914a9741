// Rooms that are one over three servers, on the redis-server of Debian, which fails in every way that it can.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { startRedis } from './redis.mjs';
import { freePort, startServer } from './server.mjs';

const opened = [];
after(async () => { for (const one of opened.reverse()) await (one.stop?.() ?? one.kill?.()); });
const keep = (one) => { opened.push(one); return one; };

const startBeside = async (url, more = []) => keep(await startServer(['--shards', '2', '--cluster', 'on', '--cluster-redis', url, ...more]));
// With the engine there: each of the two shards has found it.
async function startNode(url, more) {
  const node = await startBeside(url, more);
  for (const room of 'abcdefgh') await until('its coming', async () => (await post(node, `probe-${room}`, '')).status === 200);
  return node;
}
async function until(what, is, ms = 15_000) {
  for (const end = Date.now() + ms; ;) {
    if (await is()) return;
    if (Date.now() > end) assert.fail(`${what} did not happen`);
    await sleep(20);
  }
}
async function post(node, room, body) {
  const response = await fetch(`${node.http}/rooms/${room}/messages`, { method: 'POST', body, headers: { 'Content-Type': 'text/plain' } });
  return { status: response.status, ...(await response.json()) };
}
const metric = async (node, name) => Number(new RegExp(`^ringcast_cluster_${name} (\\d+)$`, 'm').exec(await (await fetch(`${node.http}/metrics`)).text())?.[1]);

// A member that checks what it hears: each number is one more than the one before, unless it was told of a gap or of another epoch.
class Member {
  constructor(node, room, query = '') {
    this.heard = [];
    this.notices = [];
    this.ws = new WebSocket(`${node.ws}/broadcast/${room}?seq=1&gaps=1${query}`);
    this.ws.on('message', (data) => this.hear(data.toString()));
    this.ws.on('close', (code) => { this.closed = code; });
    this.ws.on('error', (error) => { this.error = error; });
  }
  static async join(node, room, query) {
    const member = new Member(node, room, query);
    await until('the hello', () => member.error !== undefined || member.hello !== undefined);
    if (member.error !== undefined) throw member.error;
    return member;
  }
  hear(text) {
    if (text.startsWith('{')) {
      const told = JSON.parse(text);
      if (told.room !== undefined) {
        this.hello = told;
        this.epoch = told.epoch;
        if (told.resumed || this.last === undefined) this.last = told.resumed ? undefined : told.seq;
        return;
      }
      this.notices.push(told);
      if (told.gap) this.last = told.gap.to;
      if (told.reset) [this.epoch, this.last] = [told.reset.epoch, told.reset.seq];
      return;
    }
    const [, number, said] = /^(\d+)\n(.*)$/s.exec(text);
    if (this.last !== undefined) assert.equal(Number(number), this.last + 1, `${this.heard.slice(-3)} and then ${text}`);
    this.last = Number(number);
    this.heard.push(`${this.epoch}:${number} ${said}`);
  }
  hears(said) { return until(`hearing "${said}"`, () => this.heard.some((line) => line.endsWith(` ${said}`))); }
  isTold(what) { return until(`the notice ${what}`, () => this.notices.some((told) => told[what] !== undefined || told.cluster === what)); }
}
const leave = (...members) => { for (const member of members) member.ws.terminate(); };

test('members of three servers hear one order with dense numbers, whoever talks, and whoever is deaf to itself', async () => {
  const redis = keep(await startRedis());
  const nodes = [await startNode(redis.url), await startNode(redis.url), await startNode(redis.url)];
  const members = await Promise.all(nodes.flatMap((node) => [Member.join(node, 'hall'), Member.join(node, 'hall')]));
  const rounds = 200;
  for (let i = 0; i < rounds; ++i) {
    members.forEach((member, who) => member.ws.send(`${who}:${i}`));
    if (i % 10 === 0) await Promise.all(nodes.map((node, n) => post(node, 'hall', `posted ${n}:${i}`)));
  }
  const count = rounds * members.length + (rounds / 10) * nodes.length;
  await until('hearing all', () => members.every((member) => member.heard.length === count), 30_000);
  for (const member of members) assert.deepEqual(member.heard, members[0].heard);
  // What one says stays in its order.
  for (let who = 0; who < members.length; ++who) {
    const own = members[0].heard.filter((line) => new RegExp(`^[0-9a-f]+:\\d+ ${who}:`).test(line));
    assert.deepEqual(own.map((line) => line.split(' ')[1]), Array.from({ length: rounds }, (_, i) => `${who}:${i}`));
  }
  assert.deepEqual(members.flatMap((member) => member.notices), []);
  // A report has the number that everybody hears.
  const told = await post(nodes[1], 'hall', 'counted');
  assert.deepEqual([told.status, told.members, told.seq, told.epoch], [200, 2, count + 1, members[0].epoch]);
  await members[5].hears('counted');
  assert.ok(members[5].heard.includes(`${told.epoch}:${told.seq} counted`));
  // Nobody listens at this server, and it is numbered all the same; what is said on a server where nobody is comes to the others.
  assert.equal((await post(nodes[2], 'elsewhere', 'a')).seq, 1);
  assert.equal((await post(nodes[0], 'elsewhere', 'b')).seq, 2);
  // It reads what it says itself, and does not hear it.
  const deaf = [];
  const quiet = new WebSocket(`${nodes[0].ws}/broadcast/hall?self=0`);
  await once(quiet, 'open');
  quiet.on('message', (data) => deaf.push(data.toString()));
  quiet.send('mine');
  await members[4].hears('mine');
  await post(nodes[2], 'hall', 'theirs');
  await until('the other one', () => deaf.includes('theirs'));
  assert.deepEqual(deaf, ['theirs']);
  quiet.terminate();
  leave(...members);
});

test('a server that nobody was on has the history of the others, and a member resumes there', async () => {
  const redis = keep(await startRedis());
  const [one, other] = [await startNode(redis.url, ['--history-messages', '50']), await startNode(redis.url, ['--history-messages', '50'])];
  const first = await Member.join(one, 'past');
  for (let i = 1; i <= 20; ++i) await post(one, 'past', `m${i}`);
  await first.hears('m20');
  await one.stop('SIGKILL');
  await until('its end', () => first.closed !== undefined);
  const back = await Member.join(other, 'past', `&since=${first.epoch}:15`);
  assert.deepEqual([back.hello.resumed, back.hello.epoch, back.hello.seq], [true, first.epoch, 20]);
  await back.hears('m20');
  assert.deepEqual(back.heard, first.heard.slice(15));
  leave(back);
});

test('a server starts without its engine, says so, refuses, and takes it up when it is there', async () => {
  const port = await freePort();
  const node = await startBeside(`redis://127.0.0.1:${port}`);
  await until('the log', () => node.stderr().includes('there is no engine of the cluster'));
  assert.equal((await post(node, 'hall', 'too early')).status, 503);
  assert.deepEqual([await metric(node, 'links'), await metric(node, 'links_up')], [2, 0]);
  await assert.rejects(Member.join(node, 'hall'), /503/);
  const redis = keep(await startRedis([], { port }));
  await until('its coming', async () => (await post(node, 'hall', 'now')).status === 200);
  const member = await Member.join(node, 'hall');
  await post(node, 'hall', 'heard');
  await member.hears('heard');
  await until('both shards', async () => (await metric(node, 'links_up')) === 2);
  assert.ok((await metric(node, 'commands_total')) >= 3); // subscribe, where does the room stand, and a message
  leave(member);
});

test('a wrong password is said in the log and is no way in; the right one is', async () => {
  const redis = keep(await startRedis(['--requirepass', 'se:cr@t']));
  const wrong = await startBeside(`redis://:guess@127.0.0.1:${redis.port}`);
  await until('the log', () => wrong.stderr().includes('WRONGPASS'));
  assert.ok(!wrong.stderr().includes('guess'));
  assert.equal((await post(wrong, 'hall', 'no')).status, 503);
  const right = await startBeside(`redis://:se%3Acr%40t@127.0.0.1:${redis.port}`);
  await until('its coming', async () => (await post(right, 'hall', 'yes')).status === 200);
});

test('a script that is forgotten is loaded again, and nothing is lost or out of order', async () => {
  const redis = keep(await startRedis());
  const node = await startNode(redis.url);
  const member = await Member.join(node, 'hall');
  for (let i = 0; i < 300; ++i) {
    member.ws.send(`s${i}`);
    if (i % 100 === 50) await redis.ask('script', 'flush');
    if (i % 20 === 0) await sleep(1);
  }
  await member.hears('s299');
  assert.deepEqual(member.heard.map((line) => line.split(' ')[1]), Array.from({ length: 300 }, (_, i) => `s${i}`));
  assert.deepEqual(member.notices, []);
  leave(member);
});

for (const type of ['normal', 'pubsub']) {
  test(`connections of type ${type} that are killed lose nothing, and members are told`, async () => {
    const redis = keep(await startRedis());
    const nodes = [await startNode(redis.url), await startNode(redis.url)];
    const members = await Promise.all(nodes.map((node) => Member.join(node, 'hall')));
    let said = 0;
    const acknowledged = [];
    for (let kill = 0; kill < 3; ++kill) {
      for (let i = 0; i < 10; ++i) {
        const body = `k${said++}`;
        if ((await post(nodes[i % 2], 'hall', body)).status === 200) acknowledged.push(body);
      }
      for (const id of await redis.clients(type)) await redis.ask('client', 'kill', 'id', id);
      await until('both are told', () => members.every((m) => m.notices.filter((told) => told.cluster === 'back').length === kill + 1));
    }
    await until('the last one', async () => (await post(nodes[0], 'hall', 'last')).status === 200);
    for (const member of members) await member.hears('last');
    assert.deepEqual(members[0].heard, members[1].heard);
    for (const body of acknowledged) assert.ok(members[0].heard.some((line) => line.endsWith(` ${body}`)), body);
    for (const member of members) {
      assert.deepEqual(member.notices.map((told) => told.cluster), ['lost', 'back', 'lost', 'back', 'lost', 'back']);
      assert.equal(member.closed, undefined);
    }
    leave(...members);
  });
}

test('an engine that is killed and comes back without its data begins another epoch, and members are told', async () => {
  const redis = keep(await startRedis());
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const members = await Promise.all(nodes.map((node) => Member.join(node, 'hall')));
  await post(nodes[0], 'hall', 'before');
  for (const member of members) await member.hears('before');
  const epoch = members[0].epoch;
  await redis.kill();
  for (const member of members) await member.isTold('lost');
  assert.equal((await post(nodes[0], 'hall', 'meanwhile')).status, 503);
  members[1].ws.send('meanwhile, too');
  await members[1].isTold('refused');
  keep(await startRedis([], { port: redis.port }));
  for (const member of members) await member.isTold('reset');
  for (const member of members) await member.isTold('back');
  const told = await post(nodes[1], 'hall', 'after');
  assert.equal(told.status, 200);
  for (const member of members) await member.hears('after');
  assert.notEqual(members[0].epoch, epoch);
  assert.equal(members[0].epoch, members[1].epoch);
  assert.deepEqual(members.map((m) => m.heard), [[`${epoch}:1 before`, `${told.epoch}:1 after`], [`${epoch}:1 before`, `${told.epoch}:1 after`]]);
  // A position of before says nothing now.
  const back = await Member.join(nodes[0], 'hall', `&since=${epoch}:1`);
  assert.equal(back.hello.resumed, false);
  leave(back, ...members);
});

test('an engine that is silent is given up within seconds, and what was said meanwhile is heard once', async () => {
  const redis = keep(await startRedis());
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const members = await Promise.all(nodes.map((node) => Member.join(node, 'hall')));
  await redis.ask('client', 'pause', '5000', 'all');
  members[0].ws.send('into silence');
  for (const member of members) await member.isTold('lost');
  for (const member of members) await member.isTold('back');
  assert.equal((await post(nodes[0], 'hall', 'after')).status, 200);
  for (const member of members) await member.hears('after');
  assert.deepEqual(members[0].heard, members[1].heard);
  assert.ok(members[0].heard.filter((line) => line.endsWith('into silence')).length <= 1);
  leave(...members);
});

test('what a server missed is read; what is not kept any more is a gap with its numbers', async () => {
  const redis = keep(await startRedis());
  const nodes = [await startNode(redis.url), await startNode(redis.url, ['--cluster-messages', '5'])];
  const members = await Promise.all(nodes.map((node) => Member.join(node, 'hall')));
  await post(nodes[0], 'hall', 'first');
  for (const member of members) await member.hears('first');
  // The other programs' way to say something: here it is said behind the back of all subscriptions.
  await redis.ask('hset', 'ringcast:{hall}:m', 'seq', '41');
  await post(nodes[0], 'hall', 'much later');
  for (const member of members) await member.hears('much later');
  for (const member of members) assert.deepEqual(member.notices, [{ gap: { from: 2, to: 41 } }]);
  leave(...members);
});

test('a key of another type, and no memory, refuse what is said and nothing else', async () => {
  const redis = keep(await startRedis());
  const node = await startNode(redis.url);
  const member = await Member.join(node, 'hall');
  await redis.ask('set', 'ringcast:{other}:m', 'no hash');
  assert.equal((await post(node, 'other', 'a')).status, 503);
  assert.equal((await post(node, 'hall', 'fine')).status, 200);
  await redis.ask('config', 'set', 'maxmemory', '1');
  assert.equal((await post(node, 'hall', 'no room')).status, 503);
  member.ws.send('nor here');
  await member.isTold('refused');
  await redis.ask('config', 'set', 'maxmemory', '0');
  const told = await post(node, 'hall', 'fine again');
  assert.equal(told.status, 200);
  await member.hears('fine again');
  assert.deepEqual(member.heard.map((line) => line.split(' ').slice(1).join(' ')), ['fine', 'fine again']);
  leave(member);
});

test('messages of 0 bytes and of 1 MiB, text and binary', async () => {
  const redis = keep(await startRedis());
  const [one, other] = [await startNode(redis.url), await startNode(redis.url)];
  const heard = [];
  const member = new WebSocket(`${other.ws}/broadcast/sizes`);
  await once(member, 'open');
  member.on('message', (data, binary) => heard.push([data, binary]));
  const talker = new WebSocket(`${one.ws}/broadcast/sizes`);
  await once(talker, 'open');
  const large = Buffer.alloc(1 << 20, 7);
  talker.send('');
  talker.send(large);
  talker.send(Buffer.alloc(0));
  await until('all of them', () => heard.length === 3);
  assert.deepEqual(heard.map(([data, binary]) => [data.length, binary]), [[0, false], [1 << 20, true], [0, true]]);
  assert.ok(heard[1][0].equals(large));
  member.terminate();
  talker.terminate();
});

test('a node that cannot reach the engine is not ready where that is wanted, and others are', async () => {
  const redis = keep(await startRedis());
  const wants = await startNode(redis.url, ['--cluster-ready', 'on']), other = await startNode(redis.url);
  const ready = async (node) => (await fetch(`${node.http}/health/ready`)).status;
  await until('both ready', async () => (await ready(wants)) === 200 && (await ready(other)) === 200);
  const member = await Member.join(wants, 'hall');
  await redis.kill();
  await until('not ready', async () => (await ready(wants)) === 503);
  assert.equal(await ready(other), 200);
  keep(await startRedis([], { port: redis.port }));
  await until('ready again', async () => (await ready(wants)) === 200);
  assert.equal(member.closed, undefined);
  leave(member);
});
