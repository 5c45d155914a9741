"""The server's side of RFC 6455 over plain sockets and threads, as little of it as a test needs that wants a server to be wrong in one place.

Small and slow on purpose: one frame at a time, no limits, no library whose own strictness would stand in the way.
"""

import base64
import hashlib
import socket
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(head):
    """What Sec-WebSocket-Accept must be for this request."""
    key = next(line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def upgraded(head, *lines):
    """The answer that opens the connection, with further header lines."""
    return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept_value(head) + b"\r\n" +
            b"".join(line + b"\r\n" for line in lines) + b"\r\n")


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            raise OSError("closed")
        head += line
    return head


def frame(payload):
    """A whole binary message, as a server sends it."""
    if len(payload) < 126:
        return struct.pack("!BB", 0x82, len(payload)) + payload
    return struct.pack("!BBH", 0x82, 126, len(payload)) + payload


def read_frame(stream):
    """The first byte and the payload of a client's frame."""
    first, second = stream.read(2)
    length = second & 127
    if length == 126:
        (length,) = struct.unpack("!H", stream.read(2))
    mask = stream.read(4)
    return first, bytes(byte ^ mask[i % 4] for i, byte in enumerate(stream.read(length)))


class ThreadedServer:
    """A listener, and a thread for each connection, in which `serve(client, stream)` of the subclass runs until the client is gone."""

    def __init__(self):
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.guarded, args=(client,), daemon=True).start()

    def guarded(self, client):
        try:
            client = self.wrapped(client)
            self.serve(client, client.makefile("rb"))
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def wrapped(self, client):
        """For TLS."""
        return client

    def close(self):
        self.listener.close()
