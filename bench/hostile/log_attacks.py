"""The log: lines that nobody reads."""
import time

import wire
from attack import attack


@attack("stalled-log", "nobody reads stderr, level debug; broken handshakes and frames make lines", options=("--log-level", "debug"), log_is_read=False)
def stalled_log(target, _prepared, until):
    sent = 0
    while time.monotonic() < until:
        try:
            for _ in range(50):
                with wire.connect(target.tls_port) as sock:
                    sent += sock.send(b"\0" * 64)
            with wire.connect(target.port) as sock:
                sent += sock.send(b"GARBAGE\r\n\r\n")
        except OSError:
            time.sleep(0.01)
        time.sleep(0.005)
    return sent
