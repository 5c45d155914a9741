#!/usr/bin/python3
"""The README's table of options is what `ringcast-server --print-options` prints.

usage: readme_options_test.py PROGRAM           says in which lines they differ
       readme_options_test.py --write PROGRAM   writes the table into the README again
"""
import difflib
import pathlib
import subprocess
import sys

README = pathlib.Path(__file__).resolve().parent.parent.parent / "README.md"
BEGIN = "<!-- from here on: ringcast-server --print-options -->\n"
END = "<!-- to here -->\n"


def main():
    program = sys.argv[-1]
    table = subprocess.run([program, "--print-options"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert table.startswith("| option |") and table.count("\n") > 30, table
    page = README.read_text(encoding="utf-8")
    before, has_begin, rest = page.partition(BEGIN)
    written, has_end, behind = rest.partition(END)
    assert has_begin and has_end, f"{README} has no marks around its table of options"
    if "--write" in sys.argv:
        README.write_text(before + BEGIN + table + END + behind, encoding="utf-8")
        return 0
    differences = list(difflib.unified_diff(written.splitlines(), table.splitlines(), "README.md", "--print-options", lineterm=""))
    print("\n".join(differences))
    if differences:
        print(f"to write it again: {sys.argv[0]} --write {program}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
