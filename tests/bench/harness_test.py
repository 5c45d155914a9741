"""The harness on made-up runs: medians and verdicts, the comparison of two runs, the plan of a bounded run, table and page.

Usage: harness_test.py BENCH_FOLDER
"""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

BENCH = Path(sys.argv[1])
sys.path.insert(0, str(BENCH))
sys.dont_write_bytecode = True

from harness import compare, plan, report, summary, table  # noqa: E402
from harness import raw as rawfile  # noqa: E402
from harness.scenarios import SCENARIOS, Scenario  # noqa: E402

ECHO = next(scenario for scenario in SCENARIOS if scenario.name == "echo-20-200")
QUIET = {"foreign_share": 0.01, "steal_share": 0.0, "noisy": False, "attempts": 1}


def runs_of(scenario, figures):
    """figures: server -> one number for each rotation."""
    key = {"cpu": "server_cpu_us_per_message", "memory": "bytes_per_connection", "shards": "deliveries_per_second"}[scenario.kind]
    return [{"scenario": scenario.name, "server": server, "rotation": rotation, "result": {key: value}, **QUIET}
            for server, found in figures.items() for rotation, value in enumerate(found)]


def raw_of(*measured, versions=None, commit="0123456789ab", noisy=0, kernel="6.18"):
    runs = [run for _, found in measured for run in found]
    return {"machine": {"cpu": "Test", "cores": 2, "memory_mib": 2048, "kernel": kernel, "compiler": "clang", "build_type": "Release",
                        "commit": commit, "load_at_start": 0},
            "versions": versions or {"ringcast": "ringcast-server 1", "bun": "1.0"},
            "settings": {"date": "2026-01-01", "command": "tools/bench </script><b>", "rotations": 5, "seconds": 0.4, "warmup": 0.7,
                         "server_cpu": "0", "generator_cpu": "1", "runs": len(runs), "noisy_runs": noisy, "took_s": 60},
            "summaries": [summary.summarise(scenario, found) for scenario, found in measured], "runs": runs}


class Summary(unittest.TestCase):
    def test_the_ratio_is_taken_within_rotations(self):
        # The machine is twice as slow in every second rotation; ringcast needs 0.8 of bun in each.
        bun = [10, 20, 10, 20, 10]
        made = summary.summarise(ECHO, runs_of(ECHO, {"ringcast": [0.8 * value for value in bun], "bun": bun}))
        [entry] = made["figures"]
        [goal] = entry["goals"]
        self.assertAlmostEqual(goal["ratio"], 0.8)
        self.assertAlmostEqual(goal["min"], goal["max"])
        self.assertEqual(goal["verdict"], "reached")  # The goal of this row is 0.82.
        self.assertEqual(entry["servers"]["bun"]["median"], 10)
        self.assertEqual((entry["servers"]["bun"]["min"], entry["servers"]["bun"]["max"]), (10, 20))

    def test_a_missed_goal_says_by_how_much(self):
        made = summary.summarise(ECHO, runs_of(ECHO, {"ringcast": [9.84], "bun": [10]}))
        self.assertEqual(made["figures"][0]["goals"][0]["verdict"], "missed by 20%")

    def test_a_run_that_failed_has_no_part_in_the_median(self):
        runs = runs_of(ECHO, {"ringcast": [5, 5, 5]}) + [{"scenario": ECHO.name, "server": "ringcast", "rotation": 3,
                                                         "result": {"error": "lost"}, **QUIET}]
        made = summary.summarise(ECHO, runs)
        self.assertEqual(made["figures"][0]["servers"]["ringcast"]["runs"], 3)
        self.assertEqual(made["errors"], ["ringcast: lost"])

    def test_where_a_peer_leads_is_found_and_noise_is_not(self):
        behind = summary.summarise(ECHO, runs_of(ECHO, {"ringcast": [12], "bun": [10]}))
        equal = summary.summarise(ECHO, runs_of(ECHO, {"ringcast": [10.5], "bun": [10]}))
        self.assertEqual([row["peer"] for row in summary.leads([behind])], ["bun"])
        self.assertEqual(summary.leads([equal]), [])


