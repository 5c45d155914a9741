"""SIGTERM with a drain, as an operator and a load balancer see it. How evenly members are closed is shown by tests/sim/cases/drain_test.cpp."""
import ctypes
import os
import re
import signal
import socket
import tempfile
import threading
import time
import unittest

import ends
from ends import Member, Server


def ask(port, path):
    with ends.connect(port) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(s.recv(4096).split()[1])


def name_of(pid, task):
    with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as name:
        return name.read().strip()


def wait_for(condition, what, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


class Halted:
    """One thread of a child, which stands still as long as this lasts: ptrace(2)."""

    SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, thread):
        self.thread = thread
        self.libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(self, request):
        if self.libc.ptrace(ctypes.c_long(request), ctypes.c_long(self.thread), None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self.ptrace(self.SEIZE)
        self.ptrace(self.INTERRUPT)
        os.waitpid(self.thread, self.WALL)

    def __exit__(self, *_):
        self.ptrace(self.DETACH)


class Drain(unittest.TestCase):
    def test_it_is_not_ready_while_it_still_accepts_and_then_lets_everybody_go(self):
        server = Server("--shards", "2", "--drain-delay", "1500ms", "--drain-seconds", "2").wait_until_ready()
        members = [Member(server.port, "/broadcast/one") for _ in range(20)]
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: ask(server.port, "/health/ready") == 503, "it is ready although it drains")
        self.assertEqual(ask(server.port, "/health/live"), 200)
        members.append(Member(server.port, "/broadcast/one"))
        members[0].send(b"still here")
        for member in members:
            self.assertEqual(member.receive(), (1, b"still here"))
        self.assertEqual([member.until_close()[1] for member in members], [1001] * 21)
        self.assertEqual(server.process.wait(20), 0)
        with self.assertRaises(OSError):
            ends.connect(server.port)
        said = server.said()
        self.assertIn("not ready any more, accepting for 1500 ms, and closing every connection over 2000 ms", said)
        self.assertTrue(re.search(r"draining: \d+ connections are left", said), said)

    def test_members_of_ringcast_v1_are_told_when_to_come_back(self):
        server = Server("--shards", "1", "--drain-seconds", "1", "--retry-after-s", "7").wait_until_ready()
        told = [Member(server.port, "/broadcast/one?seq=1") for _ in range(12)]
        plain = [Member(server.port, "/broadcast/one"), Member(server.port, "/chat/one?name=n"), Member(server.port, "/echo")]
        server.process.send_signal(signal.SIGTERM)
        notices = []
        for member in told:
            messages, code = member.until_close()
            self.assertEqual(code, 1001)
            notices.append(messages[-1])
            member.close()
        for notice in notices:
            self.assertRegex(notice, rb'^\{"retry_after":7\.0\d\d\}$')
        for member in plain:
            messages, code = member.until_close()
            self.assertEqual(code, 1001)
            self.assertFalse([text for text in messages if b"retry_after" in text])
            member.close()
        self.assertEqual(server.process.wait(20), 0)

    def test_a_second_signal_ends_it_at_once(self):
        for second in (signal.SIGTERM, signal.SIGINT):
            server = Server("--drain-delay", "1h", "--drain-seconds", "1h").wait_until_ready()
            member = Member(server.port, "/echo")
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "draining" in server.said(), "it does not say that it drains")
            member.send(b"x")
            self.assertEqual(member.receive(), (1, b"x"))
            server.process.send_signal(second)
            self.assertEqual(server.process.wait(20), 1)

    def test_with_nobody_there_it_ends_at_once_whatever_the_time(self):
        server = Server("--drain-seconds", "1h").wait_until_ready()
        self.assertEqual(server.stop()[0], 0)


