"""The load generator through TLS, with compressed messages, in the protocol of NATS, and beside members that do not read: it must find
each fault there too. Usage: dialects_test.py GENERATOR BASELINE
"""

import base64
import hashlib
import re
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest
import zlib
from pathlib import Path

from generator_test import FAULT_AT, WEBSOCKET_GUID, FaultyServer, frame, generate, good


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            raise OSError("closed")
        head += line
    return head


def accept_line(head):
    key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    return b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()) + b"\r\n"


def read_frame(stream):
    first, second = stream.read(2)
    length = second & 127
    if length == 126:
        (length,) = struct.unpack("!H", stream.read(2))
    mask = stream.read(4)
    return first, bytes(byte ^ mask[i % 4] for i, byte in enumerate(stream.read(length)))


class TlsServer(FaultyServer):
    """The faulty server behind TLS."""

    def __init__(self, fault, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__(fault)

    def serve(self, client):
        try:
            secured = self.context.wrap_socket(client, server_side=True)
        except (OSError, ssl.SSLError):
            client.close()
            return
        super().serve(secured)


class OwnServer:
    """A listener and a thread for each connection; `serve(client, stream)` is the subclass's."""

    def __init__(self, fault):
        self.fault = fault
        self.count = 0
        self.members = []
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
            self.serve(client, client.makefile("rb"))
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def close(self):
        self.listener.close()


class DeflateServer(OwnServer):
    """Echo that inflates, lets `fault` change the message, and deflates again, without contexts."""

    def __init__(self, fault, offered_only=False):
        self.offered_only = offered_only
        super().__init__(fault)

    def serve(self, client, stream):
        head = read_head(stream)
        extension = b"" if self.offered_only else \
            b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept_line(head) + extension + b"\r\n")
        while True:
            first, payload = read_frame(stream)
            if first & 0x40:
                payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
            with self.lock:
                self.count += 1
                number = self.count
            for message in self.fault(number, payload):
                squeeze = zlib.compressobj(wbits=-15)
                squeezed = squeeze.compress(message) + squeeze.flush(zlib.Z_SYNC_FLUSH)
                sent = frame(squeezed.removesuffix(b"\x00\x00\xff\xff"))
                client.sendall(bytes([sent[0] | 0x40]) + sent[1:])


class NatsServer(OwnServer):
    """As much of NATS as a broadcast needs: INFO, CONNECT, SUB, PING, PUB, MSG. Two messages may share a frame."""

    def serve(self, client, stream):
        head = read_head(stream)
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept_line(head) + b"\r\n" +
                       frame(b'INFO {"server_id":"test"}\r\n'))
        held = b""
        while True:
            text = read_frame(stream)[1]
            while text:
                line, _, text = text.partition(b"\r\n")
                if line.startswith(b"SUB "):
                    with self.lock:
                        self.members.append(client)
                elif line == b"PING":
                    client.sendall(frame(b"PONG\r\n"))
                elif found := re.fullmatch(rb"PUB +(\S+) (\d+)", line):
                    length = int(found.group(2))
                    payload, text = text[:length], text[length + 2:]
                    with self.lock:
                        self.count += 1
                        for message in self.fault(self.count, payload):
                            held += b"MSG " + found.group(1) + b" 1 " + str(len(message)).encode() + b"\r\n" + message + b"\r\n"
            with self.lock:
                for member in self.members if held else ():
                    member.sendall(frame(b"PING\r\n") + frame(held))
            held = b""


class AnsweringServer(FaultyServer):
    """Tells the publisher something for each message, as brokers do."""

    def __init__(self):
        super().__init__(good)

    def serve(self, client):
        answered = client

        def tell(number, payload):
            answered.sendall(frame(b"queued messages: 1"))
            return [payload]
        self.fault = tell
        super().serve(client)


class Dialects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.certificate, cls.key = Path(cls.folder.name) / "certificate.pem", Path(cls.folder.name) / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-nodes",
                        "-subj", "/CN=localhost", "-keyout", cls.key, "-out", cls.certificate], check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_against(self, server, *arguments):
        try:
            return generate(server.port, *arguments)
        finally:
            server.close()

    def servers(self, fault):
        yield "tls", TlsServer(fault, self.certificate, self.key), ("--tls", "--pattern", "echo")
        yield "deflate", DeflateServer(fault), ("--deflate", "--pattern", "echo", "--size", "300")
        yield "nats", NatsServer(fault), ("--nats", "--pattern", "broadcast", "--size", "64")

    def test_a_good_server_loses_nothing(self):
        for name, server, arguments in self.servers(good):
            with self.subTest(name):
                code, report = self.run_against(server, *arguments, "--connections", "3", "--depth", "4")
                self.assertEqual((code, report.get("lost")), (0, 0), report)
                self.assertGreater(report["deliveries"], 10)
                if name == "deflate":
                    self.assertEqual(report["compressed_share"], 1)

    def fault_is_found(self, fault):
        for name, server, arguments in self.servers(fault):
            with self.subTest(name):
                code, report = self.run_against(server, *arguments, "--connections", "3", "--depth", "2")
                self.assertEqual((code, report.get("lost")), (1, True), report)

    def test_a_lost_message_is_found(self):
        self.fault_is_found(lambda number, payload: [] if number == FAULT_AT else [payload])

    def test_a_repeated_message_is_found(self):
        self.fault_is_found(lambda number, payload: [payload, payload] if number == FAULT_AT else [payload])

    def test_a_corrupted_byte_is_found_while_nothing_is_measured(self):
        self.fault_is_found(lambda number, payload: [payload[:-1] + b"!" if number == 3 else payload])

    def test_a_server_that_does_not_compress_is_named(self):
        code, report = self.run_against(DeflateServer(good, offered_only=True), "--deflate", "--pattern", "echo", "--size", "300")
        self.assertEqual(code, 2)
        self.assertIn("does not compress", report["error"])

    def test_a_server_without_tls_is_named(self):
        code, report = self.run_against(FaultyServer(good), "--tls", "--pattern", "echo")
        self.assertEqual(code, 2, report)

    def test_handshakes_through_tls(self):
        code, report = self.run_against(TlsServer(good, self.certificate, self.key), "--tls", "--pattern", "handshake", "--depth", "4")
        self.assertEqual(code, 0, report)
        self.assertGreater(report["handshakes"], 4)

    def test_members_that_do_not_read_are_not_waited_for(self):
        server = FaultyServer(good)
        code, report = self.run_against(server, "--pattern", "broadcast", "--connections", "3", "--stalled", "2")
        self.assertEqual((code, report.get("lost")), (0, 0), report)
        self.assertEqual(len(server.members), 5)
        self.assertLessEqual(abs(report["deliveries"] - 3 * report["messages"]), 3)

    def test_answers_to_the_publisher_are_thrown_away_when_asked(self):
        code, report = self.run_against(AnsweringServer(), "--pattern", "broadcast", "--connections", "1", "--ignore-answers")
        self.assertEqual((code, report.get("lost")), (0, 0), report)
        code, _ = self.run_against(AnsweringServer(), "--pattern", "broadcast", "--connections", "1")
        self.assertEqual(code, 1)


if __name__ == "__main__":
    unittest.main(argv=["dialects_test.py"])
