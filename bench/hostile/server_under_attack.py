"""A ringcast-server of 2 shards for one attack, and what it holds: its memory, the kernel's for TCP, its CPU time."""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/secure"))
from server import Certificates, free_port  # noqa: E402,F401

PAGE = os.sysconf("SC_PAGE_SIZE")


class Server:
    def __init__(self, program, certificates, options=(), log_is_read=True):
        self.port, self.tls_port = free_port(), free_port()
        self.log = tempfile.TemporaryFile() if log_is_read else None
        errors = self.log
        if not log_is_read:
            self.unread, errors = os.pipe()
        self.process = subprocess.Popen(
            [program, "--listen", f"127.0.0.1:{self.port}", "--listen-tls", f"127.0.0.1:{self.tls_port}", "--shards", "2", "--drain-seconds", "0", "--tls-cert",
             certificates.pem("server"), "--tls-key", certificates.key("server"), *options], stderr=errors)
        if not log_is_read:
            os.close(errors)
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                break
            except OSError:
                if not self.lives() or time.monotonic() > deadline:
                    raise RuntimeError(f"{program} did not become ready: {self.said()}") from None
                time.sleep(0.02)
        self.pid = self.process.pid
        self.most_bytes = self.most_kernel_bytes = 0
        self.watching = True
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def lives(self):
        return self.process.poll() is None

    def said(self):
        if self.log is None:
            return ""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def memory(self):
        """What the process itself has touched: its anonymous pages."""
        try:
            return next(int(line.split()[1]) * 1024 for line in open(f"/proc/{self.pid}/status") if line.startswith("RssAnon"))
        except (OSError, StopIteration):
            return 0

    def kernel_memory(self):
        """Of all TCP sockets of the machine: both ends lie here."""
        for line in open("/proc/net/sockstat"):
            if line.startswith("TCP:"):
                return int(line.split()[-1]) * PAGE
        return 0

    def cpu_seconds(self):
        try:
            return time.clock_gettime(((~self.pid) << 3) | 2)
        except OSError:
            return 0.0

    def _watch(self):
        while self.watching and self.lives():
            self.most_bytes = max(self.most_bytes, self.memory())
            self.most_kernel_bytes = max(self.most_kernel_bytes, self.kernel_memory())
            time.sleep(0.05)

    def begin_watch(self):
        self.most_bytes, self.most_kernel_bytes = self.memory(), self.kernel_memory()

    def stop(self):
        """The exit status after SIGTERM; None where it had to be killed."""
        self.watching = False
        if self.lives():
            self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
