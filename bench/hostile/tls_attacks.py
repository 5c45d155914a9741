"""TLS: handshakes that do not begin or do not end, and open sessions that say everything but data."""
import pathlib
import sys
import time

import wire
from attack import attack

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/secure"))
import tls_wire  # noqa: E402


def silent(count):
    def run(target, _prepared, until):
        sockets = []
        for _ in range(target.count(count)):
            if time.monotonic() > until:
                break
            try:
                sockets.append(wire.connect(target.tls_port))
            except OSError:
                break
        opened = len(sockets)
        wire.sleep_until(until)
        for sock in sockets:
            sock.close()
        return 0, {"connections": opened}
    return run


attack("silent-tls-2200", "2,200 TCP connections to the TLS port that say nothing", scales=False)(silent(2200))
attack("silent-tls-10000", "10,000 TCP connections to the TLS port that say nothing")(silent(10_000))


def a_client_hello(_target):
    return tls_wire.client_hello()


@attack("half-handshakes", "300 connections a second send a whole ClientHello and nothing more", prepare=a_client_hello)
def half_handshakes(target, hello, until):
    sockets, sent = [], 0
    while time.monotonic() < until:
        tick = time.monotonic() + 0.1
        for _ in range(30):
            try:
                sockets.append(wire.connect(target.tls_port))
                sent += sockets[-1].send(hello)
            except OSError:
                pass
        wire.sleep_until(tick)
    for sock in sockets:
        sock.close()
    return sent


@attack("hello-flood", "ClientHellos on new connections, as fast as they can, 2,000 at a time", prepare=a_client_hello)
def hello_flood(target, hello, until):
    sockets, sent = [], 0
    while time.monotonic() < until:
        try:
            sockets.append(wire.connect(target.tls_port))
            sent += sockets[-1].send(hello)
        except OSError:
            pass
        if len(sockets) == 2000:
            sockets.pop(0).close()
    for sock in sockets:
        sock.close()
    return sent


@attack("half-hellos", "3,000 connections send 4,000 bytes of a ClientHello of 16 KB")
def half_hellos(target, _prepared, until):
    said = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + b"h" * 4000
    sockets, sent = [], 0
    for _ in range(target.count(3000)):
        try:
            sockets.append(wire.connect(target.tls_port))
            sent += sockets[-1].send(said)
        except OSError:
            pass
    wire.sleep_until(until)
    for sock in sockets:
        sock.close()
    return sent


def open_session(target):
    session = tls_wire.RawTls(target.tls_port)
    session.sock.settimeout(0.2)
    return session


def records(make):
    def run(target, sessions, until):
        sent = 0
        while time.monotonic() < until:
            while len(sessions) < 4:
                try:
                    sessions.append(open_session(target))
                except OSError:
                    break
            for session in list(sessions):
                said = b"".join(make(session) for _ in range(64))
                try:
                    session.sock.sendall(said)
                    sent += len(said)
                except OSError:
                    session.sock.close()
                    sessions.remove(session)
        return sent
    return run


def four_sessions(target):
    return [open_session(target) for _ in range(4)]


attack("key-updates", "4 sessions send KeyUpdates that want an answer, and never read", prepare=four_sessions)(records(lambda session: session.key_update()))
attack("empty-records", "4 sessions send records without data", prepare=four_sessions)(records(lambda session: session.record(b"")))
