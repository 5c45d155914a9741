"""A log that nobody reads keeps nobody waiting, and one that is read is whole."""
import fcntl
import json
import os
import re
import signal
import subprocess
import time
import unittest

import ends
from ends import Member, Server

F_SETPIPE_SZ = 1031
LINES = 1500
BROKEN = bytes([0x81, 1, 65])  # not masked: a violation, and a line at `debug`


def break_a_rule(port):
    member = Member(port, "/echo")
    member.socket.sendall(BROKEN)
    member.until_close()
    member.close()


class Unread(unittest.TestCase):
    def setUp(self):
        self.reads, writes = os.pipe()
        fcntl.fcntl(self.reads, F_SETPIPE_SZ, 4096)
        self.server = Server("--log-level", "debug", "--shards", "2", log=writes)
        os.close(writes)
        self.server.wait_until_ready()
        self.members = [Member(self.server.port, "/broadcast/log") for _ in range(8)]
        for _ in range(LINES):  # the pipe holds some 40 of them, the queue 1,024
            break_a_rule(self.server.port)

    def tearDown(self):
        self.server.kill()
        os.close(self.reads)

    def everybody_hears(self):
        self.members[0].send(b"are you there")
        for member in self.members:
            heard = member.receive()
            while heard[0] == 9:  # a ping, where the machine is slow
                heard = member.receive()
            self.assertEqual(heard, (1, b"are you there"))

    def test_members_hear_each_other_and_sigterm_ends_it(self):
        self.everybody_hears()
        code, took = self.server.stop()
        self.assertEqual(code, 0)
        self.assertLess(took, ends.CLOSE_TIMEOUT_S + 1)

    def test_a_second_sigterm_ends_it_at_once(self):
        self.server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        self.assertEqual(self.server.stop()[0], 1)

    def test_the_reader_that_comes_back_is_told_how_many_lines_it_missed(self):
        self.everybody_hears()
        text = b""
        os.set_blocking(self.reads, False)
        until = time.monotonic() + 20
        missed = []
        while time.monotonic() < until and sum(missed) + text.count(b" debug ") < LINES:
            try:
                text += os.read(self.reads, 65536)
                missed = [int(count) for count in re.findall(rb"(\d+) lines not written", text)]
            except BlockingIOError:
                time.sleep(0.01)
        self.assertEqual(len(missed), 1, text[-300:])
        self.assertEqual(missed[0] + text.count(b" debug "), LINES)
        for line in text.split(b"\n")[:-1]:
            self.assertRegex(line, rb"^(\d{4}-\d\d-\d\dT\S+ (debug|info) .*|\d+ lines not written, .*)$")


class Read(unittest.TestCase):
    def test_no_line_is_lost_in_normal_operation_and_the_last_one_is_there_at_the_end(self):
        for _ in range(5):
            server = Server("--log-level", "debug").wait_until_ready()
            for _ in range(200):
                break_a_rule(server.port)
            self.assertEqual(server.stop()[0], 0)
            said = server.said()
            self.assertEqual(said.count(" debug a peer broke RFC 6455"), 200)
            self.assertTrue(said.endswith("closing every connection\n"), said[-200:])

    def test_a_reader_that_goes_away_ends_nothing(self):
        reads, writes = os.pipe()
        server = Server("--log-level", "debug", log=writes)
        os.close(writes)
        server.wait_until_ready()
        os.close(reads)
        for _ in range(50):
            break_a_rule(server.port)
        member = Member(server.port, "/echo")
        member.send(b"still here")
        self.assertEqual(member.receive(), (1, b"still here"))
        self.assertEqual(server.stop()[0], 0)


def refused(port):
    with ends.connect(port) as s:
        s.sendall(b"NONSENSE\r\n\r\n")
        while s.recv(4096):
            pass


def wait_for(server, words, seconds=10):
    until = time.monotonic() + seconds
    while words not in server.said() and time.monotonic() < until:
        time.sleep(0.02)
    return server.said()


class Lines(unittest.TestCase):
    """What is said of peers, in both formats."""

    def start(self, *options):
        self.server = Server("--shards", "2", *options).wait_until_ready()
        self.addCleanup(self.server.kill)
        return self.server

    def close_a_slow_member(self, room, server):
        slow, fast = Member(server.port, f"/broadcast/{room}"), Member(server.port, f"/broadcast/{room}")
        for _ in range(1000):
            fast.send(b"x" * 60000)
            while fast.receive()[0] != 1:
                pass
            if "too slow" in server.said():
                break
        address = slow.socket.getsockname()
        slow.close()
        fast.close()
        return f"127.0.0.1:{address[1]}"

    def test_each_line_has_its_time_with_the_zone_and_a_signal_has_its_name(self):
        server = self.start()
        refused(server.port)
        said = wait_for(server, "refused")
        self.assertRegex(said, r"info refused 127\.0\.0\.1:\d+: bad_request\n")
        server.stop()
        self.assertIn("SIGTERM: closing every connection", server.said())
        for line in server.said().splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (info|warning) \S")

    def test_a_json_line_is_valid_whatever_a_peer_has_chosen(self):
        server = self.start("--log-format", "json", "--send-queue-bytes", "65536")
        refused(server.port)
        peer = self.close_a_slow_member("a%22b%5C%F0%9F%98%80%C2%9B", server)
        wait_for(server, "too slow")
        server.stop()
        lines = [json.loads(line) for line in server.said().splitlines()]
        for line in lines:
            self.assertEqual(list(line), ["time", "level", "message"])
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$")
        slow = [line for line in lines if "too slow" in line["message"]]
        self.assertEqual(len(slow), 1)
        self.assertEqual(slow[0]["level"], "warning")
        self.assertRegex(slow[0]["message"], rf"^closed {peer} as too slow: \d+ bytes waited for it in room a\"b\\😀\x9b$")

    def test_a_flood_of_refusals_is_ten_lines_a_second_and_the_rest_is_counted(self):
        server = self.start()
        begin = time.monotonic()
        for _ in range(300):
            refused(server.port)
        seconds = time.monotonic() - begin
        time.sleep(1.1)
        refused(server.port)
        wait_for(server, "others before")
        time.sleep(0.2)
        lines = [line for line in server.said().splitlines() if " refused " in line]
        self.assertLessEqual(len(lines), 10 * (int(seconds) + 2) + 1)
        left_out = sum(int(found) for found in re.findall(r"and (\d+) others before", server.said()))
        self.assertEqual(len(lines) + left_out, 301)

    def test_a_format_that_there_is_not_is_refused(self):
        for given in ("xml", "", "JSON"):
            done = subprocess.run([ends.SERVER, "--log-format", given], capture_output=True, text=True, timeout=10)
            self.assertEqual((done.returncode, done.stderr), (2, f"--log-format: '{given}' is none of the words; allowed: text, json\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
