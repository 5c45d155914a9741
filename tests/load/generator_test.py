"""The load generator against servers that are at fault on purpose: it must find each fault, and find none in a good server.

The server here is small and slow on purpose: threads, one frame at a time, no limits. Usage: generator_test.py GENERATOR BASELINE
"""

import base64
import hashlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

GENERATOR, BASELINE = sys.argv[1:3]
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FAULT_AT = 50  # The message at which the fault happens, counted over the whole server.


def frame(payload):
    if len(payload) < 126:
        return struct.pack("!BB", 0x82, len(payload)) + payload
    return struct.pack("!BBH", 0x82, 126, len(payload)) + payload


class FaultyServer:
    """Echo and broadcast over threads. `fault(number, payload)` returns the payloads to deliver for a message."""

    def __init__(self, fault):
        self.fault = fault
        self.count = 0
        self.members = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            stream = client.makefile("rb")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline()
                if not line:
                    return
                head += line
            path = head.split()[1].decode()
            key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n")
                       if line.lower().startswith(b"sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
            if path.startswith("/broadcast/") and "self=0" not in path:
                with self.lock:
                    self.members.append(client)
            client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            while True:
                first, second = stream.read(2)
                length = second & 127
                if length == 126:
                    (length,) = struct.unpack("!H", stream.read(2))
                mask = stream.read(4)
                payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(stream.read(length)))
                with self.lock:
                    self.count += 1
                    to = self.members if path.startswith("/broadcast/") else [client]
                    deliveries = self.fault(self.count, payload)
                    for member in to:
                        for delivery in deliveries:
                            member.sendall(delivery if isinstance(delivery, Raw) else frame(delivery))
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def close(self):
        self.listener.close()


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
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        code, report = generate(port, "--pattern", "echo")
        self.assertEqual(code, 2)
        self.assertIn("cannot connect", report["error"])


class Baseline(unittest.TestCase):
    def run_baseline(self, mode, *arguments):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        server = subprocess.Popen([BASELINE, "--port", str(port), *mode])
        try:
            for _ in range(500):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
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
