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
