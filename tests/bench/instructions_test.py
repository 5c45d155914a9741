"""The comparison of instruction counts finds a count that moved, in both directions, and says what to do.

Usage: instructions_test.py SCRIPT PROGRAM
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT, PROGRAM = sys.argv[1:3]


def run(*arguments):
    done = subprocess.run([sys.executable, "-B", SCRIPT, "--program", PROGRAM, *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


class Instructions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = Path(cls.folder.name) / "counts.json"
        code, words = run("--renew", "--file", str(cls.file))
        assert code == 0, words
        cls.kept = json.loads(cls.file.read_text())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def compare(self, change):
        kept = json.loads(json.dumps(self.kept))
        change(kept["instructions_per_call"], kept["counted_with"])
        other = Path(self.folder.name) / "other.json"
        other.write_text(json.dumps(kept))
        return run("--file", str(other))

    def test_counts_are_the_same_when_counted_again(self):
        code, words = self.compare(lambda counts, about: None)
        self.assertEqual(code, 0, words)
        self.assertNotIn("note:", words)

    def test_two_percent_is_no_change(self):
        def change(counts, about):
            for name in counts:
                counts[name] /= 1.02
        self.assertEqual(self.compare(change)[0], 0)

    def test_five_percent_more_fails_and_is_named(self):
        def change(counts, about):
            counts["http_head/browser"] /= 1.05
        code, words = self.compare(change)
        self.assertEqual(code, 1)
        self.assertIn("http_head/browser:", words)
        self.assertIn("+5.0%", words)
        self.assertIn("--renew", words)
        self.assertNotIn("utf8/", words)

    def test_five_percent_fewer_wants_a_new_file(self):
        def change(counts, about):
            counts["mask/1024"] *= 1.06
        code, words = self.compare(change)
        self.assertEqual(code, 1)
        self.assertIn("which is good", words)

    def test_a_case_that_is_new_or_gone_fails(self):
        def change(counts, about):
            counts["mask/3"] = counts.pop("mask/20")
        code, words = self.compare(change)
        self.assertEqual(code, 1)
        self.assertIn("mask/3: in the file", words)
        self.assertIn("mask/20: counted", words)

    def test_another_compiler_is_named_and_fails_nothing_by_itself(self):
        def change(counts, about):
            about["compiler"] = "Clang 1.0"
        code, words = self.compare(change)
        self.assertEqual(code, 0)
        self.assertIn("note: compiler Clang 1.0 in the file", words)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
