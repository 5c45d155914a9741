"""The table of what is measured. A scenario is one row: its name stays as it is, since results are compared by name."""

from dataclasses import dataclass, field

ALL = ("ringcast", "bun", "epoll")
WEBSOCKET = ("ringcast", "bun")


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    kind: str  # cpu: microseconds per message; memory: bytes per connection; latency; shards
    arguments: tuple  # for bench-generator
    servers: tuple = WEBSOCKET
    goals: dict = field(default_factory=dict)  # peer -> highest ratio ours / peer; "bytes" -> highest absolute figure
    message_bytes: int = 0  # payload, for the bare loop in fan-out
    load: float = 0  # latency: share of the highest closed-loop rate of the slower server


def echo(name, size, connections, depth, servers, goals):
    words = f"echo {size:,} B, {connections:,} connections, {depth} in flight"
    arguments = ("--pattern", "echo", "--size", str(size), "--connections", str(connections), "--depth", str(depth))
    return Scenario(name, words, "cpu", arguments, servers, goals)


def fanout(name, size, members, depth, servers, goals):
    words = f"broadcast {size:,} B to {members:,} members, {depth:,} outstanding"
    arguments = ("--pattern", "broadcast", "--size", str(size), "--connections", str(members), "--depth", str(depth))
    return Scenario(name, words, "cpu", arguments, servers, goals, message_bytes=size)


def chat(name, depth, goals):
    words = f"chat, 32 members all talking (self=0), 64 B, depth {depth}"
    arguments = ("--pattern", "chat", "--size", "64", "--connections", "32", "--rooms", "1", "--depth", str(depth))
    return Scenario(name, words, "cpu", arguments, WEBSOCKET, goals)


def memory(name, words, path, limit):
    arguments = ("--pattern", "idle", "--connections", "10000", "--idle-path", path)
    return Scenario(name, words, "memory", arguments, WEBSOCKET, {"bytes": limit})


def latency(name, words, load, arguments):
    return Scenario(name, f"latency of {words} at {load:.0%} load", "latency", arguments, WEBSOCKET, {"bun": 1.0}, load=load)


ECHO_20 = ("--pattern", "echo", "--size", "20", "--connections", "200")
FANOUT_64 = ("--pattern", "broadcast", "--size", "64", "--connections", "1000")

SCENARIOS = (
    echo("echo-20-200", 20, 200, 1, ALL, {"epoll": 0.95, "bun": 0.82}),
    echo("echo-20-1000", 20, 1000, 1, ALL, {"epoll": 0.90, "bun": 0.78}),
    echo("echo-1k-200", 1024, 200, 1, ALL, {"epoll": 1.0}),
    echo("echo-64k-200", 65536, 200, 1, ALL, {"epoll": 1.1, "bun": 0.42}),
    echo("echo-20-200-d16", 20, 200, 16, WEBSOCKET, {"bun": 0.5}),
    echo("echo-20-1000-d16", 20, 1000, 16, WEBSOCKET, {"bun": 0.5}),
    fanout("fanout-64-1000-d1", 64, 1000, 1, ALL, {"epoll": 0.95, "bun": 0.7}),
    fanout("fanout-64-1000-d32", 64, 1000, 32, WEBSOCKET, {"bun": 0.58}),
    fanout("fanout-64-1000-d1024", 64, 1000, 1024, WEBSOCKET, {"bun": 0.08}),
    fanout("fanout-64-5000-d1", 64, 5000, 1, ALL, {"epoll": 0.85}),
    fanout("fanout-64-5000-d32", 64, 5000, 32, WEBSOCKET, {"bun": 0.75}),
    fanout("fanout-1k-5000-d32", 1024, 5000, 32, WEBSOCKET, {"bun": 0.75}),
    fanout("fanout-16k-1000-d1", 16384, 1000, 1, ALL, {"epoll": 1.0, "bun": 0.68}),
    chat("chat-32-d1", 1, {"bun": 0.5}),
    chat("chat-32-d8", 8, {"bun": 0.22}),
    Scenario("handshake", "connect, upgrade, close; 64 at a time", "cpu", ("--pattern", "handshake", "--depth", "64"),
             WEBSOCKET, {"bun": 0.8}),
    memory("memory-idle-10000", "memory of an idle connection in no room, 10,000", "/echo", 160),
    memory("memory-member-10000", "memory of an idle member of a room, 10,000", "/broadcast/idle", 200),
    latency("latency-echo-10", "echo 20 B, 200 connections", 0.1, ECHO_20),
    latency("latency-echo-80", "echo 20 B, 200 connections", 0.8, ECHO_20),
    latency("latency-fanout-10", "broadcast 64 B to 1,000", 0.1, FANOUT_64),
    latency("latency-fanout-80", "broadcast 64 B to 1,000", 0.8, FANOUT_64),
    Scenario("two-shards", "broadcast 64 B to 1,000, one at a time, 1 shard against 2", "shards",
             (*FANOUT_64, "--depth", "1", "--receive", "count"), ("ringcast", "ringcast-2")),
)
