#!/usr/bin/python3
"""That the hostile bench sees what is wrong: a row in which nothing is, and each thing that can be."""
import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/hostile"))
import table  # noqa: E402

SERVED = {"messages": {"p99_ms": 0.4, "worst_ms": 3.0, "lost": 0, "out_of_order": 0, "unanswered_for_1s": 0},
          "connects": {"p99_ms": 0.4, "worst_ms": 3.0, "refused": 0, "served": 50},
          "tls_connects": {"p99_ms": 2.0, "worst_ms": 5.0, "refused": 0, "served": 50}}
GOOD = {"attack": "x", "lived": True, "exit": 0, "attacker": {"sent": 1}, "before": SERVED, "during": copy.deepcopy(SERVED), "after": copy.deepcopy(SERVED),
        "memory_before": 3 << 20, "memory_most": 8 << 20, "memory_after": 4 << 20, "kernel_before": 1 << 20, "kernel_after": 2 << 20}
FAULTS = {  # what is changed, in which gates it is seen, and by which words
    "a dead server": ({"lived": False, "exit": -11}, "both", "ended with -11"),
    "a server that does not stop": ({"exit": None}, "both", "SIGTERM"),
    "a wrong exit status": ({"exit": 1}, "both", "exit 1"),
    "a broken attacker": ({"attacker": {"failed": "x"}}, "both", "attacker broke"),
    "a client that was cut": ({"after.messages.lost": 1}, "both", "were cut"),
    "disorder": ({"after.messages.out_of_order": 1}, "both", "out of order"),
    "silence": ({"after.messages.unanswered_for_1s": 3}, "both", "unanswered"),
    "a refusal": ({"during.tls_connects.refused": 1}, "both", "refused"),
    "nobody gets in any more": ({"after.connects.served": 0}, "both", "no honest connections"),
    "members that were cut": ({"attacker": {"sent": 1, "healthy members cut": 4}}, "both", "healthy members"),
    "memory that stays": ({"memory_after": 14 << 20}, "both", "not given back"),
    "memory without bound": ({"memory_most": 200 << 20}, "counts", "memory grew"),
    "the kernel's memory that stays": ({"kernel_after": 40 << 20}, "goals", "MB of the kernel's"),
    "a stall": ({"during.messages.worst_ms": 51.0}, "goals", "worst 51 ms"),
    "a slow p99": ({"during.messages.p99_ms": 1.5}, "goals", "p99 3.8x"),
    "slow handshakes": ({"during.tls_connects.p99_ms": 4.5}, "goals", "TLS connects: p99"),
}


class Verdicts(unittest.TestCase):
    def test_a_good_row_holds(self):
        for gate in ("goals", "counts"):
            self.assertEqual(table.trouble(GOOD, gate), [])

    def test_each_fault_is_named(self):
        for name, (changes, gates, words) in FAULTS.items():
            row = copy.deepcopy(GOOD)
            for path, value in changes.items():
                *folders, key = path.split(".")
                place = row
                for folder in folders:
                    place = place[folder]
                place[key] = value
            for gate in ("goals", "counts"):
                said = table.trouble(row, gate)
                if gates in ("both", gate):
                    self.assertIn(words, "; ".join(said), name)
                else:
                    self.assertEqual(said, [], name)

    def test_a_row_that_was_cut_short_is_still_a_line(self):
        row = {"attack": "x", "lived": False, "exit": -11, "failed": "gone", "trouble": ["the server ended with -11"]}
        self.assertIn("ended with -11", table.line(row))


if __name__ == "__main__":
    unittest.main()
