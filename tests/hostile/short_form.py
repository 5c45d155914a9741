#!/usr/bin/python3
"""One family of attacks against the server, each for a second: honest clients are all served, memory is bounded and given back, SIGTERM ends it with 0.

The bench itself is bench/hostile/run; its goals in milliseconds are not for a machine that does other things, too."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAMILIES = {
    "http": ["pipelined-get", "pipelined-get-16", "pipelined-get-tls", "pipelined-rooms", "pipelined-post", "rooms-loop", "half-bodies", "announced-bodies",
             "slow-senders", "churn"],
    "frames": ["bombs-echo-1", "bombs-echo-64", "bombs-room-4", "bombs-room-64", "announced-frames", "half-messages", "half-fragments", "pings-unread"],
    "rooms": ["stalled-member-close", "stalled-member-drop-oldest", "pieces-drop-oldest", "slow-members", "colliding-rooms"],
    "tls": ["silent-tls-2200", "half-handshakes", "hello-flood", "half-hellos", "key-updates", "empty-records"],
    "log": ["stalled-log"],
}

build = os.environ.get("RINGCAST_BUILD", str(ROOT / "build/release"))
words = [sys.executable, "-B", str(ROOT / "bench/hostile/run"), "--gate", "counts", "--seconds", "1", "--quiet-seconds", "0.5", "--rest-seconds", "0.5",
         "--scale", "0.1", "--build", build, "--server", os.environ.get("RINGCAST_SERVER", build + "/ringcast-server")]
sys.exit(subprocess.run(words + [word for name in FAMILIES[sys.argv[1]] for word in ("--attack", name)]).returncode)
