// What no honest client sends: each broken frame is answered with the close code of RFC 6455 section 7.4, then the socket ends.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Raw, UPGRADE, frame, rawWebSocket } from './raw.mjs';
import { startServer } from './server.mjs';

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

const closePayload = (code, reason = '') => {
  const text = Buffer.from(reason);
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return payload;
};

const BROKEN = [
  ['a client MUST mask (5.1)', 1002, frame(TEXT, 'hello', { masked: false })],
  ['reserved bit 1 without an extension (5.2)', 1002, frame(TEXT, 'hello', { rsv: 4 })],
  ['reserved bit 2 (5.2)', 1002, frame(TEXT, 'hello', { rsv: 2 })],
  ['reserved bit 3 (5.2)', 1002, frame(TEXT, 'hello', { rsv: 1 })],
  ['reserved opcode 3 (5.2)', 1002, frame(3, 'hello')],
  ['reserved opcode 11 (5.2)', 1002, frame(11, 'hello')],
  ['the most significant bit of a 64-bit length (5.2)', 1002, frame(BINARY, '', { wide: 8, length: 1n << 63n })],
  ['a 16-bit length where 7 bits are enough (5.2)', 1002, frame(TEXT, 'hello', { wide: 2 })],
  ['a 64-bit length where 16 bits are enough (5.2)', 1002, frame(TEXT, 'x'.repeat(200), { wide: 8 })],
  ['a control frame MUST NOT be fragmented (5.5)', 1002, frame(PING, 'hello', { fin: false })],
  ['a control frame of 126 bytes (5.5)', 1002, frame(PING, 'x'.repeat(126))],
  ['a continuation of nothing (5.4)', 1002, frame(CONTINUATION, 'hello')],
  ['a new message inside a fragmented one (5.4)', 1002,
    Buffer.concat([frame(TEXT, 'one', { fin: false }), frame(TEXT, 'two')])],
  ['a close frame with one byte (5.5.1)', 1002, frame(CLOSE, 'x')],
  ['close code 999 (7.4.2)', 1002, frame(CLOSE, closePayload(999))],
  ['close code 1004, reserved (7.4.1)', 1002, frame(CLOSE, closePayload(1004))],
  ['close code 1005, never on the wire (7.4.1)', 1002, frame(CLOSE, closePayload(1005))],
  ['close code 1006, never on the wire (7.4.1)', 1002, frame(CLOSE, closePayload(1006))],
  ['close code 1015, never on the wire (7.4.1)', 1002, frame(CLOSE, closePayload(1015))],
  ['close code 5000 (7.4.2)', 1002, frame(CLOSE, closePayload(5000))],
  ['a close reason that is not UTF-8 (5.5.1)', 1007, frame(CLOSE, Buffer.concat([closePayload(1000), Buffer.from([0xff])]))],
  ['a text that is not UTF-8 (8.1)', 1007, frame(TEXT, Buffer.from([0x68, 0xc0, 0x80]))],
  ['a surrogate in UTF-8 (8.1)', 1007, frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))],
  ['a text that ends inside a character (8.1)', 1007, frame(TEXT, Buffer.from([0x68, 0xe2, 0x82]))],
  ['a text broken across fragments (8.1)', 1007, Buffer.concat([
    frame(TEXT, Buffer.from([0xf0, 0x9f]), { fin: false }), frame(CONTINUATION, Buffer.from([0x68, 0x68]))])],
  ['an unfinished text that cannot be text any more (8.1)', 1007,
    frame(TEXT, Buffer.from('\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90', 'latin1'), { length: 100 })],
  ['an unfinished continuation that cannot be text any more (8.1)', 1007, Buffer.concat([
    frame(TEXT, Buffer.from([0x68, 0xf4]), { fin: false }), frame(CONTINUATION, Buffer.from([0x90]), { length: 70_000 })])],
  ['a message over the limit, by its header alone', 1009, frame(BINARY, '', { wide: 8, length: (1 << 20) + 1 })],
  ['a message over the limit, by its fragments', 1009, Buffer.concat([
    frame(BINARY, Buffer.alloc(1 << 20), { fin: false }), frame(CONTINUATION, 'x')])],
];

