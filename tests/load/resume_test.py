"""ringcast-load --mode resume: who was cut off and comes back has heard everything, and a server for which that is not so is found out."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.ports import free_port, wait_until_listening  # noqa: E402

LOAD = os.environ["RINGCAST_LOAD"]
SERVER = os.environ["RINGCAST_SERVER"]
HERE = pathlib.Path(__file__).parent
MODULES = HERE.parent / "interop"


class Run:
    def __init__(self, url, *options):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder, "report.json")
            done = subprocess.run([LOAD, url, "--mode", "resume", "--json", report, *map(str, options)], capture_output=True, text=True, timeout=60)
            self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
            self.report = json.loads(report.read_text()) if report.exists() else None

    def __str__(self):
        return f"exit {self.code}\n{self.out}{self.err}"


class OurServer(unittest.TestCase):
    def start(self, *options):
        port = free_port()
        server = subprocess.Popen([SERVER, "--listen", f"127.0.0.1:{port}", "--shards", "2", "--log-level", "off", *map(str, options)])
        self.addCleanup(server.wait)
        self.addCleanup(server.send_signal, signal.SIGKILL)
        wait_until_listening(port)
        return f"ws://127.0.0.1:{port}/broadcast/resumed"

    def test_members_that_are_cut_at_random_hear_everything(self):
        url = self.start("--history-messages", 100_000)
        run = Run(url, "--connections", 60, "--senders", 2, "--rate", 500, "--size", "20-2000", "--cut", 0.4, "--cut-seconds", 0.2, "--duration", 2,
                  "--warmup", 0.1, "--processes", 2, "--threads", 3)
        self.assertEqual(run.code, 0, run)
        proof, found = run.report["proof"], run.report["resume"]
        self.assertEqual((proof["delivered"], proof["expected"], proof["lost"]), (60 * proof["sent"], 60 * proof["sent"], 0), run)
        self.assertGreater(found["times_cut"], 60, run)  # About 4 times each.
        self.assertEqual((found["resumed"], found["not_resumed"], found["misnumbered"]), (found["times_cut"], 0, 0), run)
        self.assertGreater(found["replayed"], found["times_cut"], run)
        self.assertEqual(found["whole_members"], 60, run)
        self.assertEqual(run.report["catch_up_us"]["count"], found["resumed"], run)
        self.assertIn("60 of 60 members heard everything", run.out)

    def test_event_streams_that_are_cut_hear_everything(self):
        url = self.start("--history-messages", 100_000)
        run = Run(url, "--sse", "--connections", 60, "--senders", 2, "--rate", 500, "--size", "20-2000", "--cut", 0.4, "--cut-seconds", 0.2,
                  "--duration", 2, "--warmup", 0.1, "--processes", 2, "--threads", 3)
        self.assertEqual(run.code, 0, run)
        proof, found = run.report["proof"], run.report["resume"]
        self.assertTrue(run.report["options"]["sse"], run)
        self.assertEqual((proof["delivered"], proof["expected"], proof["lost"]), (60 * proof["sent"], 60 * proof["sent"], 0), run)
        self.assertGreater(found["times_cut"], 60, run)
        self.assertEqual((found["resumed"], found["not_resumed"], found["misnumbered"]), (found["times_cut"], 0, 0), run)
        self.assertGreater(found["replayed"], found["times_cut"], run)
        self.assertEqual(found["whole_members"], 60, run)

    def test_all_event_streams_are_cut_at_once_and_catch_up(self):
        url = self.start("--history-messages", 100_000)
        run = Run(url, "--sse", "--connections", 101, "--rate", 200, "--cut", "all", "--cut-seconds", 0.5, "--duration", 1, "--warmup", 0)
        found = run.report["resume"]
        self.assertEqual((run.code, found["times_cut"], found["resumed"], found["whole_members"]), (0, 100, 100, 101), run)

    def test_event_streams_lose_what_a_server_without_history_forgets(self):
        run = Run(self.start(), "--sse", "--connections", 10, "--rate", 200, "--cut", "all", "--cut-seconds", 0.3, "--duration", 1, "--warmup", 0)
        self.assertEqual((run.code, run.report["resume"]["not_resumed"]), (1, 9), run)
        self.assertGreater(run.report["proof"]["lost"], 9 * 10, run)

    def test_the_seed_says_who_is_cut(self):
        url = self.start("--history-messages", 100_000)
        options = ("--connections", 100, "--rate", 50, "--cut", 0.02, "--cut-seconds", 0.05, "--duration", 0.5, "--warmup", 0)
        runs = [Run(url, *options, "--seed", seed) for seed in (1, 1, 3)]
        for run in runs:
            self.assertEqual(run.code, 0, run)
        first, again, other = (run.report["resume"]["times_cut"] for run in runs)
        self.assertAlmostEqual(first, again, delta=3)  # One that is due at the very end may or may not be met.
        self.assertGreater(first, other + 3)  # 26 and 17 are planned.

    def test_all_are_cut_at_once_and_catch_up(self):
        url = self.start("--history-messages", 100_000)
        run = Run(url, "--connections", 201, "--rate", 200, "--cut", "all", "--cut-seconds", 0.5, "--duration", 1, "--warmup", 0)
        self.assertEqual(run.code, 0, run)
        found = run.report["resume"]
        self.assertEqual((found["times_cut"], found["resumed"], found["whole_members"]), (200, 200, 201), run)
        self.assertGreaterEqual(found["replayed"], 200 * 50, run)  # 100 were said while they were away, if the machine is fast.
        self.assertEqual((run.report["storm_us"]["count"], run.report["catch_up_us"]["count"]), (1, 200), run)
        self.assertIn("all caught up", run.out)

    def test_a_history_that_is_too_small_is_found_out(self):
        url = self.start("--history-messages", 5)
        run = Run(url, "--connections", 10, "--rate", 200, "--cut", "all", "--cut-seconds", 0.5, "--duration", 1, "--warmup", 0)
        self.assertEqual(run.code, 1, run)
        found, proof = run.report["resume"], run.report["proof"]
        self.assertEqual((found["resumed"], found["not_resumed"], found["whole_members"]), (0, 9, 1), run)
        self.assertEqual((proof["duplicated"], proof["reordered"], proof["corrupted"], found["misnumbered"]), (0, 0, 0, 0), run)
        self.assertEqual(proof["delivered"], proof["expected"] - proof["lost"], run)
        self.assertGreater(proof["lost"], 9 * 20, run)

    def test_a_server_without_history_loses_what_was_said_meanwhile(self):
        run = Run(self.start(), "--connections", 10, "--rate", 200, "--cut", "all", "--cut-seconds", 0.3, "--duration", 1, "--warmup", 0)
        self.assertEqual((run.code, run.report["resume"]["not_resumed"]), (1, 9), run)
        self.assertGreater(run.report["proof"]["lost"], 9 * 10, run)

    def test_what_cannot_be_is_said(self):
        url = "ws://127.0.0.1:1/broadcast/x"
        for options, words in (((), "--rate"), (("--rate", 5, "--cut", "some"), "neither a share"), (("--rate", 5, "--cut", 0.95), "0.9"),
                               (("--rate", 5, "--no-self"), "--no-self"), (("--rate", 5, "--connections", 3, "--senders", 3), "are not cut"),
                               (("--rate", 5, "--cut", "all", "--cut-seconds", 3, "--duration", 2), "longer than --duration")):
            with self.subTest(options=options):
                run = Run(url, *options)
                self.assertEqual(run.code, 2, run)
                self.assertIn(words, run.err)


class WrongServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = subprocess.Popen(["node", HERE / "history_server.mjs", MODULES], stdout=subprocess.PIPE, text=True)
        cls.url = f"ws://127.0.0.1:{int(cls.server.stdout.readline())}"

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.server.wait()
        cls.server.stdout.close()

    # What members are: WebSockets, or in a class below event streams. Each has rooms of its own, since a room is wrong once.
    kind = ()

    def found(self, fault):
        run = Run(f"{self.url}/{fault}", *self.kind, "--connections", 5, "--rate", 200, "--cut", "all", "--cut-seconds", 0.3, "--duration", 0.6,
                  "--warmup", 0)
        proof, resumed = run.report["proof"], run.report["resume"]
        self.assertEqual((resumed["resumed"], proof["corrupted"]), (4, 0), run)
        return run, proof, resumed

    def test_a_right_one_passes(self):
        run, proof, resumed = self.found("right")
        self.assertEqual((run.code, proof["delivered"], resumed["whole_members"]), (0, 5 * proof["sent"], 5), run)

    def test_each_fault_is_told_apart(self):
        for fault, lost, duplicated, reordered, misnumbered, whole in (("skip", 1, 0, 0, 1, 4), ("double", 0, 1, 0, 1, 5), ("swap", 0, 0, 1, 3, 5),
                                                                       ("renumber", 0, 0, 0, 2, 5)):
            with self.subTest(fault=fault):
                run, proof, resumed = self.found(fault)
                self.assertEqual(run.code, 1, run)
                self.assertEqual((proof["lost"], proof["duplicated"], proof["reordered"]), (lost, duplicated, reordered), run)
                self.assertEqual((resumed["misnumbered"], resumed["whole_members"]), (misnumbered, whole), run)

    def test_one_that_says_it_resumes_and_does_not(self):
        run, proof, resumed = self.found("forget")
        self.assertEqual((run.code, resumed["misnumbered"], resumed["whole_members"]), (1, 1, 4), run)
        self.assertGreater(proof["lost"], 10, run)

    def test_one_that_does_not_say_where_it_is(self):
        run = Run(f"{self.url}/mute", *self.kind, "--connections", 2, "--rate", 10)
        self.assertEqual(run.code, 2, run)
        self.assertIn("does not say where the room is", run.err)


class WrongEventStreams(WrongServer):
    kind = ("--sse",)

    def test_an_id_of_another_epoch_and_a_binary_event_are_not_what_was_said(self):
        for fault in ("epoch", "binary"):
            with self.subTest(fault=fault):
                run = Run(f"{self.url}/{fault}", "--sse", "--connections", 5, "--rate", 200, "--cut", "all", "--cut-seconds", 0.3, "--duration", 0.6,
                          "--warmup", 0)
                proof = run.report["proof"]
                self.assertEqual((run.code, proof["corrupted"], proof["lost"]), (1, 1, 1), run)

    def test_a_body_that_is_not_chunked_as_it_says_ends_the_run(self):
        run = Run(f"{self.url}/chunks", "--sse", "--connections", 5, "--rate", 200, "--cut", "all", "--cut-seconds", 0.3, "--duration", 0.6)
        self.assertEqual(run.code, 2, run)
        self.assertIn("breaks the chunked coding", run.err)


if __name__ == "__main__":
    unittest.main()
