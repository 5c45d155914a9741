"""The table of what is measured. A scenario is one row: its name stays as it is, since results are compared by name."""

import resource
from dataclasses import dataclass, field

PAIR = ("ringcast", "bun")
LOOP = ("ringcast", "epoll", "bun")
# Where every peer that can do it takes part; elsewhere only those two, so that a whole run ends in the same hour.
WIDE = ("ringcast", "bun", "beast", "ws", "nginx", "nats")
WIDE_LOOP = ("ringcast", "epoll", "bun", "beast", "ws", "nginx", "nats")

GROUPS = ("echo", "fanout", "chat", "slow", "handshake", "tls", "deflate", "latency", "memory", "shards")

# A process may hold this many descriptors; two hundred are left for everything that is not a connection.
MOST_CONNECTIONS = (min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 100_000) - 200) // 100 * 100


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    kind: str  # cpu: microseconds per message; memory: bytes per connection; latency; shards
    group: str
    arguments: tuple  # for bench-generator
    servers: tuple = PAIR
    goals: dict = field(default_factory=dict)  # peer -> highest ratio ours / peer; "bytes" -> highest absolute figure
    needs: frozenset = frozenset()  # what a server must be able to do (harness/servers.py, ABILITIES)
    message_bytes: int = 0  # payload, for the bare loop in fan-out
    load: float = 0  # latency: share of the highest closed-loop rate of the slower server
    x: int = 0  # members, for the rows that belong to the curve of cost against members

    @property
    def connections(self):
        return int(self.arguments[self.arguments.index("--connections") + 1]) if "--connections" in self.arguments else 64


def short(size):
    return f"{size // 1024}k" if size >= 1024 else str(size)


def depth_suffix(depth):
    return f"-d{depth}" if depth > 1 else ""


def echo(size, connections, depth=1, servers=PAIR, goals=None, extra=(), prefix="", group="echo", needs=("echo",)):
    name = f"{prefix}echo-{short(size)}-{connections}{depth_suffix(depth)}"
    words = f"{prefix.replace('-', ' ')}echo {size:,} B, {connections:,} connections, {depth} in flight"
    arguments = ("--pattern", "echo", "--size", str(size), "--connections", str(connections), "--depth", str(depth), *extra)
    return Scenario(name, words, "cpu", group, arguments, servers, goals or {}, frozenset(needs))


def fanout(size, members, depth=1, servers=PAIR, goals=None, extra=(), prefix="", group="fanout", needs=("room",), x=0):
    name = f"{prefix}fanout-{short(size)}-{members}-d{depth}"
    words = f"{prefix.replace('-', ' ')}broadcast {size:,} B to {members:,} members, {depth:,} outstanding"
    arguments = ("--pattern", "broadcast", "--size", str(size), "--connections", str(members), "--depth", str(depth), *extra)
    return Scenario(name, words, "cpu", group, arguments, servers, goals or {}, frozenset(needs), message_bytes=size, x=x)


def chat(name, words, members, rooms, depth, servers, goals):
    arguments = ("--pattern", "chat", "--size", "64", "--connections", str(members), "--rooms", str(rooms), "--depth", str(depth))
    return Scenario(name, f"{words} (self=0), 64 B, depth {depth}", "cpu", "chat", arguments, servers, goals, frozenset({"chat"}))


def memory(name, words, connections, path, limit, needs):
    arguments = ("--pattern", "idle", "--connections", str(connections), "--idle-path", path)
    return Scenario(name, f"memory of an idle {words}, {connections:,}", "memory", "memory", arguments, WIDE, {"bytes": limit},
                    frozenset({needs}))


def latency(name, words, load, arguments, needs):
    return Scenario(f"{name}-{load:.0%}"[:-1], f"latency of {words} at {load:.0%} load", "latency", "latency", arguments, PAIR,
                    {"bun": 1.0}, frozenset({needs}), load=load)


def slow(name, words, extra):
    arguments = ("--pattern", "broadcast", "--size", "1024", "--connections", "900", "--depth", "32", *extra)
    return Scenario(name, f"{words}, 32 outstanding", "cpu", "slow", arguments, ("ringcast", "bun", "ws", "nats"), needs=frozenset({"room"}))


ECHO_20 = ("--pattern", "echo", "--size", "20", "--connections", "200")
FANOUT_64 = ("--pattern", "broadcast", "--size", "64", "--connections", "1000")
LOADS = (0.1, 0.5, 0.8)

ECHO_GOALS = {
    (20, 200, 1): {"epoll": 0.95, "bun": 0.82},
    (20, 1000, 1): {"epoll": 0.90, "bun": 0.78},
    (1024, 200, 1): {"epoll": 1.0},
    (65536, 200, 1): {"epoll": 1.1, "bun": 0.42},
}
ECHO_SERVERS = {(20, 200, 1): WIDE_LOOP, (65536, 200, 1): WIDE_LOOP, (20, 1000, 1): LOOP, (1024, 200, 1): LOOP, (20, 200, 8): WIDE}

