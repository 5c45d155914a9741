"""tools/tune raises, never lowers, keeps the old values, and puts them back: in a tree of files that stands for /proc/sys, and in a network of its own."""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import unittest

TUNE = str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "tune")
VALUES = {"fs/file-max": "100000", "fs/nr_open": "1048576", "net/core/somaxconn": "4096", "net/ipv4/tcp_max_syn_backlog": "99999", "net/core/netdev_max_backlog": "1000",
          "net/ipv4/ip_local_port_range": "32768\t60999", "net/ipv4/tcp_mem": "10 20 999999999", "net/core/rmem_max": "212992", "net/core/wmem_max": "212992"}


class Tune(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name, "sys")
        self.state = pathlib.Path(folder.name, "state.json")
        for name, value in VALUES.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value + "\n")
        # The descriptors of a process of the test's own, which can be changed without changing anything else.
        self.shell = subprocess.Popen(["/bin/sleep", "60"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
        self.addCleanup(self.shell.wait)
        self.addCleanup(self.shell.kill)

    def tune(self, *options, tree=True):
        environment = dict(os.environ)
        if tree:
            environment["RINGCAST_TUNE_SYSCTLS"] = str(self.tree)
        return subprocess.run(["/usr/bin/python3", "-B", TUNE, "--state", self.state, "--pid", str(self.shell.pid), *options], capture_output=True, text=True,
                              timeout=20, env=environment)

    def values(self):
        return {name: (self.tree / name).read_text().split() for name in VALUES}

    def limit(self):
        return resource.prlimit(self.shell.pid, resource.RLIMIT_NOFILE)

    def test_raises_and_puts_back(self):
        before, limit = self.values(), self.limit()
        done = self.tune("--connections", "50000")
        now = self.values()
        self.assertIn("net.core.somaxconn: 4096 -> 65535", done.stdout)
        self.assertEqual(now["net/core/somaxconn"], ["65535"])
        self.assertEqual(now["fs/file-max"], ["200000"])
        self.assertEqual(now["net/ipv4/ip_local_port_range"], ["10000", "65535"])
        self.assertEqual(now["net/ipv4/tcp_max_syn_backlog"], ["99999"])  # Higher than wanted: left alone.
        self.assertEqual(now["net/ipv4/tcp_mem"][2], "999999999")  # Each number for itself.
        self.assertGreater(int(now["net/ipv4/tcp_mem"][0]), 10)
        self.assertIn("net.netfilter.nf_conntrack_max: not on this machine", done.stdout)
        self.assertGreater(self.limit()[0], 512)
        undone = self.tune("--undo")
        self.assertEqual(undone.returncode, 0, undone)
        self.assertIn("net.core.somaxconn: 65535 -> 4096", undone.stdout)
        self.assertEqual(self.values(), before)
        self.assertEqual(self.limit()[0], limit[0])
        self.assertFalse(self.state.exists())

    def test_twice_is_as_once(self):
        before = self.values()
        self.tune("--connections", "1000")
        again = self.tune("--connections", "2000000")
        self.assertIn("fs.file-max: 100000 -> 8000000", again.stdout)
        third = self.tune("--connections", "2000000", "--only", "fs.file-max")
        self.assertIn("fs.file-max: 8000000, enough", third.stdout)
        self.tune("--undo")
        self.assertEqual(self.values(), before)
        twice = self.tune("--undo")
        self.assertEqual((twice.returncode, twice.stdout), (0, "nothing to undo\n"))

    def test_dry_run_changes_nothing(self):
        before = self.values()
        done = self.tune("--dry-run")
        self.assertIn("net.core.somaxconn: 4096 -> 65535", done.stdout)
        self.assertEqual((self.values(), self.limit()[0], self.state.exists()), (before, 512, False))
        self.tune()
        after = self.values()
        self.assertIn("65535 -> 4096", self.tune("--undo", "--dry-run").stdout)
        self.assertEqual(self.values(), after)

    def test_what_cannot_be_changed_is_named(self):
        (self.tree / "net/core/somaxconn").unlink()
        (self.tree / "net/core/somaxconn").symlink_to("/proc/sys/kernel/cap_last_cap")  # A number that the kernel lets nobody write.
        done = self.tune("--only", "net.core.somaxconn", "--only", "fs.file-max")
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stdout, r"net.core.somaxconn: stays at \d+, 65535 was wanted: \S")
        self.assertEqual(list(json.loads(self.state.read_text())), ["fs.file-max"])

    def test_nothing_is_written_where_the_old_values_cannot_be_kept(self):
        before = self.values()
        self.state = self.state.parent / "no" / "such" / "folder" / "state.json"
        done = self.tune()
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual((self.values(), self.limit()[0]), (before, 512))

    def test_what_somebody_else_changed_since_stays(self):
        self.tune("--only", "net.core.somaxconn", "--only", "fs.file-max")
        (self.tree / "net/core/somaxconn").write_text("70000\n")
        undone = self.tune("--undo")
        self.assertIn("is 70000, which was not set here, and stays", undone.stdout)
        self.assertEqual(self.values()["net/core/somaxconn"], ["70000"])
        self.assertEqual(self.values()["fs/file-max"], ["100000"])

    def test_a_process_that_is_gone_has_nothing_to_undo(self):
        self.tune("--only", "descriptors")
        self.shell.kill()
        self.shell.wait()
        keeper = subprocess.Popen(["/bin/sleep", "20"])
        try:
            done = subprocess.run(["/usr/bin/python3", "-B", TUNE, "--state", self.state, "--pid", str(keeper.pid), "--undo"], capture_output=True, text=True, timeout=20)
        finally:
            keeper.kill()
            keeper.wait()
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("it is gone", done.stdout)

    def test_bad_input(self):
        for options, word in ((("--connections", "0"), "--connections"), (("--only", "vm.swappiness"), "vm.swappiness")):
            done = self.tune(*options)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(word, done.stderr)
        for content in ("{", "[]", '{"kernel.panic": {"old": [1], "new": [2]}}', '{"fs.file-max": {"old": ["1"], "new": [2]}}', " " * 100_000):
            self.state.write_text(content)
            for option in ("--undo", "--dry-run"):
                done = self.tune(option)
                self.assertEqual(done.returncode, 2, (content[:50], done))
                self.assertEqual(len(done.stderr.splitlines()), 1, done)

    def test_the_kernel_itself(self):
        """In a network namespace, where somaxconn and the port range are the namespace's own."""
        script = f"""
            import pathlib, subprocess
            tune = ["/usr/bin/python3", "-B", {TUNE!r}, "--state", {str(self.state)!r}, "--only", "net.core.somaxconn", "--only", "net.ipv4.ip_local_port_range"]
            read = lambda: [pathlib.Path("/proc/sys/net", name).read_text().split() for name in ("core/somaxconn", "ipv4/ip_local_port_range")]
            old = read()
            subprocess.run(tune, check=True)
            assert int(read()[0][0]) >= 65535 and int(read()[1][0]) <= 10000 and int(read()[1][1]) == 65535, read()
            subprocess.run([*tune, "--undo"], check=True)
            assert read() == old, (read(), old)
        """
        code = "\n".join(line[12:] for line in script.splitlines())
        if subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"], capture_output=True).returncode != 0:
            self.skipTest("no network namespace can be made here")
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "/usr/bin/python3", "-c", code], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
