#!/usr/bin/python3
"""without_io_uring.py EPERM|ENOSYS[:setup|enter|register[:SUBMITTED]] PROGRAM [options]: becomes PROGRAM with a seccomp filter, as
containers have one, under which that call of io_uring (setup unless told) fails with that error and everything else works. With a number
only those calls of enter fail that submit at least as many entries: it works until there is that much to do at once."""
import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
BPF_LD_W_ABS, BPF_JEQ, BPF_JGE, BPF_RET = 0x20, 0x15, 0x35, 0x06
SECOND_ARGUMENT = 24  # Of seccomp_data, its low half where bytes are in little-endian order: to_submit of io_uring_enter.
CALLS = {"setup": 425, "enter": 426, "register": 427}  # The same numbers on every architecture.
error, call, submitted = (sys.argv[1].split(":") + ["", ""])[:3]


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


program = b"".join([
    instruction(BPF_LD_W_ABS, 0),  # seccomp_data.nr
    instruction(BPF_JEQ, CALLS[call or "setup"], 0, 3),
    instruction(BPF_LD_W_ABS, SECOND_ARGUMENT),
    instruction(BPF_JGE, int(submitted or 0), 0, 1),
    instruction(BPF_RET, SECCOMP_RET_ERRNO | getattr(errno, error)),
    instruction(BPF_RET, SECCOMP_RET_ALLOW),
])
instructions = ctypes.create_string_buffer(program, len(program))


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


filter_of_process = Filter(len(program) // 8, ctypes.addressof(instructions))
libc = ctypes.CDLL(None, use_errno=True)
for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_of_process), 0, 0)):
    if libc.prctl(*arguments) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[2], sys.argv[2:])
