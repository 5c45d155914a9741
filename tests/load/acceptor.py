"""Echo servers without a library: several processes that listen on one port (SO_REUSEPORT), so that together they hold more connections than
one process may have descriptors. Prints the port, then serves until its standard input ends.

    acceptor.py PROCESSES
"""

import os
import pathlib
import resource
import select
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.websocket_server import upgraded  # noqa: E402


def listener(port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def echo_of(frame):
    """The answer to one masked frame of fewer than 126 bytes of payload, and how long the frame is; nothing while it is incomplete."""
    if len(frame) < 6 or len(frame) < 6 + (frame[1] & 127):
        return None, 0
    length = frame[1] & 127
    mask = (frame[2:6] * (length // 4 + 1))[:length]
    payload = (int.from_bytes(frame[6 : 6 + length], "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
    return bytes([frame[0], length]) + payload, 6 + length


def serve(port):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    accepting = listener(port)
    accepting.listen(4096)
    accepting.setblocking(False)
    poll = select.epoll()
    poll.register(accepting, select.EPOLLIN)
    connections = {}  # fd -> [socket, bytes that are no whole frame yet, whether it is open]
    while True:
        for fd, _ in poll.poll():
            if fd == accepting.fileno():
                for _ in range(64):
                    try:
                        sock, _ = accepting.accept()
                    except BlockingIOError:
                        break
                    connections[sock.fileno()] = [sock, b"", False]
                    poll.register(sock.fileno(), select.EPOLLIN)
                continue
            entry = connections[fd]
            try:
                data = entry[0].recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                entry[0].close()
                del connections[fd]
                continue
            entry[1] += data
            if not entry[2]:
                if b"\r\n\r\n" in entry[1]:
                    head, entry[1] = entry[1].split(b"\r\n\r\n", 1)
                    entry[0].send(upgraded(head))
                    entry[2] = True
                continue
            out = b""
            while True:
                reply, taken = echo_of(entry[1])
                if not taken:
                    break
                out += reply
                entry[1] = entry[1][taken:]
            if out:
                entry[0].send(out)


def main():
    holder = listener(0)  # Keeps the port; it does not listen, so no connection goes to it.
    port = holder.getsockname()[1]
    children = []
    for _ in range(int(sys.argv[1])):
        pid = os.fork()
        if pid == 0:
            serve(port)
        children.append(pid)
    for _ in range(200):
        listening = sum(line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}") for line in list(open("/proc/net/tcp"))[1:])
        if listening == len(children):
            break
        select.select([], [], [], 0.02)
    print(port, flush=True)
    sys.stdin.read()
    for pid in children:
        os.kill(pid, 9)


if __name__ == "__main__":
    main()
