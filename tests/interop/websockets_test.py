#!/usr/bin/python3
"""Debian's python3-websockets as a client of every endpoint. Its own frame code is strict: a broken frame, a masked one or
a wrong close code from the server ends a test."""
import asyncio
import json
import os
import pathlib
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("RINGCAST_SERVER", str(ROOT / "build/release/ringcast-server"))
DEADLINE_S = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, *options):
        self.port = free_port()
        self.process = subprocess.Popen([PROGRAM, "--listen", f"127.0.0.1:{self.port}", "--shards", "2", "--drain-seconds", "0", *options])
        deadline = time.monotonic() + 15
        while self.request("/health/ready")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{PROGRAM} did not become ready")
            time.sleep(0.02)

    def url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def request(self, path, body=None, content_type=None):
        """Answers (status, content type, text); status 0 when nobody listens."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
        if content_type:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Content-Type", ""), error.read().decode()
        except OSError:
            return 0, "", ""

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def receive(client):
    return asyncio.wait_for(client.recv(), DEADLINE_S)


class Endpoints(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        assert status == 0, f"the server ended with {status}"

    def connect(self, path, **options):
        # No proxy, no limit of its own, and the deadline of the test instead of its defaults.
        return websockets.connect(self.server.url(path), open_timeout=DEADLINE_S, close_timeout=DEADLINE_S, max_size=None, **options)

    async def test_echo_returns_each_message_with_its_opcode(self):
        for compression in ("deflate", None):
            async with self.connect("/echo", compression=compression) as client:
                for length in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                    await client.send(b"\xfe" * length)
                    self.assertEqual(await receive(client), b"\xfe" * length)
                    await client.send("ü" * (length // 2))
                    self.assertEqual(await receive(client), "ü" * (length // 2))

    async def test_echo_joins_fragments(self):
        async with self.connect("/echo") as client:
            await client.send(["one ", "two ", "three"])
            self.assertEqual(await receive(client), "one two three")
            await client.send([b"\x00", b"\xff"])
            self.assertEqual(await receive(client), b"\x00\xff")

    async def test_ping_is_answered_with_its_payload(self):
        async with self.connect("/echo") as client:
            await asyncio.wait_for(await client.ping(b"are you there?"), DEADLINE_S)

    async def test_close_is_echoed(self):
        for code in (1000, 1001, 3000, 4321):
            client = await self.connect("/echo")
            await client.close(code, "until tomorrow")
            self.assertEqual(client.close_code, code)

    async def test_too_large_a_message_is_1009(self):
        client = await self.connect("/echo", compression=None)
        with self.assertRaises(ConnectionClosed) as closed:
            await client.send(b"x" * ((1 << 20) + 1))
            await receive(client)
        self.assertEqual(closed.exception.rcvd.code, 1009)

    async def test_broadcast_reaches_all_in_one_order(self):
        clients = [await self.connect("/broadcast/python") for _ in range(10)]
        await asyncio.gather(*(client.send(f"{index} {number}") for number in range(50) for index, client in enumerate(clients)))
        seen = [[await receive(client) for _ in range(500)] for client in clients]
        for each in seen:
            self.assertEqual(each, seen[0])
        self.assertEqual(sorted(seen[0]), sorted(f"{index} {number}" for index in range(10) for number in range(50)))
        await asyncio.gather(*(client.close() for client in clients))

    async def test_broadcast_without_self(self):
        async with self.connect("/broadcast/quiet?self=0") as one, self.connect("/broadcast/quiet") as two:
            await one.send(b"for others")
            self.assertEqual(await receive(two), b"for others")
            await two.send("for all")
            self.assertEqual(await receive(two), "for all")
            self.assertEqual(await receive(one), "for all")

    async def test_chat_joined_said_left(self):
        async with self.connect("/chat/python?name=Ada") as ada:
            self.assertEqual(await receive(ada), "Ada joined")
            async with self.connect("/chat/python?name=" + urllib.parse.quote("Grüße 環")) as other:
                self.assertEqual(await receive(ada), "Grüße 環 joined")
                self.assertEqual(await receive(other), "Grüße 環 joined")
                await other.send("hello\nworld")
                self.assertEqual(await receive(ada), "Grüße 環: hello\nworld")
            self.assertEqual(await receive(ada), "Grüße 環 left")

    async def test_chat_refuses_bad_names(self):
        async with self.connect("/chat/refusals?name=Ada") as ada:
            self.assertEqual(await receive(ada), "Ada joined")
            for query in ("?name=Ada", "", "?name=", "?name=" + "x" * 65, "?name=a%1Fb"):
                with self.assertRaises(InvalidStatusCode, msg=query) as refused:
                    await self.connect("/chat/refusals" + query)
                self.assertEqual(refused.exception.status_code, 400)

    async def test_publish_counts_the_members(self):
        def publish(body, content_type):
            status, kind, text = self.server.request("/rooms/posted/messages", body, content_type)
            self.assertEqual(status, 200)
            self.assertTrue(kind.startswith("application/json"))
            return json.loads(text)

        async with self.connect("/broadcast/posted") as one, self.connect("/broadcast/posted") as two:
            for body, kind, expected in ((b"text", "text/plain", "text"), (b"{}", "application/json", "{}"), (b"\xff", "image/png", b"\xff")):
                counts = await asyncio.to_thread(publish, body, kind)
                self.assertEqual(len(counts.pop("epoch")), 16)
                self.assertGreater(counts.pop("seq"), 0)
                self.assertEqual(counts, {"members": 2, "queued": 2, "conflated": 0, "dropped": 0})
                self.assertEqual(await receive(one), expected)
                self.assertEqual(await receive(two), expected)

    async def test_rooms_names_and_members(self):
        async with self.connect("/chat/listed?name=Ada") as ada:
            await receive(ada)
            for path, word in (("/rooms", "listed"), ("/rooms/listed", "Ada")):
                status, kind, text = await asyncio.to_thread(self.server.request, path)
                self.assertEqual(status, 200)
                self.assertTrue(kind.startswith("application/json"))
                json.loads(text)
                self.assertIn(f'"{word}"', text)

    async def test_plain_routes(self):
        for path in ("/health/live", "/health/ready", "/"):
            self.assertEqual((await asyncio.to_thread(self.server.request, path))[0], 200)
        for path in ("/echo", "/broadcast/x", "/chat/x?name=y"):
            status, _, text = await asyncio.to_thread(self.server.request, path)
            self.assertEqual(status, 400)
            self.assertIsInstance(json.loads(text)["error"], str)


class End(unittest.IsolatedAsyncioTestCase):
    async def test_sigterm_closes_with_1001(self):
        server = await asyncio.to_thread(Server)
        clients = [await websockets.connect(server.url(path)) for path in ("/echo", "/broadcast/end", "/chat/end?name=Ada")]
        stopped = asyncio.create_task(asyncio.to_thread(server.stop))
        for client in clients:
            with self.assertRaises(ConnectionClosed) as closed:
                while True:
                    await receive(client)
            self.assertEqual(closed.exception.rcvd.code, 1001)
        self.assertEqual(await stopped, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
