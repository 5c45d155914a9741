"""How long a run will take, and how many rotations each scenario gets so that it ends in time."""

import time
from dataclasses import dataclass

ROTATIONS_MIN = 5
SLICE_OVERHEAD_S = 0.12  # Warm-up of the slice, the quiet moments around it, the gate.
NOISE_ALLOWANCE = 1.1  # Some slices are repeated.
CONNECTIONS_PER_SECOND = 9000
# From fork to the first accepted connection, measured.
START_S = {"ringcast": 0.1, "epoll": 0.05, "bun": 0.25, "ws": 0.25, "beast": 0.1, "nginx": 0.2, "nats": 0.2}
MEMORY_S = 1.6  # Two waits of half a second, and the process.


def rounds_of(rotations):
    """How often the processes are fresh: where one lies in memory has a part in its figure."""
    return 3 if rotations >= 9 else 2 if rotations >= 4 else 1


def drain_s(scenario):
    """What is outstanding when a slice ends must still arrive, and with large messages that is a lot."""
    depth = int(scenario.arguments[scenario.arguments.index("--depth") + 1]) if "--depth" in scenario.arguments else 1
    size = int(scenario.arguments[scenario.arguments.index("--size") + 1]) if "--size" in scenario.arguments else 0
    return scenario.connections * depth * (size + 1000) / 1.5e9


def estimate(scenario, servers, rotations, seconds, warmup):
    """Seconds that a scenario takes, without surprises."""
    starts = sum(START_S.get(name.removesuffix("-2"), 0.3) + scenario.connections / CONNECTIONS_PER_SECOND for name in servers)
    if scenario.kind == "memory":
        return min(rotations, 3) * (starts + len(servers) * MEMORY_S)
    if scenario.kind == "latency":
        rotations, seconds = max(2, rotations // 3), seconds * 4
    each = seconds + SLICE_OVERHEAD_S + 2 * drain_s(scenario)
    return (rounds_of(rotations) * (starts + len(servers) * (warmup + 0.1)) + rotations * len(servers) * each) * NOISE_ALLOWANCE


@dataclass
class Plan:
    """Hands out rotations: as many as asked for while there is time, at least ROTATIONS_MIN, none when time is over."""

    todo: list  # (scenario, servers)
    rotations: int
    seconds: float
    warmup: float
    limit_s: float  # 0: as long as it takes

    def __post_init__(self):
        self.started = time.monotonic()
        self.pace = 1.0  # How much slower than estimated this machine is.
        self.estimated = 0.0

    def total(self, rotations, todo=None):
        return sum(estimate(scenario, servers, rotations, self.seconds, self.warmup) for scenario, servers in todo or self.todo)

    def words(self):
        slices = self.rotations * sum(len(servers) for _, servers in self.todo)
        seconds = self.total(self.rotations)
        long = f"{seconds / 60:.0f} minutes" if seconds > 100 else f"{seconds:.0f} seconds"
        planned = f"{len(self.todo)} scenarios, {slices:,} slices of {self.seconds} s: about {long}"
        if not self.limit_s or seconds <= self.limit_s:
            return planned
        return (f"{planned}, but {self.limit_s / 60:.0f} are allowed: fewer rotations, at least {ROTATIONS_MIN} "
                f"({self.total(ROTATIONS_MIN) / 60:.0f} minutes)")

    def rotations_for(self, position):
        """Rotations of the scenario at this position, from the time that is left; 0 if it must be left out."""
        if not self.limit_s:
            return self.rotations
        rest = self.todo[position:]
        left = self.limit_s - (time.monotonic() - self.started)
        scenario, servers = rest[0]
        fewest = min(ROTATIONS_MIN, self.rotations)
        for rotations in range(self.rotations, fewest, -1):
            if self.total(rotations, rest) * self.pace <= left:
                return rotations
        return fewest if estimate(scenario, servers, fewest, self.seconds, self.warmup) * self.pace <= left else 0

    def took(self, position, rotations, seconds_taken):
        """Corrects the pace by what a scenario really took."""
        scenario, servers = self.todo[position]
        self.estimated += estimate(scenario, servers, rotations, self.seconds, self.warmup)
        if self.estimated > 10:
            self.pace = (time.monotonic() - self.started) / self.estimated
