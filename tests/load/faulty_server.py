"""An echo server that is wrong in the way that the path asks for: /lose /duplicate /reorder /corrupt /stall /close, or right: /echo.

Prints its port, then serves until it is ended. Every 50th message of a connection meets the fault; /stall stands still for one second,
once, a second after its first message, with all its connections.
"""

import asyncio
import sys
import time

import websockets


def damaged(message):
    """The same text with its last letter changed."""
    return message[:-1] + ("a" if message[-1] != "a" else "b")


first_message_at = None
has_stalled = False


def stall_once():
    global first_message_at, has_stalled
    now = time.monotonic()
    first_message_at = first_message_at or now
    if not has_stalled and now - first_message_at > 1:
        has_stalled = True
        time.sleep(1)  # The whole loop, on purpose.


async def serve(connection, path):
    try:
        await echo(connection, path)
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
        await connection.send(damaged(message) if path == "/corrupt" and bad else message)
        if path == "/duplicate" and bad:
            await connection.send(message)
        if held is not None:
            await connection.send(held)
            held = None


async def main():
    server = await websockets.serve(serve, "127.0.0.1", 0, compression=None, ping_interval=None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
