#!/usr/bin/python3
"""The Debian package as somebody has it who gets nothing else: installed into a Debian of its own, started as the service starts it, used from outside,
configured, and purged, after which nothing is left of it. Then the same in the steps of the Containerfile, under its seccomp profile.

usage: package_test.py [TEST...]   after tools/package; root is needed"""
import asyncio
import glob
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

import seccomp_filter
import websockets
from tree import KEPT, ROOT, Tree, run

sys.path.insert(0, str(ROOT / "tests" / "support"))
from ports import free_port  # noqa: E402

CONFIG = "/etc/ringcast/ringcast-server.toml"
UNIT = "/lib/systemd/system/ringcast-server.service"
PACKAGING = ROOT / "tools" / "packaging"
USER = "ringcast"


def package():
    made = sorted(glob.glob(str(KEPT / "ringcast-server_*.deb")))
    assert len(made) == 1, f"{KEPT} has {len(made)} packages: tools/package makes one"
    return made[0]


def install(tree):
    run("cp", package(), tree.root / "ringcast-server.deb")
    said = tree.run("apt-get", "install", "-y", "--no-install-recommends", "/ringcast-server.deb")
    (tree.root / "ringcast-server.deb").unlink()
    return said


def setting(text, name):
    return re.search(rf"^{name}=(.*)$", text, re.MULTILINE)[1]


class Served:
    """A server inside, until the end of the `with`. It must come to be ready, and end with 0."""

    def __init__(self, tree, command, port, **more):
        self.port = port
        self.process = tree.start(*command, **more)

    def __enter__(self):
        try:
            for _ in range(300):
                if self.process.poll() is not None:
                    raise AssertionError(f"ended with {self.process.returncode}: {self.process.stdout.read()}")
                try:
                    if self.get("/health/ready")[0] == 200:
                        return self
                except OSError:
                    pass
                time.sleep(0.1)
            raise AssertionError("it was not ready after 30 s")
        except BaseException:
            self.process.kill()
            raise

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.said, _ = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        if kind is None:
            assert self.process.returncode == 0, f"ended with {self.process.returncode}: {self.said}"

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def talk(self):
        """Two members of a room, and a message published over HTTP."""
        room = f"ws://127.0.0.1:{self.port}/broadcast/package"
        async with websockets.connect(room) as ada, websockets.connect(room) as bob:
            await ada.send("from a member")
            assert [await ada.recv(), await bob.recv()] == ["from a member"] * 2
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}/rooms/package/messages", b"by HTTP", {"Content-Type": "text/plain"})
            told = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(request, timeout=10)))
            assert told["queued"] == 2, told
            assert [await ada.recv(), await bob.recv()] == ["by HTTP"] * 2


class Linted(unittest.TestCase):
    def test_lintian_finds_nothing_that_is_not_explained(self):
        said = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", package()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual((said.returncode, said.stdout), (0, ""))


