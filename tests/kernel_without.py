"""Run a command on a kernel that refuses some system calls: a seccomp filter, which child processes inherit.

usage: python -m tests.kernel_without REFUSAL ERROR COMMAND [ARGUMENT]…

REFUSAL is a key of REFUSALS, ERROR the name of an errno, such as ENOPROTOOPT. The filter is compared with the numbers
of x86-64 and AArch64. It needs no privileges.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class SystemCall:
    """A system call by its number on each architecture, and the values of arguments for which it is refused."""

    x86_64: int | None
    aarch64: int | None
    arguments: tuple[tuple[int, int], ...] = ()  # (index, value)

    @property
    def number(self) -> int | None:
        """Return its number on this machine, or None if this architecture doesn't have it."""
        return {"x86_64": self.x86_64, "aarch64": self.aarch64}[platform.machine()]


_CHMOD = (SystemCall(90, None), SystemCall(91, 52), SystemCall(268, 53), SystemCall(452, 452))
_UTIME = (SystemCall(132, None), SystemCall(235, None), SystemCall(261, None), SystemCall(280, 88))
REFUSALS: dict[str, tuple[SystemCall, ...]] = {
    "TCP_USER_TIMEOUT": (SystemCall(54, 208, ((1, socket.IPPROTO_TCP), (2, 18))),),
    "permissions": _CHMOD,
    "permissions and dates": _CHMOD + _UTIME,
}

# Of linux/prctl.h, linux/seccomp.h and linux/bpf_common.h.
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K
ALLOW = 0x7FFF0000
FAIL = 0x00050000  # plus the errno
NUMBER_OFFSET = 0  # in struct seccomp_data
ARGUMENTS_OFFSET = 16  # 8 bytes each; the lower half comes first


class Program(ctypes.Structure):
    """The kernel's struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _instruction(code: int, value: int, otherwise_skip: int = 0) -> bytes:
    return struct.pack("HBBI", code, 0, otherwise_skip, value)


def _instructions(refused: tuple[SystemCall, ...], error: int) -> Iterator[bytes]:
    """Yield a filter: for each call, comparisons that skip to the next call, then the refusal."""
    for call in refused:
        if call.number is None:
            continue
        compared = [(NUMBER_OFFSET, call.number)]
        compared += [(ARGUMENTS_OFFSET + 8 * index, value) for index, value in call.arguments]
        for place, (offset, value) in enumerate(compared):
            rest = 2 * (len(compared) - place - 1) + 1
            yield _instruction(LOAD_WORD, offset)
            yield _instruction(JUMP_IF_EQUAL, value, otherwise_skip=rest)
        yield _instruction(RETURN, FAIL | error)
    yield _instruction(RETURN, ALLOW)


def refuse(refusal: str, error: int) -> None:
    """Make the kernel refuse these system calls of this thread and its children, for ever. Raises OSError."""
    instructions = list(_instructions(REFUSALS[refusal], error))
    program = Program(len(instructions), b"".join(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def command(refusal: str, error: int) -> tuple[str, ...]:
    """Return the command that runs another one on such a kernel."""
    return (sys.executable, "-m", "tests.kernel_without", refusal, errno.errorcode[error])


if __name__ == "__main__":
    refuse(sys.argv[1], getattr(errno, sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])
