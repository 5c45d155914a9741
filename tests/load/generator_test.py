"""bench-generator against servers that are at fault on purpose: it must find each fault, and find none in a good server.

Usage: generator_test.py GENERATOR BASELINE
"""

import json
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.ports import free_port, wait_until_listening  # noqa: E402
from support.websocket_server import ThreadedServer, frame, read_frame, read_head, upgraded  # noqa: E402

GENERATOR, BASELINE = sys.argv[1:3]
FAULT_AT = 50  # The message at which the fault happens, counted over the whole server.


class FaultyServer(ThreadedServer):
    """Echo and broadcast. `fault(number, payload)` returns the payloads to deliver for a message."""

    def __init__(self, fault):
        self.fault = fault
        self.count = 0
        self.members = []
        super().__init__()

    def serve(self, client, stream):
        head = read_head(stream)
        path = head.split()[1].decode()
        if path.startswith("/broadcast/") and "self=0" not in path:
            with self.lock:
                self.members.append(client)
        client.sendall(upgraded(head))
        while True:
            _, payload = read_frame(stream)
            with self.lock:
                self.count += 1
                to = self.members if path.startswith("/broadcast/") else [client]
                deliveries = self.fault(self.count, payload)
                for member in to:
                    for delivery in deliveries:
                        member.sendall(delivery if isinstance(delivery, Raw) else frame(delivery))


class Raw(bytes):
    """Bytes that go out as they are."""


def good(_, payload):
    return [payload]


def generate(port, *arguments):
    done = subprocess.run([GENERATOR, "--port", str(port), "--warmup", "0.1", "--seconds", "0.4", *arguments],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout)


class Generator(unittest.TestCase):
    def against(self, fault, *arguments):
        server = FaultyServer(fault)
        try:
            return generate(server.port, *arguments)
        finally:
            server.close()

    def test_a_good_server_loses_nothing(self):
        for pattern in (("echo", "--depth", "4"), ("echo", "--size", "300"), ("broadcast", "--depth", "3"),
                        ("broadcast", "--rate", "100")):
            with self.subTest(pattern):
                code, report = self.against(good, "--pattern", *pattern, "--connections", "3")
                self.assertEqual((code, report.get("lost")), (0, 0), report)
                self.assertGreater(report["deliveries"], 10)

    def test_deliveries_are_messages_times_members(self):
        code, report = self.against(good, "--pattern", "broadcast", "--connections", "5", "--depth", "1")
        self.assertEqual(code, 0)
        self.assertLessEqual(abs(report["deliveries"] - 5 * report["messages"]), 5)

    def fault_is_found(self, fault):
        for pattern in ("echo", "broadcast"):
            with self.subTest(pattern):
                code, report = self.against(fault, "--pattern", pattern, "--connections", "3", "--depth", "2")
                self.assertEqual((code, report.get("lost")), (1, True), report)

    def test_a_lost_message_is_found(self):
        self.fault_is_found(lambda number, payload: [] if number == FAULT_AT else [payload])

    def test_a_repeated_message_is_found(self):
        self.fault_is_found(lambda number, payload: [payload, payload] if number == FAULT_AT else [payload])

    def test_a_reordered_message_is_found(self):
        held = []

        def swap(number, payload):
            if number == FAULT_AT:
                held.append(payload)
                return []
            return [payload] + ([held.pop()] if held else [])
        self.fault_is_found(swap)

    def test_a_corrupted_number_is_found(self):
        self.fault_is_found(lambda number, payload: [bytes([payload[0] ^ 1]) + payload[1:] if number == FAULT_AT else payload])

    def test_a_corrupted_byte_is_found_while_nothing_is_measured(self):
        self.fault_is_found(lambda number, payload: [payload[:-1] + b"!" if number == 3 else payload])

    def test_a_frame_of_the_wrong_length_is_found(self):
        self.fault_is_found(lambda number, payload: [payload + b"x" if number == FAULT_AT else payload])

    def test_a_frame_of_the_wrong_opcode_is_found(self):
        self.fault_is_found(lambda number, payload: [Raw(b"\x81" + frame(payload)[1:]) if number == FAULT_AT else payload])

    def test_a_stall_is_in_the_latency_of_the_open_loop(self):
        def stall(number, payload):
            if number == 60:
                time.sleep(0.3)
            return [payload]
        code, report = self.against(stall, "--pattern", "echo", "--connections", "2", "--rate", "200")
        self.assertEqual(code, 0, report)
        # 200 a second for 0.4 s: most of what was planned during the stall waited for a part of it.
        self.assertGreater(report["latency_us"]["p99"], 250_000)
        self.assertGreater(report["latency_us"]["p50"], 20_000)

    def test_a_server_that_is_not_there(self):
        code, report = generate(free_port(), "--pattern", "echo")
        self.assertEqual(code, 2)
        self.assertIn("cannot connect", report["error"])


class Baseline(unittest.TestCase):
    def run_baseline(self, mode, *arguments):
        port = free_port()
        server = subprocess.Popen([BASELINE, "--port", str(port), *mode])
        try:
            wait_until_listening(port)
            code, report = generate(port, "--raw", "--server-pid", str(server.pid), *arguments)
            self.assertEqual((code, report.get("lost")), (0, 0), report)
            self.assertGreater(report["server_cpu_us_per_message"], 0)
        finally:
            server.terminate()
            self.assertEqual(server.wait(5), 0)

    def test_echo(self):
        for size in (20, 1000, 200_000):
            with self.subTest(size):
                self.run_baseline(["--mode", "echo"], "--pattern", "echo", "--size", str(size),
                                  "--connections", "10", "--depth", "3")

    def test_fanout(self):
        for size, header in ((64, 6), (16384, 8), (100_000, 14)):
            with self.subTest(size):
                self.run_baseline(["--mode", "fanout", "--bytes", str(size + header)], "--pattern", "broadcast",
                                  "--size", str(size), "--connections", "20", "--depth", "2")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
