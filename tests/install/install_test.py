#!/usr/bin/python3
"""Installs a build into an empty folder, moves it, and builds and runs programs against it that know nothing of the source tree: one by
find_package(ringcast), one by pkg-config, and the examples as they stand in apps/examples. The same program, with the same include line, is
compiled as a project that has this one in it by add_subdirectory().

usage: install_test.py BUILD_FOLDER CMAKE CXX_COMPILER"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
build, cmake, compiler = sys.argv[1:]


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=250, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(word) for word in command)}\n{done.stdout}{done.stderr}\nended with {done.returncode}")
    return done.stdout


def check_headers(include):
    """Every include of ours that an installed header names is there, and nothing points back into the tree."""
    headers = list(include.rglob("*.hpp"))
    installed = {header.relative_to(include).as_posix() for header in headers}
    public = {header.relative_to(ROOT / floor / "include").as_posix() for floor in ["engine", "proto"] for header in (ROOT / floor / "include").rglob("*.hpp")}
    assert installed == public and len(public) > 10, installed ^ public
    for header in headers:
        text = header.read_text(encoding="utf-8")
        assert '#include "' not in text, f"{header} includes by quotes"
        for name in re.findall(r"#include <(ringcast/[^>]+)>", text):
            assert (include / name).exists(), f"{header} includes <{name}>, which is not installed"
        assert not re.search(r"#include <(liburing|wolfssl|isa-l|igzip|spdlog|fmt)", text), f"{header} needs a private dependency"


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    run(cmake, "--install", build, "--prefix", folder / "first")
    prefix = folder / "moved"  # what was installed knows no absolute path of its own
    (folder / "first").rename(prefix)
    check_headers(prefix / "include")
    assert (prefix / "bin/ringcast-server").exists() and (prefix / "bin/ringcast-load").exists()
    for name in prefix.rglob("*"):
        if name.suffix in {".cmake", ".pc", ".hpp"}:
            assert str(ROOT) not in name.read_text(encoding="utf-8"), f"{name} names the source tree"

    run(cmake, "-S", HERE / "consumer", "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={compiler}")
    run(cmake, "--build", folder / "build")
    print("find_package:", run(folder / "build/consumer").strip())

    pkg_config = next(prefix.rglob("ringcast.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(pkg_config)}
    flags = run("pkg-config", "--cflags", "--libs", "ringcast", env=environment).split()
    run(compiler, "-std=c++23", HERE / "consumer/main.cpp", "-o", folder / "by-pkg-config", *flags)
    print("pkg-config:", run(folder / "by-pkg-config").strip())

    flags = [flag for flag in flags if not flag.startswith("-l")]
    for example in sorted((ROOT / "apps/examples").glob("*.cpp")):
        run(compiler, "-std=c++23", "-fsyntax-only", example, *flags, cwd=folder)
    print("the examples compile as they stand")

    # The library is not built once more: the program alone, with what add_subdirectory() says of it.
    run(cmake, "-S", HERE / "consumer", "-B", folder / "inside", "-G", "Ninja", f"-DRINGCAST_SOURCE={ROOT}", f"-DCMAKE_CXX_COMPILER={compiler}")
    run(cmake, "--build", folder / "inside", "--target", "CMakeFiles/consumer.dir/main.cpp.o")
    print("add_subdirectory: the program compiles")
