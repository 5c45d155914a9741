"""What an attack is: a function in a process of its own, which may prepare, attacks until a given time, and says what it sent."""
import dataclasses
from typing import Callable

ATTACKS = {}


@dataclasses.dataclass
class Attack:
    name: str
    what: str  # a sentence's second half, for the table
    run: Callable  # (Target, what prepare() returned, until) -> bytes sent, or (bytes sent, {what else was seen})
    prepare: Callable = None  # (Target) -> anything; what it opens stays open until all has been measured
    options: tuple = ()  # of the server
    program: str = "ringcast-server"
    log_is_read: bool = True
    scales: bool = True  # a smaller crowd shows the same, in the short form


@dataclasses.dataclass
class Target:
    port: int
    tls_port: int
    pid: int
    programs: str  # where the built programs are
    scale: float = 1.0  # below 1 in the short form: how many connections and rooms
    kept: list = dataclasses.field(default_factory=list)

    def count(self, whole):
        return max(1, int(whole * self.scale))

    def keep(self, sockets):
        """Open until all has been measured."""
        self.kept.extend(sockets if isinstance(sockets, list) else [sockets])
        return sockets


def attack(name, what, **options):
    def register(run):
        ATTACKS[name] = Attack(name, what, run, **options)
        return run
    return register