class Service(unittest.TestCase):
    """What systemd is told, by a socket that stands for it."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = self.folder.name + "/notify"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.settimeout(20)

    def start(self, *options, **environment):
        server = Server("--shards", "2", *options, env={**os.environ, "NOTIFY_SOCKET": self.path, **environment})
        self.addCleanup(server.kill)
        return server

    def test_it_is_told_when_the_server_is_ready_and_when_it_begins_to_stop(self):
        for self.path in (self.path, "@ringcast-test-" + str(os.getpid())):
            self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.manager.settimeout(20)
            self.manager.bind(self.path.replace("@", "\0"))
            server = self.start("--drain-seconds", "1")
            self.assertEqual(self.manager.recv(100), b"READY=1")
            self.assertEqual(ask(server.port, "/health/ready"), 200)
            member = Member(server.port, "/echo")
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.manager.recv(100), b"STOPPING=1")
            self.assertEqual(member.until_close()[1], 1001)
            self.assertEqual(server.process.wait(20), 0)
            self.manager.setblocking(False)
            self.assertRaises(BlockingIOError, self.manager.recv, 100)
            self.manager.close()

    def test_the_watchdog_is_told_as_long_as_every_shard_takes_turns(self):
        self.manager.bind(self.path)
        server = self.start(WATCHDOG_USEC="400000")
        self.assertEqual(self.manager.recv(100), b"READY=1")
        for _ in range(8):  # with nothing to do
            self.assertEqual(self.manager.recv(100), b"WATCHDOG=1")
        shard = next(task for task in os.listdir(f"/proc/{server.process.pid}/task") if name_of(server.process.pid, task) == "shard-1")
        with Halted(int(shard)):
            self.manager.settimeout(1)
            told = 0
            with self.assertRaises(TimeoutError):  # behind what was said before it stood still
                while told < 10:
                    self.manager.recv(100)
                    told += 1
            self.assertLess(told, 10)
        self.manager.settimeout(20)
        self.assertEqual(self.manager.recv(100), b"WATCHDOG=1")
        self.assertEqual(server.stop()[0], 0)

    def test_a_watchdog_of_another_process_and_a_manager_that_is_not_there_are_no_matter(self):
        self.manager.bind(self.path)
        server = self.start(WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        self.assertEqual(self.manager.recv(100), b"READY=1")
        self.manager.settimeout(0.5)
        self.assertRaises(TimeoutError, self.manager.recv, 100)
        self.assertEqual(server.stop()[0], 0)
        for path in (self.folder.name + "/nobody", "relative", "", "@", "/" + 200 * "x"):
            self.path = path
            server = self.start(WATCHDOG_USEC="nonsense").wait_until_ready()
            self.assertEqual(server.stop()[0], 0)

    def test_a_manager_that_reads_nothing_keeps_nobody_waiting(self):
        self.manager.bind(self.path)
        server = self.start(WATCHDOG_USEC="4000").wait_until_ready()
        time.sleep(1)  # more than the socket's queue holds
        self.assertEqual(ask(server.port, "/health/ready"), 200)
        self.assertEqual(server.stop()[0], 0)


class Handed(unittest.TestCase):
    """A socket that somebody else keeps, as systemd does for a .socket unit."""

    def test_restarts_refuse_nobody_who_connects_meanwhile(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        options = {"pass_fds": (listener.fileno(),)}
        over, refused, answers = threading.Event(), [], {}

        def ask_all_the_time():
            while not over.is_set():
                try:
                    s = ends.connect(port)
                except OSError as why:
                    refused.append(why)
                    continue
                with s:
                    try:
                        s.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        status = s.recv(4096)[9:12].decode()
                    except OSError as why:
                        status = type(why).__name__
                answers[status] = answers.get(status, 0) + 1

        asking = [ends.in_background(ask_all_the_time) for _ in range(4)]
        for _ in range(6):
            server = Server("--listen", f"fd:{listener.fileno()}", "--shards", "2", "--drain-seconds", "1", **options).wait_until_ready()
            before = answers.get("200", 0)
            wait_for(lambda: answers.get("200", 0) > before + 200, f"nobody is served: {answers} {refused}")
            self.assertEqual(server.stop()[0], 0)
        server = Server("--listen", f"fd:{listener.fileno()}", **options).wait_until_ready()
        over.set()
        for thread in asking:
            thread.join(20)
        server.kill()
        print(f"{sum(answers.values())} connections over 6 restarts: {answers}, {len(refused)} refused")
        self.assertEqual(refused, [])


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
