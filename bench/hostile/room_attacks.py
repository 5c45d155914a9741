"""Rooms: members that do not read, more pieces than one send carries, names that meet."""
import subprocess
import time

import wire
from attack import attack

STALLED_BUFFER = 4096


def stalled(policy):
    def run(target, _prepared, until):
        room = "/broadcast/stalled"
        silent = wire.upgrade(target.port, room, receive_buffer=STALLED_BUFFER)
        talkers = [wire.upgrade(target.port, room + "?self=0") for _ in range(2)]
        reader = wire.upgrade(target.port, room)
        sent, rounds = 0, 0
        said = [wire.frame(b"s" * length) for length in (3, 20, 60)]
        while time.monotonic() < until:
            rounds += 1
            for number, talker in enumerate(talkers):
                try:
                    sent += talker.send(said[(rounds + number) % 3])
                except BlockingIOError:
                    time.sleep(0.001)
                except OSError:
                    talkers[number] = wire.upgrade(target.port, room + "?self=0")
            if rounds % 16 == 0:
                for other in (reader, *talkers):
                    try:
                        while other.recv(1 << 16):
                            pass
                    except OSError:
                        pass
            if rounds % 4096 == 0 and policy == "close" and b"" == peek(silent):
                silent.close()
                silent = wire.upgrade(target.port, room, receive_buffer=STALLED_BUFFER)
        return sent, {"messages": rounds * len(talkers)}
    return run


def peek(sock):
    """What is there; the bytes that a stalled member was sent stay unread."""
    try:
        return sock.recv(1, 2)  # MSG_PEEK
    except OSError:
        return b"?"


for policy in ("close", "drop-oldest"):
    attack(f"stalled-member-{policy}", f"1 member stops reading while 2 publish 3 to 60 bytes a message, policy {policy}",
           options=("--slow-consumer", policy))(stalled(policy))


@attack("pieces-drop-oldest", "2 publish 560 deflated messages of 135,000 bytes at once; 4 members that read, policy drop-oldest",
        options=("--slow-consumer", "drop-oldest"))
def pieces(target, _prepared, until):
    room = "/broadcast/pieces"
    said = wire.frame(wire.deflated(b"p" * 135_000), compressed=True) * 560
    readers = [wire.Feed(wire.upgrade(target.port, room), b"-") for _ in range(4)]
    publishers = [wire.upgrade(target.port, room + "?self=0", deflate=True) for _ in range(2)]
    sent, at = 0, [0, 0]
    while time.monotonic() < until and not all(reader.ended for reader in readers):
        for reader in readers:
            if not reader.ended:
                reader.go_on(True, False)
        for number, publisher in enumerate(publishers):
            try:
                count = publisher.send(memoryview(said)[at[number]:])
                sent, at[number] = sent + count, (at[number] + count) % len(said)
            except BlockingIOError:
                pass
            except OSError:
                publishers[number], at[number] = wire.upgrade(target.port, room + "?self=0", deflate=True), 0
    return sent, {"healthy members cut": sum(reader.ended for reader in readers)}


def many_members(target):
    return target.keep(wire.many(target.port, ["/broadcast/slow"] * target.count(300), receive_buffer=STALLED_BUFFER))


@attack("slow-members", "300 members that do not read are sent 24 MB, and closed with 1013; they stay", prepare=many_members)
def slow_members(target, members, until):
    publisher = wire.upgrade(target.port, "/broadcast/slow?self=0")
    publisher.setblocking(True)
    publisher.settimeout(1)
    said, sent = wire.frame(b"s" * 65_000), 0
    while time.monotonic() < until and sent < 24_000_000:
        try:
            publisher.sendall(said)
            sent += len(said)
        except OSError:
            break
    wire.sleep_until(until)
    return sent, {"members": len(members)}


def colliding(target):
    count = target.count(5000)
    buckets = 5087 if count > 2400 else 541
    names = subprocess.run([f"{target.programs}/bench-colliding-names", str(min(count, buckets - 30)), str(buckets)], capture_output=True, text=True,
                           check=True).stdout.split()
    return target.keep(wire.many(target.port, [f"/broadcast/{name}" for name in names])), names


@attack("colliding-rooms", "posts to 5,000 rooms whose names meet in one bucket of an unkeyed hash, and in one home", prepare=colliding)
def colliding_rooms(target, prepared, until):
    _, names = prepared
    said = b"".join(f"POST /rooms/{name}/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".encode() for name in names)

    def one():
        return wire.Feed(wire.connect(target.port), said)
    return wire.feed_all(until, [one() for _ in range(4)], again=one)
