from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import pytest

from fmrw.capture.recorder import syscalls
from fmrw.capture.recorder.syscalls import (
    FAULT,
    OTHER,
    RUNNING,
    WORKER,
    advises,
    makes_name,
    parsed,
    removes_name,
)

pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="another processor: its calls have other numbers"
)
X86 = platform.machine() == "x86_64"
READ, READV, OPENAT, UNLINKAT, MKDIRAT = (0, 19, 257, 263, 258) if X86 else (63, 65, 56, 35, 34)
READAHEAD, FADVISE64, MADVISE = (187, 221, 28) if X86 else (213, 223, 233)
OF_32_BITS = (
    {"read": 3, "readv": 145, "openat": 295, "unlink": 10, "mkdir": 39}
    if X86
    else {"read": 3, "readv": 145, "openat": 322, "unlink": 10, "mkdir": 39}
)
WIDE = (0x7FFE1000_0000, 0x7F0012_0000)
NARROW = (0xFFB81000, 0xF7EC05E9)


def line(number: int, *arguments: int, pointers: tuple[int, int] = WIDE) -> bytes:
    """Write a line as the kernel does."""
    words = [hex(word) for word in (*arguments, *[0] * (6 - len(arguments)), *pointers)]
    return f"{number} {' '.join(words)}\n".encode()


def never() -> bool:
    raise AssertionError("a pointer above 4 GiB says it already")


def test_what_a_call_is_and_what_it_was_called_with() -> None:
    call = parsed(line(READ, 3, 0x7F00, 4096), never)
    assert call is not None
    assert (call.kind, call.arguments[:3], call.narrow) == ("read", (3, 0x7F00, 4096), False)
    vectored = parsed(line(READV, 3, 0x7F00, 2), never)
    assert vectored is not None
    assert vectored.kind == "readv"
    assert parsed(line(9999, 3), never) is OTHER


@pytest.mark.parametrize("kind", OF_32_BITS)
def test_a_32_bit_program_has_numbers_of_its_own(kind: str) -> None:
    found = parsed(line(OF_32_BITS[kind], 3, 0x7F00, os.O_CREAT, pointers=NARROW), lambda: True)
    assert found is not None
    assert found.narrow
    assert found.kind in {kind, "make", "remove"}
    assert makes_name(found) is (kind in {"openat", "mkdir"})
    assert removes_name(found) is (kind == "unlink")


KINDS = {
    "read": ["read", "pread64"], "write": ["write", "pwrite64"],
    "readv": ["readv", "preadv", "preadv2"], "writev": ["writev", "pwritev", "pwritev2"],
    "make": ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "mknod", "mknodat"],
    "remove": ["unlink", "unlinkat"],
    **{name: [name] for name in ("io_submit", "io_uring_enter", "open", "openat", "openat2", "creat", "readahead", "madvise", "process_madvise")},
}  # fmt: skip

LOOKS = ("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "getxattr", "lgetxattr", "listxattr", "llistxattr")  # fmt: skip
"""Only of 64-bit programs is it asked whether they look at a name."""


@pytest.mark.skipif(not X86, reason="another processor: its headers have one table")
@pytest.mark.parametrize(
    ("header", "table", "others"),
    [
        ("unistd_64.h", syscalls._X86_64, {"fadvise64": "fadvise64", **dict.fromkeys(LOOKS, "look")}),
        ("unistd_32.h", syscalls._I386, {"fadvise64": "i386_fadvise64", "fadvise64_64": "fadvise64_64"}),
    ],
)
def test_the_numbers_are_those_of_the_kernels_headers(
    header: str, table: dict[int, str], others: dict[str, str]
) -> None:
    """None is wrong, and none is missing."""
    text = Path("/usr/include/x86_64-linux-gnu/asm", header).read_text(encoding="ascii")
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\n", text)}
    kinds = {name: kind for kind, names in KINDS.items() for name in names} | others
    assert table == {numbers[name]: kind for name, kind in kinds.items() if name in numbers}


def test_a_64_bit_program_may_lie_below_4_gib() -> None:
    found = parsed(line(READ, 3, 0x7F00, 7, pointers=NARROW), lambda: False)
    assert found is not None
    assert (found.kind, found.narrow) == ("read", False)


def test_a_worker_of_io_uring_shows_a_copy_of_what_another_thread_did() -> None:
    assert parsed(line(READ, 3, 0x7F00, 7, pointers=(0, 0)), never) is WORKER
    assert makes_name(WORKER) is True
    assert not removes_name(WORKER)


@pytest.mark.parametrize(
    ("text", "call"),
    [(b"", None), (b"running\n", RUNNING), (b"-1 0x7ffe1000 0x7f0012\n", FAULT), (b"0 0x3\n", OTHER), (b"x y\n", OTHER)],
)  # fmt: skip
def test_a_line_that_tells_no_call(text: bytes, call: object) -> None:
    found = parsed(text, never)
    assert found is call
    assert not removes_name(found)
    assert makes_name(found) is (False if text else None)
    assert not advises(found)


def test_a_line_that_is_damaged_is_another_call() -> None:
    damaged = line(READ, 3, 0x7F00, 7).replace(b"0x7f00 ", b"nothing ")
    assert parsed(damaged, never) is OTHER


def test_who_makes_and_who_removes() -> None:
    assert makes_name(parsed(line(MKDIRAT, 3, 0x7F00, 0o755), never)) is True
    assert makes_name(parsed(line(OPENAT, 3, 0x7F00, 0o100 | 0o200), never)) is True
    assert makes_name(parsed(line(OPENAT, 3, 0x7F00, 0), never)) is False
    assert (
        makes_name(parsed(line(437, 3, 0x7F00, 0x7F80, 24), never)) is None
    )  # openat2: its flags are in memory
    assert removes_name(parsed(line(UNLINKAT, 3, 0x7F00, 0), never))
    assert not removes_name(parsed(line(OPENAT, 3, 0x7F00, 0), never))


@pytest.mark.parametrize(
    ("number", "arguments", "advice"),
    [
        (READAHEAD, (3, 0, 4096), True),
        (FADVISE64, (3, 0, 4096, 3), True),
        (FADVISE64, (3, 0, 4096, 2), False),
        (MADVISE, (0x7F00, 4096, 3), True),
        (MADVISE, (0x7F00, 4096, 22), False),  # MADV_POPULATE_READ reads
        (READ, (3, 3, 3, 3), False),
    ],
)
def test_who_only_says_that_data_will_be_needed(
    number: int, arguments: tuple[int, ...], advice: object
) -> None:
    assert advises(parsed(line(number, *arguments), never)) is advice
