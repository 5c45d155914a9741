"""What peers make ringcast-server and the kernel hold, and what of it is given back.

The figures are the kernel's: private memory of the process, and the bytes in the send queues of its sockets (/proc/net/tcp). With --report the
members that never read are also printed as kernel-notes/memory.md quotes them.
"""
import os
import pathlib
import socket
import ssl
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "secure"))
from server import Certificates, Server  # noqa: E402

MIB = 1 << 20
UPGRADE = ("GET {} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith(("Private_Clean", "Private_Dirty")))


def kernel_queues(port):
    """(state, bytes not yet acknowledged) of each socket of that local port."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in list(table)[1:]]
    return [(int(row[3], 16), int(row[4].split(":")[0], 16)) for row in rows if int(row[1].split(":")[1], 16) == port]


def frame(payload, announced=None, opcode=2, fin=True):
    size = len(payload) if announced is None else announced
    head = bytes([opcode | (0x80 if fin else 0)])
    head += bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack(">H", size) if size < 65536 else bytes([0xFF]) + struct.pack(">Q", size)
    return head + b"\0\0\0\0" + payload


def connect(port, target=None, receive_buffer=None):
    peer = socket.socket()
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.settimeout(10)
    peer.connect(("127.0.0.1", port))
    if target:
        peer.sendall(UPGRADE.format(target).encode())
        answer = peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101"), answer
    return peer


def wait_until(holds, seconds):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates().make("server")

    @classmethod
    def tearDownClass(cls):
        cls.certificates.folder.cleanup()

    def start(self, *options):
        server = Server(self.certificates, *options)
        self.addCleanup(server.stop)
        return server

    def test_what_500_half_sent_messages_held_is_given_back_when_they_have_left(self):
        for kind in ("messages", "bodies", "messages over TLS"):
            with self.subTest(kind):
                server = self.start()
                # Each shard has served everything once: what that costs is no leak.
                for _ in range(20):
                    warm = connect(server.port, "/echo")
                    warm.sendall(frame(b"x" * 600_000))
                    taken = 0
                    while taken < 600_000:
                        taken += len(warm.recv(65536))
                    warm.close()
                time.sleep(1)
                before = private_bytes(server.process.pid)
                held = []
                trust = ssl.create_default_context(cafile=self.certificates.pem("server"))
                for _ in range(500):
                    if kind == "bodies":
                        peer = connect(server.port)
                        peer.sendall(b"POST /rooms/a/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500_000)
                    elif kind == "messages":
                        peer = connect(server.port, "/echo")
                        peer.sendall(frame(b"x" * 500_000, 1_000_000))
                    else:
                        peer = trust.wrap_socket(connect(server.tls_port), server_hostname="localhost")
                        peer.sendall(UPGRADE.format("/echo").encode())
                        assert peer.recv(4096).startswith(b"HTTP/1.1 101")
                        peer.sendall(frame(b"x" * 500_000, 1_000_000))
                    held.append(peer)
                wait_until(lambda: private_bytes(server.process.pid) - before > 240 * MIB, 10)
                during = private_bytes(server.process.pid)
                self.assertGreater(during - before, 200 * MIB)
                for peer in held:
                    peer.close()
                back = wait_until(lambda: private_bytes(server.process.pid) < before + 10 * MIB, 5)
                after = private_bytes(server.process.pid)
                print(f"500 half-sent {kind}: {before / MIB:.1f} MiB before, {during / MIB:.1f} during, {after / MIB:.1f} after")
                self.assertTrue(back, f"{before / MIB:.1f} MiB before, {after / MIB:.1f} MiB after")
                server.stop()

    def test_above_memory_bytes_the_largest_debtors_are_ended_and_said_in_the_log(self):
        server = self.start("--memory-bytes", str(64 * MIB))
        before = private_bytes(server.process.pid)
        small = [connect(server.port, "/echo") for _ in range(20)]
        held = []
        for _ in range(200):
            peer = connect(server.port, "/echo")
            peer.sendall(frame(b"x" * 500_000, 1_000_000))
            held.append(peer)
        time.sleep(1)
        self.assertLess(private_bytes(server.process.pid) - before, 96 * MIB)
        told = 0
        for peer in held:
            peer.setblocking(False)
            try:
                answer = peer.recv(200)
                told += answer[:1] == b"\x88" and answer[2:4] == struct.pack(">H", 1013)
            except OSError:
                pass
        self.assertGreaterEqual(told, 60)
        self.assertLess(told, 200)
        for peer in small:
            peer.sendall(frame(b"there?", opcode=1))
            self.assertEqual(peer.recv(100), b"\x81\x06there?")
        self.assertIn("holds", server.said())

    def test_members_that_do_not_read_hold_little_in_the_kernel_and_are_reset_when_their_grace_ends(self):
        server = self.start("--send-queue-bytes", str(256 * 1024))
        deaf = [connect(server.port, "/broadcast/a?self=0", receive_buffer=4096) for _ in range(30)]
        talker = connect(server.port, "/broadcast/a?self=0")
        worst = 0
        for _ in range(800):
            talker.sendall(frame(b"x" * 10_000))
            if _ % 50 == 0:
                time.sleep(0.02)
                worst = max([worst] + [queued for _, queued in kernel_queues(server.port)])
        time.sleep(1)
        # They were closed with 1013: each has a Close frame that nobody takes.
        established = [queued for state, queued in kernel_queues(server.port) if queued > 0]
        print(f"30 members that never read: at most {worst} bytes of one in the kernel")
        self.assertGreaterEqual(len(established), 1)
        self.assertLess(worst, 512 * 1024)
        self.assertTrue(wait_until(lambda: not [q for _, q in kernel_queues(server.port) if q > 0], 15), kernel_queues(server.port))
        for peer in deaf:
            peer.setblocking(True)
            peer.settimeout(5)
            with self.assertRaises(ConnectionResetError):
                while peer.recv(65536):
                    pass
                raise AssertionError("it ended like a connection that had been served")

    def test_a_peer_that_closes_its_side_and_reads_slowly_gets_its_whole_answer(self):
        server = self.start()
        peer = connect(server.port, receive_buffer=4096)
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" * 1)
        peer.shutdown(socket.SHUT_WR)
        got = b""
        while True:
            time.sleep(0.05)
            more = peer.recv(2000)
            if not more:
                break
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        self.assertEqual(len(body), length)


if __name__ == "__main__":
    unittest.main()
