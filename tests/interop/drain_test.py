"""SIGTERM with a drain, as an operator and a load balancer see it. How evenly members are closed is shown by tests/sim/cases/drain_test.cpp."""
import re
import signal
import time
import unittest

import ends
from ends import Member, Server


def ask(port, path):
    with ends.connect(port) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(s.recv(4096).split()[1])


def wait_for(condition, what, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


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


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
