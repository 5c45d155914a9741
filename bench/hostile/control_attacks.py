"""What the machine itself does: nothing at all, and neighbours that take its cores and do not speak to the server."""
import os
import time

import wire
from attack import attack


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
