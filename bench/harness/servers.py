"""How each server is started, its version, and the generator that loads it. All are pinned before their first instruction."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "bench" / "peers"
PROGRAMS = {"nginx": "nginx", "nats": "nats-server", "bun": "npm", "ws": "npm"}
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # Where Debian keeps servers.


# What each server can do, by the words that scenarios use for what they need. The bare loop takes part where a scenario
# names it, since it knows no protocol; nginx and NATS are brokers: rooms, and no echo.
ABILITIES = {
    "ringcast": {"echo", "room", "chat", "handshake", "tls", "deflate"},
    "epoll": {"echo", "room"},
    "bun": {"echo", "room", "chat", "handshake", "tls", "deflate"},
    "beast": {"echo", "room", "chat", "handshake"},
    "ws": {"echo", "room", "chat", "handshake", "deflate"},
    "nginx": {"room", "handshake", "tls"},
    "nats": {"room", "handshake"},
}
# What the generator must do differently: frames as they were sent; a publisher that is answered; another protocol inside.
GENERATOR_FLAGS = {"epoll": ("--raw",), "nginx": ("--ignore-answers",), "nats": ("--nats",)}


class ServerError(Exception):
    pass


def takes_part(scenario, asked, build):
    """The servers of a scenario: the table's own, or with a list of names all of these that can do it."""
    names = list(scenario.servers)
    if asked is not None:
        joining = [n for n in asked if n not in names and n != "epoll" and scenario.kind != "shards"]
        names = [n for n in names if n.removesuffix("-2") in asked] + joining
    return [n for n in names if scenario.needs <= ABILITIES.get(n.removesuffix("-2"), set()) and not missing(n.removesuffix("-2"), build)]


def missing(name, build):
    """Why a server cannot be started here, or nothing."""
    if name not in ABILITIES:
        return f"there is no server of this name; there are {', '.join(ABILITIES)}"
    if name in ("ringcast", "epoll", "beast"):
        program = {"ringcast": "ringcast-server", "epoll": "bench-epoll-baseline", "beast": "bench-beast"}[name]
        return "" if (build / program).exists() else f"{program} is not built"
    program = PROGRAMS.get(name)
    return "" if not program or shutil.which(program, path=SEARCH) else f"{program} is not installed"


def generator_flags(name):
    return GENERATOR_FLAGS.get(name, ())


def certificate():
    """A self-signed certificate and its key (P-256), made once."""
    folder = ROOT / "build" / "peers" / "certificates"
    chain, key = folder / "certificate.pem", folder / "key.pem"
    if not key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "3650", "-nodes",
                        "-subj", "/CN=localhost", "-keyout", key, "-out", chain], check=True, capture_output=True, timeout=60)
    return str(chain), str(key)


def header_bytes(payload):
    """Header and masking key of a client's frame (RFC 6455 section 5.2)."""
    return (2 if payload < 126 else 4 if payload < 65536 else 10) + 4


def command(name, build, port, scenario):
    """The command line of a server."""
    if name.startswith("ringcast"):
        shards = name.partition("-")[2] or "1"
        secure = "tls" in scenario.needs
        listen = ["--listen-tls" if secure else "--listen", f"127.0.0.1:{port}"]
        if secure:
            listen += ["--tls-cert", certificate()[0], "--tls-key", certificate()[1]]
        return [build / "ringcast-server", *listen, "--shards", shards, "--log-level", "warning"]
    if name == "epoll":
        mode = ["--mode", "echo"]
        if scenario.message_bytes:
            mode = ["--mode", "fanout", "--bytes", str(scenario.message_bytes + header_bytes(scenario.message_bytes))]
        return [build / "bench-epoll-baseline", "--port", str(port), *mode]
    options = ["--tls", *certificate()] if "tls" in scenario.needs else []
    options += ["--deflate"] if "deflate" in scenario.needs else []
    return [PEERS / name / "start", str(port), *options]


def environment(build):
    """What the start scripts read: where programs that are built here are."""
    # A server that is ended has done its work: nobody waits for its members to leave one by one.
    return {**os.environ, "BENCH_BUILD": str(build), "RINGCAST_DRAIN_SECONDS": "0"}


def version(name, build):
    try:
        if name.startswith("ringcast"):
            words = [build / "ringcast-server", "--version"]
        elif name == "epoll":
            return "bench/baseline of this commit"
        else:
            words = [PEERS / name / "start", "--version"]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment(build)).stdout.strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def free_port(first, last):
    for port in range(first, last + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise ServerError(f"no free port between {first} and {last}")


class Server:
    """A server process for the length of a with block."""

    def __init__(self, name, build, port, scenario, cpus):
        self.name = name
        self.port = port
        self.pid = None  # Of the process that works, once it listens.
        words = command(name, build, port, scenario)
        taskset = [shutil.which("taskset") or "taskset", "-c", cpus]
        self.process = subprocess.Popen([*taskset, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment(build))

    def __enter__(self):
        until = time.monotonic() + 15
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended with {self.process.returncode}: {self.process.stderr.read().strip()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    self.pid = self.working_pid()
                    return self
            time.sleep(0.01)
        self.stop()
        raise ServerError(f"{self.name} did not listen within 15 s")

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process.stderr.close()

    def working_pid(self):
        """The process whose CPU counts. nginx works in the one child of its master, which listens before it has it."""
        own = self.process.pid
        until = time.monotonic() + 5
        while self.name == "nginx" and time.monotonic() < until:
            if children := Path(f"/proc/{own}/task/{own}/children").read_text().split():
                return int(children[0])
            time.sleep(0.01)
        return own


class Generator:
    """bench-generator with its connections open, for the length of a with block; it measures when it is told to."""

    def __init__(self, server, build, scenario, extra, cpu):
        words = ["taskset", "-c", cpu, str(build / "bench-generator"), "--gated", "--port", str(server.port),
                 "--server-pid", str(server.pid), *scenario.arguments, *extra, *generator_flags(server.name)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.unread = b""

    def __enter__(self):
        answer = self._answer(30)
        if "ready" not in answer:
            self.__exit__()
            raise ServerError(answer.get("error", str(answer)))
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
        except OSError:  # It has ended before it read its last line.
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def slice(self, warmup, seconds):
        """One measured slice; a result with "error" if there is none."""
        try:
            self.process.stdin.write(f"{warmup} {seconds}\n".encode())
            self.process.stdin.flush()
        except OSError:
            return {"error": self.process.stderr.read().decode().strip() or "the generator has ended"}
        return self._answer(warmup + seconds + 30)

    def _answer(self, patience):
        until = time.monotonic() + patience
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            got = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not got:
                if ready:
                    return {"error": self.process.stderr.read().decode().strip() or "the generator ended"}
                return {"error": "the generator did not answer"}
            self.unread += got
        line, _, self.unread = self.unread.partition(b"\n")
        return json.loads(line)

    @property
    def pid(self):
        return self.process.pid
