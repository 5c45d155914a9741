"""What the figures were taken on, and whether anything else was running meanwhile."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _first_line(words):
    try:
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=20).stdout.strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def cpu_model():
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1).strip() if found else platform.machine()


def host_kind():
    """A short name of the kind of machine, for the folder of the results: cores and CPU, not the host's own name."""
    brand = re.sub(r"\(.*?\)|CPU|Processor|@.*", " ", cpu_model())
    words = re.findall(r"[a-z0-9]+", brand.lower())[:3]
    return f"{os.cpu_count()}-core-{'-'.join(words)}"


def describe(build):
    cache = (build / "CMakeCache.txt").read_text() if (build / "CMakeCache.txt").exists() else ""
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", cache, re.M)
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.+)$", cache, re.M)
    changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT, capture_output=True, text=True)
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_mib": int(memory.group(1)) // 1024 if memory else None,
        "kernel": platform.release(),
        "compiler": _first_line([compiler.group(1), "--version"]) if compiler else "unknown",
        "build_type": kind.group(1) if kind else "unknown",
        "commit": _first_line(["git", "rev-parse", "--short=12", "HEAD"]) + (" with changes" if changed.stdout.strip() else ""),
        "load_at_start": os.getloadavg()[0],
    }


class Watch:
    """CPU time that went to anything but the programs of the comparison, as a share of one core, and time that was stolen."""

    def __init__(self, own_pids):
        self.own_pids = own_pids
        self.before = self._read()

    def _read(self):
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, _idle, _iowait, irq, softirq, steal = fields
        tick = os.sysconf("SC_CLK_TCK")
        busy = (user + nice + system + irq + softirq) / tick
        return busy - sum(map(cpu_seconds, self.own_pids)), steal / tick, time.monotonic()

    def close(self):
        foreign, stolen, wall = (after - before for after, before in zip(self._read(), self.before))
        return {"foreign_share": round(max(0.0, foreign) / wall, 4), "steal_share": round(stolen / wall, 4)}


def cpu_seconds(pid):
    """User and system seconds of a process so far, from its process clock (the same one that the generator reads)."""
    try:
        return time.clock_gettime(((~pid) << 3) | 2)
    except OSError:
        return 0.0
