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


class ServerError(Exception):
    pass


def header_bytes(payload):
    """Header and masking key of a client's frame (RFC 6455 section 5.2)."""
    return (2 if payload < 126 else 4 if payload < 65536 else 10) + 4


def command(name, build, port, scenario):
    """The command line of a server; None if this server is not installed or built here."""
    if name.startswith("ringcast"):
        program = build / "ringcast-server"
        shards = name.partition("-")[2] or "1"
        words = [program, "--listen", f"127.0.0.1:{port}", "--shards", shards, "--log-level", "warn"]
        return words if program.exists() else None
    if name == "epoll":
        program = build / "bench-epoll-baseline"
        mode = ["--mode", "echo"]
        if scenario.message_bytes:
            mode = ["--mode", "fanout", "--bytes", str(scenario.message_bytes + header_bytes(scenario.message_bytes))]
        return [program, "--port", str(port), *mode] if program.exists() else None
    start = PEERS / name / "start"
    built = name != "beast" or (build / "bench-beast").exists()
    return [start, str(port)] if start.exists() and built else None


def environment(build):
    """What the start scripts read: where programs that are built here are."""
    return {**os.environ, "BENCH_BUILD": str(build)}


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
        words = command(name, build, port, scenario)
        if words is None:
            raise ServerError(f"{name} is not built or installed")
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

    @property
    def pid(self):
        return self.process.pid


class Generator:
    """bench-generator with its connections open, for the length of a with block; it measures when it is told to."""

    def __init__(self, server, build, scenario, extra, cpu):
        words = ["taskset", "-c", cpu, str(build / "bench-generator"), "--gated", "--port", str(server.port),
                 "--server-pid", str(server.pid), *scenario.arguments, *extra]
        if server.name == "epoll":
            words.append("--raw")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.unread = b""

    def __enter__(self):
        answer = self._answer(30)
        if "ready" not in answer:
            self.__exit__()
            raise ServerError(answer.get("error", str(answer)))
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
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
            return {"error": "the generator has ended"}
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
