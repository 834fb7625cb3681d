"""Colours of programs: one for each name, the same in every chart, in the explorer and in every table.

    colours = program_colours(names, palette)      # name → "#5a78ff"
    numbers = program_numbers(names)               # name → 0 to 11, for who keeps colours by number

`names` are the names of *all* programs of the recording (`Trace.programs`, `About.programs`), never only of those that are shown: a filter, a zoom or
another file must not change a colour. Both functions depend on nothing but the set of names, not on their order.

Two wishes are kept apart. *The same by name*: a name has an own order of preference among the twelve colours, written down for well-known
programs and taken from a hash of the name for others, and gets the first of it. *Different side by side*: where two names of one recording want the same colour,
the one that stands first in a fixed order (well-known ones, then by hash) keeps it; when all have chosen, the others take the next free one of their own order.
So up to twelve names never share a colour, and a name whose first colour nobody else wants has that in every recording. With more than twelve names some share one, and their labels tell them apart.

Text. Colours stand out from the ground of a figure, 3:1 (`Palette.programs`). In a terminal, whose background nobody knows, colour a block
beside the name, not the name. Labels such as "7z [4711]" are coloured by the name alone, so that all processes of a program look alike.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fmrw.figures.theme import LIGHT
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmrw.figures.theme import Palette

COLOURS = 12
"""How many names never share a colour."""

_BEST = 8  # the first of `Palette.programs` lie furthest apart; the others are for the ninth name and those after it

_KNOWN = (
    "unzip", "pdftotext", "7z", "python3", "bsdtar", "file", "zipinfo", "mutool", "qpdf", "exiftool", "binwalk", "strings",
    "python", "tar", "gzip", "pngcheck", "xxd", "cat", "sqlite3", "readelf", "dd", "cp", "cmp", "hexdump",
    "objdump", "git", "unsquashfs", "identify", "ffprobe", "ffmpeg", "head", "grep", "xz", "zstd", "java", "node",
)  # fmt: skip
_RANK = {name: number for number, name in enumerate(_KNOWN)}


def program_numbers(names: Iterable[str]) -> dict[str, int]:
    """Give each program the number of its colour, 0 to 11.

    Parameters
    ----------
    names
        Names of all programs of the recording, as in the column `process` or as shown (`fmrw.text.visible`), which counts as the same name;
        repetitions and order do not count.

    Returns
    -------
    dict
        By name, in the order of `names`. Up to `COLOURS` names have different numbers.
    """
    asked = {name: visible(name) for name in names}
    wanted = {name: _preferences(name) for name in sorted(set(asked.values()), key=_order)}
    holders: dict[int, str] = {}
    for name, numbers in wanted.items():
        holders.setdefault(numbers[0], name)
    given = {name: number for number, name in holders.items()}
    for name in [name for name in wanted if name not in given]:
        given[name] = next((number for number in wanted[name] if number not in holders), wanted[name][0])
        holders.setdefault(given[name], name)
    return {name: given[shown] for name, shown in asked.items()}


def program_colours(names: Iterable[str], palette: Palette = LIGHT) -> dict[str, str]:
    """Give each program its colour, "#rrggbb", on the background of a palette; see `program_numbers`."""
    return {name: palette.programs[number] for name, number in program_numbers(names).items()}


def _order(name: str) -> tuple[int, bytes, str]:
    """Say who keeps a colour that two want: well-known programs first, then by hash."""
    return _RANK.get(name, len(_KNOWN)), _hash(name), name


def _preferences(name: str) -> list[int]:
    """Give every number once, in this name's own order: for a name that is not known, the best eight first."""
    seed = int.from_bytes(_hash(name), "big")
    best = _rotated(range(_BEST), seed)
    hashed = best + _rotated(range(_BEST, COLOURS), seed // 64)
    known = [_RANK[name] % COLOURS] if name in _RANK else []
    return list(dict.fromkeys(known + hashed))


def _rotated(numbers: range, seed: int) -> list[int]:
    """Begin anywhere and go on in odd steps, which meet every one of 4 or 8 numbers."""
    step = 2 * (seed // len(numbers)) + 1
    return [numbers[(seed + step * turn) % len(numbers)] for turn in range(len(numbers))]


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
