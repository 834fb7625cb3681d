"""seccomp: a filter that answers io_uring_setup(2) with ENOSYS, for a thread and all that is started from it.

Programs that would use io_uring find that the kernel has none and fall back to calls that arrive as they are made. A filter belongs to
a thread, is inherited by what it starts, and never goes away: so it is installed in a thread that lives only to start a program.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
from ctypes import c_int, c_long, c_uint8, c_uint16, c_uint32, c_ulong, c_void_p

_SETUP = 425  # io_uring_setup, the same number on every architecture below
_X32 = 0x40000000  # added to the number of a call of an x32 program
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # in struct seccomp_data
_ARCHITECTURES = (0xC000003E, 0x40000003, 0xC00000B7, 0x40000028)
"""AUDIT_ARCH_ of x86-64 and x32, i386, aarch64, arm (include/uapi/linux/audit.h)."""
_LOAD, _AND, _EQUALS, _RETURN = (
    0x20,
    0x54,
    0x15,
    0x06,
)  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}.get(os.uname().machine)
_SET_FILTER, _SPEC_ALLOW = 1, 4  # without the flag, programs run with slower speculation before Linux 5.16
_NO_NEW_PRIVS = 38  # of prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = c_long
_libc.prctl.argtypes = (c_int, c_ulong, c_ulong, c_ulong, c_ulong)


class Withheld(enum.Enum):
    """How io_uring is kept from a program."""

    YES = "withheld"
    WITHOUT_PRIVILEGES = "withheld, and set-uid programs with it"
    NEEDLESS = "not there"
    REFUSED = "refused"


class _Instruction(ctypes.Structure):
    """`struct sock_filter`."""

    _fields_ = (("code", c_uint16), ("true", c_uint8), ("false", c_uint8), ("value", c_uint32))


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", c_uint16), ("instructions", c_void_p))


def _filter() -> ctypes.Array[_Instruction]:
    """Give the program: what is asked on an architecture we know and is io_uring_setup fails, all else passes."""
    known = len(_ARCHITECTURES)
    rows = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        *((_EQUALS, known - place, 0, value) for place, value in enumerate(_ARCHITECTURES)),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AND, 0, 0, 0xFFFFFFFF & ~_X32),
        (_EQUALS, 0, 1, _SETUP),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return (_Instruction * len(rows))(*(_Instruction(*row) for row in rows))


def is_there() -> bool:
    """Tell whether this process may use io_uring: its setup then complains about the missing parameters, and about nothing else."""
    failed = _libc.syscall(c_long(_SETUP), c_long(0), c_void_p(None)) < 0
    return failed and ctypes.get_errno() == errno.EFAULT


def withhold() -> Withheld:
    """Keep io_uring from this thread and from what it starts, for good.

    Root keeps its privileges. Who may not install a filter otherwise gives up those that set-uid programs would give
    (seccomp(2), PR_SET_NO_NEW_PRIVS).
    """
    if not is_there():
        return Withheld.NEEDLESS
    rows = _filter()
    program = _Program(len(rows), ctypes.addressof(rows))
    if _install(program):
        return Withheld.YES
    if (
        ctypes.get_errno() == errno.EACCES
        and not _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        and _install(program)
    ):
        return Withheld.WITHOUT_PRIVILEGES
    return Withheld.REFUSED


def _install(program: _Program) -> bool:
    if _SYS_SECCOMP is None:
        return False
    return any(
        not _libc.syscall(c_long(_SYS_SECCOMP), c_long(_SET_FILTER), c_long(flags), ctypes.byref(program))
        for flags in (_SPEC_ALLOW, 0)  # the flag is of Linux 4.17
    )
