// A bare TCP connection that speaks whatever a test wants, well formed or not. Frames are built and read here by hand,
// because a real client library would refuse to send what these tests must send.
import { once } from 'node:events';
import net from 'node:net';

const DEADLINE_MS = 10_000;

export class Raw {
  static async to(port) {
    const raw = new Raw();
    raw.socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    raw.bytes = Buffer.alloc(0);
    raw.ended = false;
    raw.socket.on('data', (chunk) => { raw.bytes = Buffer.concat([raw.bytes, chunk]); raw.#wake(); });
    // A reset after the server has said why is an end as well.
    for (const event of ['end', 'close', 'error']) raw.socket.on(event, () => { raw.ended = true; raw.#wake(); });
    await once(raw.socket, 'connect');
    return raw;
  }

  #waiting = [];
  #wake() {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  // Waits until ready() answers something other than undefined; says what had arrived if it never does.
  async until(what, ready) {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const result = ready();
      if (result !== undefined) return result;
      const left = deadline - Date.now();
      if (this.ended || left <= 0) {
        const how = this.ended ? 'the connection ended' : 'nothing more came';
        throw new Error(`waited for ${what}, but ${how} after ${JSON.stringify(this.bytes.toString('latin1').slice(0, 300))}`);
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => { clearTimeout(timer); resolve(); });
      });
    }
  }

  write(data) {
    this.socket.write(data);
    return this;
  }

  take(count) {
    const head = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return head;
  }

  // One HTTP response with its Content-Length: { status, headers (lower case), body }.
  response() {
    return this.until('a response', () => {
      const end = this.bytes.indexOf('\r\n\r\n');
      if (end < 0) return undefined;
      const [first, ...lines] = this.bytes.subarray(0, end).toString('latin1').split('\r\n');
      const headers = Object.fromEntries(lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }));
      const length = Number(headers['content-length'] ?? 0);
      if (this.bytes.length < end + 4 + length) return undefined;
      this.take(end + 4);
      return { status: Number(first.split(' ')[1]), line: first, headers, body: this.take(length).toString() };
    });
  }

  // Answers when the server has ended its side, with what was left unread.
  end() {
    return this.until('the end of the connection', () => (this.ended ? this.bytes : undefined));
  }

  // One frame from the server, whose frames must not be masked: { fin, rsv, opcode, payload }.
  frame() {
    return this.until('a frame', () => {
      const b = this.bytes;
      if (b.length < 2) return undefined;
      if (b[1] & 0x80) throw new Error('the server masked a frame (RFC 6455 section 5.1)');
      let length = b[1] & 0x7f;
      let head = 2;
      if (length === 126) {
        head = 4;
        if (b.length < head) return undefined;
        length = b.readUInt16BE(2);
      } else if (length === 127) {
        head = 10;
        if (b.length < head) return undefined;
        length = Number(b.readBigUInt64BE(2));
      }
      if (b.length < head + length) return undefined;
      const first = this.take(head)[0];
      return { fin: first >> 7, rsv: (first >> 4) & 7, opcode: first & 15, payload: Buffer.from(this.take(length)) };
    });
  }

  // The code of the close frame that comes next; answers it, and the connection must end afterwards.
  async closeCode() {
    const { opcode, payload } = await this.frame();
    if (opcode !== 8) throw new Error(`expected a close frame, received opcode ${opcode}`);
    await this.end();
    return payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
  }

  destroy() {
    this.socket.destroy();
  }
}

export const UPGRADE = (path, extra = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
  + `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${extra}\r\n`;

// An open WebSocket connection without any client library behind it.
export async function rawWebSocket(port, path) {
  const raw = await Raw.to(port);
  raw.write(UPGRADE(path));
  const answer = await raw.response();
  // The accept value of the sample nonce is the RFC's own (section 1.3).
  if (answer.status !== 101 || answer.headers['sec-websocket-accept'] !== 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=') {
    throw new Error(`the upgrade was answered with ${answer.line}`);
  }
  return raw;
}

// frame(opcode, payload, options): a masked, final frame unless told otherwise; length overrides what its header claims.
export function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true, wide = 0, length } = {}) {
  const data = Buffer.from(payload);
  const claimed = length ?? data.length;
  const width = wide || (claimed < 126 ? 0 : claimed < 65536 ? 2 : 8);
  const head = Buffer.alloc(2 + width);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (width === 0 ? Number(claimed) : width === 2 ? 126 : 127);
  if (width === 2) head.writeUInt16BE(Number(claimed), 2);
  if (width === 8) head.writeBigUInt64BE(BigInt(claimed), 2);
  if (!masked) return Buffer.concat([head, data]);
  const key = Buffer.from([0x12, 0x9a, 0xf3, 0x5c]);
  return Buffer.concat([head, key, data.map((byte, index) => byte ^ key[index % 4])]);
}