MEMBERS = {64: (100, 300, 1000, 5000, 10_000, MOST_CONNECTIONS), 1024: (100, 1000, 5000), 16384: (100, 1000, 5000)}
FANOUT_GOALS = {
    (64, 1000): {"epoll": 0.95, "bun": 0.7},
    (64, 5000): {"epoll": 0.85},
    (16384, 1000): {"epoll": 1.0, "bun": 0.68},
}
FANOUT_SERVERS = {(64, 1000): WIDE_LOOP, (64, 5000): LOOP, (16384, 1000): WIDE_LOOP}

SCENARIOS = (
    *(echo(size, connections, depth, ECHO_SERVERS.get((size, connections, depth), PAIR), ECHO_GOALS.get((size, connections, depth)))
      for size in (20, 1024, 16384, 65536) for connections in (10, 200, 1000) for depth in (1, 8)),
    echo(20, 200, 16, PAIR, {"bun": 0.5}),
    echo(20, 1000, 16, PAIR, {"bun": 0.5}),
    *(fanout(size, members, 1, FANOUT_SERVERS.get((size, members), PAIR), FANOUT_GOALS.get((size, members)),
             x=members if size == 64 else 0)
      for size in (64, 1024, 16384) for members in MEMBERS[size]),
    fanout(64, 1000, 32, WIDE, {"bun": 0.58}),
    fanout(64, 1000, 1024, PAIR, {"bun": 0.08}),
    fanout(64, 5000, 32, PAIR, {"bun": 0.75}),
    fanout(1024, 5000, 32, PAIR, {"bun": 0.75}),
    chat("chat-32-d1", "chat, 32 members all talking", 32, 1, 1, WIDE, {"bun": 0.5}),
    chat("chat-32-d8", "chat, 32 members all talking", 32, 1, 8, WIDE, {"bun": 0.22}),
    chat("rooms-1000x10-d1", "1,000 rooms of 10, all talking", 10_000, 1000, 1, PAIR, {}),
    Scenario("handshake", "connect, upgrade, close; 64 at a time", "cpu", "handshake", ("--pattern", "handshake", "--depth", "64"),
             WIDE, {"bun": 0.8}, frozenset({"handshake"})),
    Scenario("tls-handshake", "connect, TLS 1.3 in full (P-256), upgrade, close; 64 at a time", "cpu", "tls",
             ("--pattern", "handshake", "--depth", "64", "--tls"), ("ringcast", "bun", "nginx"), needs=frozenset({"handshake", "tls"})),
    echo(1024, 200, 1, extra=("--tls",), prefix="tls-", group="tls", needs=("echo", "tls"), goals={"bun": 0.9}),
    *(echo(size, connections, depth, extra=("--tls",), prefix="tls-", group="tls", needs=("echo", "tls"))
      for size, connections, depth in ((20, 200, 1), (20, 200, 8), (16384, 200, 1))),
    fanout(64, 1000, 1, ("ringcast", "bun", "nginx"), extra=("--tls",), prefix="tls-", group="tls", needs=("room", "tls")),
    fanout(1024, 1000, 32, extra=("--tls",), prefix="tls-", group="tls", needs=("room", "tls")),
    *(echo(size, 200, 1, extra=("--deflate",), prefix="deflate-", group="deflate", needs=("echo", "deflate")) for size in (1024, 16384)),
    *(fanout(1024, 1000, depth, extra=("--deflate",), prefix="deflate-", group="deflate", needs=("room", "deflate")) for depth in (1, 32)),
    slow("slow-none-1k-900-d32", "broadcast 1,024 B to 900 members, all read", ()),
    slow("slow-100-1k-900-d32", "the same while 100 more members never read", ("--stalled", "100")),
    *(latency("latency-echo", "echo 20 B, 200 connections", load, ECHO_20, "echo") for load in LOADS),
    *(latency("latency-fanout", "broadcast 64 B to 1,000", load, FANOUT_64, "room") for load in LOADS),
    memory("memory-idle-10000", "connection in no room", 10_000, "/echo", 160, "echo"),
    memory("memory-member-10000", "member of a room", 10_000, "/broadcast/idle", 200, "room"),
    memory(f"memory-idle-{MOST_CONNECTIONS}", "connection in no room, as many as fit", MOST_CONNECTIONS, "/echo", 160, "echo"),
    Scenario("two-shards", "broadcast 64 B to 1,000, one at a time, 1 shard against 2", "shards", "shards",
             (*FANOUT_64, "--depth", "1", "--receive", "count"), ("ringcast", "ringcast-2"), needs=frozenset({"room"})),
)
