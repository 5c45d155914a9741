#!/usr/bin/python3
"""The rules of the house that a compiler cannot see: which floor includes which, one wrapper for each C library, no file
that wants a wall, nothing left undone, and a top level with nothing but the agreed names.

usage: check_structure.py ROOT          checks the repository at ROOT and prints one line for each breach
       check_structure.py --self-test   builds small trees with one breach each and expects every one to be found
"""
import pathlib
import re
import subprocess
import sys
import tempfile

FLOORS = {"proto": 0, "engine": 1, "apps": 2}
# The folders of the engine, from the bottom to the top. Each may include what stands before it.
ENGINE_FOLDERS = ["base", "io", "mesh", "coroutine", "tls", "cluster", "connection", "room", "shard", "server", "client"]
TOP_LEVEL = {
    "CMakeLists.txt", "engine", "proto", "apps", "bench", "tests", "tools", "kernel-notes", "README.md", "LICENSE",
    "CONTRIBUTING.md", "CMakePresets.json",
    "build",  # what the two commands make; git ignores it
}
# A C library is included by one pair of files (stem.hpp and stem.cpp) of one floor; everyone else goes through them.
WRAPPED = [
    (re.compile(r"liburing(\.h|/.*)"), "engine"),
    (re.compile(r"wolfssl/.*"), "engine"),
    (re.compile(r"hiredis/.*"), "engine"),
    (re.compile(r"isa-l(\.h|/.*)|igzip_lib\.h"), "proto"),
]
# proto is bytes in, bytes out: besides std it may include only its own files, intrinsics and the compressor.
PROTO_SYSTEM_HEADERS = re.compile(r"[a-z_]+|c[a-z0-9]+|immintrin\.h|cpuid\.h|isa-l(\.h|/.*)|igzip_lib\.h|ringcast/[a-z0-9_]+\.hpp")
# What a program may include stands here, and nowhere else; it needs the standard library and the system alone.
PUBLIC_HEADERS = [("engine", "include", "ringcast"), ("proto", "include", "ringcast")]
PUBLIC_SYSTEM_HEADERS = re.compile(r"ringcast/.*|[a-z_]+|sys/socket\.h|unistd\.h")
# The programs are written as a user would write them, but for the load generator, which judges the library from below.
APPS_FROM_BELOW = {"load", "ringcast-load"}
# What a user holds shows none of these.
INSIDE = re.compile(r"\bengine::(?:shard|connection|inbox|mesh|http_router|client_host|client_core|scheduler)\b\s*[&*]")
ACCESS = re.compile(r"^\s*(?:(public|protected|private):|(?:template .*)?(class|struct)\b[^;]*\{)")
SOURCE = {".hpp", ".cpp", ".h", ".c"}
TEXT = SOURCE | {".py", ".mjs", ".js", ".sh", ".txt", ".cmake", ".html", ".css", ""}
LINES_MAX = 500
FOLDER_PAGE_LINES_MAX = 30
UNDONE = re.compile("TO" + r"DO|FIX" + "ME")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)


