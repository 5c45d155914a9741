"""ringcast-load notices what a server does wrong, is not fooled by one that stands still, and says so with its exit code."""

import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.ports import free_port, wait_until_listening  # noqa: E402

LOAD = os.environ["RINGCAST_LOAD"]
SERVER = os.environ["RINGCAST_SERVER"]
HERE = pathlib.Path(__file__).parent


def setUpModule():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)  # For the servers started here.


class Run:
    """One run of the generator with its report, text, and exit code."""

    def __init__(self, url, *options, timeout=60):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder, "report.json")
            hgrm = pathlib.Path(folder, "latency.hgrm")
            done = subprocess.run([LOAD, url, "--json", report, "--hgrm", hgrm, *map(str, options)], capture_output=True, text=True, timeout=timeout)
            self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
            self.report = json.loads(report.read_text()) if report.exists() else None
            self.hgrm = hgrm.read_text() if hgrm.exists() else None

    def __str__(self):
        return f"exit {self.code}\n{self.out}{self.err}"


class FaultyServer(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([sys.executable, "-B", HERE / "faulty_server.py"], stdout=subprocess.PIPE, text=True)
        self.url = f"ws://127.0.0.1:{int(self.server.stdout.readline())}"
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)

    def faulty(self, fault, *more):
        return Run(f"{self.url}/{fault}", "--connections", 4, "--rate", 1000, "--in-flight", 64, "--duration", 1, "--warmup", 0, *more)

    def assert_only(self, run, *wrong):
        self.assertEqual(run.code, 1, run)
        proof = run.report["proof"]
        for kind in ("lost", "duplicated", "reordered", "corrupted"):
            if kind in wrong:
                self.assertGreater(proof[kind], 0, run)
            else:
                self.assertEqual(proof[kind], 0, f"{kind}: {run}")

    def test_a_right_server_passes(self):
        run = self.faulty("echo", "--size", "20-3000")
        self.assertEqual(run.code, 0, run)
        proof = run.report["proof"]
        self.assertGreater(proof["sent"], 900, run)
        self.assertEqual(proof["sent"], proof["delivered"], run)
        self.assertEqual(proof["sent"], proof["expected"], run)

    def test_loss_is_noticed(self):
        run = self.faulty("lose")
        self.assert_only(run, "lost")
        self.assertEqual(run.report["proof"]["lost"], 20, run)  # 4 connections, 250 messages each, each 50th.

    def test_repetition_is_noticed(self):
        # The last message of each connection comes twice as well, when everything has arrived already.
        run = self.faulty("duplicate")
        self.assert_only(run, "duplicated")
        self.assertEqual(run.report["proof"]["duplicated"], 20, run)

    def test_disorder_is_noticed(self):
        # The last message of a connection is held back for ever, which is a loss.
        run = self.faulty("reorder")
        self.assert_only(run, "reordered", "lost")
        self.assertEqual((run.report["proof"]["reordered"], run.report["proof"]["lost"]), (16, 4), run)

    def test_corruption_is_noticed(self):
        run = self.faulty("corrupt")
        self.assert_only(run, "corrupted", "lost")  # What came damaged did not come.
        self.assertEqual((run.report["proof"]["corrupted"], run.report["proof"]["lost"]), (20, 20), run)

    def test_delay_is_no_fault_and_shows(self):
        run = self.faulty("delay")
        self.assertEqual(run.code, 0, run)
        self.assertGreater(run.report["latency_us"]["max"], 200_000, run)
        self.assertGreater(run.report["raw_latency_us"]["max"], 200_000, run)

    def test_faults_to_one_member_of_a_room(self):
        for fault, kind in (("lose", "lost"), ("duplicate", "duplicated")):
            with self.subTest(fault=fault):
                run = Run(f"{self.url}/room/{fault}", "--mode", "broadcast", "--connections", 12, "--senders", 3, "--rate", 200, "--duration", 1, "--warmup", 0,
                          "--processes", 2, "--threads", 4)
                self.assert_only(run, kind)
                self.assertEqual((run.report["proof"]["sent"], run.report["proof"]["expected"]), (200, 2400), run)
                self.assertEqual(run.report["proof"][kind], 4, run)

    def test_text_that_comes_back_as_binary_is_noticed(self):
        run = self.faulty("binary")
        self.assert_only(run, "corrupted", "lost")
        self.assertEqual(run.report["proof"]["corrupted"], 20, run)

    def in_one_order(self, path, *more):
        return Run(f"{self.url}/room/{path}", "--mode", "broadcast", "--connections", 12, "--senders", 10, "--rate", 390, "--duration", 1, "--warmup", 0,
                   "--processes", 2, "--threads", 4, *more)

    def test_an_order_that_is_not_the_same_for_all_is_noticed(self):
        right = self.in_one_order("right", "--order", "total")
        self.assertEqual((right.code, right.report["order"]), (0, {"compared": 390 * 12, "unjudged": 0, "differing": 0}), right)
        self.assertIn("one order: 4,680 deliveries compared", right.out)
        # Each sender's own messages come in order, so nothing else finds it.
        unseen = self.in_one_order("swap")
        self.assertEqual((unseen.code, "order" in unseen.report), (0, False), unseen)
        swapped = self.in_one_order("swap", "--order", "total")
        self.assertEqual(swapped.code, 1, swapped)
        found, proof = swapped.report["order"], swapped.report["proof"]
        self.assertEqual((proof["lost"], proof["duplicated"], proof["reordered"], proof["corrupted"]), (0, 0, 0, 0), swapped)
        self.assertIn(found["differing"], (1, 11), swapped)  # The one that is wrong, or all others if it was the first.
        self.assertEqual((390 + found["first"]["position"] + 1) % 50, 0, swapped)  # 390 were said in this room before.
        self.assertNotEqual(found["first"]["heard"]["sender"], found["first"]["by_others"]["sender"], swapped)
        self.assertIn("no one order", swapped.out)

    def test_a_close_behind_what_a_slow_reader_has_not_read_is_seen(self):
        run = Run(f"{self.url}/room/hangup", "--mode", "slow-reader", "--connections", 20, "--size", 50_000, "--rate", 200, "--duration", 1, "--warmup", 0)
        self.assertEqual((run.code, run.report["closed_slow"]), (0, 2), run)

    def test_a_tag_alone_is_checked_too(self):
        self.assert_only(self.faulty("corrupt", "--size", 20), "corrupted", "lost")

    def test_loss_does_not_stop_the_closed_loop(self):
        run = Run(f"{self.url}/lose", "--connections", 2, "--duration", 4, "--warmup", 0)
        self.assertEqual(run.code, 1, run)
        self.assertGreater(run.report["proof"]["sent"], 100, run)
        self.assertGreater(run.report["proof"]["lost"], 0, run)

    def test_a_stall_shows_in_the_corrected_p99_only(self):
        run = Run(f"{self.url}/stall", "--connections", 4, "--rate", 200, "--duration", 5, "--warmup", 0)
        self.assertEqual(run.code, 0, run)
        self.assertGreater(run.report["latency_us"]["p99"], 700_000, run)
        self.assertLess(run.report["raw_latency_us"]["p99"], 300_000, run)
        self.assertIn("from the plan", run.out)

    def test_a_server_that_closes_in_the_middle(self):
        run = self.faulty("close")
        self.assertEqual(run.code, 2, run)
        self.assertIn("1011: no more", run.err)
        self.assertFalse(run.report["complete"])
        self.assertGreater(run.report["proof"]["sent"], 0, run)


class OurServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.server = subprocess.Popen([SERVER, "--listen", f"127.0.0.1:{port}", "--shards", "1", "--log-level", "off"])
        cls.url = f"ws://127.0.0.1:{port}"
        wait_until_listening(port)

    @classmethod
    def tearDownClass(cls):
        cls.server.send_signal(signal.SIGKILL)
        cls.server.wait()

    def test_a_thousand_connections_echo(self):
        run = Run(f"{self.url}/echo", "--connections", 1000, "--duration", 1, "--warmup", 0.2, "--server-pid", self.server.pid)
        self.assertEqual(run.code, 0, run)
        self.assertEqual(run.report["connections"], 1000, run)
        self.assertGreater(run.report["server"]["cpu_us_per_delivery"], 0, run)
        self.assertEqual(run.report["handshake_us"]["count"], 1000, run)
        self.assertEqual(run.report["loop"], "closed")
        self.assertIn("closed loop", run.out)

    def test_event_streams_hear_a_broadcast_beside_websockets(self):
        run = Run(f"{self.url}/broadcast/streams", "--mode", "broadcast", "--sse", "--connections", 300, "--senders", 3, "--rate", 100, "--size", "20-5000",
                  "--duration", 1, "--warmup", 0, "--processes", 2)
        self.assertEqual(run.code, 0, run)
        proof = run.report["proof"]
        self.assertEqual((proof["delivered"], proof["sent"]), (300 * proof["sent"], 100), run)

    def test_twenty_senders_are_heard_in_one_order_from_two_shards(self):
        port = free_port()
        server = subprocess.Popen([SERVER, "--listen", f"127.0.0.1:{port}", "--shards", "2", "--log-level", "off"])
        self.addCleanup(server.wait)
        self.addCleanup(server.send_signal, signal.SIGKILL)
        wait_until_listening(port)
        run = Run(f"ws://127.0.0.1:{port}/broadcast/ordered", "--mode", "broadcast", "--order", "total", "--connections", 100, "--senders", 20,
                  "--rate", 1000, "--duration", 1, "--warmup", 0, "--processes", 2)
        self.assertEqual((run.code, run.report["order"]), (0, {"compared": 100_000, "unjudged": 0, "differing": 0}), run)

    def test_a_thousand_members_hear_a_broadcast(self):
        run = Run(f"{self.url}/broadcast/thousand", "--mode", "broadcast", "--connections", 1000, "--rate", 20, "--duration", 1, "--warmup", 0)
        self.assertEqual(run.code, 0, run)
        self.assertEqual(run.report["proof"]["delivered"], 1000 * run.report["proof"]["sent"], run)

    def test_a_sender_that_does_not_hear_itself(self):
        run = Run(f"{self.url}/broadcast/without?self=0", "--mode", "broadcast", "--connections", 10, "--senders", 2, "--no-self",
                  "--rate", 200, "--duration", 0.5, "--warmup", 0)
        self.assertEqual(run.code, 0, run)
        self.assertEqual(run.report["proof"]["delivered"], 9 * run.report["proof"]["sent"], run)

    def test_a_chat(self):
        run = Run(f"{self.url}/chat/load", "--mode", "chat", "--connections", 8, "--rate", 200, "--duration", 0.5, "--warmup", 0)
        self.assertEqual(run.code, 0, run)
        self.assertEqual(run.report["proof"]["delivered"], 8 * run.report["proof"]["sent"], run)

    def test_slow_readers_do_not_spoil_the_proof(self):
        run = Run(f"{self.url}/broadcast/slow", "--mode", "slow-reader", "--connections", 20, "--size", 1024, "--rate", 500, "--duration", 1, "--warmup", 0)
        self.assertEqual(run.code, 0, run)
        self.assertEqual(run.report["proof"]["delivered"], 18 * run.report["proof"]["sent"], run)

    def test_connect_idle_and_storm(self):
        connect = Run(f"{self.url}/echo", "--mode", "connect", "--connections", 16, "--duration", 0.5, "--warmup", 0.1)
        self.assertEqual(connect.code, 0, connect)
        self.assertGreater(connect.report["opened"], 16, connect)
        idle = Run(f"{self.url}/echo", "--mode", "idle", "--connections", 200, "--duration", 0.3)
        self.assertEqual((idle.code, idle.report["connections"]), (0, 200), idle)
        storm = Run(f"{self.url}/echo", "--mode", "reconnect-storm", "--connections", 200, "--duration", 0.3)
        self.assertEqual(storm.code, 0, storm)
        self.assertGreaterEqual(storm.report["storm_us"]["count"], 1, storm)

    def test_threads_share_the_connections(self):
        run = Run(f"{self.url}/echo", "--connections", 7, "--threads", 2, "--rate", 700, "--duration", 0.5, "--warmup", 0)
        self.assertEqual((run.code, run.report["connections"]), (0, 7), run)
        self.assertAlmostEqual(run.report["proof"]["sent"], 350, delta=20, msg=run)

    def test_asserts(self):
        options = ("--connections", 2, "--rate", 100, "--duration", 0.3, "--warmup", 0)
        good = Run(f"{self.url}/echo", *options, "--assert", "p99<5s", "--assert", "lost==0")
        self.assertEqual(good.code, 0, good)
        bad = Run(f"{self.url}/echo", *options, "--assert", "lost==0", "--assert", "max<1ns")
        self.assertEqual(bad.code, 1, bad)
        self.assertIn("assertion failed: max<1ns", bad.out)
        self.assertEqual(len(bad.report["failed_asserts"]), 1, bad)

    def test_the_hgrm_ends_with_every_message(self):
        run = Run(f"{self.url}/echo", "--connections", 2, "--rate", 200, "--duration", 0.5, "--warmup", 0)
        rows = re.findall(r"^\s+([\d.]+) ([\d.]+)\s+(\d+)", run.hgrm, re.M)
        self.assertEqual(int(rows[-1][2]), run.report["proof"]["delivered"], run.hgrm)
        self.assertEqual(float(rows[-1][1]), 1.0)

    def test_a_search_for_a_rate_ends(self):
        run = Run(f"{self.url}/echo", "--connections", 2, "--duration", 0.1, "--warmup", 0, "--rate", 500, "--max-rate-under", "p50=20ms")
        self.assertEqual(run.code, 0, run)
        self.assertGreater(run.report["max_rate_under"]["rate"], 0, run)

    def test_a_refused_upgrade(self):
        run = Run(f"{self.url}/nowhere", "--connections", 2)
        self.assertEqual(run.code, 2, run)
        self.assertIn("404", run.err)
        self.assertFalse(run.report["complete"])


