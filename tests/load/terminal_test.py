"""What ringcast-load looks like: on terminals of several widths, in a pipe, and in its help; and whether it notices that it is itself too slow."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
import unittest

import load_test
from load_test import LOAD, Run


class Terminal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        load_test.OurServer.setUpClass.__func__(cls)

    @classmethod
    def tearDownClass(cls):
        load_test.OurServer.tearDownClass.__func__(cls)

    def on_terminal(self, columns, *options):
        """What arrives on a terminal that shows both streams."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        load = subprocess.Popen([LOAD, *options], stdin=its, stdout=its, stderr=its)
        os.close(its)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:
            pass  # The terminal is closed at the other end.
        os.close(ours)
        self.assertEqual(load.wait(timeout=10), 0, shown)
        return shown.decode()

    def test_progress_is_one_line_that_fits(self):
        for columns in (40, 80, 200):
            with self.subTest(columns=columns):
                shown = self.on_terminal(columns, f"{self.url}/echo", "--connections", "4", "--rate", "200", "--duration", "1.5", "--warmup", "0.6")
                lines = re.findall(r"\r([^\r\n]*)\x1b\[K", shown)
                self.assertGreater(len(lines), 4, shown)
                for line in lines:
                    self.assertLess(len(line), columns, line)
                self.assertIn("warming up", "".join(lines))
                if columns >= 80:
                    self.assertRegex(lines[-2], r"^measuring +\d+ msg/s  p50 +\S+ \ws  p99 +\S+ \ws  open 4  errors 0$")
                self.assertEqual(lines[-1], "")  # It is wiped before the report.

    def test_the_report_fits_80_columns(self):
        run = Run(f"{self.url}/broadcast/wide", "--mode", "broadcast", "--connections", 300, "--senders", 3, "--rate", 100, "--duration", 0.5, "--processes", 2,
                  "--threads", 4, "--size", "100-20000", "--server-pid", self.server.pid, "--assert", "max<1ns", "--assert", "delivery_rate>=100000000")
        self.assertEqual(run.code, 1, run)
        for line in run.out.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertNotIn("\x1b", run.out + run.err)

    def test_plain_lines_where_there_is_no_terminal(self):
        run = Run(f"{self.url}/echo", "--connections", 2, "--rate", 100, "--duration", 2.5, "--warmup", 0)
        lines = run.err.splitlines()
        self.assertGreaterEqual(len(lines), 1, run)
        for line in lines:
            self.assertRegex(line, r"^measuring +\d+ msg/s")

    def test_the_help_fits_80_columns_and_names_every_option(self):
        text = subprocess.run([LOAD, "--help"], capture_output=True, text=True, timeout=10, check=True).stdout
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        for option in ("mode connections senders rate size duration warmup ramp threads processes source-addresses compression tls-insecure tls-ca subprotocol json "
                       "hgrm max-rate-under assert server-pid").split():
            self.assertIn(f"--{option} ", text)

    def test_a_generator_without_a_processor_says_so(self):
        # One core, shared with three that never rest.
        core = {min(os.sched_getaffinity(0))}
        spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, core)) for _ in range(3)]
        mine = os.sched_getaffinity(0)
        try:
            time.sleep(0.2)
            os.sched_setaffinity(0, core)  # The generator inherits it.
            run = Run(f"{self.url}/echo", "--connections", 4, "--in-flight", 16, "--duration", 1.5, "--warmup", 0)
        finally:
            os.sched_setaffinity(0, mine)
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
        self.assertTrue(run.report["generator_limited"], run)
        self.assertGreater(run.report["generator_wait_share"], 0.1, run)
        self.assertIn("waited for a processor", " ".join(run.out.split()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
