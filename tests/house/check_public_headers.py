#!/usr/bin/python3
"""Each public header compiles alone, as the first line of a user's program, without a warning.

usage: check_public_headers.py ROOT COMPILER          prints what the compiler says of each header that does not
       check_public_headers.py --self-test COMPILER   expects a header that lacks an include, and one with a warning, to be found
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

FLAGS = ["-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c++", "-"]


def includes_of(root):
    return [root / floor / "include" for floor in ["engine", "proto"] if (root / floor / "include").is_dir()]


def compile_alone(compiler, folders, name):
    command = [compiler, *(f"-I{folder}" for folder in folders), *FLAGS]
    done = subprocess.run(command, input=f"#include <{name}>\n", capture_output=True, text=True, check=False)
    return done.stderr if done.returncode != 0 else ""


def breaches(root, compiler):
    folders = includes_of(root)
    names = sorted(header.relative_to(folder).as_posix() for folder in folders for header in folder.rglob("*.hpp"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, said in zip(names, pool.map(lambda name: compile_alone(compiler, folders, name), names)):
            if said:
                yield f"<{name}>\n{said}"


def self_test(compiler):
    failures = 0
    for text, is_fine in {"#pragma once\n#include <string>\nstd::string a();\n": True, "#pragma once\nstd::string a();\n": False,
                          "#pragma once\ninline int a(int unused) { return 1; }\n": False}.items():
        with tempfile.TemporaryDirectory() as folder:
            header = pathlib.Path(folder) / "engine/include/ringcast/a.hpp"
            header.parent.mkdir(parents=True)
            header.write_text(text, encoding="utf-8")
            if (not list(breaches(pathlib.Path(folder), compiler))) != is_fine:
                failures += 1
                print(f"expected {'nothing' if is_fine else 'a breach'} in:\n{text}")
    return failures


if __name__ == "__main__":
    if sys.argv[1] == "--self-test":
        sys.exit(1 if self_test(sys.argv[2]) else 0)
    found = list(breaches(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
