"""--access-log: what stands in it, rotation, and files that take nothing."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import ends
from ends import Member, Server


def get(port, target):
    with ends.connect(port) as s:
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := s.recv(65536):
            answer += part
        return answer


class AccessLog(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = pathlib.Path(self.folder.name) / "access.log"

    def start(self, file=None, **more):
        self.server = Server("--shards", "2", "--access-log", str(file or self.file), **more).wait_until_ready()
        self.addCleanup(self.server.kill)
        return self.server

    def lines_when(self, ready, file=None, seconds=10):
        """Each line of the file, once ready(lines)."""
        until = time.monotonic() + seconds
        while True:
            lines = [json.loads(line) for line in (file or self.file).read_text().splitlines()] if (file or self.file).exists() else []
            if ready(lines) or time.monotonic() > until:
                return lines
            time.sleep(0.02)

    def said_when(self, words, seconds=10):
        until = time.monotonic() + seconds
        while words not in self.server.said() and time.monotonic() < until:
            time.sleep(0.02)
        return self.server.said()

    def test_requests_and_the_two_ends_of_a_websocket_are_lines_without_payload_or_token(self):
        server = self.start()
        member = Member(server.port, "/broadcast/a%22b?token=hidden-1&user=u")
        member.send(b"hidden-2")
        member.receive()
        get(server.port, "/rooms?%54oken=hidden-3")
        member.send(b"\x03\xe9", 8)
        member.until_close()
        member.close()
        lines = self.lines_when(lambda all: any(line["event"] == "closed" for line in all))
        self.assertNotIn("hidden", self.file.read_text())
        opened = next(line for line in lines if line["event"] == "opened")
        closed = next(line for line in lines if line["event"] == "closed")
        asked = next(line for line in lines if line["target"].startswith("/rooms"))
        self.assertEqual((opened["target"], opened["code"]), ("/broadcast/a%22b?token=***&user=u", 101))
        self.assertEqual((closed["target"], closed["code"], closed["id"]), (opened["target"], 1001, opened["id"]))
        self.assertEqual((asked["event"], asked["target"], asked["code"]), ("answered", "/rooms?%54oken=***", 200))
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$")
            self.assertRegex(line["address"], r"^127\.0\.0\.1:\d+$")
            self.assertGreater(line["bytes_in"], 0)
            self.assertGreaterEqual(line["ms"], 0)

    def test_a_file_that_was_renamed_is_left_at_sigusr1(self):
        server = self.start()
        get(server.port, "/rooms?first")
        self.lines_when(lambda all: any(line["target"] == "/rooms?first" for line in all))
        old = self.file.rename(self.file.with_suffix(".1"))
        get(server.port, "/rooms?second")
        self.lines_when(lambda all: any(line["target"] == "/rooms?second" for line in all), old)
        server.process.send_signal(signal.SIGUSR1)
        self.said_when("the access log was opened again")
        get(server.port, "/rooms?third")
        new = self.lines_when(lambda all: len(all) > 0)
        self.assertEqual([line["target"] for line in new], ["/rooms?third"])
        self.assertEqual([line["target"] for line in self.lines_when(bool, old) if "?" in line["target"]], ["/rooms?first", "/rooms?second"])
        self.assertEqual(server.stop()[0], 0)

    def test_a_file_that_cannot_be_opened_again_is_said_and_the_old_one_goes_on(self):
        server = self.start()
        old = self.file.rename(self.file.with_suffix(".1"))
        self.file.mkdir()
        server.process.send_signal(signal.SIGUSR1)
        self.assertIn("cannot be opened again", self.said_when("cannot be opened again"))
        get(server.port, "/rooms?still")
        self.assertTrue(any(line["target"] == "/rooms?still" for line in self.lines_when(lambda all: any("still" in line["target"] for line in all), old)))
        self.assertEqual(server.stop()[0], 0)

    def test_a_full_disk_drops_lines_and_nothing_else(self):
        server = self.start("/dev/full")
        for i in range(50):
            self.assertTrue(get(server.port, f"/rooms?{i}").startswith(b"HTTP/1.1 200"))
        self.assertRegex(self.said_when("were not written"), r"warning \d+ lines of the access log were not written, \d+ since the start")
        self.assertEqual(server.stop()[0], 0)

    def test_a_reader_that_does_not_read_keeps_nobody_waiting(self):
        os.mkfifo(self.file)
        reader = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        server = self.start()
        for i in range(600):
            self.assertTrue(get(server.port, f"/rooms?{'x' * 900}{i}").startswith(b"HTTP/1.1 200"))
        self.said_when("were not written")
        code, took = server.stop()
        self.assertEqual(code, 0)
        self.assertLess(took, ends.CLOSE_TIMEOUT_S)
        self.assertIn("were not written", server.said())

    def test_what_cannot_be_written_is_refused_at_the_start(self):
        os.mkfifo(self.file)
        for path, why in (("/nowhere/access.log", "No such file or directory"), (self.folder.name, "Is a directory"),
                          (str(self.file), "No such device or address")):
            done = subprocess.run([ends.SERVER, "--access-log", path], capture_output=True, text=True, timeout=10)
            self.assertEqual((done.returncode, done.stderr), (2, f"--access-log: cannot write {path}: {why}\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
