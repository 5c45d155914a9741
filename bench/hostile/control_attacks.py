"""What the machine itself does: nothing at all, and neighbours that take its cores and do not speak to the server."""
import dataclasses
import os
import pathlib
import subprocess
import time

import frame_attacks
import wire
from attack import attack
from server_under_attack import free_port


@attack("none", "nobody attacks")
def none(_target, _prepared, until):
    wire.sleep_until(until)
    return 0


@attack("busy-neighbour", "a process spins beside the server and says nothing to it: what an attacker on the same machine costs by being there")
def busy_neighbour(_target, _prepared, until):
    child = os.fork()
    while time.monotonic() < until:
        pass
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return 0


@attack("memory-neighbour", "a process takes 500 MB page by page and says nothing to the server: what memory costs on this machine, whoever takes it")
def memory_neighbour(_target, _prepared, until):
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        taken = []
        while len(taken) < 500 and time.monotonic() < until:
            taken.append(b"x" * (1 << 20))
            time.sleep(max(0.0, (until - begun) * 0.8 / 500 - 0.001))
        wire.sleep_until(until)
        os._exit(0)
    os.waitpid(child, 0)
    return 0


class Neighbour:
    """A second ringcast-server, which is attacked in place of the one that is measured."""

    def __init__(self, target):
        port = free_port()
        self.process = subprocess.Popen([pathlib.Path(target.programs) / "ringcast-server", "--listen", f"127.0.0.1:{port}", "--shards", "2", "--drain-seconds", "0"],
                                        stderr=subprocess.PIPE)
        try:
            self.process.stderr.readline()
            self.as_target = dataclasses.replace(target, port=port, pid=self.process.pid)
            self.sockets = wire.many(port, ["/echo"] * target.count(500))
        except BaseException:
            self.end()
            raise

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stderr.close()


@attack("half-messages-neighbour", "half-messages at a second server of the same machine: what that much traffic costs whoever is beside it", prepare=Neighbour)
def half_messages_neighbour(_target, neighbour, until):
    try:
        return frame_attacks.half_messages(neighbour.as_target, neighbour.sockets, until)
    finally:
        neighbour.end()
