"""Measures one scenario after the other: servers up at the same time, slices in turn, A B C then B C A."""

import json
import subprocess
from contextlib import ExitStack
from statistics import median

from harness import machine, plan
from harness.servers import Generator, Server, ServerError, free_port, generator_flags

NOISY_SHARE = 0.15  # Of one core; a slice is short and the kernel's own books are kept in ticks.
SLICE_WARMUP = 0.05
UNWATCHED = {"foreign_share": 0, "steal_share": 0}


def is_noisy(noise):
    return noise["foreign_share"] > NOISY_SHARE or noise["steal_share"] > NOISY_SHARE


class Runner:
    def __init__(self, options):
        self.options = options
        self.first_port, self.last_port = map(int, options.ports.split("-"))
        self.next_port = self.first_port
        self.highest_rates = {}  # generator arguments -> messages a second of each server

    def start_server(self, scenario, name):
        port = free_port(self.next_port, self.last_port)
        self.next_port = port + 1 if port < self.last_port else self.first_port
        both = f"{self.options.server_cpu},{self.options.generator_cpu}"
        return Server(name, self.options.build, port, scenario, both if name == "ringcast-2" else self.options.server_cpu)

    def measure(self, scenario, servers, rotations):
        if scenario.kind == "memory":
            return self.measure_memory(scenario, servers, rotations)
        extra, seconds = (), self.options.seconds
        if scenario.kind == "latency":
            rate = self.highest_rate(scenario, servers)
            if rate is None:
                return [self.row(scenario, servers[0], 0, {"error": "the highest rate could not be found"}, UNWATCHED, 1)]
            extra = ("--rate", f"{rate * scenario.load:.1f}")
            rotations, seconds = max(2, rotations // 3), seconds * 4  # Percentiles want more messages in one slice.
        return self.measure_in_turns(scenario, servers, extra, rotations, seconds)

    def measure_in_turns(self, scenario, servers, extra, rotations, seconds):
        runs = []
        rounds = plan.rounds_of(rotations)
        for part in range(rounds):
            with ExitStack() as stack:
                loads = {}
                for name in servers:
                    try:
                        server = stack.enter_context(self.start_server(scenario, name))
                        generator = stack.enter_context(Generator(server, self.options.build, scenario, extra, self.options.generator_cpu))
                        warmed = generator.slice(0, self.options.warmup)
                        if "error" in warmed:
                            raise ServerError(warmed["error"])
                        loads[name] = (server, generator)
                    except ServerError as trouble:
                        runs.append(self.row(scenario, name, part, {"error": str(trouble)}, UNWATCHED, 1))
                names = list(loads)
                pids = [process.pid for pair in loads.values() for process in pair]
                for rotation in range(part * rotations // rounds, (part + 1) * rotations // rounds):
                    turn = rotation % max(1, len(names))
                    for name in names[turn:] + names[:turn]:
                        result, noise, attempts = self.quiet_slice(loads[name][1], pids, seconds)
                        runs.append(self.row(scenario, name, rotation, result, noise, attempts))
                        if "error" in result:
                            names.remove(name)  # Its generator has ended with it; the next fresh one may do better.
        return runs

    def quiet_slice(self, generator, pids, seconds):
        """The quietest of up to three slices: one is repeated for what else ran meanwhile, never for its own figure."""
        best = None
        for attempt in range(1, 4):
            watch = machine.Watch(pids)
            result = generator.slice(SLICE_WARMUP, seconds)
            noise = watch.close()
            if best is None or "error" in result or max(noise.values()) < max(best[1].values()):
                best = result, noise
            if "error" in result or not is_noisy(noise):
                break
        return *best, attempt

    @staticmethod
    def row(scenario, server, rotation, result, noise, attempts):
        return {"scenario": scenario.name, "server": server, "rotation": rotation, "result": result, **noise,
                "noisy": is_noisy(noise), "attempts": attempts}

    def highest_rate(self, scenario, servers):
        """Messages a second that the slower of the servers reaches in the closed loop, one in flight; None: none did."""
        if scenario.arguments not in self.highest_rates:
            runs = self.measure_in_turns(scenario, servers, (), 3, self.options.seconds)
            rates = {name: [run["result"]["messages_per_second"] for run in runs
                            if run["server"] == name and "error" not in run["result"]] for name in servers}
            self.highest_rates[scenario.arguments] = {name: median(found) for name, found in rates.items() if found}
        return min(self.highest_rates[scenario.arguments].values(), default=None)

    def measure_memory(self, scenario, servers, rotations):
        runs = []
        for rotation in range(min(rotations, 3)):
            for name in servers:
                try:
                    with self.start_server(scenario, name) as server:
                        words = ["taskset", "-c", self.options.generator_cpu, str(self.options.build / "bench-generator"),
                                 "--port", str(server.port), "--server-pid", str(server.pid), *scenario.arguments, *generator_flags(name)]
                        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
                    result = json.loads(done.stdout)
                except json.JSONDecodeError:
                    result = {"error": done.stderr.strip() or f"the generator ended with {done.returncode}"}
                except (ServerError, subprocess.TimeoutExpired) as trouble:
                    result = {"error": str(trouble)}
                runs.append(self.row(scenario, name, rotation, result, UNWATCHED, 1))
        return runs
