#!/usr/bin/python3
"""Runs the examples: talks to each server, and gives each client a server that dies and comes back.
usage: examples_test.py FOLDER_OF_THE_PROGRAMS"""
import asyncio
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

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


async def chat_history(url):
    async with websockets.connect(url + "/chat/x") as a:
        epoch = await a.recv()
        for i in range(30):
            await a.send(f"message {i + 1}")
        assert [await a.recv() for _ in range(30)] == [f"{i}\nmessage {i}" for i in range(1, 31)]
        async with websockets.connect(url + "/chat/x") as b:
            assert await b.recv() == epoch
            assert [await b.recv() for _ in range(20)] == [f"{i}\nmessage {i}" for i in range(11, 31)]
            await a.send("live")
            assert await b.recv() == await a.recv() == "31\nlive"
        async with websockets.connect(f"{url}/chat/x?since={epoch}:5") as c:
            assert await c.recv() == epoch + " resumed"
            assert [await c.recv() for _ in range(26)] == [f"{i}\nmessage {i}" for i in range(6, 31)] + ["31\nlive"]


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


async def blocking_work(url):
    async with websockets.connect(url + "/lookup") as ws:
        await ws.send("eve")
        assert await ws.recv() == "eve is 3 letters long"


async def is_told_1001(url, path, stop):
    """SIGTERM while somebody is connected: the Close frame is heard, and the program ends with 0."""
    async with websockets.connect(url + path, subprotocols=["chat.v2"] if path == "/speak" else None) as ws:
        await asyncio.sleep(0.05)
        stop()
        await ws.wait_closed()
        assert ws.close_code == 1001, ws.close_code


PATHS = {"echo-server": "/echo", "broadcast-server": "/broadcast", "chat-room": "/chat/x?name=eve", "chat-history": "/chat/y", "heartbeat": "/by-hand",
         "subprotocols": "/speak", "connection-limit": "/limited", "split": "/split", "blocking-work": "/lookup"}
EXAMPLES = {"echo-server": echo, "broadcast-server": broadcast, "chat-room": chat, "chat-history": chat_history, "heartbeat": heartbeat,
            "subprotocols": subprotocols, "connection-limit": connection_limit, "split": split, "blocking-work": blocking_work}

FOLDER = pathlib.Path(sys.argv[1])


def start_server(name, port, attempts=30):
    program = subprocess.Popen([FOLDER / f"example-{name}", f"127.0.0.1:{port}"], stderr=subprocess.PIPE)
    line = program.stderr.readline()
    if b"in use" in line and attempts > 1:
        # The kernel takes a moment to end the ring of a server that was killed, and its listeners with it.
        program.wait(10)
        time.sleep(0.1)
        return start_server(name, port, attempts - 1)
    assert b"listening" in line, line
    return program


def end(program, how=signal.SIGTERM):
    program.send_signal(how)
    program.wait(10)
    program.stderr.close()


def start_client(name, *arguments):
    """Its standard output line by line, as a terminal would see it."""
    return subprocess.Popen(["stdbuf", "-oL", FOLDER / f"example-{name}", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, bufsize=1)


def event_client(program, restart_server):
    for said in ("one", "two"):
        program.stdin.write(said + "\n")
        assert program.stdout.readline() == said + "\n"
    restart_server()
    program.stdin.write("after the server came back\n")
    assert program.stdout.readline() == "after the server came back\n"
    program.stdin.close()
    errors = program.stderr.read()
    assert "attempt 1 follows" in errors and "connected again" in errors and errors.endswith("closed with 1000\n"), errors


def coroutine_client(program, restart_server):
    assert program.stdout.readline() == "message 1\n"
    restart_server()
    rest = program.stdout.read().splitlines()
    assert rest[-1] == "message 4", rest


CLIENTS = {"event-client": (event_client, []), "coroutine-client": (coroutine_client, ["4"])}

for name, talk in EXAMPLES.items():
    port = free_port()
    server = start_server(name, port)
    try:
        asyncio.run(asyncio.wait_for(talk(f"ws://127.0.0.1:{port}"), 20))
        asyncio.run(asyncio.wait_for(is_told_1001(f"ws://127.0.0.1:{port}", PATHS[name], lambda: server.send_signal(signal.SIGTERM)), 20))
        assert server.wait(10) == 0, server.returncode
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
    print(name, "works")

for name, (talk, arguments) in CLIENTS.items():
    port = free_port()
    servers = [start_server("echo-server", port)]

    def restart_server():
        end(servers.pop(), signal.SIGKILL)
        servers.append(start_server("echo-server", port))

    client = start_client(name, f"ws://127.0.0.1:{port}/echo", *arguments)
    watchdog = threading.Timer(40, client.kill)  # a client that hangs ends here, and the reads from it with it
    watchdog.start()
    try:
        talk(client, restart_server)
        assert client.wait(10) == 0
    finally:
        watchdog.cancel()
        client.kill()
        client.wait()
        end(servers.pop())
    print(name, "works")
