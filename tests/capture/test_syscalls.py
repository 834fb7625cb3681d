from __future__ import annotations

import platform

import pytest

from fmrw.capture.recorder.syscalls import Transfer, makes_name, removes_name, transfer

pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="another processor: its calls have other numbers"
)
X86 = platform.machine() == "x86_64"
READ, READV, OPENAT, UNLINKAT, MKDIRAT = (0, 19, 257, 263, 258) if X86 else (63, 65, 56, 35, 34)


def line(number: int, *arguments: int) -> bytes:
    """Write a line as the kernel does."""
    words = [hex(word) for word in (*arguments, *[0] * (6 - len(arguments)), 0x7FFE1000, 0x7F0012)]
    return f"{number} {' '.join(words)}\n".encode()


def test_what_a_transfer_was_called_for() -> None:
    assert transfer(line(READ, 3, 0x7F00, 4096)) == Transfer(4096, None)
    assert transfer(line(READV, 3, 0x7F00, 2)) == Transfer(2, 0x7F00)
    assert transfer(line(OPENAT, 3, 0x7F00, 0o100)) is None


@pytest.mark.parametrize("nothing", [b"", b"running\n", b"-1 0x7ffe1000 0x7f0012\n", b"0 0x3\n", b"x y\n"])
def test_a_line_that_tells_no_call(nothing: bytes) -> None:
    assert transfer(nothing) is None
    assert not removes_name(nothing)
    assert makes_name(nothing) is (False if nothing else None)


def test_who_makes_and_who_removes() -> None:
    assert makes_name(line(MKDIRAT, 3, 0x7F00, 0o755)) is True
    assert makes_name(line(OPENAT, 3, 0x7F00, 0o100 | 0o200)) is True
    assert makes_name(line(OPENAT, 3, 0x7F00, 0)) is False
    assert makes_name(line(437, 3, 0x7F00, 0x7F80, 24)) is None  # openat2: its flags are in memory
    assert removes_name(line(UNLINKAT, 3, 0x7F00, 0))
    assert not removes_name(line(OPENAT, 3, 0x7F00, 0))
