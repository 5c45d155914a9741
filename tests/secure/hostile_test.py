#!/usr/bin/python3
"""TLS peers that only want to be in the way: they say nothing, or half a handshake, or everything but data. Others are served."""
import os
import resource
import socket
import ssl
import subprocess
import time
import unittest

from server import DEADLINE_S, Certificates, Server, trusting
from tls_wire import RawTls, client_hello

UPGRADE = (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
PING = b"\x89\x80\0\0\0\0"
# A sanitizer keeps what was freed and guards what is held: the memory of the process says nothing of the server's then.
MEMORY_COUNTS = not os.environ.get("RINGCAST_SANITIZER")
CROWD = 2200  # above what both shards may have in progress
RECORDS_WITHOUT_DATA_MAX = 64
certificates = Certificates().make("server")


def memory_of(server):
    with open(f"/proc/{server.process.pid}/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def ended(sock, within_s=DEADLINE_S):
    """Whether the server ended the connection; what it says before does not matter."""
    deadline = time.monotonic() + within_s
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            if not sock.recv(1 << 16):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
        cls.context = trusting(certificates.pem("server"))

    def setUp(self):
        self.server = Server(certificates, "--log-level", "debug")

    def tearDown(self):
        self.assertEqual(self.server.stop(), 0, self.server.said()[-2000:])

    def assert_memory_stays(self, before, message=None):
        if MEMORY_COUNTS:
            self.assertLess(memory_of(self.server) - before, 4 << 20, message)
        else:
            print(f"{self.id()}: the memory is not counted under a sanitizer")

    def serve(self, count):
        """So many honest clients, one after the other; a refusal raises."""
        for _ in range(count):
            with self.server.connect_tls(self.context) as client:
                client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", client.recv(4096))

    def connect(self):
        sock = self.server.connect()
        self.addCleanup(sock.close)
        return sock

    def open_raw(self):
        tls = RawTls(self.server.tls_port)
        self.addCleanup(tls.sock.close)
        tls.sock.sendall(tls.record(UPGRADE))
        # The tickets and the answer to the upgrade, encrypted.
        heard = 0
        while heard < 200:
            heard += len(tls.sock.recv(1 << 16))
        return tls

    def test_connections_that_say_nothing_do_not_count_as_handshakes(self):
        before = memory_of(self.server)
        silent = [self.connect() for _ in range(CROWD)]
        self.serve(30)
        self.assert_memory_stays(before, "a connection that says nothing costs too much")
        silent[0].settimeout(0.01)
        with self.assertRaises(TimeoutError):
            silent[0].recv(1)  # it is still open

    def test_whoever_sends_a_client_hello_and_is_silent_goes_before_others(self):
        hello = client_hello()
        for _ in range(CROWD):
            self.connect().sendall(hello)
        self.serve(30)

    def test_a_client_hello_that_comes_byte_by_byte_is_served(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.server.connect() as sock:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        sock.sendall(bytes([byte]))
                    incoming.write(sock.recv(65536))
        self.assertEqual(tls.version(), "TLSv1.3")

    def test_a_client_hello_larger_than_any_ends_the_connection_at_its_header(self):
        with self.server.connect() as sock:
            sock.sendall(b"\x16\x03\x01\x20\x01")  # 8,193 bytes
            self.assertTrue(ended(sock))
        self.serve(1)

    def test_what_a_client_hello_announces_costs_nothing(self):
        before = memory_of(self.server)
        for _ in range(2000):
            self.connect().sendall(b"\x16\x03\x01\x20\x00\x01")
        self.serve(1)
        self.assert_memory_stays(before)

    def test_key_updates_between_data_are_answered(self):
        tls = self.open_raw()
        for _ in range(3 * RECORDS_WITHOUT_DATA_MAX):
            tls.sock.sendall(tls.key_update() + tls.record(PING))
        self.assertFalse(ended(tls.sock, 0.3))

    def test_a_flood_of_key_updates_ends_the_connection(self):
        for wants_answer in (True, False):
            tls = self.open_raw()
            self.assertFalse(self.ends_on([tls.key_update(wants_answer) for _ in range(RECORDS_WITHOUT_DATA_MAX // 2)], tls))
            self.assertTrue(self.ends_on([tls.key_update(wants_answer) for _ in range(RECORDS_WITHOUT_DATA_MAX)], tls))
        self.server.wait_for_log("too many records without data")

    def test_a_flood_of_records_without_data_ends_the_connection(self):
        for padding in (0, 1000):
            tls = self.open_raw()
            self.assertTrue(self.ends_on([tls.record(b"", padding=padding) for _ in range(2 * RECORDS_WITHOUT_DATA_MAX)], tls))
        self.server.wait_for_log("too many records without data")

    def ends_on(self, records, tls):
        try:
            tls.sock.sendall(b"".join(records))
        except OSError:
            return True
        return ended(tls.sock, 0.5 if len(records) < RECORDS_WITHOUT_DATA_MAX else DEADLINE_S)

    def test_who_does_not_take_the_answers_to_its_key_updates_is_not_read(self):
        def narrow(address):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(address)
            return sock
        tls = RawTls(self.server.tls_port, narrow)
        self.addCleanup(tls.sock.close)
        tls.sock.sendall(tls.record(UPGRADE))
        # The payload of one frame, a byte whenever so many KeyUpdates have come that one more could be too many.
        tls.sock.sendall(tls.record(b"\x82\xff\0\0\0\0\0\x0f\xff\xff\0\0\0\0"))
        tls.sock.settimeout(3)
        before, sent = memory_of(self.server), 0
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            said = b"".join(tls.key_update() for _ in range(RECORDS_WITHOUT_DATA_MAX - 1)) + tls.record(b"x")
            try:
                tls.sock.sendall(said)
            except TimeoutError:
                break
            sent += len(said)
        else:
            self.fail(f"{sent} bytes were read although nobody takes the answers")
        self.assert_memory_stays(before)
        self.serve(3)

    def test_renegotiation_of_tls_1_2_is_refused_and_disturbs_nobody(self):
        asks = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.tls_port}", "-servername", "localhost", "-tls1_2"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(0.3)
        try:
            for _ in range(20):
                asks.stdin.write(b"R\n")
                asks.stdin.flush()
                time.sleep(0.02)
            said = asks.communicate(timeout=DEADLINE_S)[0]
        except BrokenPipeError:
            said = asks.stdout.read()
            asks.wait(DEADLINE_S)
        asks.stdout.close()
        self.assertIn(b"RENEGOTIATING", said)
        self.assertEqual(said.count(b"BEGIN CERTIFICATE"), 1, "there was a second handshake")
        self.serve(3)


if __name__ == "__main__":
    unittest.main()
