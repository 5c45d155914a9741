#!/usr/bin/python3
"""without_io_uring.py EPERM|ENOSYS[:setup|enter|register] PROGRAM [options]: becomes PROGRAM with a seccomp filter, as containers have
one, under which that call of io_uring (setup unless told) fails with that error and everything else works."""
import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
BPF_LD_W_ABS, BPF_JEQ, BPF_RET = 0x20, 0x15, 0x06
CALLS = {"setup": 425, "enter": 426, "register": 427}  # The same numbers on every architecture.
error, _, call = sys.argv[1].partition(":")


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


program = b"".join([
    instruction(BPF_LD_W_ABS, 0),  # seccomp_data.nr
    instruction(BPF_JEQ, CALLS[call or "setup"], 0, 1),
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