def tracked(root):
    """What git tracks or would track, so that build folders and node_modules are out of sight; else every file."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return sorted(pathlib.PurePosixPath(name) for name in names if (root / name).is_file())


def engine_height(path):
    """How high a file of the engine stands; proto is below all, and what lies in no folder is above all."""
    if path.parts[0] != "engine":
        return -1
    return ENGINE_FOLDERS.index(path.parts[1]) if path.parts[1] in ENGINE_FOLDERS else len(ENGINE_FOLDERS)


def check_includes(path, text, wrappers):
    floor = path.parts[0]
    for match in INCLUDE.finditer(text):
        system, own = match.groups()
        line = text.count("\n", 0, match.start(1 if system else 2)) + 1
        where = f"{path}:{line}"
        if own:
            target = own.split("/")[0]
            if floor in FLOORS and target not in FLOORS:
                yield f'{where}: "{own}" is not written from the root, or leaves the floors'
            elif floor in FLOORS and FLOORS[target] > FLOORS[floor]:
                yield f"{where}: {floor} includes {own}, and includes go down only"
            elif floor == "engine" and engine_height(pathlib.PurePosixPath(own)) > engine_height(path):
                yield f"{where}: engine/{path.parts[1]} includes {own}, which stands above it"
            continue
        if floor == "proto" and not PROTO_SYSTEM_HEADERS.fullmatch(system):
            yield f"{where}: proto includes <{system}>, and it may include only its own files and std"
        if floor not in FLOORS:
            continue
        for position, (pattern, home) in enumerate(WRAPPED):
            if pattern.fullmatch(system):
                if floor == home:
                    wrappers.setdefault(position, set()).add(path.with_suffix(""))
                else:
                    yield f"{where}: <{system}> belongs behind its wrapper in {home}"


def check_wall(root, path, text):
    """What users include shows nothing of the inside, and what they could have written includes nothing of it."""
    is_public = path.parts[:3] in PUBLIC_HEADERS
    is_users = path.parts[0] == "apps" and len(path.parts) > 1 and path.parts[1] not in APPS_FROM_BELOW
    for match in INCLUDE.finditer(text):
        system, own = match.groups()
        where = f"{path}:{text.count(chr(10), 0, match.start(1 if system else 2)) + 1}"
        if system and system.startswith("ringcast/"):
            places = [pathlib.PurePosixPath(*place[:2], system) for place in PUBLIC_HEADERS]
            if not any((root / place).is_file() for place in places):
                yield f"{where}: there is no public header <{system}>"
            elif path.parts[0] == "proto" and not (root / places[1]).is_file():
                yield f"{where}: proto includes <{system}>, which is the engine's"
        if is_public and (own or not PUBLIC_SYSTEM_HEADERS.fullmatch(system)):
            yield f"{where}: a public header includes {own or system}"
        if is_users and own and not own.startswith("apps/"):
            yield f"{where}: {own} is behind the wall: programs include <ringcast/...>"
    if is_public and "detail" not in path.parts:
        yield from check_held(path, text)


def check_held(path, text):
    access = "public"
    for number, line in enumerate(text.splitlines(), 1):
        if label := ACCESS.match(line):
            access = label.group(1) or ("private" if label.group(2) == "class" else "public")
        if access == "public" and INSIDE.search(line.split("//")[0]):
            yield f"{path}:{number}: shows users what the engine is made of"


def check_folder_pages(root, files):
    """Each folder of the engine has a short page that names its headers."""
    for folder in ENGINE_FOLDERS:
        headers = [path.name for path in files if path.parts[:2] == ("engine", folder) and path.suffix == ".hpp"]
        page = root / "engine" / folder / "README.md"
        if not headers:
            continue
        if not page.is_file():
            yield f"engine/{folder}: has no README.md"
            continue
        text = page.read_text(encoding="utf-8")
        if text.count("\n") > FOLDER_PAGE_LINES_MAX:
            yield f"engine/{folder}/README.md: more than {FOLDER_PAGE_LINES_MAX} lines"
        for name in headers:
            if f"`{name}`" not in text:
                yield f"engine/{folder}/README.md: does not name {name}"


def breaches(root):
    wrappers = {}
    yield from check_folder_pages(root, tracked(root))
    for entry in sorted(root.iterdir()):
        if entry.name not in TOP_LEVEL and not entry.name.startswith("."):
            yield f"{entry.name}: the top level has no place for it"
    for path in tracked(root):
        if path.suffix not in TEXT or path.name in {"LICENSE", "package-lock.json"}:
            continue
        if path.parts[:2] == ("bench", "results"):
            continue  # made by a program, page and all
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a fuzz seed without a suffix
        lines = text.count("\n")
        if lines > LINES_MAX:
            yield f"{path}: {lines} lines, and above {LINES_MAX} a file wants a wall"
        for match in UNDONE.finditer(text):
            yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()} left in"
        if path.suffix in SOURCE:
            if path.suffix == ".hpp" and "#pragma once" not in text:
                yield f"{path}: a header without #pragma once"
            yield from check_includes(path, text, wrappers)
            yield from check_wall(root, path, text)
    for position, stems in wrappers.items():
        if len(stems) > 1:
            names = ", ".join(str(stem) for stem in sorted(stems))
            yield f"{WRAPPED[position][0].pattern}: included by more than one pair of files: {names}"


def self_test():
    cases = {
        "includes go down only": {"proto/a.hpp": '#pragma once\n#include "engine/b.hpp"\n'},
        "which stands above it": {"engine/io/a.hpp": '#pragma once\n#include "engine/room/b.hpp"\n'},
        "has no README.md": {"engine/mesh/a.hpp": "#pragma once\n"},
        "does not name b.hpp": {"engine/mesh/a.hpp": "#pragma once\n", "engine/mesh/b.hpp": "#pragma once\n", "engine/mesh/README.md": "`a.hpp`\n"},
        "leaves the floors": {"engine/a.hpp": '#pragma once\n#include "b.hpp"\n'},
        "only its own files and std": {"proto/a.cpp": "#include <fmt/core.h>\n"},
        "belongs behind its wrapper": {"apps/a.cpp": "#include <liburing.h>\n"},
        "more than one pair": {"engine/a.cpp": "#include <liburing.h>\n", "engine/b.cpp": "#include <liburing.h>\n"},
        "wants a wall": {"engine/a.cpp": "\n" * 501},
        "left in": {"tests/a.cpp": "// TO" + "DO\n"},
        "without #pragma once": {"engine/a.hpp": "int a;\n"},
        "has no place": {"src/a.cpp": "\n"},
        "a public header includes": {"engine/include/ringcast/b.hpp": '#pragma once\n#include "engine/io/a.hpp"\n'},
        "a public header includes fmt": {"engine/include/ringcast/b.hpp": "#pragma once\n#include <fmt/format.h>\n"},
        "no public header": {"apps/a.cpp": "#include <ringcast/b.hpp>\n"},
        "which is the engine's": {"proto/a.cpp": "#include <ringcast/a.hpp>\n"},
        "behind the wall": {"apps/examples/a.cpp": '#include "engine/io/a.hpp"\n'},
        "what the engine is made of": {"engine/include/ringcast/b.hpp": "#pragma once\nclass b {\n public:\n  engine::shard& owner();\n};\n"},
    }
    clean = {"engine/io/README.md": "`ring.hpp` `a.hpp`\n", "proto/a.hpp": '#pragma once\n#include <cstdint>\n', "engine/io/ring.hpp": "#pragma once\n#include <liburing.h>\n",
             "engine/include/ringcast/a.hpp": "#pragma once\n#include <ringcast/c.hpp>\nclass a {\n  engine::shard* shard_;\n};\n",
             "proto/include/ringcast/c.hpp": "#pragma once\n", "apps/examples/b.cpp": "#include <ringcast/a.hpp>\n",
             "apps/load/b.cpp": '#include "proto/a.hpp"\n',
             "engine/io/ring.cpp": '#include <liburing.h>\n#include "engine/base/a.hpp"\n#include "proto/a.hpp"\n', "README.md": "\n", ".ci/run": "\n",
             "bench/results/a/report.html": "\n" * 501}
    failures = 0
    for expected, files in {**cases, "": {}}.items():
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**clean, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            found = list(breaches(root))
        if len(found) != (1 if expected else 0) or not all(expected in line for line in found):
            failures += 1
            print(f"expected '{expected or 'nothing'}', found {found}")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(1 if self_test() else 0)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = list(breaches(pathlib.Path(sys.argv[1]).resolve()))
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
