"""What the machine does not give: each is one sentence and exit 3, never an abort; and `auto` takes what it may have."""
import os
import pathlib
import re
import resource
import subprocess
import time
import unittest

import ends
from ends import SERVER, Member, Server

FILTER = pathlib.Path(__file__).resolve().parent / "without_io_uring.py"
NOBODY = 65534


def run(*options, under=(), limits=(), as_nobody=False):
    def prepare():
        if as_nobody:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        for what, most in limits:
            resource.setrlimit(what, (most, most))

    return subprocess.run([*under, SERVER, "--listen", f"127.0.0.1:{ends.free_port()}", *options], capture_output=True, text=True,
                          preexec_fn=prepare, timeout=60, check=False)


class Refusals(unittest.TestCase):
    def assert_one_sentence(self, result, mentions):
        self.assertEqual(result.returncode, 3, result.stderr)
        lines = [line for line in result.stderr.splitlines() if not re.search(r"(^| )(warning|info) ", line)]
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertRegex(lines[0], mentions)

    def test_a_filter_that_refuses_one_call_of_io_uring(self):
        for error in ("EPERM", "ENOSYS"):
            for call in ("setup", "enter", "register"):
                with self.subTest(error=error, call=call):
                    result = run(under=("/usr/bin/python3", str(FILTER), f"{error}:{call}"))
                    self.assert_one_sentence(result, "io_uring_" + call if call != "setup" else "io_uring")

    def test_a_ring_that_is_refused_or_loses_completions_in_the_middle_of_the_work(self):
        # EBADR is what the kernel says when it had no memory for a completion. Nothing is known then of what is in flight.
        members = 40
        for error, says in (("EBADR", "io_uring_enter failed: Invalid request descriptor"), ("EPERM", "io_uring_enter is refused")):
            with self.subTest(error=error):
                server = Server("--shards", "1", "--coalesce-wait-us", "0", "--log-level", "warning",
                                under=("/usr/bin/python3", str(FILTER), f"{error}:enter:{members // 2}")).wait_until_ready()
                self.addCleanup(server.kill)
                room = [Member(server.port, "/broadcast/a") for _ in range(members)]
                self.assertIsNone(server.process.poll(), server.said())
                # Its fan-out is one call for all of them.
                room[0].send(b"x")
                self.assertEqual(server.process.wait(20), 3, server.said())
                self.assertEqual(server.said().count("\n"), 1, server.said())
                self.assertRegex(server.said(), says + ".*; the process ends")
                for member in room:
                    with self.assertRaises((EOFError, ConnectionError)):
                        while True:
                            member.receive()

    @unittest.skipIf(os.environ.get("RINGCAST_SANITIZER"), "the undefined behaviour sanitizer opens pipes of its own and fails without")
    def test_each_number_of_descriptors_too_few(self):
        # From none that is left to enough: a ring, a listener, a doorbell and the rest each find nothing.
        codes = {}
        for most in range(4, 40):
            begin = time.monotonic()
            server = Server("--shards", "2", preexec_fn=lambda most=most: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
            while server.process.poll() is None and "listening on" not in server.said() and time.monotonic() - begin < 20:
                time.sleep(0.01)
            code = server.process.poll()
            if code is None:
                code = server.stop()[0]
            codes[most] = code
            self.assertIn(code, (0, 2, 3, 127), f"{most} descriptors: {server.said()}")
            if code in (2, 3):
                self.assertEqual(server.said().count("\n"), 1, server.said())
        self.assertIn(3, codes.values(), codes)
        self.assertIn(0, codes.values(), codes)

    @unittest.skipIf(os.getuid() != 0, "only root may become somebody else")
    def test_no_more_threads(self):
        for most in range(1, 5):
            result = run("--shards", "3", limits=((resource.RLIMIT_NPROC, most),), as_nobody=True)
            if result.returncode == 3:
                self.assert_one_sentence(result, "no thread could be started")
                return
        self.fail(f"{result.returncode}: {result.stderr}")

    @unittest.skipIf(os.getuid() != 0, "only root may become somebody else")
    def test_locked_memory_for_fewer_shards_than_were_asked_for(self):
        result = run("--shards", "32", limits=((resource.RLIMIT_MEMLOCK, 1 << 20),), as_nobody=True)
        self.assert_one_sentence(result, "locked memory")

    @unittest.skipIf(os.getuid() != 0 or (os.cpu_count() or 1) < 2, "needs root and two cores")
    def test_auto_takes_the_shards_that_locked_memory_allows_and_says_so(self):
        def prepare():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (700_000, 700_000))
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

        # The kernel gives back what the rings of the processes before had locked a moment after their end, and the limit counts the user.
        for tries_left in reversed(range(20)):
            server = Server("--shards", "auto", preexec_fn=prepare)
            try:
                server.wait_until_ready()
                break
            except AssertionError:
                if tries_left == 0:
                    raise
                time.sleep(0.5)
        member = Member(server.port, "/echo")
        member.send(b"x")
        self.assertEqual(member.receive(), (1, b"x"))
        self.assertEqual(server.stop()[0], 0)
        self.assertRegex(server.said(), r"1 shard\(s\) instead of \d+: .*locked memory")

    def test_more_shards_than_cores_are_warned_about(self):
        server = Server("--shards", str(2 * os.cpu_count() + 3)).wait_until_ready()
        self.assertEqual(server.stop()[0], 0)
        self.assertIn("gain nothing", server.said())


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
