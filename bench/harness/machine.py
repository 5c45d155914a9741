"""What the figures were taken on, and whether anything else was running meanwhile."""

import os
import platform
import re
import subprocess
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
    """Time that cores spent on anything but the two programs of a run, as a share of one core, and time stolen from them."""

    def __init__(self):
        self.busy, self.stolen, self.wall = self._read()

    @staticmethod
    def _read():
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, idle, iowait, irq, softirq, steal = fields
        return user + nice + system + irq + softirq, steal, sum(fields) / os.cpu_count()

    def close(self, own_seconds):
        busy, stolen, wall = (after - before for after, before in zip(self._read(), (self.busy, self.stolen, self.wall)))
        own_ticks = own_seconds * os.sysconf("SC_CLK_TCK")
        return {"foreign_share": max(0.0, busy - own_ticks) / max(wall, 1), "steal_share": stolen / max(wall, 1)}


def cpu_seconds(pid):
    """User and system seconds of a process so far, from its ticks."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0
