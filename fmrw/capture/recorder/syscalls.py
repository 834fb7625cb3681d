"""System calls in progress, read from the line that proc(5) describes: the call's number, six arguments, two pointers.

A thread that waits for the mount is in such a call. The line is empty where a thread may not be looked at, `running` or `-1` with two
words where it is in none. `fmrw.capture.recorder.process` gets the lines.
"""

from __future__ import annotations

import os
import platform
from typing import NamedTuple


class Call(NamedTuple):
    """A system call in progress: what it does and its arguments."""

    kind: str
    arguments: tuple[int, ...]


_X86_64 = {
    0: "read", 17: "read", 1: "write", 18: "write",
    19: "readv", 295: "readv", 327: "readv", 20: "writev", 296: "writev", 328: "writev",
    2: "open", 257: "openat", 437: "openat2", 85: "creat",
    82: "make", 264: "make", 316: "make", 86: "make", 265: "make", 88: "make", 266: "make",
    83: "make", 258: "make", 133: "make", 259: "make",
    87: "remove", 263: "remove",
}  # fmt: skip  # arch/x86/entry/syscalls/syscall_64.tbl
_AARCH64 = {
    63: "read", 67: "read", 64: "write", 68: "write",
    65: "readv", 69: "readv", 286: "readv", 66: "writev", 70: "writev", 287: "writev",
    56: "openat", 437: "openat2",
    38: "make", 276: "make", 37: "make", 36: "make", 34: "make", 33: "make", 35: "remove",
}  # fmt: skip  # include/uapi/asm-generic/unistd.h
_CALLS = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine(), {})
_KINDS = {b"%d" % number: kind for number, kind in _CALLS.items()}  # as `/proc/<tid>/syscall` writes them
_COUNT_AT = 3
_WORDS = 4


class Transfer(NamedTuple):
    """A read or write: how many bytes, or, with `vector`, how many buffers are described at that address."""

    amount: int
    vector: int | None


def transfer(line: bytes) -> Transfer | None:
    """Tell what a read or write was called for; None for any other call."""
    words = line.split(None, 4)  # number, descriptor, buffer or vector, count, …
    kind = _KINDS.get(words[0]) if len(words) >= _WORDS else None
    if kind in ("read", "write"):
        return Transfer(int(words[_COUNT_AT], 16), None)
    if kind in ("readv", "writev"):
        return Transfer(int(words[_COUNT_AT], 16), int(words[2], 16))
    return None


def makes_name(line: bytes) -> bool | None:
    """Tell whether a call wants to make a name (True), not (False), or cannot be looked at (None)."""
    call = _parsed(line)
    if call is None:
        return False if line else None
    if call.kind in ("make", "creat"):
        return True
    if call.kind == "openat2":
        return None
    flags = {"open": 1, "openat": 2}.get(call.kind)
    return flags is not None and bool(call.arguments[flags] & os.O_CREAT)


def removes_name(line: bytes) -> bool:
    """Tell whether a call is unlink(2)."""
    call = _parsed(line)
    return call is not None and call.kind == "remove"


def _parsed(line: bytes) -> Call | None:
    """Read a line; None where it is no call we know."""
    words = line.split(None, 7)
    try:
        kind = _CALLS.get(int(words[0]))
        return Call(kind, tuple([int(word, 16) for word in words[1:7]])) if kind else None
    except (ValueError, IndexError):  # "running", or "-1" with two words
        return None
