"""Repeats: which bytes stand in the place of earlier ones, in records of the same make; from the content alone, without knowledge of a format.

A byte's forerunner is the one in the same place of the record before. As the match models of data compressors do it (Mahoney, *Data
Compression Explained*, 4.3.2), a pointer into what came before moves along for as long as enough of what follows is equal, and goes to the
last place that begins with the same four bytes where that one fits better; so names and lengths may differ between records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.experiments.spans import singles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.experiments.spans import Span

_BEGINNING = 4  # bytes that are looked up
_AHEAD = 16  # bytes that are compared
_LEAST = 7  # of them are equal
_BETTER = 3  # more than those of the present place


def forerunners(content: bytes) -> list[int]:
    """Give for each byte of a content the one it stands in the place of, or -1."""
    last: dict[bytes, int] = {}
    found = [-1] * len(content)
    source = -1
    for at in range(len(content)):
        past = at - _AHEAD  # what is nearer is rather a run of zeros than a record
        if past >= 0:
            last[content[past : past + _BEGINNING]] = past
        beginning = content[at : at + _BEGINNING]
        other = last.get(beginning, -1) if beginning.count(beginning[:1]) < _BEGINNING else -1
        equal = _equal(content, source, at) if source >= 0 else 0
        if other >= 0 and other != source and _equal(content, other, at) >= equal + _BETTER:
            source = other
            equal = _equal(content, source, at)
        if equal < _LEAST:
            source = -1
        if source >= 0:
            found[at] = source
            source += 1
    return found


def _equal(content: bytes, one: int, other: int) -> int:
    """Count the equal bytes behind two places."""
    return sum(map(int.__eq__, content[one : one + _AHEAD], content[other : other + _AHEAD]))


def in_waves(spans: Sequence[Span], content: bytes) -> tuple[list[list[int]], dict[int, int]]:
    """Give bytes in the order in which they are best looked at: those without a forerunner first, then each once one before it is known.

    Parameters
    ----------
    spans : sequence of Span
        Sorted; none overlaps another.
    content : bytes
        Of all of them, one behind the other.

    Returns
    -------
    waves : list of list of int
        Offsets; each wave but the first has twice as many records as the one before.
    before : dict
        Byte of a later wave → the nearest byte in its place that is in an earlier one.
    """
    offsets = list(singles(spans))
    sources = forerunners(content)
    depth, wave, nearest = [0] * len(sources), [0] * len(sources), [-1] * len(sources)
    waves: list[list[int]] = [[]]
    for at, source in enumerate(sources):
        if source >= 0:
            depth[at] = depth[source] + 1
            wave[at] = depth[at].bit_length()
            nearest[at] = source if wave[source] < wave[at] else nearest[source]
        if wave[at] == len(waves):
            waves.append([])
        waves[wave[at]].append(offsets[at])
    return waves, {
        offset: offsets[source] for offset, source in zip(offsets, nearest, strict=True) if source >= 0
    }


def families(before: Mapping[int, int]) -> dict[int, list[int]]:
    """Give for each byte all that are in its place of structures of the same make, by what `in_waves` says of them."""
    found: dict[int, list[int]] = {}
    for byte, source in sorted(before.items()):
        family = found.setdefault(source, [source])
        family.append(byte)
        found[byte] = family
    return found
