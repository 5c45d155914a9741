"""ringcast-server top on a terminal of 80 columns and in a pipe, against a real server."""
import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import ends
from ends import Member, Server


class OnTerminal:
    """top with a terminal of its own; what it has shown so far is in shown."""

    def __init__(self, *options, lines=24):
        self.ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
        self.process = subprocess.Popen([ends.SERVER, "top", *options], stdin=its, stdout=its, stderr=its, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.its = its
        self.shown = ""

    def read_until(self, pattern, seconds=15, begin=0):
        """Waits until it has been shown, behind the first `begin` characters."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := re.search(pattern, self.shown[begin:]):
                return found
            if select.select([self.ours], [], [], 0.1)[0]:
                self.shown += os.read(self.ours, 65536).decode()
        raise AssertionError(f"{pattern} was not shown: {self.shown!r}")

    def press(self, keys):
        os.write(self.ours, keys)

    def end(self):
        try:
            return self.process.wait(5)
        finally:
            self.process.kill()
            while select.select([self.ours], [], [], 0)[0]:
                self.shown += os.read(self.ours, 65536).decode()
            self.settings = termios.tcgetattr(self.its)
            os.close(self.its)
            os.close(self.ours)

    def pages(self):
        return [page.split("\r\n") for page in re.sub(r"\x1b\[(K|J)", "", self.shown).split("\x1b[H")[1:]]


class Top(unittest.TestCase):
    def setUp(self):
        self.server = Server("--shards", "2", "--send-queue-bytes", str(64 << 20)).wait_until_ready()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def tearDown(self):
        self.server.kill()

    def test_a_page_each_second_fits_80_columns_and_24_lines_and_q_ends_it(self):
        members = [Member(self.server.port, f"/broadcast/room-{i}?user={'u' * 60}{i}") for i in range(30)]
        slow = Member(self.server.port, "/broadcast/room-0?user=sleepy")
        top = OnTerminal("--admin", self.url)
        top.read_until("ringcast at 127.0.0.1")
        for _ in range(300):
            members[0].send(b"x" * 60000)
        top.read_until(r"[1-9]\S*B +\d+ +\d+ +\d+ +\S+ +127\.0\.0\.1:\d+ +(sleepy|u+)")
        top.read_until(r"(?s)(\x1b\[H.*){3}")
        top.press(b"q")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.shown.rstrip().endswith("\x1b[?25h\x1b[?1049l"), top.shown[-60:])
        for page in top.pages()[:-1]:
            self.assertLessEqual(len(page), 24)
            for line in page:
                self.assertLessEqual(len(line), 80, line)
        # The terminal is as it was: lines, and keys that are shown.
        self.assertTrue(top.settings[3] & termios.ICANON and top.settings[3] & termios.ECHO)
        for member in [*members, slow]:
            member.close()

    def test_control_c_ends_it_and_leaves_the_terminal_as_it_was(self):
        top = OnTerminal("--admin", self.url)
        top.read_until("shard  websockets")
        top.press(b"\x03")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.settings[3] & termios.ICANON and top.settings[3] & termios.ECHO)
        self.assertIn("\x1b[?1049l", top.shown)

    def test_a_server_that_is_down_is_said_in_words_and_tried_again(self):
        top = OnTerminal("--admin", self.url)
        top.read_until("shard  websockets")
        self.server.stop()
        top.read_until(rf"cannot connect to 127\.0\.0\.1:{self.server.port}: Connection refused")
        begin = len(top.shown)
        self.server = Server("--shards", "2", port=self.server.port).wait_until_ready()
        top.read_until("shard  websockets", begin=begin)
        top.press(b"q")
        self.assertEqual(top.end(), 0)

    def run_piped(self, *options):
        return subprocess.run([ends.SERVER, "top", *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)

    def test_without_a_terminal_it_prints_one_page_and_ends(self):
        done = self.run_piped("--admin", self.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.count("ringcast at"), 1)
        self.assertNotIn("\x1b", done.stdout)
        self.assertIn("members  room", done.stdout)

    def test_a_token_is_sent_to_what_stands_in_front(self):
        asked = []
        front = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(front.close)

        def answer():
            while True:
                try:
                    s, _ = front.accept()
                except OSError:
                    return
                with s:
                    asked.append(s.recv(65536).decode())
                    s.sendall(b"HTTP/1.1 401 Unauthorized\r\n\r\n")

        ends.in_background(answer)
        with tempfile.NamedTemporaryFile("w") as token:
            token.write("abc.def-123\n")
            token.flush()
            url = f"http://127.0.0.1:{front.getsockname()[1]}"
            done = self.run_piped("--admin", url, "--token-file", token.name)
            self.assertEqual((done.returncode, "answers 401" in done.stderr), (1, True), done)
            self.assertIn("\r\nAuthorization: Bearer abc.def-123\r\n", asked[0])
            self.run_piped("--admin", url)
            self.assertNotIn("Authorization", asked[1])
            for wrong in ("", "two words", "a\r\nX: y", "x" * 8193):
                token.seek(0)
                token.truncate()
                token.write(wrong)
                token.flush()
                done = self.run_piped("--admin", url, "--token-file", token.name)
                self.assertEqual((done.returncode, done.stderr), (2, f"--token-file: {token.name}: this is no token\n"))
        done = self.run_piped("--admin", url, "--token-file", "/nowhere")
        self.assertEqual((done.returncode, done.stderr), (2, "--token-file: /nowhere: No such file or directory\n"))
        self.assertEqual(len(asked), 2)

    def test_what_cannot_be_watched_is_refused_in_words(self):
        for options, code, words in ((("--admin", "https://x"), 2, "--admin: 'https://x' is not like http://127.0.0.1:8080"),
                                     (("--admin", f"http://127.0.0.1:{ends.free_port()}"), 1, "Connection refused"),
                                     (("--bogus",), 2, "--bogus"), (("extra",), 2, "extra")):
            with self.subTest(options=options):
                done = self.run_piped(*options)
                self.assertEqual(done.returncode, code, done)
                self.assertIn(words, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
