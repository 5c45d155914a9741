#!/usr/bin/python3
"""https:// and wss:// over real sockets: interop, mixed rooms, renewed certificates, and every wrong way to begin or end."""
import asyncio
import os
import signal
import socket
import ssl
import subprocess
import time
import unittest

import websockets

from server import DEADLINE_S, PROGRAM, Certificates, Server, read_to_end, trusting

UPGRADE = (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
certificates = Certificates().make("server").make("other", "other.test").make("renewed").make("client", "client-7")


def receive(client):
    return asyncio.wait_for(client.recv(), DEADLINE_S)


class Tls(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(certificates, "--log-level", "debug", "--send-queue-bytes", str(8 << 20), names=("server", "other"))
        cls.context = trusting(certificates.pem("server"))

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        assert status == 0, f"the server ended with {status}: {cls.server.said()}"

    def connect(self, path, encrypted=True, **options):
        where = f"wss://localhost:{self.server.tls_port}" if encrypted else f"ws://127.0.0.1:{self.server.port}"
        if encrypted:
            options.setdefault("ssl", self.context)
        return websockets.connect(where + path, open_timeout=DEADLINE_S, close_timeout=DEADLINE_S, max_size=None, compression=None, **options)

    async def test_echo_over_both_versions_and_many_sizes(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            async with self.connect("/echo", ssl=trusting(certificates.pem("server"), version)) as client:
                for length in (0, 1, 125, 126, 8191, 16384, 65535, 65536, 300_000, 1 << 20):
                    await client.send(os.urandom(1) * length)
                    self.assertEqual(len(await receive(client)), length)
                    await client.send("ü" * (length // 2))
                    self.assertEqual(await receive(client), "ü" * (length // 2))
            self.assertEqual(client.close_code, 1000)

    async def test_a_pipelined_flood_comes_back_in_order(self):
        async with self.connect("/echo") as client:
            async def flood():
                for number in range(3000):
                    await client.send(f"{number} " + "y" * (number % 700))
            sending = asyncio.create_task(flood())
            for number in range(3000):
                self.assertTrue((await receive(client)).startswith(f"{number} "))
            await sending

    async def test_a_room_mixes_encrypted_and_plain_members(self):
        members = [await self.connect("/broadcast/mixed", encrypted=i % 2 == 0) for i in range(12)]
        for number in range(200):
            await members[number % 12].send(f"{number}:" + "z" * (number * 37 % 5000))
        heard = []
        for client in members:
            heard.append([await receive(client) for _ in range(200)])
        for other in heard[1:]:
            self.assertEqual(other, heard[0])
        self.assertEqual(sorted(int(text.split(":")[0]) for text in heard[0]), list(range(200)))
        for client in members:
            await client.close()

    async def test_a_slow_encrypted_member_gets_every_byte(self):
        # Its receive buffer is small and it does not read, so sends fall short in the middle of records.
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.settimeout(DEADLINE_S)
        raw.connect(("127.0.0.1", self.server.tls_port))
        slow = self.context.wrap_socket(raw, server_hostname="localhost")
        slow.sendall(UPGRADE.replace(b"/echo", b"/broadcast/slow"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += slow.recv(1)
        writer = await self.connect("/broadcast/slow", encrypted=False)
        for number in range(2000):
            await writer.send(f"{number:04}" + "s" * 1996)
            await receive(writer)
        def take_all():
            said = b""
            while len(said) < 2000 * 2004 and (more := slow.recv(65536)):
                said += more
            return said
        said = await asyncio.to_thread(take_all)
        self.assertEqual(len(said), 2000 * 2004, f"the connection ended: {self.server.said()[-1000:]}")
        for number in range(2000):
            frame = said[number * 2004:(number + 1) * 2004]
            self.assertEqual(frame[:8], b"\x81\x7e\x07\xd0" + f"{number:04}".encode())
        slow.close()
        await writer.close()

    def test_curl_asks_the_service_face(self):
        done = subprocess.run(["curl", "-sS", "--max-time", "10", "--cacert", certificates.pem("server"),
                               f"https://localhost:{self.server.tls_port}/health/ready", f"https://localhost:{self.server.tls_port}/rooms"],
                              capture_output=True, text=True, check=True)
        self.assertIn('{"status":"ready"}', done.stdout)

    def test_openssl_resumes_a_session_and_agrees_on_alpn(self):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.tls_port}", "-servername", "localhost", "-alpn", "http/1.1",
                               "-CAfile", certificates.pem("server"), "-verify_return_error", "-tls1_2", "-reconnect"],
                              input="", capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertIn("ALPN protocol: http/1.1", done.stdout)
        self.assertEqual(done.stdout.count("Reused,"), 5, done.stdout + done.stderr)

    def test_the_server_name_chooses_the_certificate(self):
        with self.server.connect_tls(trusting(certificates.pem("other")), "other.test") as client:
            self.assertEqual(client.getpeercert()["subject"][0][0][1], "other.test")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.server.connect_tls(trusting(certificates.pem("other")), "localhost")

    def test_a_close_handshake_ends_with_close_notify(self):
        client = self.server.connect_tls(self.context)
        client.suppress_ragged_eofs = False
        client.sendall(UPGRADE + b"\x88\x82\0\0\0\0\x03\xe8")
        said = b""
        while more := client.recv(4096):
            said += more  # a missing close_notify raises SSLEOFError here
        self.assertTrue(said.endswith(b"\x88\x02\x03\xe8"))

    def test_plain_http_on_the_tls_port_is_answered_in_clear_text(self):
        with self.server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = read_to_end(client)
        self.assertTrue(said.startswith(b"HTTP/1.1 400 "), said)
        self.assertIn(b"this port speaks TLS", said)

    def test_tls_on_the_plain_port_is_refused(self):
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            self.context.wrap_socket(self.server.connect(self.server.port), server_hostname="localhost")

    def test_garbage_and_broken_records_end_the_connection(self):
        for garbage in (b"\0" * 64, b"\xff" * 64, b"\x16\x03\x01\xff\xff" + b"a" * 100, b"\x16\x03\x01\x00\x10" + b"b" * 16):
            with self.server.connect() as client:
                client.sendall(garbage)
                client.settimeout(DEADLINE_S)
                self.assertLess(len(read_to_end(client)), 64)
        # A record in an open session that does not decrypt.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.server.connect() as client:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    client.sendall(outgoing.read())
                    incoming.write(client.recv(65536))
            client.sendall(outgoing.read() + b"\x17\x03\x03\x00\x20" + b"c" * 32)
            client.settimeout(DEADLINE_S)
            read_to_end(client)
        self.server.wait_for_log("TLS failed")

    async def test_truncation_is_told_from_an_end(self):
        listener = await self.connect("/chat/truncated?name=stays", encrypted=False)
        client = self.server.connect_tls(self.context)
        client.sendall(UPGRADE.replace(b"/echo", b"/chat/truncated?name=goes"))
        client.recv(4096)
        raw = socket.socket(fileno=client.detach())
        raw.shutdown(socket.SHUT_WR)  # TCP's end without close_notify
        deadline = time.monotonic() + DEADLINE_S
        while '"leave"' not in str(text := await receive(listener)) and "left" not in str(text):
            self.assertLess(time.monotonic(), deadline)
        raw.close()
        await listener.close()

    def test_silence_before_the_handshake_does_not_disturb_others(self):
        silent = [self.server.connect() for _ in range(200)]
        with self.server.connect_tls(self.context) as client:
            client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", client.recv(4096))
        for one in silent:
            one.close()

    async def test_two_hundred_handshakes_at_once(self):
        clients = await asyncio.gather(*(self.connect("/echo") for _ in range(200)))
        for number, client in enumerate(clients):
            await client.send(str(number))
        for number, client in enumerate(clients):
            self.assertEqual(await receive(client), str(number))
        await asyncio.gather(*(client.close() for client in clients))


class Certified(unittest.TestCase):
    def test_sighup_renews_for_new_connections_and_keeps_the_old_on_a_broken_file(self):
        mine = Certificates().make("server")
        old = open(mine.pem("server")).read()
        server = Server(mine)
        try:
            before = server.connect_tls(trusting(mine.pem("server")))
            open(mine.pem("server"), "w").write("no certificate")
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_log("certificates were not renewed")
            open(mine.pem("server"), "w").write(old)
            context = trusting(mine.pem("server"))
            server.connect_tls(context).close()
            for end in (".pem", ".key"):
                name = "server" + end
                text = open(f"{certificates.folder.name}/renewed{end}").read()
                open(f"{mine.folder.name}/{name}", "w").write(text)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_log("read again")
            server.connect_tls(trusting(certificates.pem("renewed"))).close()
            with self.assertRaises(ssl.SSLCertVerificationError):
                server.connect_tls(context)
            before.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", before.recv(4096))
            before.close()
        finally:
            self.assertEqual(server.stop(), 0)

    def test_client_certificates(self):
        server = Server(certificates, "--tls-client-ca", certificates.pem("client"))
        try:
            context = trusting(certificates.pem("server"))
            context.load_cert_chain(certificates.pem("client"), certificates.key("client"))
            with server.connect_tls(context) as client:
                client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", client.recv(4096))
            with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                with server.connect_tls(trusting(certificates.pem("server"))) as client:
                    client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    if not client.recv(4096):
                        raise ConnectionResetError
        finally:
            self.assertEqual(server.stop(), 0)

    def test_wrong_options_end_with_one_sentence_and_exit_code_2(self):
        for options in (["--listen-tls", "127.0.0.1:1"], ["--tls-cert", "x"],
                        ["--listen-tls", "127.0.0.1:1", "--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.key"]):
            done = subprocess.run([PROGRAM, *options], capture_output=True, text=True, timeout=DEADLINE_S)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
