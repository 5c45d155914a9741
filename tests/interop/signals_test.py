"""What each signal means to the server."""
import re
import signal
import subprocess
import tempfile
import time
import unittest

import ends
from ends import Member, Server


def mask_of(pid, what):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"^{what}:\s*([0-9a-f]+)", status.read(), re.MULTILINE).group(1), 16)


class Signals(unittest.TestCase):
    def test_sighup_without_tls_or_changes_sigusr1_and_sigusr2_are_ignored_with_a_line_in_the_log(self):
        server = Server("--shards", "2").wait_until_ready()
        member = Member(server.port, "/echo")
        for how, says in ((signal.SIGHUP, "no option has changed"), (signal.SIGUSR1, "SIGUSR1"), (signal.SIGUSR2, "SIGUSR2")):
            server.process.send_signal(how)
            until = time.monotonic() + 10
            while says not in server.said() and time.monotonic() < until:
                time.sleep(0.02)
            self.assertIn(says, server.said())
            member.send(b"x")
            self.assertEqual(member.receive(), (1, b"x"))
        code, _ = server.stop()
        self.assertEqual((code, member.until_close()[1]), (0, 1001))

    def test_sighup_with_tls_reads_the_certificates_again(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(tls=ends.make_certificate(folder)).wait_until_ready()
            server.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 10
            while "certificates were read again" not in server.said() and time.monotonic() < until:
                time.sleep(0.02)
            self.assertIn("certificates were read again", server.said())
            self.assertEqual(server.stop()[0], 0)

    def test_a_parent_that_blocked_the_signals_does_not_keep_them_away(self):
        def block():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])

        server = Server("--shards", "2", preexec_fn=block).wait_until_ready()
        member = Member(server.port, "/echo")
        code, took = server.stop()
        self.assertEqual((code, member.until_close()[1]), (0, 1001))
        self.assertLess(took, ends.CLOSE_TIMEOUT_S + 1)

    def test_no_thread_of_the_server_blocks_a_signal_that_a_child_would_inherit(self):
        server = Server("--shards", "2").wait_until_ready()
        tasks = subprocess.run(["ls", f"/proc/{server.process.pid}/task"], capture_output=True, text=True, check=True).stdout.split()
        for task in tasks:
            with open(f"/proc/{server.process.pid}/task/{task}/comm") as name:
                if name.read().strip() == "log":
                    continue  # it runs nothing but the writes, so nothing is forked there
            self.assertEqual(mask_of(task, "SigBlk"), 0, task)
        self.assertEqual(server.stop()[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
