"""ringcast-load over TLS and with permessage-deflate: the proof is as exact as without, with servers of python3-websockets, npm's ws, and ours."""

import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from load_test import HERE, SERVER, Run
from support.certificates import make_certificate
from support.ports import free_port, wait_until_listening

NODE_MODULES = HERE.parent / "interop" / "node_modules"


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificate, cls.key = make_certificate(folder.name)

    def start(self, *command):
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return int(server.stdout.readline())

    def faulty(self, *options):
        return self.start(sys.executable, "-B", str(HERE / "faulty_server.py"), *options)

    def ours(self, *options):
        plain, secure = free_port(), free_port()
        server = subprocess.Popen([SERVER, "--listen", f"127.0.0.1:{plain}", "--listen-tls", f"127.0.0.1:{secure}", "--tls-cert", self.certificate, "--tls-key",
                                   self.key, "--shards", "1", "--log-level", "off", *options])
        self.addCleanup(server.wait)
        self.addCleanup(server.send_signal, signal.SIGKILL)
        wait_until_listening(secure)
        return plain, secure

    def prove(self, url, *options, size="20-3000", code=0):
        run = Run(url, "--connections", 4, "--rate", 1000, "--in-flight", 64, "--duration", 1, "--warmup", 0, "--size", size, *options)
        self.assertEqual(run.code, code, run)
        self.assertEqual(run.report["proof"]["sent"], 1000, run)
        return run

    def test_tls(self):
        port = self.faulty(self.certificate, self.key)
        for options in (("--tls-insecure",), ("--tls-ca", self.certificate)):
            run = self.prove(f"wss://localhost:{port}/echo", *options)
            self.assertEqual(run.report["proof"]["delivered"], 1000, run)
            self.assertTrue(run.report["options"]["tls"])

    def test_long_messages_over_tls(self):
        _, secure = self.ours()
        run = Run(f"wss://127.0.0.1:{secure}/echo", "--connections", 3, "--duration", 0.5, "--warmup", 0, "--size", "20-400000", "--tls-insecure")
        self.assertEqual(run.code, 0, run)
        self.assertGreater(run.report["proof"]["delivered"], 20, run)

    def test_faults_are_noticed_through_both_layers(self):
        port = self.faulty("--deflate", self.certificate, self.key)
        options = ("--tls-insecure", "--compression", "--processes", "2")
        for fault, wrong in (("corrupt", {"corrupted": 20, "lost": 20}), ("duplicate", {"duplicated": 20}), ("lose", {"lost": 20})):
            with self.subTest(fault=fault):
                run = self.prove(f"wss://localhost:{port}/{fault}", *options, code=1)
                proof = run.report["proof"]
                self.assertEqual({kind: proof[kind] for kind in ("lost", "duplicated", "reordered", "corrupted") if proof[kind]}, wrong, run)

    def test_compression_with_context(self):
        # python3-websockets keeps its context unless told otherwise, so each message is inflated with the ones before it.
        run = self.prove(f"ws://localhost:{self.faulty('--deflate')}/echo", "--compression")
        compression = run.report["compression"]
        self.assertEqual((compression["connections"], compression["received_compressed"]), (4, 1000), run)
        self.assertEqual(compression["sent_bytes"], compression["received_bytes"], run)
        self.assertLess(compression["sent_wire_bytes"], compression["sent_bytes"] / 3, run)
        self.assertLess(compression["received_wire_bytes"], compression["received_bytes"] / 3, run)
        self.assertIn("permessage-deflate: sent", run.out)

    def test_compression_with_our_server(self):
        for kind in ("shared", "dedicated"):
            with self.subTest(kind=kind):
                plain, secure = self.ours("--compression", kind)
                run = self.prove(f"ws://127.0.0.1:{plain}/echo", "--compression", size="300-3000")
                self.assertEqual(run.report["compression"]["received_compressed"], 1000, run)
                self.prove(f"wss://127.0.0.1:{secure}/echo", "--compression", "--tls-insecure", "--threads", "2")

    def test_compression_with_ws(self):
        if not (NODE_MODULES / "ws").exists() or not shutil.which("node"):
            self.skipTest("npm's ws is not installed: tests/interop")
        port = self.start("node", str(HERE / "ws_server.mjs"), str(NODE_MODULES))
        run = self.prove(f"ws://127.0.0.1:{port}/", "--compression")
        self.assertEqual(run.report["compression"]["received_compressed"], 1000, run)

    def test_a_server_that_does_not_compress_is_named(self):
        run = self.prove(f"ws://localhost:{self.faulty()}/echo", "--compression")
        self.assertEqual(run.report["compression"]["connections"], 0, run)
        self.assertIn("nothing was compressed", " ".join(run.report["notes"]))

    def test_connections_come_and_go_over_tls(self):
        _, secure = self.ours()
        for mode in ("connect", "reconnect-storm", "idle"):
            with self.subTest(mode=mode):
                run = Run(f"wss://127.0.0.1:{secure}/echo", "--mode", mode, "--connections", 20, "--duration", 0.4, "--warmup", 0, "--tls-insecure")
                self.assertEqual(run.code, 0, run)
                self.assertEqual(run.report["errors"], 0, run)

    def test_refusals_are_one_sentence(self):
        plain, secure = self.ours()
        for url, options, words in ((f"wss://127.0.0.1:{secure}/echo", (), "not signed by an authority"),
                                    (f"wss://127.0.0.1:{plain}/echo", ("--tls-insecure",), "plain HTTP"),
                                    (f"ws://127.0.0.1:{secure}/echo", (), "400"),
                                    (f"wss://127.0.0.1:{secure}/echo", ("--tls-ca", "/nowhere.pem"), "/nowhere.pem")):
            with self.subTest(url=url, options=options):
                run = Run(url, "--connections", 2, *options)
                self.assertEqual(run.code, 2, run)
                errors = [line for line in run.err.splitlines() if line]
                self.assertEqual(len(errors), 1, run)
                self.assertIn(words, errors[0], run)
                self.assertFalse(run.report["complete"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
