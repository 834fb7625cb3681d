"""Measuring text: how wide it is, how it wraps into lines, and how it is cut in the middle where it must be.

Limits. Widths are those of Helvetica (Adobe's font metrics), which Arial and Liberation Sans share; another font is taken to be as wide,
or a fifth wider where its name says that it is monospaced or DejaVu. No font file is read.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

_ASCII = (  # thousandths of the size, from the blank to the tilde
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_WIDTHS = {chr(32 + place): width for place, width in enumerate(_ASCII)} | {"…": 1000, "·": 278}
_LARGEST_LETTER = 722  # of scripts that no table above holds
_BOLD = 1.11
_WIDE_FONT = re.compile("mono|courier|dejavu", re.IGNORECASE)
_FEWEST = 8  # characters that `shorten` leaves in any case


@lru_cache(4096)  # each step of the explorer measures the same labels
def text_width(text: str, size: float, *, bold: bool = False, font: str = "") -> float:
    """Give the width of a line of text in points."""
    units = sum(_WIDTHS.get(character) or _width(character) for character in text)
    stretched = (_BOLD if bold else 1) * (1.2 if _WIDE_FONT.search(font.partition(",")[0]) else 1)
    return units / 1000 * size * stretched


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 1000 if unicodedata.east_asian_width(character) in "WF" else _LARGEST_LETTER


def widest(texts: Iterable[str], size: float, *, font: str = "") -> float:
    """Give the width of the widest of several lines, 0 for none."""
    return max((text_width(text, size, font=font) for text in texts), default=0)


def wrap(text: str, width: float, size: float, *, bold: bool = False, font: str = "") -> list[str]:
    """Break a text into lines that are at most `width` points wide: between words, a longer word after a slash or anywhere."""
    lines = [""]
    for word in visible(text).split():
        joined = f"{lines[-1]} {word}".lstrip()
        if text_width(joined, size, bold=bold, font=font) <= width:
            lines[-1] = joined
            continue
        pieces = list(_broken(word, width, size, bold=bold, font=font))
        lines[-1:] = [lines[-1], *pieces] if lines[-1] else pieces
    return lines


def _broken(word: str, width: float, size: float, *, bold: bool, font: str) -> Iterable[str]:
    rest = word
    while text_width(rest, size, bold=bold, font=font) > width and len(rest) > 1:
        fits, used = 0, 0.0
        while fits < len(rest):
            used += text_width(rest[fits], size, bold=bold, font=font)
            if used > width:
                break
            fits += 1
        cut = max(fits, 1)
        slash = rest.rfind("/", cut // 2, cut) + 1
        yield rest[: slash or cut]
        rest = rest[slash or cut :]
    yield rest


def shorten(text: str, width: float, size: float, *, font: str = "") -> str:
    """Cut the middle out of a text that is wider than `width` points, but leave at least eight characters."""
    text = visible(text)
    if text_width(text, size, font=font) <= width or len(text) <= _FEWEST:
        return text
    low, high = _FEWEST, len(text) - 1
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (
            (kept, high) if text_width(_cut(text, kept), size, font=font) <= width else (low, kept - 1)
        )
    return _cut(text, low)


def _cut(text: str, kept: int) -> str:
    """Keep so many characters, the mark of what is left out among them."""
    tail = (kept - 1) // 3
    return f"{text[: kept - 1 - tail]}…{text[len(text) - tail :]}"
