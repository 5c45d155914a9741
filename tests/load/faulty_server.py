"""A server that is wrong in the way that the path asks for, or right.

    faulty_server.py [--deflate] [CERTIFICATE KEY]

To itself a connection echoes: /echo is right, /lose /duplicate /reorder /corrupt /delay /close meet their fault at every 50th message of a
connection, /binary sends each 50th back as bytes, and /stall stands still for one second, once, a second after its first message, with all its connections. In a room, /room is
right, and /room/lose and /room/duplicate are wrong to one member at every 50th message of the room; /room/swap gives it to one member behind the
next one, if that is of another sender; /room/hangup closes the two that are furthest behind at the 100th, behind all that waits for them. Prints its port, then serves until it is
ended.
"""

import asyncio
import socket
import ssl
import sys
import time

import websockets


def damaged(message):
    """The same text with its last letter changed."""
    return message[:-1] + ("a" if message[-1] != "a" else "b")


first_message_at = None
has_stalled = False
rooms = {}  # path -> [members, number of messages, the one that is held back, one message after the other]


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
        if path == "/binary" and bad:
            message = message.encode()
        await connection.send(damaged(message) if path == "/corrupt" and bad else message)
        if path == "/duplicate" and bad:
            await connection.send(message)
        if held is not None:
            await connection.send(held)
            held = None


async def tell(here, path, message):
    here[1] += 1
    bad = here[1] % 50 == 0
    if path == "/room/hangup":
        websockets.broadcast(here[0], message)
        behind = sorted(here[0], key=lambda member: member.transport.get_write_buffer_size())
        for member in behind[-2:] if here[1] == 100 else []:
            member.transport.close()  # When it has been read.
        return
    for member in here[0]:
        if path == "/room/swap" and member is here[0][0]:
            held = here[2]
            here[2] = message if bad else None
            if bad or (held and held[:4] == message[:4]):
                if held:
                    await member.send(held)
                if bad:
                    continue
                held = None
            await member.send(message)
            if held:
                await member.send(held)
            continue
        if bad and path == "/room/lose" and member is here[0][0]:
            continue
        await member.send(message)
        if bad and path == "/room/duplicate" and member is here[0][0]:
            await member.send(message)


async def room(connection, path):
    here = rooms.setdefault(path, [[], 0, None, asyncio.Lock()])
    here[0].append(connection)
    if path == "/room/hangup":  # What the kernel takes is not behind.
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    try:
        async for message in connection:
            async with here[3]:
                await tell(here, path, message)
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
