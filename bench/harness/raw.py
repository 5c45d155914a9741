"""The single runs of a benchmark, in a file: JSON, compressed where its name ends in .gz.

One line to a run, so that `zcat` and `diff` show a change of results as a change of lines. The same runs give the same
bytes: no time and no name stands in the compressed file.
"""

import gzip
import json
import zlib

NAME = "raw.json.gz"
MAGIC = b"\x1f\x8b"


def read(path):
    """What write() was given. What the file is, its first bytes say, so that an older or unpacked raw.json is read as well."""
    data = path.read_bytes()
    if data.startswith(MAGIC):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as trouble:
            raise ValueError(f"it is not compressed as it should be: {trouble}") from trouble
    return json.loads(data)


def write(path, raw):
    head = json.dumps({key: value for key, value in raw.items() if key != "runs"}, indent=1)
    text = head[:-2] + ',\n "runs": [\n' + ",\n".join("  " + json.dumps(run) for run in raw["runs"]) + "\n ]\n}\n"
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
