"""A server that is wrong in the way that the path asks for, or right.

    faulty_server.py [--deflate] [CERTIFICATE KEY]

To itself a connection echoes: /echo is right, /lose /duplicate /reorder /corrupt /delay /close meet their fault at every 50th message of a
connection, and /stall stands still for one second, once, a second after its first message, with all its connections. In a room, /room is
right, and /room/lose and /room/duplicate are wrong to one member at every 50th message of the room. Prints its port, then serves until it is
ended.
"""

import asyncio
import ssl
import sys
import time

import websockets


def damaged(message):
    """The same text with its last letter changed."""
    return message[:-1] + ("a" if message[-1] != "a" else "b")


first_message_at = None
has_stalled = False
rooms = {}  # path -> [members, number of messages]


def stall_once():
    global first_message_at, has_stalled
    now = time.monotonic()
    first_message_at = first_message_at or now
    if not has_stalled and now - first_message_at > 1:
        has_stalled = True
        time.sleep(1)  # The whole loop, on purpose.


async def serve(connection, path):
    try:
        await (room(connection, path) if path.startswith("/room") else echo(connection, path))
    except websockets.ConnectionClosed:
        pass  # The generator does not say goodbye at the end of a run.


async def echo(connection, path):
    count = 0
    held = None
    async for message in connection:
        count += 1
        bad = count % 50 == 0
        if path == "/stall":
            stall_once()
        if path == "/close" and bad:
            return await connection.close(1011, "no more")
        if path == "/lose" and bad:
            continue
        if path == "/reorder" and bad:
            held = message
            continue
        if path == "/delay" and bad:
            await asyncio.sleep(0.2)
        await connection.send(damaged(message) if path == "/corrupt" and bad else message)
        if path == "/duplicate" and bad:
            await connection.send(message)
        if held is not None:
            await connection.send(held)
            held = None


async def room(connection, path):
    here = rooms.setdefault(path, [[], 0])
    here[0].append(connection)
    try:
        async for message in connection:
            here[1] += 1
            bad = here[1] % 50 == 0
            for member in here[0]:
                if bad and path == "/room/lose" and member is here[0][0]:
                    continue
                await member.send(message)
                if bad and path == "/room/duplicate" and member is here[0][0]:
                    await member.send(message)
    finally:
        here[0].remove(connection)


async def main():
    options = sys.argv[1:]
    compression = None
    if options[:1] == ["--deflate"]:
        compression = "deflate"
        options = options[1:]
    context = None
    if options:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options)
    server = await websockets.serve(serve, "127.0.0.1", 0, compression=compression, ping_interval=None, max_size=None, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
