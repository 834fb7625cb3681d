"""System calls in progress, read from the line that proc(5) describes: the call's number, six arguments, two pointers.

A thread that waits for the mount is in such a call. The line is empty where a thread may not be looked at, `running` where it is not
waiting yet, `-1` with two words where it is in none (a page fault). `fmrw.capture.recorder.calls` gets the lines.

A 64-bit kernel runs 32-bit programs too, and their calls have other numbers: `read` is 0 for the one and 3 for the other. Both pointers
of a 32-bit program lie below 4 GiB, so only where they do somebody has to find out (`narrow`).

The workers of io_uring are threads that never were outside of the kernel. Their line is a copy of what the thread that needed
them was doing then, and both pointers are 0 (copy_thread() in arch/x86/kernel/process.c).
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Call(NamedTuple):
    """A system call in progress: what it does, its arguments, whether a 32-bit program makes it."""

    kind: str
    arguments: tuple[int, ...]
    narrow: bool = False


_X86_64 = {
    0: "read", 17: "read", 1: "write", 18: "write",
    19: "readv", 295: "readv", 327: "readv", 20: "writev", 296: "writev", 328: "writev",
    209: "io_submit", 426: "io_uring_enter",
    2: "open", 257: "openat", 437: "openat2", 85: "creat",
    82: "make", 264: "make", 316: "make", 86: "make", 265: "make", 88: "make", 266: "make",
    83: "make", 258: "make", 133: "make", 259: "make",
    87: "remove", 263: "remove",
    187: "readahead", 221: "fadvise64", 28: "madvise", 440: "process_madvise",
    4: "look", 6: "look", 262: "look", 332: "look", 21: "look", 269: "look", 439: "look",
    191: "look", 192: "look", 194: "look", 195: "look",
}  # fmt: skip  # arch/x86/entry/syscalls/syscall_64.tbl
_I386 = {
    3: "read", 180: "read", 4: "write", 181: "write",
    145: "readv", 333: "readv", 378: "readv", 146: "writev", 334: "writev", 379: "writev",
    248: "io_submit", 426: "io_uring_enter",
    5: "open", 295: "openat", 437: "openat2", 8: "creat",
    38: "make", 302: "make", 353: "make", 9: "make", 303: "make", 83: "make", 304: "make",
    39: "make", 296: "make", 14: "make", 297: "make",
    10: "remove", 301: "remove",
    225: "readahead", 250: "i386_fadvise64", 272: "fadvise64_64", 219: "madvise", 440: "process_madvise",
}  # fmt: skip  # arch/x86/entry/syscalls/syscall_32.tbl
_GENERIC = {
    63: "read", 67: "read", 64: "write", 68: "write",
    65: "readv", 69: "readv", 286: "readv", 66: "writev", 70: "writev", 287: "writev",
    2: "io_submit", 426: "io_uring_enter",
    56: "openat", 437: "openat2",
    38: "make", 276: "make", 37: "make", 36: "make", 34: "make", 33: "make", 35: "remove",
    213: "readahead", 223: "fadvise64", 233: "madvise", 440: "process_madvise",
    79: "look", 291: "look", 48: "look", 439: "look", 8: "look", 9: "look", 11: "look", 12: "look",
}  # fmt: skip  # include/uapi/asm-generic/unistd.h
_ARM = {
    3: "read", 180: "read", 4: "write", 181: "write",
    145: "readv", 361: "readv", 392: "readv", 146: "writev", 362: "writev", 393: "writev",
    246: "io_submit", 426: "io_uring_enter",
    5: "open", 322: "openat", 437: "openat2", 8: "creat",
    38: "make", 329: "make", 382: "make", 9: "make", 330: "make", 83: "make", 331: "make",
    39: "make", 323: "make", 14: "make", 324: "make",
    10: "remove", 328: "remove",
    225: "readahead", 270: "arm_fadvise64_64", 220: "madvise", 440: "process_madvise",
}  # fmt: skip  # arch/arm/tools/syscall.tbl
_BY_NUMBER: Mapping[str, tuple[Mapping[int, str], Mapping[int, str]]] = {
    "x86_64": (_X86_64, _I386),
    "aarch64": (_GENERIC, _ARM),
    "riscv64": (_GENERIC, {}),
    "loongarch64": (_GENERIC, {}),
}
_WIDE, _NARROW = (
    {b"%d" % number: kind for number, kind in table.items()}  # as the line writes them
    for table in _BY_NUMBER.get(platform.machine(), ({}, {}))
)
_WORDS = 9
_LONGEST = len(b"0xffffffff")  # of a pointer below 4 GiB
_ADVICE_AT = {
    "fadvise64": 3, "madvise": 2, "process_madvise": 3,
    "i386_fadvise64": 4, "fadvise64_64": 5, "arm_fadvise64_64": 1,
}  # fmt: skip  # which argument says what is advised; 64-bit ones take two places in a 32-bit program
SINGLE = frozenset(number for number, kind in _WIDE.items() if kind in ("read", "write"))
"""Numbers of calls with one buffer, as the line writes them. Under those of x86-64 and aarch64 a 32-bit program neither reads nor writes."""
LOOKING = tuple(
    number for number, kind in _BY_NUMBER.get(platform.machine(), ({}, {}))[0].items() if kind == "look"
)
"""Numbers of 64-bit calls that ask what a name is: stat, access, getxattr, listxattr and their relatives."""
ADVISING = frozenset(
    number
    for table in (_WIDE, _NARROW)
    for number, kind in table.items()
    if kind == "readahead" or kind in _ADVICE_AT
)
"""Numbers of calls that may advise, as the line writes them."""
_WILLNEED = 3  # POSIX_FADV_WILLNEED and MADV_WILLNEED alike
RUNNING = Call("running", ())
FAULT = Call("fault", ())
OTHER = Call("other", ())
WORKER = Call("io_uring worker", ())


def parsed(line: bytes, narrow: Callable[[], bool]) -> Call | None:
    """Read a line; None where the thread may not be looked at.

    Parameters
    ----------
    line : bytes
        What `/proc/<tid>/syscall` says.
    narrow : callable
        Tells whether the thread runs a 32-bit program; asked only where that is possible.
    """
    words = line.split()
    if len(words) != _WORDS:
        if not words:
            return None
        return {b"running": RUNNING, b"-1": FAULT}.get(words[0], OTHER)
    table, is_narrow = _WIDE, False
    if len(words[7]) <= _LONGEST and len(words[8]) <= _LONGEST:
        if words[7] == words[8] == b"0x0":
            return WORKER
        if narrow():
            table, is_narrow = _NARROW, True
    kind = table.get(words[0])
    if kind is None:
        return OTHER
    try:
        return Call(kind, tuple([int(word, 16) for word in words[1:7]]), is_narrow)
    except ValueError:
        return OTHER


def makes_name(call: Call | None) -> bool | None:
    """Tell whether a call wants to make a name (True), not (False), or whether that cannot be known (None).

    A worker of io_uring tells nothing of the call it serves. It is taken for one that makes a name: programs that create files
    through io_uring are many, those that read what is not there are none.
    """
    if call is None or call.kind == "openat2":  # its flags are in memory
        return None
    if call.kind in ("make", "creat") or call is WORKER:
        return True
    flags = {"open": 1, "openat": 2}.get(call.kind)
    return flags is not None and bool(call.arguments[flags] & os.O_CREAT)


def removes_name(call: Call | None) -> bool:
    """Tell whether a call is unlink(2)."""
    return call is not None and call.kind == "remove"


def advises(call: Call | None) -> bool:
    """Tell whether a call says that data will be needed, and does not ask for it: readahead(2), posix_fadvise(2), madvise(2)."""
    if call is None:
        return False
    at = _ADVICE_AT.get(call.kind)
    return call.kind == "readahead" or (at is not None and call.arguments[at] == _WILLNEED)
