"""Requests: pipelines whose answers nobody reads, large answers in a loop, bodies and heads that never end."""
import ssl
import time

import wire
from attack import attack


def request(method, path, body=b"", more=""):
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}{more}\r\n".encode() + body


def many_rooms(count):
    def prepare(target):
        return target.keep(wire.many(target.port, [f"/broadcast/crowd-{i:05}" for i in range(target.count(count))]))
    return prepare


def pipeline(said, connections=1):
    def run(target, _prepared, until):
        def one():
            return wire.Feed(wire.connect(target.port), said * 500, reads=False)
        return wire.feed_all(until, [one() for _ in range(connections)], again=one)
    return run


attack("pipelined-get", "1 connection pipelines GET / and never reads")(pipeline(request("GET", "/")))
attack("pipelined-get-16", "16 connections pipeline GET / and never read")(pipeline(request("GET", "/"), 16))
attack("pipelined-rooms", "1 connection pipelines GET /rooms of 10,000 rooms and never reads", prepare=many_rooms(10_000))(pipeline(request("GET", "/rooms")))
attack("pipelined-post", "1 connection pipelines POST and never reads the answers")(pipeline(request("POST", "/rooms/nobody/messages", b"x")))


@attack("pipelined-get-tls", "1 connection pipelines GET / through TLS and never reads")
def pipelined_get_tls(target, _prepared, until):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    said = request("GET", "/") * 500
    sent = 0
    while time.monotonic() < until:
        try:
            sock = context.wrap_socket(wire.connect(target.tls_port))
            sock.setblocking(False)
            at = 0
            while time.monotonic() < until:
                try:
                    count = sock.send(said[at:])
                    sent, at = sent + count, (at + count) % len(said)
                except ssl.SSLWantWriteError:
                    time.sleep(0.01)
        except OSError:
            time.sleep(0.05)
    return sent


@attack("rooms-loop", "4 connections ask for GET /rooms of 15,000 rooms, again as soon as it is there", prepare=many_rooms(15_000))
def rooms_loop(target, _prepared, until):
    def one():
        return wire.Feed(wire.connect(target.port), request("GET", "/rooms") * 4)
    return wire.feed_all(until, [one() for _ in range(4)], again=one)


def hold(target, sockets, until):
    """Until then, and then they go: what they held must be given back."""
    wire.sleep_until(until)
    for sock in sockets:
        sock.close()


def push(sock, said):
    sock.setblocking(True)
    sock.settimeout(2)
    try:
        sock.sendall(said)
        return len(said)
    except OSError:
        return 0


@attack("half-bodies", "500 POST bodies of 1 MB of which the last byte does not come, and then their senders leave")
def half_bodies(target, _prepared, until):
    body = b"x" * 999_999
    said = b"POST /rooms/nobody/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + body
    sockets, sent = [], 0
    for _ in range(target.count(500)):
        if time.monotonic() > until:
            break
        sockets.append(wire.connect(target.port))
        sent += push(sockets[-1], said)
    hold(target, sockets, until)
    return sent


@attack("announced-bodies", "3,000 POST requests that announce 1 MB and send 10 bytes")
def announced_bodies(target, _prepared, until):
    said = b"POST /rooms/nobody/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n0123456789"
    sockets = [wire.connect(target.port) for _ in range(target.count(3000))]
    sent = sum(push(sock, said) for sock in sockets)
    hold(target, sockets, until)
    return sent


def slow_frames(target):
    return wire.many(target.port, ["/echo"] * target.count(1000))


@attack("slow-senders", "3,000 connections send a byte a second: heads, frames, ClientHellos", prepare=slow_frames)
def slow_senders(target, opened, until):
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 4000
    hello = b"\x16\x03\x01\x10\x00\x01\x00\x0f\xfc\x03\x03" + b"h" * 4000
    count = target.count(1000)
    slow = [(wire.connect(target.port), head) for _ in range(count)]
    slow += [(wire.connect(target.tls_port), hello) for _ in range(count)]
    slow += [(sock, wire.frame(b"f" * 4000)) for sock in opened]
    sent = at = 0
    while time.monotonic() < until:
        for sock, said in slow:
            try:
                sock.setblocking(False)
                sent += sock.send(said[at:at + 1])
            except OSError:
                pass
        at += 1
        wire.sleep_until(min(until, time.monotonic() + 1))
    for sock, _ in slow:
        sock.close()
    return sent


@attack("churn", "64 at a time connect, upgrade and reset, as fast as they can")
def churn(target, _prepared, until):
    said = wire.UPGRADE.format("/broadcast/churn", "").encode()
    sent = 0
    reset = b"\x01\0\0\0\0\0\0\0"
    while time.monotonic() < until:
        sockets = []
        try:
            for _ in range(64):
                sockets.append(wire.connect(target.port))
                sent += sockets[-1].send(said)
        except OSError:
            pass
        for sock in sockets:
            sock.setsockopt(1, 13, reset)  # SO_LINGER of 0 seconds
            sock.close()
    return sent
