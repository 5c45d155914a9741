#!/usr/bin/python3
"""Our client, both faces, plain and in TLS, with Debian's python3-websockets as its server, and client certificates with Python's ssl."""
import asyncio
import base64
import http
import json
import os
import pathlib
import socket
import ssl
import sys
import unittest

import websockets

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "secure"))
from server import Certificates  # noqa: E402

PROGRAM = os.environ.get("RINGCAST_CLIENT", str(HERE.parents[1] / "build/release/interop-client"))
DEADLINE_S = 15
SIZES = (0, 1, 125, 126, 65535, 65536, 1 << 20)
certificates = Certificates().make("server").make("client").make("intruder")


def soon(what):
    return asyncio.wait_for(what, DEADLINE_S)


class Client:
    """The mirror client as a process: its events, its orders, its end."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, url, *options):
        return cls(await asyncio.create_subprocess_exec("setpriv", "--pdeathsig", "KILL", "--", PROGRAM, url, *options,
                                                        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE))

    async def next(self, wanted):
        line = await soon(self.process.stdout.readline())
        event = json.loads(line)
        if event["event"] != wanted:
            raise AssertionError(f"{wanted} was expected: {event}")
        return event

    def say(self, line):
        self.process.stdin.write(f"{line}\n".encode())

    async def stop(self):
        self.process.stdin.close()
        return await soon(self.process.wait())


class Mirrored:
    face, scheme = "event", "ws"

    async def asyncSetUp(self):
        self.arrived = asyncio.Queue()
        self.answers = []  # to upgrades, before one is accepted
        self.requests = []
        context = None
        if self.scheme == "wss":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.pem("server"), certificates.key("server"))
        self.server = await websockets.serve(self.handle, "127.0.0.1", 0, ssl=context, max_size=None, compression=None,
                                             subprotocols=["chosen.v1"], process_request=self.answer)
        self.url = f"{self.scheme}://localhost:{self.server.sockets[0].getsockname()[1]}"

    async def asyncTearDown(self):
        self.server.close()
        await soon(self.server.wait_closed())

    async def answer(self, path, headers):
        self.requests.append((path, headers))
        return self.answers.pop(0) if self.answers else None

    async def handle(self, ws, path=None):
        await self.arrived.put(ws)
        await ws.wait_closed()

    def start(self, *options, url=None):
        trust = ["--ca", certificates.pem("server")] if self.scheme == "wss" else []
        return Client.start(url or self.url, "--face", self.face, *trust, *options)

    async def meet(self, *options, url=None):
        client = await self.start(*options, url=url)
        ws = await soon(self.arrived.get())
        return ws, client, await client.next("open")

    async def closed(self, client):
        if self.face == "event":
            await client.next("disconnected")
        return await client.next("close")

    async def test_messages_of_every_size_come_back(self):
        ws, client, _ = await self.meet()
        for size in SIZES:
            for payload in (os.urandom(1) * size, "ü" * (size // 2) + "!" * (size % 2)):
                await ws.send(payload)
                self.assertEqual(await soon(ws.recv()), payload)
        await ws.close()
        self.assertEqual(await client.stop(), 0)

    async def test_fragmented_messages_come_back_whole(self):
        ws, client, _ = await self.meet()
        await ws.send([b"a" * 100_000, b"", b"b" * 7])
        self.assertEqual(await soon(ws.recv()), b"a" * 100_000 + b"b" * 7)
        await ws.send(["one ", "ü", " three"])
        self.assertEqual(await soon(ws.recv()), "one ü three")
        await ws.close()
        await client.stop()

    async def test_pings_are_answered(self):
        ws, client, _ = await self.meet()
        for payload in (b"", b"are you there", b"z" * 125):
            await soon(await ws.ping(payload))
        await ws.close()
        await client.stop()

    async def test_close_codes_and_reasons_of_the_server(self):
        for code, reason in ((1000, "bye"), (1008, ""), (3000, "library"), (4999, "é" * 61)):
            ws, client, _ = await self.meet()
            await ws.close(code, reason)
            told = await self.closed(client)
            self.assertEqual((told["code"], told["reason"]), (code, reason))
            self.assertEqual(await client.stop(), 0)

    async def test_close_codes_and_reasons_of_the_client(self):
        for code, reason in ((1000, "bye"), (3001, ""), (4001, "x" * 123)):
            ws, client, _ = await self.meet()
            client.say(f"close {code} {reason}")
            await soon(ws.wait_closed())
            self.assertEqual((ws.close_code, ws.close_reason), (code, reason))
            await client.stop()

    async def test_subprotocol_header_fields_and_user(self):
        url = self.url.replace("://", "://ada:secret@") + "/rooms/a?since=5"
        ws, client, opened = await self.meet("--subprotocol", "other", "--subprotocol", "chosen.v1", "--header", "X-Token: abc", url=url)
        self.assertEqual((ws.subprotocol, opened["subprotocol"]), ("chosen.v1", "chosen.v1"))
        path, headers = self.requests[-1]
        self.assertEqual(path, "/rooms/a?since=5")
        self.assertEqual(headers["X-Token"], "abc")
        self.assertEqual(headers["Authorization"], "Basic " + base64.b64encode(b"ada:secret").decode())
        await ws.close()
        await client.stop()

    async def test_refusals_are_final_and_503_is_not(self):
        for status in (401, 403, 404):
            self.answers = [(http.HTTPStatus(status), [], b"no")]
            client = await self.start()
            if self.face == "event":
                error = await client.next("error")
                self.assertEqual((error["kind"], error["status"], error["fatal"]), ("refused", status, True))
            self.assertEqual((await client.next("close"))["code"], 1006)
            await client.stop()
        self.answers = [(http.HTTPStatus.SERVICE_UNAVAILABLE, [("Retry-After", "1")], b"later")]
        client = await self.start()
        if self.face == "event":
            self.assertFalse((await client.next("error"))["fatal"])
            self.assertGreaterEqual((await client.next("reconnecting"))["delay_ms"], 1000)
        await client.next("open")
        await client.stop()


class EventPlain(Mirrored, unittest.IsolatedAsyncioTestCase):
    pass


class CoroutinePlain(Mirrored, unittest.IsolatedAsyncioTestCase):
    face = "coroutine"


class EventSecure(Mirrored, unittest.IsolatedAsyncioTestCase):
    scheme = "wss"


class CoroutineSecure(Mirrored, unittest.IsolatedAsyncioTestCase):
    face, scheme = "coroutine", "wss"


class ClientCertificates(unittest.IsolatedAsyncioTestCase):
    """A blocking server of Python's ssl: asyncio's closes a failed handshake without sending its alert."""

    @staticmethod
    def context(version):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(certificates.pem("server"), certificates.key("server"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.pem("client"))
        return context

    @staticmethod
    def refuse_one(listener, context):
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(DEADLINE_S)
            try:
                context.wrap_socket(accepted, server_side=True).close()
            except ssl.SSLError as error:
                return error.reason
        return "accepted"

    async def test_a_known_one_is_accepted(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server = await websockets.serve(lambda ws, path=None: ws.wait_closed(), "127.0.0.1", 0, ssl=self.context(version))
            known = await Client.start(f"wss://localhost:{server.sockets[0].getsockname()[1]}", "--ca", certificates.pem("server"),
                                       "--cert", certificates.pem("client"), "--key", certificates.key("client"))
            await known.next("open")
            await known.stop()
            server.close()
            await soon(server.wait_closed())

    async def test_one_that_is_missing_or_foreign_is_refused_by_an_alert_and_not_tried_again(self):
        foreign = ["--cert", certificates.pem("intruder"), "--key", certificates.key("intruder")]
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for options, reason in (([], "PEER_DID_NOT_RETURN_A_CERTIFICATE"), (foreign, "CERTIFICATE_VERIFY_FAILED")):
                with socket.create_server(("127.0.0.1", 0)) as listener:
                    refusing = asyncio.to_thread(self.refuse_one, listener, self.context(version))
                    client = await Client.start(f"wss://localhost:{listener.getsockname()[1]}", "--ca", certificates.pem("server"), *options)
                    self.assertEqual(await soon(refusing), reason)
                    error = await client.next("error")
                    self.assertEqual((error["kind"], error["fatal"]), ("tls", True), error)
                    self.assertRegex(error["text"], "^TLS: the peer refused with the alert [a-z_]+$")
                    await client.next("close")
                    await client.stop()


if __name__ == "__main__":
    unittest.main()
