"""Data inspector: what the bytes at an offset are as numbers, times and text, little-endian and big-endian."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 16
"""Bytes that are looked at."""

NONE = "–"  # noqa: RUF001 - an en dash, in print
"""Where there are too few bytes, or the value is no such thing."""

_UNIX, _NT, _MAC = (datetime(year, 1, 1, tzinfo=UTC) for year in (1970, 1601, 1904))


class Value(NamedTuple):
    """One way to read the bytes; both orders are the same where there is but one."""

    name: str
    little: str
    big: str


def inspect(content: bytes) -> list[Value]:
    """Read the first bytes of a content in every way.

    Parameters
    ----------
    content
        From the offset on; `LONGEST` bytes are enough, fewer at the end of the file.

    Returns
    -------
    list of Value
        Integers of 8 to 64 bits without and with sign, IEEE 754 floats, seconds since 1970 (Unix, 32 and 64 bits) and 1904 (Mac), 100 ns since 1601 (Windows
        FILETIME), date and time of MS-DOS (FAT, ZIP: the time stands before the date), and text.
    """
    numbers = [
        Value(
            f"{'u' if code.isupper() else ''}int{8 * struct.calcsize(code)}",
            *_both(content, code, "{:,}".format),
        )
        for code in "BbHhIiQq"
    ]
    floats = [
        Value(f"float{8 * struct.calcsize(code)}", *_both(content, code, "{:.9g}".format)) for code in "efd"
    ]
    times = [
        Value(name, *_both(content, code, told))
        for name, code, told in (
            ("Unix time, 32 bits", "I", _since(_UNIX, 1)),
            ("Unix time, 64 bits", "q", _since(_UNIX, 1)),
            ("FILETIME", "Q", _since(_NT, 1e-7)),
            ("Mac time (1904)", "I", _since(_MAC, 1)),
            ("DOS date and time", "I", _dos),
        )
    ]
    return [*numbers, *floats, *times, *_texts(content)]


def _both(content: bytes, code: str, told: Callable[[float], str]) -> tuple[str, str]:
    size = struct.calcsize(code)
    if len(content) < size:
        return NONE, NONE
    little, big = (told(struct.unpack(order + code, content[:size])[0]) for order in "<>")
    return little, big


def _since(epoch: datetime, unit_s: float) -> Callable[[float], str]:
    def told(count: float) -> str:
        try:
            return f"{epoch + timedelta(seconds=count * unit_s):%Y-%m-%d %H:%M:%S}"
        except (OverflowError, ValueError):
            return NONE

    return told


def _dos(value: float) -> str:
    date, time = divmod(int(value), 1 << 16)
    try:
        when = datetime(
            1980 + (date >> 9),
            date >> 5 & 15,
            date & 31,
            time >> 11,
            time >> 5 & 63,
            2 * (time & 31),
            tzinfo=UTC,
        )
    except ValueError:
        return NONE
    return f"{when:%Y-%m-%d %H:%M:%S}"


def _texts(content: bytes) -> list[Value]:
    """Give the first letter in UTF-8, and in both orders of UTF-16."""
    letter = next((found for size in (1, 2, 3, 4) if (found := _decoded(content[:size], "utf-8"))), NONE)
    wide = [_decoded(content[:2], f"utf-16-{order}") or NONE for order in ("le", "be")]
    return [Value("UTF-8", letter, letter), Value("UTF-16", *wide)]


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return visible(content.decode(encoding))
    except UnicodeDecodeError:
        return ""