class Installed(unittest.TestCase):
    """One tree, and what is done in it one after the other: a purge is the last of it."""

    def test_installed_used_and_purged(self):
        with Tree() as tree:
            before = tree.everything()
            install(tree)
            self.files_are_there(tree)
            self.it_serves_as_the_unit_says(tree)
            self.a_configuration_is_checked(tree)
            self.installing_again_keeps_what_was_changed(tree)
            tree.run("apt-get", "remove", "-y", "ringcast-server")
            self.assertFalse(tree.exists("/usr/bin/ringcast-server"))
            self.assertTrue(tree.exists(CONFIG), "a removal keeps the configuration")
            tree.run("apt-get", "purge", "-y", "--autoremove", "ringcast-server")
            after = tree.everything()
            changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
            # The libraries that came with it are gone, too.
            self.assertEqual(changed, set())

    def files_are_there(self, tree):
        for path in ("/usr/bin/ringcast-server", "/usr/bin/ringcast-load", UNIT, UNIT.replace(".service", ".socket"), CONFIG,
                     "/usr/share/ringcast-server/seccomp.json"):
            self.assertTrue(tree.exists(path), path)
        depends = tree.run("dpkg-query", "-W", "-f", "${Depends}", "ringcast-server")
        for library in ("adduser", "libc6", "liburing2", "libmimalloc2.0", "libisal2", "libfmt9", "libspdlog1.10"):
            self.assertIn(library, depends)
        self.assertNotIn("wolfssl", depends)
        self.assertEqual(tree.run("dpkg-query", "-W", "-f", "${Conffiles}", "ringcast-server").split()[0], CONFIG)
        self.assertEqual(tree.read(CONFIG), tree.run("ringcast-server", "--print-config"))
        self.assertRegex(tree.read("/etc/passwd"), rf"(?m)^{USER}:x:\d+:\d+:[^:]*:/nonexistent:/usr/sbin/nologin$")
        # minbase leaves manual pages out of what is unpacked only where dpkg is told so: here they are read as they were packed.
        for page, word in (("ringcast-server", "--max-connections"), ("ringcast-load", "--connections")):
            text = subprocess.run(["man", "--warnings=w", "-l", str(tree.root / f"usr/share/man/man1/{page}.1.gz")], capture_output=True, text=True,
                                  check=True, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
            self.assertEqual(text.stderr, "")
            self.assertIn(f"{word} N", text.stdout)

    def it_serves_as_the_unit_says(self, tree):
        unit = tree.read(UNIT)
        self.assertEqual(setting(unit, "User"), USER)
        port = free_port()
        tree.write(CONFIG, tree.read(CONFIG) + f'\nlisten = ["127.0.0.1:{port}"]\ndrain_seconds = 0\n')
        tree.run(*shlex.split(setting(unit, "ExecReload")), user=USER)
        with Served(tree, shlex.split(setting(unit, "ExecStart")), port, user=USER) as server:
            self.assertIn("<title>ringcast</title>", server.get("/")[1])
            asyncio.run(server.talk())
            with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as status:
                self.assertEqual(int(re.search(r"Uid:\s+(\d+)", status.read())[1]), tree.ids_of(USER)[0])
            load = tree.run("ringcast-load", f"ws://127.0.0.1:{port}/broadcast/load", "--mode", "broadcast", "--connections", "20", "--rate", "100",
                            "--duration", "1", "--assert", "lost==0")
            self.assertIn("lost 0", load)

    def a_configuration_is_checked(self, tree):
        whole = tree.read(CONFIG)
        self.assertIn("nothing is wrong", tree.run("ringcast-server", "--check-config", CONFIG))
        tree.write(CONFIG, whole + "max_conections = 3\n")
        said = tree.run("ringcast-server", "--check-config", CONFIG, expect=1)
        self.assertRegex(said, rf"{CONFIG}:\d+: max_conections is not known, did you mean max_connections\?")
        tree.write(CONFIG, whole)

    def installing_again_keeps_what_was_changed(self, tree):
        changed = tree.read(CONFIG)
        run("cp", package(), tree.root / "ringcast-server.deb")
        tree.run("apt-get", "install", "-y", "--reinstall", "/ringcast-server.deb")
        (tree.root / "ringcast-server.deb").unlink()
        self.assertEqual(tree.read(CONFIG), changed)


class Page(unittest.TestCase):
    """The README's way from the package to a server with TLS and tokens, typed as it stands there, but for ports that are free here."""

    def blocks(self, ports):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        chapter = readme[readme.index("## From the package"):]
        first, second = re.findall(r"^```sh\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)[:2]
        for printed, here in ports.items():
            self.assertIn(printed, first + second)
            first, second = first.replace(printed, here), second.replace(printed, here)
        return first, second

    def test_from_the_package_to_a_server_with_tls_tokens_and_metrics(self):
        begun = time.monotonic()
        tls, admin = free_port(), free_port()
        first, second = self.blocks({"8443": str(tls), "8081": str(admin)})
        with Tree() as tree:
            run("cp", package(), tree.root)
            # Without systemd a restart is the command of the service.
            self.assertTrue(first.endswith("systemctl restart ringcast-server\n"))
            tree.run("sh", "-ec", first.removesuffix("systemctl restart ringcast-server\n"))
            tree.run("apt-get", "install", "-y", "--no-install-recommends", "curl")
            with Served(tree, shlex.split(setting(tree.read(UNIT), "ExecStart")), admin, user=USER) as server:
                said = tree.run("bash", "-ec", second)
                self.assertIn('"queued":1', said)
                self.assertRegex(said, r"(?m)^data: hello$")
                self.assertRegex(said, r"(?m)^ringcast_deliveries_total 1$")
                self.assertIn("ringcast_connections{", server.get("/metrics")[1])
                # Without a token nobody is let in, and a stranger finds no metrics.
                for path, status in (("/broadcast/lobby", "401"), ("/metrics", "404")):
                    asked = tree.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/etc/ringcast/chain.pem", "-H", "Accept: text/event-stream",
                                     f"https://localhost:{tls}{path}")
                    self.assertEqual(asked, status, path)
            tree.run("apt-get", "purge", "-y", "ringcast-server")
            self.assertEqual(sorted(path.name for path in (tree.root / "etc/ringcast").iterdir()), ["chain.pem", "key.pem", "secret"])
        print(f"the README's page took {time.monotonic() - begun:.0f} s", file=sys.stderr)


class Container(unittest.TestCase):
    """The Containerfile's steps in a tree, and its command under its filter: what can be tried where there is no container runtime."""

    def steps(self):
        text = (PACKAGING / "Containerfile").read_text(encoding="utf-8")
        return [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]

    def test_its_steps_make_a_server_that_runs_under_its_filter(self):
        steps = self.steps()
        said = {word: rest for word, rest in steps}
        self.assertEqual([word for word, _ in steps].count("RUN"), 1)
        port = free_port()
        with Tree() as tree:
            run("cp", package(), tree.root / "tmp")
            tree.run("sh", "-c", said["RUN"])
            self.assertEqual(tree.run("sh", "-c", "ls /tmp /var/lib/apt/lists").split(), ["/tmp:", "/var/lib/apt/lists:"])
            filtered = seccomp_filter.filter_of(PACKAGING / "seccomp.json")
            command = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"]) + ["--listen", f"127.0.0.1:{port}", "--drain-seconds", "0"]
            with Served(tree, command, port, user=said["USER"], before=filtered.load) as server:
                asyncio.run(server.talk())
                with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as status:
                    self.assertRegex(status.read(), r"Seccomp:\s+2")
            self.assertNotIn("refused", server.said)

    def test_without_io_uring_in_the_profile_one_sentence_says_so(self):
        filtered = seccomp_filter.filter_of(PACKAGING / "seccomp.json", without={"io_uring_setup", "io_uring_enter", "io_uring_register"})
        with Tree() as tree:
            install(tree)
            child = tree.start("/usr/bin/ringcast-server", "--listen", "127.0.0.1:0", user=USER, before=filtered.load)
            said, _ = child.communicate(timeout=30)
            self.assertEqual(child.returncode, 3, said)
            self.assertIn("io_uring", said)


if __name__ == "__main__":
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", sys.executable, *sys.argv])
    unittest.main(verbosity=2)