for (const path of ['/echo', '/broadcast/frames', '/chat/frames']) {
  test(`${path}: every broken frame ends with its close code`, async (t) => {
    for (const [index, [name, code, bytes]] of BROKEN.entries()) {
      await t.test(name, async () => {
        const chat = path.startsWith('/chat');
        const raw = await rawWebSocket(server.port, chat ? `${path}${index}?name=frames` : path);
        if (chat) assert.equal((await raw.frame()).payload.toString(), 'frames joined');
        raw.write(bytes);
        assert.equal(await raw.closeCode(), code);
        raw.destroy();
      });
    }
  });
}

test('a closing handshake started by the client echoes its code (5.5.1)', async () => {
  for (const code of [1000, 1001, 1003, 1011, 3000, 4999]) {
    const raw = await rawWebSocket(server.port, '/echo');
    raw.write(frame(CLOSE, closePayload(code, 'bye')));
    assert.equal(await raw.closeCode(), code);
  }
  const raw = await rawWebSocket(server.port, '/echo');
  raw.write(frame(CLOSE));
  const answer = await raw.frame();
  assert.equal(answer.opcode, CLOSE);
  await raw.end();
});

test('nothing after a close frame is answered (5.5.1)', async () => {
  const raw = await rawWebSocket(server.port, '/echo');
  raw.write(Buffer.concat([frame(TEXT, 'before'), frame(CLOSE, closePayload(1000)), frame(TEXT, 'after')]));
  assert.equal((await raw.frame()).payload.toString(), 'before');
  assert.equal(await raw.closeCode(), 1000);
  assert.equal(raw.bytes.length, 0);
});

test('control frames between fragments are answered at once, and the message stays whole (5.4)', async () => {
  const raw = await rawWebSocket(server.port, '/echo');
  raw.write(frame(TEXT, 'one ', { fin: false }));
  raw.write(frame(PING, 'still there?'));
  const pong = await raw.frame();
  assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'still there?']);
  raw.write(Buffer.concat([frame(CONTINUATION, 'two ', { fin: false }), frame(PONG, 'unasked'), frame(CONTINUATION, 'three')]));
  const answer = await raw.frame();
  assert.deepEqual([answer.fin, answer.opcode, answer.payload.toString()], [1, TEXT, 'one two three']);
  raw.destroy();
});

test('frames byte by byte, and many in one packet', async () => {
  const raw = await rawWebSocket(server.port, '/echo');
  const text = 'Grüße aus dem Ring: 環, 🪐';
  for (const byte of frame(TEXT, text)) {
    raw.write(Buffer.from([byte]));
    await sleep(1);
  }
  assert.equal((await raw.frame()).payload.toString(), text);
  const count = 500;
  raw.write(Buffer.concat(Array.from({ length: count }, (_, index) => frame(TEXT, `${index}`))));
  for (let index = 0; index < count; index += 1) assert.equal((await raw.frame()).payload.toString(), `${index}`);
  raw.destroy();
});

test('a frame in the packet of the upgrade request is not lost', async () => {
  const raw = await Raw.to(server.port);
  raw.write(Buffer.concat([Buffer.from(UPGRADE('/echo')), frame(TEXT, 'eager')]));
  assert.equal((await raw.response()).status, 101);
  assert.equal((await raw.frame()).payload.toString(), 'eager');
  raw.destroy();
});

test('the server of all this still works', async () => {
  const raw = await rawWebSocket(server.port, '/echo');
  raw.write(frame(BINARY, 'alive'));
  assert.equal((await raw.frame()).payload.toString(), 'alive');
  raw.destroy();
});
