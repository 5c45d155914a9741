#!/usr/bin/python3
"""Debian's python3-websockets with permessage-deflate, in every combination of its parameters: as a client of our server, and as a server
of our client."""
import asyncio
import os
import sys
import unittest

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client_and_websockets_test import Client, soon  # noqa: E402
from websockets_test import Server  # noqa: E402

SIZES = (0, 1, 63, 64, 255, 256, 1024, 65535, 65536, 1 << 20)
PARAMETERS = (
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 9},
    {"server_max_window_bits": 12, "client_max_window_bits": 11},
)


def sentence(size, seed=0):
    return (f'{{"n":{seed},"said":"' + "all members see the same messages in the same order " * (size // 50 + 1))[:size]


async def mirrored(ws):
    for size in SIZES:
        for message in (sentence(size, size), os.urandom(size)):
            await ws.send(message)
            assert await soon(ws.recv()) == message, f"{size} bytes"
    await ws.send(["in ", "three ", "pieces"])
    assert await soon(ws.recv()) == "in three pieces"
    for index in range(200):
        await ws.send(sentence(20 + 3 * index, index))
    for index in range(200):
        assert await soon(ws.recv()) == sentence(20 + 3 * index, index)


class OurServer(unittest.IsolatedAsyncioTestCase):
    async def test_echo_and_rooms(self):
        for mode in ("shared", "dedicated"):
            server = Server("--compression", mode)
            try:
                members = []
                for parameters in PARAMETERS:
                    with self.subTest(mode=mode, **parameters):
                        factory = ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **parameters})
                        async with websockets.connect(server.url("/echo"), extensions=[factory], compression=None, max_size=None) as ws:
                            self.assertEqual(len(ws.extensions), 1)
                            await mirrored(ws)
                        members.append(await websockets.connect(server.url("/broadcast/mixed"), extensions=[factory], compression=None))
                members.append(await websockets.connect(server.url("/broadcast/mixed"), compression=None))
                for index in range(40):
                    await members[index % len(members)].send(sentence(50 * index, index))
                    for member in members:
                        self.assertEqual(await soon(member.recv()), sentence(50 * index, index))
                for member in members:
                    await member.close()
            finally:
                server.stop()


class OurClient(unittest.IsolatedAsyncioTestCase):
    async def test_mirror(self):
        for face in ("event", "coroutine"):
            for mode in ("shared", "dedicated"):
                for parameters in PARAMETERS:
                    with self.subTest(face=face, mode=mode, **parameters):
                        done = asyncio.Queue()

                        async def handle(ws, path=None):
                            try:
                                self.assertEqual(len(ws.extensions), 1)
                                await mirrored(ws)
                                await done.put(None)
                            except BaseException as failure:
                                await done.put(failure)

                        factory = ServerPerMessageDeflateFactory(**parameters)
                        async with websockets.serve(handle, "127.0.0.1", 0, extensions=[factory], compression=None, max_size=None) as server:
                            port = server.sockets[0].getsockname()[1]
                            client = await Client.start(f"ws://127.0.0.1:{port}/", "--face", face, "--compression", mode)
                            failure = await soon(done.get())
                            await client.stop()
                            if failure is not None:
                                raise failure


if __name__ == "__main__":
    unittest.main(module=None, argv=[sys.argv[0], "compression_test.OurServer", "compression_test.OurClient"])