class SeveralProcesses(unittest.TestCase):
    """What the workers found is added up exactly, and none of them is left behind."""

    @classmethod
    def setUpClass(cls):
        OurServer.setUpClass.__func__(cls)

    @classmethod
    def tearDownClass(cls):
        OurServer.tearDownClass.__func__(cls)

    def test_a_broadcast_is_heard_in_the_other_processes(self):
        run = Run(f"{self.url}/broadcast/several", "--mode", "broadcast", "--connections", 101, "--senders", 3, "--rate", 300, "--duration", 1,
                  "--warmup", 0, "--processes", 3, "--threads", 6)
        self.assertEqual(run.code, 0, run)
        self.assertEqual((run.report["options"]["processes"], run.report["options"]["threads"]), (3, 6))
        self.assertEqual((run.report["connections"], run.report["proof"]["sent"]), (101, 300), run)
        self.assertEqual(run.report["proof"]["delivered"], 101 * 300, run)
        self.assertEqual(run.report["latency_us"]["count"], 101 * 300, run)
        self.assertEqual(run.report["handshake_us"]["count"], 101, run)

    def test_a_sender_that_hears_itself_where_it_should_not(self):
        run = Run(f"{self.url}/broadcast/itself", "--mode", "broadcast", "--connections", 10, "--senders", 2, "--no-self", "--rate", 100, "--duration", 0.5,
                  "--warmup", 0, "--processes", 2)
        self.assertEqual(run.code, 1, run)
        self.assertEqual(run.report["proof"]["duplicated"], run.report["proof"]["sent"], run)

    def test_the_closed_loop_goes_on_when_another_process_completes_a_message(self):
        run = Run(f"{self.url}/chat/closed", "--mode", "chat", "--connections", 9, "--duration", 0.5, "--warmup", 0, "--processes", 2)
        self.assertEqual(run.code, 0, run)
        self.assertGreater(run.report["proof"]["sent"], 200, run)
        self.assertEqual(run.report["proof"]["delivered"], 9 * run.report["proof"]["sent"], run)

    def test_all_modes_can_be_spread(self):
        for mode, more in (("slow-reader", ("--rate", 50)), ("connect", ("--rate", 200)), ("idle", ()), ("reconnect-storm", ()), ("echo", ("--max-rate-under", "p50=50ms"))):
            with self.subTest(mode=mode):
                path = "broadcast/spread" if mode == "slow-reader" else "echo"
                run = Run(f"{self.url}/{path}", "--mode", mode, "--connections", 40, "--duration", 0.3, "--warmup", 0, "--processes", 2, "--threads", 4, *more)
                self.assertEqual(run.code, 0, run)
                if mode == "connect":
                    self.assertAlmostEqual(run.report["opened"], 60, delta=8, msg=run)

    def test_a_process_that_is_killed_is_a_finding(self):
        load = subprocess.Popen([LOAD, f"{self.url}/echo", "--connections", "4", "--processes", "3", "--rate", "10", "--duration", "20"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children = self.wait_for_children(load)
        os.kill(children[0], signal.SIGKILL)
        _, err = load.communicate(timeout=10)
        self.assertEqual(load.returncode, 2, err)
        self.assertIn("was ended by signal 9", err)
        for pid in children:
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def test_an_interrupted_run_reports_what_it_has(self):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder, "report.json")
            load = subprocess.Popen([LOAD, f"{self.url}/echo", "--connections", "4", "--processes", "2", "--rate", "200", "--duration", "20", "--warmup", "0",
                                     "--json", report], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
            children = self.wait_for_children(load)
            time.sleep(1)
            os.killpg(load.pid, signal.SIGINT)  # As Ctrl-C does.
            out, err = load.communicate(timeout=10)
            self.assertEqual(load.returncode, 2, err)
            self.assertIn("SIGINT", err)
            found = json.loads(report.read_text())
            self.assertFalse(found["complete"])
            self.assertGreater(found["proof"]["sent"], 50, out)
            self.assertGreater(found["latency_us"]["count"], 50, out)
            for pid in children:
                self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def wait_for_children(self, load):
        for _ in range(100):
            children = pathlib.Path(f"/proc/{load.pid}/task/{load.pid}/children").read_text().split()
            if children:
                time.sleep(0.3)
                return [int(pid) for pid in pathlib.Path(f"/proc/{load.pid}/task/{load.pid}/children").read_text().split()]
            time.sleep(0.05)
        self.fail("no process was started")


class ThirtyThousand(unittest.TestCase):
    """More connections than one process may have descriptors, and than one source address has ports."""

    def test_thirty_thousand_connections(self):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        server = subprocess.Popen([sys.executable, "-B", HERE / "acceptor.py", str(30_000 // (most - 1000) + 1)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline())
            run = Run(f"ws://127.0.0.1:{port}/", "--connections", 30_000, "--rate", 3000, "--duration", 10, "--warmup", 0, timeout=120)
            self.assertEqual(run.code, 0, run)
            self.assertEqual(run.report["connections"], 30_000, run)
            self.assertEqual(run.report["handshake_us"]["count"], 30_000, run)
            self.assertEqual(run.report["proof"]["delivered"], 30_000, run)  # Each of them once.
            if most <= 30_000:
                self.assertGreater(run.report["options"]["processes"], 1, run)
        finally:
            server.communicate(timeout=20)


class BadInput(unittest.TestCase):
    def test_one_sentence_and_exit_code_2(self):
        url = "ws://127.0.0.1:1/"
        for options, word in (((url, "--mode", "dance"), "dance"), ((url, "--rate", "fast"), "fast"), ((url, "--size", "5"), "20 bytes"),
                              ((url, "--size", "9-"), "9-"), ((url, "--assert", "p77<1ms"), "p77"), ((url, "--assert", "p99<5"), "duration"),
                              ((url, "--assert", "lost"), "compares nothing"), ((url, "--max-rate-under", "p99"), "p99=5ms"),
                              ((url, "--tls-insecure"), "wss://"), ((url, "--tls-ca", "x.pem"), "wss://"), (("wss://localhost/", "--tls-insecure", "--tls-ca", "x"), "only one"),
                              ((url, "--mode", "broadcast", "--connections", "1", "--no-self"), "nobody"), ((url, "--threads", "101"), "more of them"),
                              (("nonsense",), "nonsense"), ((url, "--source-addresses", "mars"), "mars"), ((url, "--server-pid", "999999999"), "999999999"),
                              ((url, "--mode", "broadcast", "--connections", "2", "--senders", "3"), "senders"),
                              ((url, "--sse"), "--sse: only of"), ((url, "--ended-by-server"), "--ended-by-server: only of"), ((url, "--order", "total"), "--order total: only of"), ((url, "--order", "some"), "neither sender nor total"), ((url, "--mode", "broadcast", "--sse", "--connections", "2", "--senders", "2"), "none is an event stream"),
                              ((url, "--connections", "900000", "--processes", "2"), "descriptors")):
            with self.subTest(options=options):
                done = subprocess.run([LOAD, *options], capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 2, done)
                self.assertIn(word, done.stderr)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_too_few_ports(self):
        first, last = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        run = Run(f"ws://127.0.0.1:{free_port()}/", "--connections", last - first + 2, "--source-addresses", "127.0.0.1")
        self.assertEqual(run.code, 2, run)
        self.assertIn(f"more ports than the {last - first + 1} of 1 source address;", run.err)
        run = Run(f"ws://127.0.0.1:{free_port()}/", "--source-addresses", "192.0.2.1")  # Of RFC 5737: nobody's.
        self.assertEqual(run.code, 2, run)
        self.assertIn("cannot connect from 192.0.2.1", run.err)

    def test_nobody_there(self):
        run = Run(f"ws://127.0.0.1:{free_port()}/")
        self.assertEqual(run.code, 2, run)
        self.assertIn("Connection refused", run.err)
        self.assertFalse(run.report["complete"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
