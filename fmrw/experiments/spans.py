"""Spans: ranges [start, end) of a file in bytes, joined and cut, for the search."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that touch or overlap."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Give what lies in both of two sorted lists of spans, in each of which none overlaps another."""
    found = []
    here = there = 0
    while here < len(one) and there < len(other):
        start, end = max(one[here][0], other[there][0]), min(one[here][1], other[there][1])
        if start < end:
            found.append((start, end))
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return found


def without(spans: Sequence[Span], taken: Iterable[int]) -> list[Span]:
    """Take single bytes out of spans."""
    out = sorted(set(taken))
    found = []
    for start, end in spans:
        at = start
        for byte in out[bisect_left(out, start) : bisect_left(out, end)]:
            if at < byte:
                found.append((at, byte))
            at = byte + 1
        if at < end:
            found.append((at, end))
    return found


def pieces(requests: Iterable[tuple[int, int, int]]) -> list[Span]:
    """Cut what was read at the borders of accesses."""
    spans = {(start, end) for start, end, _ in requests if end > start}
    borders = sorted({border for span in spans for border in span})
    read = merged(spans)
    found, at = [], 0
    for start, end in itertools.pairwise(borders):
        while at < len(read) and read[at][1] <= start:
            at += 1
        if at < len(read) and read[at][0] <= start:
            found.append((start, end))
    return found


def size_of(spans: Iterable[Span]) -> int:
    """Count the bytes of spans."""
    return sum(end - start for start, end in spans)


def singles(spans: Iterable[Span]) -> Iterator[int]:
    """Give each byte of spans."""
    return (byte for start, end in spans for byte in range(start, end))


def in_pieces(start: int, end: int, least: int) -> list[Span]:
    """Cut a span into pieces of some bytes; the last one may have fewer."""
    return [(at, min(at + least, end)) for at in range(start, end, least)]


def in_two(spans: Sequence[Span]) -> list[list[Span]]:
    """Divide spans into two groups of about as many bytes; one group where there is a single byte."""
    left = size_of(spans) // 2
    first: list[Span] = []
    second: list[Span] = []
    for start, end in spans:
        cut = min(end, start + left)
        left -= cut - start
        first += [(start, cut)] if cut > start else []
        second += [(cut, end)] if end > cut else []
    return [group for group in (first, second) if group]
