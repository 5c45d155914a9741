#!/usr/bin/python3
"""Each row of the tables in engine/README.md, what the seeds ask for and how ringcast does it, names what shows it, and that exists and runs:

  `apps/examples/NAME.cpp`      an example, and tests/library/examples_test.py runs its program
  `SUITE/CASE`                  a case of a Boost.Test program, in a file that its folder's CMakeLists.txt builds
  `tests/FOLDER/FILE::WORDS`    a test in another language: the file has these words

usage: check_seed_rows.py ROOT          prints one line for each breach
       check_seed_rows.py --self-test   expects each kind of breach to be found
"""
import pathlib
import re
import sys

HEADER = "| seed's call | ours | shown by |"
SEEDS = {"000", "001", "002", "004"}
SUITE = re.compile(r"BOOST_(?:AUTO|FIXTURE)_TEST_SUITE\((\w+)")
CASE = re.compile(r"BOOST_(?:AUTO|FIXTURE|DATA)_TEST_CASE\(\s*(\w+)")


def cases_of(root):
    """SUITE/CASE of every test file that is built."""
    found = set()
    for path in (root / "tests").rglob("*.cpp"):
        listfile = path.parent / "CMakeLists.txt"
        listed = listfile.read_text(encoding="utf-8") if listfile.exists() else ""
        if path.name not in listed and not re.search(r"file\(GLOB .*\*\.cpp\)", listed):
            continue
        text = path.read_text(encoding="utf-8")
        for suite in SUITE.findall(text)[:1]:
            found |= {f"{suite}/{case}" for case in CASE.findall(text)}
    return found


def why_not_shown(root, cases, name):
    if name.startswith("apps/examples/"):
        program = pathlib.PurePosixPath(name).stem.replace("_", "-")
        if not (root / name).exists():
            return "there is no such example"
        if f'"{program}"' not in (root / "tests/library/examples_test.py").read_text(encoding="utf-8"):
            return "tests/library/examples_test.py does not run it"
    elif name.startswith("tests/"):
        file, _, words = name.partition("::")
        if not words:
            return "a test file without the words of a test in it"
        if not (root / file).is_file() or words not in (root / file).read_text(encoding="utf-8"):
            return "there is no such test"
    elif name not in cases:
        return "no test program that is built has this case"
    return None


def breaches(root, table):
    rows = []
    for part in table.split(HEADER)[1:]:
        lines = part.splitlines()[2:]
        rows += lines[: next((at for at, row in enumerate(lines) if not row.startswith("|")), len(lines))]
    cases = cases_of(root)
    seen = set()
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        seen |= set(re.findall(r"\b00\d\b", cells[0]))
        names = re.findall(r"`([^`]+)`", cells[2])
        if not names:
            yield f"'{cells[0]}' names nothing that shows it"
        for name in names:
            if why := why_not_shown(root, cases, name):
                yield f"'{cells[0]}' names `{name}`: {why}"
    for seed in sorted(SEEDS - seen):
        yield f"no row is of seed {seed}"


def self_test(root):
    all_seeds = "000, 001, 002, 004"
    failures = 0
    for shown, expected in {
        "": "names nothing", "`apps/examples/none.cpp`": "no such example", "`handlers/none`": "no test program",
        "`tests/library/examples_test.py::not in there: " + "none`": "no such test", "`tests/library/examples_test.py`": "without the words",
        "`handlers/a_coroutine_echoes`; `apps/examples/echo_server.cpp`; `tests/library/examples_test.py::echo`": None,
    }.items():
        found = list(breaches(root, f"{HEADER}\n| --- | --- | --- |\n| {all_seeds} x | y | {shown} |\n\nrest"))
        if (expected is None) != (not found) or (expected and expected not in found[0]):
            failures += 1
            print(f"'{shown}' should be found as '{expected}', and was {found}")
    if not list(breaches(root, "no table")):
        failures += 1
        print("a table that is gone was not found")
    return failures


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent.parent.parent
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(1 if self_test(here) else 0)
    tree = pathlib.Path(sys.argv[1]).resolve()
    lines = list(breaches(tree, (tree / "engine/README.md").read_text(encoding="utf-8")))
    print("\n".join(lines))
    sys.exit(1 if lines else 0)
