"""What an attacker says, as bytes: requests, frames, and loops that send and read as fast as the server lets them."""
import errno
import random
import selectors
import socket
import struct
import time
import zlib

UPGRADE = ("GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Version: 13\r\n{}\r\n")
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
_ordinal = random.randrange(1 << 20)


def connect(port, receive_buffer=None, wait=True):
    """From one of 64 addresses in turn: one address has only 28,000 ports."""
    global _ordinal
    _ordinal += 1
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.bind((f"127.0.1.{1 + _ordinal % 64}", 0))
    sock.settimeout(10)
    if wait:
        sock.connect(("127.0.0.1", port))
    else:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
    return sock


def upgrade(port, path, deflate=False, receive_buffer=None):
    """An open WebSocket; what the server says next is not read."""
    sock = connect(port, receive_buffer)
    sock.sendall(UPGRADE.format(path, DEFLATE if deflate else "").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(1)
        if not more:
            raise ConnectionError(f"no upgrade: {head!r}")
        head += more
    if b" 101 " not in head:
        raise ConnectionError(f"no upgrade: {head!r}")
    sock.setblocking(False)
    return sock


def many(port, paths, **options):
    """As many open WebSockets as there are paths; those that are refused are left out."""
    opened = []
    for path in paths:
        try:
            opened.append(upgrade(port, path, **options))
        except OSError:
            pass
    return opened


def frame(payload, opcode=2, compressed=False, announced=None):
    """Masked with the key 0, so that the payload stands as it is."""
    length = len(payload) if announced is None else announced
    first = 0x80 | opcode | (0x40 if compressed else 0)
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    return head + b"\0\0\0\0" + payload


def deflated(payload):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Feed:
    """One connection that is sent the same bytes again and again, as far as it takes them."""

    def __init__(self, sock, said, reads=True):
        self.sock, self.said, self.reads, self.at = sock, memoryview(said), reads, 0
        self.sent = self.read = 0
        self.ended = False
        sock.setblocking(False)

    def go_on(self, may_read, may_send):
        try:
            if may_read and self.reads:
                got = self.sock.recv(1 << 20)
                self.read += len(got)
                if not got:
                    self.ended = True
            if may_send:
                count = self.sock.send(self.said[self.at:])
                self.sent += count
                self.at = (self.at + count) % len(self.said)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.ended = True


def feed_all(until, feeds, again=None, step_s=0.05):
    """Goes on with all of them until then. `again()` makes a new one for one that ended. Returns the bytes sent."""
    chosen = selectors.DefaultSelector()
    sent = 0

    def add(feed):
        chosen.register(feed.sock, selectors.EVENT_WRITE | (selectors.EVENT_READ if feed.reads else 0), feed)

    for feed in feeds:
        add(feed)
    while time.monotonic() < until:
        for key, events in chosen.select(step_s):
            feed = key.data
            feed.go_on(events & selectors.EVENT_READ, events & selectors.EVENT_WRITE)
            if not feed.ended:
                continue
            sent += feed.sent
            chosen.unregister(feed.sock)
            feed.sock.close()
            if again:
                try:
                    add(again())
                except OSError as why:
                    if why.errno == errno.EMFILE:
                        raise
                    time.sleep(0.01)
        if not chosen.get_map():
            if not again:
                break
            try:
                add(again())
            except OSError:
                time.sleep(0.05)
    # They go, so that what is left in the server and in the kernel afterwards is nobody's.
    for key in list(chosen.get_map().values()):
        sent += key.data.sent
        key.data.sock.close()
    return sent


def sleep_until(until):
    time.sleep(max(0.0, until - time.monotonic()))
