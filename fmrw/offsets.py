"""Offsets, sizes and ranges as people type them, and as fmrw shows them.

An offset is `448`, `0x1c0`, `1_000`, `12 KiB`, `1.5MiB`, `75%` or `end`. Units: `KiB` to `EiB` and their single letters
`K` to `E` count in 1024s as `dd` has it, `KB` to `EB` in 1000s, upper or lower case alike; `B`, `byte` and `bytes`
are allowed too. Decimal numbers may have leading zeros; there is no octal and no binary. Fractions are computed exactly
and must give whole bytes. `75%` (rounded down) and `end` need the size of the file.

A range is half-open: `0x0-0x20` holds the bytes 0 to 31, `0x400+512` begins at 0x400 and is 512 long. It holds at
least one byte, and may lie past the end of the file, since a file can grow. Everything fits in a signed 64-bit
integer, as file offsets do on Linux: 0 to 2**63 - 1 (`LARGEST`). What `hex_offset`, `human_size` and `range_text`
write, the parsers read back to the same numbers.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple, NoReturn

from fmrw.errors import BadRange
from fmrw.text import visible

LARGEST = 2**63 - 1
"""The largest offset, and the largest size."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_FACTORS = {"": 1, "b": 1, "byte": 1, "bytes": 1}
for _power, _unit in enumerate(_UNITS, 1):
    _FACTORS |= {_unit.lower(): 1024**_power, _unit[0].lower(): 1024**_power}
    _FACTORS |= {f"{_unit[0].lower()}b": 1000**_power}

_HEX = re.compile(r"0x[0-9a-f]+(?:_[0-9a-f]+)*", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)(?P<part>\.[0-9]+)?\s*(?P<unit>[a-z]*|%)",
    re.IGNORECASE | re.ASCII,
)
_LONGEST = 64  # no offset needs more; int() itself gives up on thousands of digits
_SHOWN = 48
_OFFSET_HELP = "write 448, 0x1c0, 1.5 KiB or 75%"
_RANGE_HELP = "write START-END (the end is not part of it) or START+LENGTH, such as 0x0-0x20 or 0x400+512"


class Annotation(NamedTuple):
    """A half-open range with a name: `0x1c0-0x2000=cavity`."""

    start: int
    end: int
    name: str


def parse_offset(text: str, size: int | None = None) -> int:
    """Read an offset or a size in bytes.

    Parameters
    ----------
    text
        Hexadecimal, decimal with or without unit, a percentage, or `end`.
    size
        Bytes in the file; only `75%` and `end` need it.

    Raises
    ------
    BadRange
        Not an offset, not a whole number of bytes, negative, or above `LARGEST`.

    Examples
    --------
    >>> parse_offset("1.5 KiB"), parse_offset("0x1c0"), parse_offset("75%", size=1000)
    (1536, 448, 750)
    """
    word = text.strip()
    if len(word) > _LONGEST:
        _refuse(text, "is not an offset", _OFFSET_HELP)
    if word.lower() == "end":
        return _known(size, text)
    if _HEX.fullmatch(word):
        return _limited(int(word, 16), text)
    found = _NUMBER.fullmatch(word)
    if found is None:
        _refuse(text, "is negative" if word[:1] == "-" else "is not an offset", _OFFSET_HELP)
    number = Fraction(found["whole"].replace(",", "").replace("_", "") + (found["part"] or ""))
    return _percentage(number, size, text) if found["unit"] == "%" else _scaled(number, found["unit"], text)


def parse_range(text: str, size: int | None = None) -> tuple[int, int]:
    """Read a half-open range, `START-END` or `START+LENGTH`, each as `parse_offset` reads it.

    Returns
    -------
    tuple[int, int]
        Start and end, `0 <= start < end <= LARGEST`.

    Raises
    ------
    BadRange
        Not a range, or one without a byte in it.

    Examples
    --------
    >>> parse_range("0x400+512"), parse_range("100-1KiB")
    ((1024, 1536), (100, 1024))
    """
    first, sign, second = _cut(text)
    start = parse_offset(first, size)
    end = parse_offset(second, size)
    if sign == "+":
        end = _limited(start + end, text)
    if end <= start:
        _refuse(text, "holds no byte", f"the end must lie after the start; {_RANGE_HELP}")
    return start, end


def parse_annotation(text: str, size: int | None = None) -> Annotation:
    """Read a range with a name, `RANGE=NAME`; without `=NAME` the range is its own name.

    The name is everything after the first `=`, without the blanks around it.

    Examples
    --------
    >>> parse_annotation("0x1c0-0x2000=cavity")
    Annotation(start=448, end=8192, name='cavity')
    """
    span, equals, name = text.partition("=")
    start, end = parse_range(span, size)
    if equals and not name.strip():
        _refuse(text, "has no name after =", "write RANGE=NAME, such as 0x1c0-0x2000=cavity")
    return Annotation(start, end, name.strip() or range_text(start, end))


def hex_offset(offset: int) -> str:
    """Write an offset in hexadecimal: 448 is `0x1c0`."""
    return hex(offset)


def range_text(start: int, end: int) -> str:
    """Write a half-open range so that `parse_range` reads it back: `0x1c0-0x2000`."""
    return f"{hex_offset(start)}-{hex_offset(end)}"


def human_size(size: int) -> str:
    """Write a number of bytes for people, never rounded.

    The largest unit in which it takes at most two decimals; otherwise bytes.

    Examples
    --------
    >>> human_size(8 * 2**40), human_size(1536), human_size(340), human_size(1234567)
    ('8 TiB', '1.5 KiB', '340 bytes', '1,234,567 bytes')
    """
    for power in range(len(_UNITS), 0, -1):
        hundredths, rest = divmod(size * 100, 1024**power)
        if size >= 1024**power and not rest:
            whole, part = divmod(hundredths, 100)
            return f"{whole:,}{f'.{part:02}'.rstrip('0') if part else ''} {_UNITS[power - 1]}"
    return f"{size:,} byte{'' if size == 1 else 's'}"


def _cut(text: str) -> tuple[str, str, str]:
    found = re.search("[-+]", text)
    if found is None or not text[: found.start()].strip() or not text[found.end() :].strip():
        _refuse(text, "is not a range", _RANGE_HELP)
    return text[: found.start()], found[0], text[found.end() :]


def _scaled(number: Fraction, unit: str, text: str) -> int:
    factor = _FACTORS.get(unit.lower())
    if factor is None:
        _refuse(text, f"has an unknown unit, {unit}", "write B, KiB, MiB, GiB, TiB, PiB or EiB")
    exact = number * factor
    if exact.denominator != 1:
        _refuse(text, "is not a whole number of bytes", "write it in a smaller unit or in bytes")
    return _limited(exact.numerator, text)


def _percentage(number: Fraction, size: int | None, text: str) -> int:
    if number > 100:  # noqa: PLR2004 - per cent
        _refuse(text, "lies past the end of the file", "write at most 100%")
    return int(number * _known(size, text) / 100)


def _known(size: int | None, text: str) -> int:
    if size is None:
        _refuse(text, "needs a file of known size", f"{_OFFSET_HELP.removesuffix(' or 75%')} here")
    return size


def _limited(number: int, text: str) -> int:
    if number > LARGEST:
        _refuse(text, "is too large", f"the largest offset is {hex_offset(LARGEST)}")
    return number


def _refuse(text: str, why: str, cure: str) -> NoReturn:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    raise BadRange(f"'{visible(shown)}' {why}: {cure}")