class Compare(unittest.TestCase):
    def compare(self, old, new):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("old.json", "new.json.gz")]
            for path, raw in zip(paths, (old, new)):
                rawfile.write(path, raw)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                code = compare.main(*paths)
            return code, compare.compare(*paths), printed.getvalue()

    def echo(self, ringcast, bun, **more):
        return raw_of((ECHO, runs_of(ECHO, {"ringcast": ringcast, "bun": bun})), **more)

    def test_a_slower_machine_is_no_change(self):
        old = self.echo([5.0, 5.1, 4.9, 5.0, 5.0], [10, 10.2, 9.8, 10, 10])
        new = self.echo([7.0, 7.1, 6.9, 7.0, 7.0], [14, 14.2, 13.8, 14, 14])
        code, found, printed = self.compare(old, new)
        [row] = found["rows"]
        self.assertEqual((code, row["verdict"], row["peer"]), (0, "within noise", "bun"))
        self.assertAlmostEqual(row["plain"], 0.4)
        self.assertAlmostEqual(row["change"], 0.0, places=2)
        self.assertIn("1.40 times the CPU", printed)

    def test_worse_is_found_and_fails(self):
        old = self.echo([5.0, 5.1, 4.9, 5.0, 5.0], [10.0] * 5)
        new = self.echo([6.0, 6.1, 5.9, 6.0, 6.0], [10.0] * 5)
        code, found, printed = self.compare(old, new)
        self.assertEqual((code, found["rows"][0]["verdict"]), (1, "worse"))
        self.assertIn("| +20.0% | +20.0% | bun | ±8.0% | **worse** |", printed)

    def test_better_is_found(self):
        code, found, _ = self.compare(self.echo([5.0] * 5, [10.0] * 5), self.echo([4.0] * 5, [10.0] * 5))
        self.assertEqual((code, found["rows"][0]["verdict"]), (0, "better"))

    def test_the_same_change_in_scattered_runs_is_noise(self):
        old = self.echo([4.0, 7.0, 5.0, 3.0, 6.0], [10.0] * 5)
        new = self.echo([4.8, 8.4, 6.0, 3.6, 7.2], [10.0] * 5)
        code, found, _ = self.compare(old, new)
        self.assertEqual((code, found["rows"][0]["verdict"]), (0, "within noise"))
        self.assertGreater(found["rows"][0]["noise"], 0.2)

    def test_two_runs_are_too_few(self):
        code, found, printed = self.compare(self.echo([5.0] * 5, [10.0] * 5), self.echo([9.0] * 2, [10.0] * 2))
        self.assertEqual((code, found["rows"][0]["verdict"]), (0, "too few runs"))
        self.assertIn("0 better, 0 worse, 0 within noise, 1 too few runs.", printed)

    def test_a_peer_of_another_version_is_no_yardstick(self):
        old = self.echo([5.0] * 5, [10.0] * 5)
        new = self.echo([5.0] * 5, [5.0] * 5, versions={"ringcast": "ringcast-server 1", "bun": "2.0"})
        _, found, _ = self.compare(old, new)
        self.assertEqual((found["rows"][0]["peer"], found["rows"][0]["verdict"]), (None, "within noise"))

    def test_more_messages_a_second_are_better(self):
        shards = next(scenario for scenario in SCENARIOS if scenario.kind == "shards")
        old, new = (raw_of((shards, runs_of(shards, {"ringcast": [rate] * 5}))) for rate in (1000.0, 1300.0))
        self.assertEqual(self.compare(old, new)[1]["rows"][0]["verdict"], "better")
        self.assertEqual(self.compare(new, old)[1]["rows"][0]["verdict"], "worse")

    def test_memory_has_little_noise(self):
        memory = next(scenario for scenario in SCENARIOS if scenario.kind == "memory")
        old, new = (raw_of((memory, runs_of(memory, {"ringcast": [size] * 3}))) for size in (120.0, 126.0))
        self.assertEqual(self.compare(old, new)[1]["rows"][0]["verdict"], "worse")

    def test_what_stands_in_one_file_only_and_another_machine_are_named(self):
        other = next(scenario for scenario in SCENARIOS if scenario.name == "chat-32-d1")
        old = self.echo([5.0] * 5, [10.0] * 5, noisy=4)
        new = raw_of((other, runs_of(other, {"ringcast": [1.0]})), kernel="7.0")
        _, found, printed = self.compare(old, new)
        self.assertEqual((found["only_old"], found["only_new"]), ([ECHO.name], ["chat-32-d1"]))
        self.assertIn("kernel: 6.18 before, 7.0 now", printed)
        self.assertIn("before: Noisy machine", printed)

    def test_a_file_that_is_none(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
            path = Path(folder) / "a.json"
            path.write_text("{}")
            self.assertEqual(compare.main(path, path), 2)
        self.assertIn("cannot compare", printed.getvalue())


class Raw(unittest.TestCase):
    """The file of single runs."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.raw = raw_of((ECHO, runs_of(ECHO, {"ringcast": [5.0 + i / 7 for i in range(200)]})))

    def test_what_was_written_is_read_packed_or_not(self):
        for name in (rawfile.NAME, "raw.json"):
            rawfile.write(self.folder / name, self.raw)
            self.assertEqual(rawfile.read(self.folder / name), self.raw)
        packed, plain = ((self.folder / name).read_bytes() for name in (rawfile.NAME, "raw.json"))
        self.assertLess(len(packed), len(plain) / 5)
        self.assertEqual(plain.count(b"\n  {\"scenario\""), 200)  # One line to a run.

    def test_the_same_runs_give_the_same_bytes(self):
        for name in ("a.json.gz", "b.json.gz"):
            rawfile.write(self.folder / name, self.raw)
        self.assertEqual((self.folder / "a.json.gz").read_bytes(), (self.folder / "b.json.gz").read_bytes())
        self.assertEqual((self.folder / "a.json.gz").read_bytes()[4:8], bytes(4))  # No time (RFC 1952 2.3.1).

    def test_half_a_file_is_named(self):
        path = self.folder / rawfile.NAME
        rawfile.write(path, self.raw)
        path.write_bytes(path.read_bytes()[:-100])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(compare.main(path, path), 2)
        self.assertIn("cannot compare", printed.getvalue())

    def test_results_that_are_kept_are_packed_and_can_be_read(self):
        kept = sorted((BENCH / "results").rglob("raw.json*"))
        self.assertTrue(kept)
        for path in kept:
            self.assertEqual(path.name, rawfile.NAME)
            self.assertTrue(rawfile.read(path)["runs"], path)


class Plan(unittest.TestCase):
    def plan(self, minutes, rotations=15):
        todo = [(scenario, ("ringcast", "bun")) for scenario in SCENARIOS if scenario.kind == "cpu"][:20]
        return plan.Plan(todo, rotations, 0.4, 0.7, minutes * 60)

    def test_without_a_limit_everything_gets_what_was_asked(self):
        made = self.plan(0)
        self.assertEqual([made.rotations_for(i) for i in range(20)], [15] * 20)

    def test_a_limit_lowers_the_rotations(self):
        made = self.plan(0)
        made.limit_s = made.total(7) + 1
        self.assertEqual(made.rotations_for(0), 7)
        self.assertIn("are allowed", made.words())

    def test_when_time_is_over_the_rest_is_left_out(self):
        made = self.plan(1)
        made.started -= 59.9
        self.assertEqual(made.rotations_for(10), 0)

    def test_a_machine_that_is_slower_than_planned_gets_fewer_rotations(self):
        made = self.plan(0)
        made.limit_s = made.total(15) + 1
        made.pace = 2
        self.assertLess(made.rotations_for(0), 9)


class Output(unittest.TestCase):
    def setUp(self):
        self.raw = raw_of((ECHO, runs_of(ECHO, {"ringcast": [5.0] * 5, "bun": [10.0] * 5})))

    def test_the_table_has_the_figures_and_the_ratio(self):
        words = table.markdown(*(self.raw[key] for key in ("machine", "versions", "summaries", "settings")))
        self.assertIn("| 5 (5 – 5) | 10 (10 – 10) | 0.500x bun, goal 0.82: **reached** |", words)
        self.assertIn("Quiet machine", words)

    def test_a_noisy_run_says_so(self):
        self.raw["settings"]["noisy_runs"] = 5
        self.assertIn("**Noisy machine**", table.noise_words(self.raw["settings"]))

    def test_the_page_is_whole_and_asks_the_network_for_nothing(self):
        library = {"style": "/*css*/", "script": "/*uplot*/", "licence": "MIT", "licence_text": "The MIT License"}
        for found in (library, None):
            with self.subTest(found), mock.patch.object(report, "uplot", return_value=found):
                page = report.page(self.raw)
                self.assertNotIn("{{", page)
                self.assertEqual(page.count("</script>"), 3)  # What is in the data ends no script.
                for word in ("<script src", "<link", "@import", "url("):
                    self.assertNotIn(word, page)
                self.assertIn('"echo-20-200"', page)


class Table(unittest.TestCase):
    def test_names_are_unique_and_groups_known(self):
        from harness.scenarios import GROUPS
        from harness.servers import ABILITIES
        names = [scenario.name for scenario in SCENARIOS]
        self.assertEqual(len(names), len(set(names)))
        for scenario in SCENARIOS:
            self.assertIsInstance(scenario, Scenario)
            self.assertIn(scenario.group, GROUPS)
            self.assertIn("ringcast", scenario.servers)
            self.assertTrue(scenario.needs <= ABILITIES["ringcast"], scenario.name)
            for peer in scenario.goals:
                self.assertTrue(peer == "bytes" or peer in scenario.servers, scenario.name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
