#!/usr/bin/python3
"""engine/API.md has a section for each task of a program. Each row of its table belongs to one of them and names what shows it, and that
exists and runs:

  `apps/examples/NAME.cpp`      an example, and tests/library/examples_test.py runs its program
  `SUITE/CASE`                  a case of a Boost.Test program, in a file that the CMakeLists.txt of its folder, or of the one above, builds
  `tests/FOLDER/FILE::WORDS`    a test in another language: the file has these words

usage: check_api_rows.py ROOT          prints one line for each breach
       check_api_rows.py --self-test   expects each kind of breach to be found
"""
import pathlib
import re
import sys

PAGE = "engine/API.md"
HEADER = "| task | call | shown by |"
TASKS = ["serve", "receive", "send", "broadcast", "publish from a thread", "block", "spawn", "limit", "secure", "compress", "client", "test"]
SUITE = re.compile(r"BOOST_(?:AUTO|FIXTURE)_TEST_SUITE\((\w+)")
CASE = re.compile(r"BOOST_(?:AUTO|FIXTURE|DATA)_TEST_CASE\(\s*(\w+)")


def cases_of(root):
    """SUITE/CASE of every test file that is built."""
    found = set()
    for path in (root / "tests").rglob("*.cpp"):
        listfile = next(folder / "CMakeLists.txt" for folder in path.parents if (folder / "CMakeLists.txt").exists() or folder == root)
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


def rows_of(page):
    rows = []
    for part in page.split(HEADER)[1:]:
        lines = part.splitlines()[2:]
        rows += lines[: next((at for at, row in enumerate(lines) if not row.startswith("|")), len(lines))]
    return rows


def breaches(root, page):
    cases = cases_of(root)
    shown = set()
    for row in rows_of(page):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        if len(cells) != 3:
            yield f"a row has {len(cells)} cells instead of 3: {row}"
            continue
        task, call, names = cells[0], cells[1], re.findall(r"`([^`]+)`", cells[2])
        if task not in TASKS:
            yield f"'{task}' is none of the tasks"
        shown.add(task)
        if not names:
            yield f"{task}, '{call}' names nothing that shows it"
        for name in names:
            if why := why_not_shown(root, cases, name):
                yield f"{task}, '{call}' names `{name}`: {why}"
    for task in TASKS:
        if task not in shown:
            yield f"no row is of the task '{task}'"
        if f"## {task.capitalize()}\n" not in page:
            yield f"no section is of the task '{task}'"


def self_test(root):
    failures = 0

    def page(last_task, shown):
        sections = "".join(f"## {task.capitalize()}\n" for task in TASKS)
        rows = "".join(f"| {task} | x | {shown} |\n" for task in [*TASKS[:-1], last_task])
        return f"{sections}{HEADER}\n| --- | --- | --- |\n{rows}\nrest"

    right = "`handlers/a_coroutine_echoes`; `apps/examples/echo_server.cpp`; `tests/library/examples_test.py::echo`"
    for text, expected in {
        page("test", ""): "names nothing",
        page("test", "`apps/examples/none.cpp`"): "no such example",
        page("test", "`handlers/none`"): "no test program",
        page("test", "`tests/library/examples_test.py::not in there: " + "none`"): "no such test",
        page("test", "`tests/library/examples_test.py`"): "without the words",
        page("test", f"{right} | y"): "4 cells",
        page("tests", right): "is none of the tasks",
        page("test", right).replace("## Test\n", ""): "no section is of",
        page("serve", right): "no row is of",
        "no table": "no row is of",
        page("test", right): None,
    }.items():
        found = list(breaches(root, text))
        if (expected is None) != (not found) or (expected and expected not in found[0]):
            failures += 1
            print(f"expected '{expected or 'nothing'}', found {found} in:\n{text}")
    return failures


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent.parent.parent
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(1 if self_test(here) else 0)
    tree = pathlib.Path(sys.argv[1]).resolve()
    lines = list(breaches(tree, (tree / PAGE).read_text(encoding="utf-8")))
    print("\n".join(lines))
    sys.exit(1 if lines else 0)
