"""A ringcast-server that a test starts, signals and waits for, and clients small enough to misbehave."""
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = os.environ.get("RINGCAST_SERVER", str(ROOT / "build/release/ringcast-server"))
CLOSE_TIMEOUT_S = 5
# A stop is at once unless a test asks for more.
os.environ.setdefault("RINGCAST_DRAIN_SECONDS", "0")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """With `log` a pipe's end or a file; otherwise what it says is in said()."""

    def __init__(self, *options, port=None, tls=None, log=None, under=(), **popen):
        self.port = port or free_port()
        self.said_file = None if log is not None else tempfile.TemporaryFile()
        command = [*under, SERVER, "--listen", f"127.0.0.1:{self.port}", *options]
        if tls is not None:
            self.tls_port = free_port()
            command += ["--listen-tls", f"127.0.0.1:{self.tls_port}", "--tls-cert", tls[0], "--tls-key", tls[1]]
        self.process = subprocess.Popen(command, stderr=log if log is not None else self.said_file, **popen)

    def wait_until_ready(self, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with connect(self.port) as s:
                    s.sendall(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if s.recv(4096).startswith(b"HTTP/1.1 200"):
                        return self
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"it did not become ready: {self.process.poll()} {self.said()}")

    def said(self):
        if self.said_file is None:
            return ""
        self.said_file.seek(0)
        return self.said_file.read().decode()

    def stop(self, how=signal.SIGTERM):
        """The exit code, and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(how)
        try:
            code = self.process.wait(CLOSE_TIMEOUT_S + 20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("it does not end: " + self.said()) from None
        return code, time.monotonic() - begin

    def kill(self):
        self.process.kill()
        self.process.wait()


def connect(port, timeout=10, receive_bytes=None):
    s = socket.socket()
    if receive_bytes:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    s.settimeout(timeout)
    s.connect(("127.0.0.1", port))
    return s


def frame(payload, opcode=1):
    """A masked frame whose key is zero, so its bytes are the payload's."""
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
    return head + bytes(4) + payload


class Member:
    """A WebSocket over a blocking socket."""

    def __init__(self, port, path, wrap=None, receive_bytes=None):
        self.socket = connect(port, receive_bytes=receive_bytes)
        if wrap is not None:
            self.socket = wrap.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.some()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def some(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        return got

    def exactly(self, count):
        while len(self.buffer) < count:
            self.buffer += self.some()
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def receive(self):
        """(opcode, payload)."""
        first, length = self.exactly(2)
        length &= 127
        if length == 126:
            length, = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.exactly(8))
        return first & 15, self.exactly(length)

    def send(self, payload, opcode=1):
        self.socket.sendall(frame(payload, opcode))

    def until_close(self):
        """The messages up to the Close frame, and its code; None where the stream ended without one."""
        messages = []
        try:
            while True:
                opcode, payload = self.receive()
                if opcode == 8:
                    self.send(payload, 8)
                    return messages, struct.unpack(">H", payload[:2])[0]
                if opcode in (1, 2):
                    messages.append(payload)
        except (EOFError, OSError):
            return messages, None

    def close(self):
        self.socket.close()


def in_background(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def make_certificate(folder):
    certificate, key = f"{folder}/server.pem", f"{folder}/server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
