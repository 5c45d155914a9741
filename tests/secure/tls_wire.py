"""A TLS 1.3 client that says after its handshake what no library would: records are made here, from the secrets of a key log."""
import ctypes
import ctypes.util
import hmac
import os
import socket
import ssl
import struct
import tempfile

APPLICATION_DATA, HANDSHAKE, ALERT = 23, 22, 21
_crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
for _name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_gcm"):
    getattr(_crypto, _name).restype = ctypes.c_void_p
_GET_TAG = 16


def client_hello(server_name="localhost", oldest=ssl.TLSVersion.TLSv1_3):
    """The bytes of one, from a client that nobody here wrote."""
    context = ssl.create_default_context()
    context.minimum_version = oldest
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=server_name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Aead:
    """AES-128-GCM with one key."""

    def __init__(self, key):
        self.context = ctypes.c_void_p(_crypto.EVP_CIPHER_CTX_new())
        _crypto.EVP_EncryptInit_ex(self.context, ctypes.c_void_p(_crypto.EVP_aes_128_gcm()), None, key, None)
        self.length = ctypes.c_int()

    def __del__(self):
        _crypto.EVP_CIPHER_CTX_free(self.context)

    def seal(self, nonce, plain, head):
        out, tag, length = ctypes.create_string_buffer(len(plain) + 16), ctypes.create_string_buffer(16), ctypes.byref(self.length)
        _crypto.EVP_EncryptInit_ex(self.context, None, None, None, nonce)
        _crypto.EVP_EncryptUpdate(self.context, None, length, head, len(head))
        _crypto.EVP_EncryptUpdate(self.context, out, length, plain, len(plain))
        _crypto.EVP_EncryptFinal_ex(self.context, out, length)
        _crypto.EVP_CIPHER_CTX_ctrl(self.context, _GET_TAG, 16, tag)
        return out.raw[:len(plain)] + tag.raw


class RawTls:
    """After the handshake: `record()` makes the next record, `sock` sends it. What the server says is not decrypted."""

    def __init__(self, port, connect=socket.create_connection):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "keys")
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.keylog_filename = log
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            self.sock = connect(("127.0.0.1", port))
            self.sock.settimeout(10)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self.sock.sendall(outgoing.read())
                    more = self.sock.recv(65536)
                    if not more:
                        raise ConnectionError("the server ended the handshake") from None
                    incoming.write(more)
            self.sock.sendall(outgoing.read())
            assert tls.cipher()[0] == "TLS_AES_128_GCM_SHA256", tls.cipher()
            with open(log) as lines:
                self.secret = next(bytes.fromhex(line.split()[2]) for line in lines if line.startswith("CLIENT_TRAFFIC_SECRET_0 "))
        self._take_keys()

    def _expand(self, label, length):
        label = b"tls13 " + label
        info = struct.pack("!HB", length, len(label)) + label + b"\0\1"
        return hmac.digest(self.secret, info, "sha256")[:length]

    def _take_keys(self):
        self.aead, self.iv, self.number = Aead(self._expand(b"key", 16)), int.from_bytes(self._expand(b"iv", 12), "big"), 0

    def record(self, plain, kind=APPLICATION_DATA, padding=0):
        inner = plain + bytes([kind]) + b"\0" * padding
        head = struct.pack("!BHH", APPLICATION_DATA, 0x0303, len(inner) + 16)
        nonce = (self.iv ^ self.number).to_bytes(12, "big")
        self.number += 1
        return head + self.aead.seal(nonce, inner, head)

    def key_update(self, wants_answer=True):
        said = self.record(bytes([24, 0, 0, 1, int(wants_answer)]), HANDSHAKE)
        self.secret = self._expand(b"traffic upd", 32)
        self._take_keys()
        return said
