"""Frames and messages: what inflates, what is announced, what never becomes whole."""
import time

import wire
from attack import attack
from http_attacks import hold, push

BOMB = wire.frame(wire.deflated(b"\0" * (1 << 20)), compressed=True)


def bombs(path, connections):
    def run(target, _prepared, until):
        def one():
            return wire.Feed(wire.upgrade(target.port, path, deflate=True), BOMB * 64)
        return wire.feed_all(until, [one() for _ in range(connections)], again=one)
    return run


for where, path in (("echo", "/echo"), ("room", "/broadcast/bombs")):
    for count in (1, 4, 64):
        attack(f"bombs-{where}-{count}", f"{count} connection{'s' * (count > 1)} send{'s' * (count == 1)} messages of 1 KB that inflate to 1 MiB, to {path}")(bombs(path, count))


def opened(count, path="/echo"):
    return lambda target: wire.many(target.port, [path] * target.count(count))


@attack("announced-frames", "4,000 frames that announce 1 MiB and stop behind the header", prepare=opened(4000))
def announced_frames(target, sockets, until):
    said = wire.frame(b"", announced=1 << 20)
    sent = sum(push(sock, said) for sock in sockets)
    hold(target, sockets, until)
    return sent


@attack("half-messages", "500 messages of 1 MB of which the last byte does not come, and then their senders leave", prepare=opened(500))
def half_messages(target, sockets, until):
    said = wire.frame(b"m" * 999_999, announced=1_000_000)
    sent = 0
    for sock in sockets:
        if time.monotonic() > until:
            break
        sent += push(sock, said)
    hold(target, sockets, until)
    return sent


@attack("half-fragments", "500 messages of 1 MB in fragments of which the last does not come, and then their senders leave", prepare=opened(500))
def half_fragments(target, sockets, until):
    first = bytearray(wire.frame(b"m" * 125_000))
    first[0] = 0x02
    more = bytearray(first)
    more[0] = 0x00
    said = bytes(first + more * 7)
    sent = 0
    for sock in sockets:
        if time.monotonic() > until:
            break
        sent += push(sock, said)
    hold(target, sockets, until)
    return sent


@attack("slow-handler", "500 connections send 10 bytes, and again, to a coroutine that takes a second for each message", program="bench-slow-handler", prepare=opened(500, "/slow"))
def slow_handler(target, sockets, until):
    said = wire.frame(b"0123456789")
    sent = 0
    while time.monotonic() < until:
        for sock in sockets:
            try:
                sent += sock.send(said)
            except OSError:
                pass
        time.sleep(0.1)
    hold(target, sockets, until)
    return sent


@attack("pings-unread", "4 connections send pings and never read the pongs")
def pings_unread(target, _prepared, until):
    said = wire.frame(b"p" * 125, opcode=9) * 500

    def one():
        return wire.Feed(wire.upgrade(target.port, "/echo"), said, reads=False)
    return wire.feed_all(until, [one() for _ in range(4)], again=one)
