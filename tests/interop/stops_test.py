"""SIGTERM under load: each stop ends with 0 within the close timeout and a second.
usage: stops_test.py [STOPS]   stops under each kind of load; 3 unless told"""
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest

import ends
from ends import Member, Server, frame, in_background

STOPS = int(sys.argv.pop()) if len(sys.argv) > 1 and sys.argv[-1].isdigit() else 3
LIMIT_S = ends.CLOSE_TIMEOUT_S + 1
ROOMS = 4


class Load:
    """Threads that work until told; what fails because the server has gone is no failure."""

    def __init__(self):
        self.over = threading.Event()
        self.threads = []
        self.codes = []

    def add(self, work):
        def run():
            try:
                work(self.over)
            except (OSError, EOFError, AssertionError):
                pass

        self.threads.append(in_background(run))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(20)


def read_all(load, member):
    def work(_):
        load.codes.append(member.until_close()[1])

    return work


def large_publishers(server, load):
    """12 who publish 200 KB each as fast as they may, in rooms that live on both shards, and read."""
    payload = b"x" * 200_000
    for i in range(12):
        member = Member(server.port, f"/broadcast/room-{i % ROOMS}")

        def publish(over, member=member):
            while not over.is_set():
                member.send(payload, 2)

        load.add(publish)
        load.add(read_all(load, member))


def churn(server, load):
    def come_and_go(over):
        while not over.is_set():
            try:
                member = Member(server.port, "/broadcast/churn")
                member.send(b"hello")
                member.receive()
                member.close()
            except (EOFError, OSError, AssertionError):
                time.sleep(0.01)

    for _ in range(8):
        load.add(come_and_go)


def tls_members(server, load):
    wrap = ssl.create_default_context()
    wrap.check_hostname, wrap.verify_mode = False, ssl.CERT_NONE

    def talk(over):
        while not over.is_set():
            member = Member(server.tls_port, "/broadcast/secret", wrap)
            for _ in range(20):
                member.send(b"y" * 5000)
                member.receive()
            member.close()

    for _ in range(6):
        load.add(talk)
    # Handshakes that are under way and go no further.
    load.silent = [ends.connect(server.tls_port) for _ in range(4)]
    load.silent[0].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


def slow_members(server, load):
    load.silent = [Member(server.port, "/broadcast/slow", receive_bytes=4096) for _ in range(4)]
    talker = Member(server.port, "/broadcast/slow?self=0")

    def talk(over):
        while not over.is_set():
            talker.send(b"z" * 20_000)
            time.sleep(0.002)

    load.add(talk)
    load.add(read_all(load, talker))


def half_requests(server, load):
    load.silent = []
    for begin in (b"", b"GET / HT", b"POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", frame(b"q" * 70_000)[:500]):
        for _ in range(3):
            s = ends.connect(server.port)
            s.sendall(begin)
            load.silent.append(s)

    def ask(over):
        while not over.is_set():
            try:
                with ends.connect(server.port) as s:
                    for _ in range(20):
                        s.sendall(b"POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc")
                        s.recv(4096)
            except OSError:
                time.sleep(0.01)

    for _ in range(4):
        load.add(ask)


class Stops(unittest.TestCase):
    def stops(self, kind, tls=None):
        worst = 0
        for number in range(STOPS):
            server = Server("--shards", "2", "--max-message-bytes", "1000000", "--send-queue-bytes", "100000000", tls=tls).wait_until_ready()
            load = Load()
            try:
                kind(server, load)
                time.sleep(0.15 + 0.1 * (number % 4))
                code, took = server.stop()
            finally:
                server.kill()
                load.end()
            self.assertEqual(code, 0, server.said())
            self.assertLess(took, LIMIT_S, server.said())
            worst = max(worst, took)
            self.assertTrue(all(seen in (1001, 1013, None) for seen in load.codes), load.codes)
        print(f"{kind.__name__}: {STOPS} stops, the longest {worst:.2f} s", file=sys.stderr)

    def test_publishers_of_200_kb_over_two_shards(self):
        self.stops(large_publishers)

    def test_connections_that_come_and_go(self):
        self.stops(churn)

    def test_tls_with_handshakes_under_way(self):
        with tempfile.TemporaryDirectory() as folder:
            self.stops(tls_members, ends.make_certificate(folder))

    def test_members_that_do_not_read(self):
        self.stops(slow_members)

    def test_requests_under_way_and_half_of_a_request(self):
        self.stops(half_requests)


class Requests(unittest.TestCase):
    def test_half_a_request_is_answered_503_and_an_idle_connection_is_closed(self):
        server = Server("--shards", "1").wait_until_ready()
        half, idle = ends.connect(server.port), ends.connect(server.port)
        half.sendall(b"GET /health/live HTTP/1.1\r\nHo")
        time.sleep(0.2)
        code, _ = server.stop()
        self.assertEqual(code, 0)
        self.assertTrue(half.recv(4096).startswith(b"HTTP/1.1 503 "))
        self.assertEqual(idle.recv(4096), b"")


class Queued(unittest.TestCase):
    def test_what_post_called_queued_comes_before_the_1001_to_one_who_reads_late(self):
        for shards in ("1", "2"):
            server = Server("--shards", shards, "--send-queue-bytes", "100000000").wait_until_ready()
            slow = Member(server.port, "/broadcast/late", receive_bytes=4096)
            queued = 0
            with ends.connect(server.port) as publisher:
                body = b"m" * 2000
                for _ in range(4000):
                    publisher.sendall(b"POST /rooms/late/messages HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                                      b"Content-Length: 2000\r\n\r\n" + body)
                    answer = b""
                    while b"}" not in answer:
                        answer += publisher.recv(4096)
                    queued += b'"queued":1' in answer
            self.assertEqual(queued, 4000)
            heard = []
            reader = in_background(lambda: (time.sleep(0.5), heard.append(slow.until_close())))
            code, took = server.stop()
            reader.join(20)
            messages, close_code = heard[0]
            self.assertEqual((len(messages), close_code, code), (queued, 1001, 0))
            self.assertLess(took, LIMIT_S)
            self.assertNotIn("were not sent", server.said())

    def test_what_is_not_read_in_time_is_counted_in_the_log(self):
        server = Server("--shards", "2", "--close-timeout-s", "1", "--send-queue-bytes", "100000000").wait_until_ready()
        slow = Member(server.port, "/broadcast/never", receive_bytes=4096)
        talker = Member(server.port, "/broadcast/never?self=0")
        for _ in range(1000):
            talker.send(b"z" * 20_000)
        talker.send(b"", 9)
        while talker.receive()[0] != 10:
            pass
        code, took = server.stop()
        self.assertEqual(code, 0)
        self.assertGreater(took, 0.9)
        self.assertLess(took, 2)
        self.assertRegex(server.said(), r"1 connections had not read everything .*: [1-9]\d* messages of rooms")
        slow.close()


class Restarts(unittest.TestCase):
    def test_a_start_right_behind_a_kill_finds_its_port(self):
        port = ends.free_port()
        server = Server(port=port).wait_until_ready()
        for _ in range(6 * STOPS):
            held = [ends.connect(port) for _ in range(3)]
            server.process.kill()
            server.process.wait()
            server = Server(port=port)
            server.wait_until_ready()
            for s in held:
                s.close()
        self.assertEqual(server.stop()[0], 0, server.said())


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
