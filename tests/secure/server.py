"""A ringcast-server with a plain and a TLS port for a test, its certificates, and a raw TLS client."""
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("RINGCAST_SERVER", str(ROOT / "build/release/ringcast-server"))
DEADLINE_S = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Certificates:
    """Self-signed ones, so that each is its own authority: NAME.pem and NAME.key in a folder that goes away."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()

    def make(self, name, host="localhost"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={host}",
             "-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1", "-keyout", self.key(name), "-out", self.pem(name)],
            check=True, capture_output=True)
        return self

    def pem(self, name):
        return f"{self.folder.name}/{name}.pem"

    def key(self, name):
        return f"{self.folder.name}/{name}.key"


class Server:
    def __init__(self, certificates, *options, names=("server",)):
        self.port, self.tls_port = free_port(), free_port()
        pairs = [text for name in names for text in ("--tls-cert", certificates.pem(name), "--tls-key", certificates.key(name))]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [PROGRAM, "--listen", f"127.0.0.1:{self.port}", "--listen-tls", f"127.0.0.1:{self.tls_port}", "--shards", "2", "--drain-seconds", "0", *pairs, *options],
            stderr=self.log)
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{PROGRAM} did not become ready: {self.said()}") from None
                time.sleep(0.02)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()

    def wait_for_log(self, text):
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.said():
            if time.monotonic() > deadline:
                raise AssertionError(f"'{text}' is not in the log: {self.said()}")
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def connect(self, port=None):
        return socket.create_connection(("127.0.0.1", port or self.tls_port), DEADLINE_S)

    def connect_tls(self, context, host="localhost"):
        return context.wrap_socket(self.connect(), server_hostname=host)


def trusting(pem, newest=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=pem)
    context.maximum_version = newest
    return context


def read_to_end(client):
    """What the other end says until it closes; a reset says nothing more."""
    said = b""
    try:
        while more := client.recv(65536):
            said += more
    except (ConnectionResetError, ssl.SSLError):
        pass
    return said
