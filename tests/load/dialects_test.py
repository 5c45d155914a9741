"""bench-generator through TLS, with compressed messages, in the protocol of NATS, and beside members that do not read: it must find
each fault there too. Usage: dialects_test.py GENERATOR BASELINE
"""

import re
import ssl
import tempfile
import unittest
import zlib

from generator_test import FAULT_AT, FaultyServer, generate, good
from support.certificates import make_certificate
from support.websocket_server import ThreadedServer, frame, read_frame, read_head, upgraded


class TlsServer(FaultyServer):
    """The faulty server behind TLS."""

    def __init__(self, fault, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__(fault)

    def wrapped(self, client):
        return self.context.wrap_socket(client, server_side=True)


class DialectServer(ThreadedServer):
    def __init__(self, fault):
        self.fault = fault
        self.count = 0
        self.members = []
        super().__init__()


class DeflateServer(DialectServer):
    """Echo that inflates, lets `fault` change the message, and deflates again, without contexts."""

    def __init__(self, fault, offered_only=False):
        self.offered_only = offered_only
        super().__init__(fault)

    def serve(self, client, stream):
        extension = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        client.sendall(upgraded(read_head(stream), *(() if self.offered_only else (extension,))))
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


class NatsServer(DialectServer):
    """As much of NATS as a broadcast needs: INFO, CONNECT, SUB, PING, PUB, MSG. Two messages may share a frame."""

    def serve(self, client, stream):
        client.sendall(upgraded(read_head(stream)) + frame(b'INFO {"server_id":"test"}\r\n'))
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

    def serve(self, client, stream):
        answered = client

        def tell(number, payload):
            answered.sendall(frame(b"queued messages: 1"))
            return [payload]
        self.fault = tell
        super().serve(client, stream)


class Dialects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.certificate, cls.key = make_certificate(cls.folder.name)

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
