#!/usr/bin/python3
"""Runs the example servers and talks to each. usage: examples_test.py FOLDER_OF_THE_PROGRAMS"""
import asyncio
import pathlib
import signal
import socket
import subprocess
import sys

import websockets


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


async def echo(url):
    async with websockets.connect(url + "/echo") as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def broadcast(url):
    async with websockets.connect(url + "/broadcast") as a, websockets.connect(url + "/broadcast") as b:
        await a.send("to all")
        for ws in (a, b):
            while (text := await ws.recv()) != "to all":
                assert text.startswith("second ")


async def chat(url):
    async with websockets.connect(url + "/chat/x?name=ann") as a:
        assert await a.recv() == "ann joined"
        async with websockets.connect(url + "/chat/x?name=bob") as b:
            assert await a.recv() == await b.recv() == "bob joined"
            await b.send("hi")
            assert await a.recv() == "bob: hi"
            await b.send("@ann psst")
            assert await a.recv() == "bob whispers: psst"
        assert await a.recv() == "bob left"


async def heartbeat(url):
    for path in ("/built-in", "/by-hand"):
        async with websockets.connect(url + path) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"


async def subprotocols(url):
    async with websockets.connect(url + "/speak", subprotocols=["chat.v1", "chat.v2"]) as ws:
        assert ws.subprotocol == "chat.v2" and await ws.recv() == "this is chat.v2"


async def connection_limit(url):
    async with websockets.connect(url + "/limited") as a:
        async with websockets.connect(url + "/limited"):
            third = asyncio.create_task(websockets.connect(url + "/limited").__aenter__())
            assert not (await asyncio.wait([third], timeout=0.3))[0]
        ws = await third
        await ws.send("at last")
        assert await ws.recv() == "at last"
        await ws.close()
        await a.send("x")
        assert await a.recv() == "x"


async def split(url):
    async with websockets.connect(url + "/split") as ws:
        await ws.send("x")
        seen = [await ws.recv() for _ in range(6)]
        assert sorted(seen) == [f"count {i}" for i in range(5)] + ["you said: x"], seen


EXAMPLES = {"echo-server": echo, "broadcast-server": broadcast, "chat-room": chat, "heartbeat": heartbeat,
            "subprotocols": subprotocols, "connection-limit": connection_limit, "split": split}

for name, talk in EXAMPLES.items():
    port = free_port()
    program = subprocess.Popen([pathlib.Path(sys.argv[1]) / f"example-{name}", f"127.0.0.1:{port}"], stderr=subprocess.PIPE)
    try:
        assert b"listening" in program.stderr.readline()
        asyncio.run(asyncio.wait_for(talk(f"ws://127.0.0.1:{port}"), 20))
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(10)
    print(name, "works")
