"""Patches: how bytes are altered as they are read.

Operations: `fill` every byte with one value, `add` to and `xor` with a value, `keyed` (exclusive or with a byte that is never zero and
depends on key and position, so that sums over it do not cancel), `data` (up to eight given bytes).
"""

from __future__ import annotations

import functools
import itertools
import random
from bisect import bisect_right
from typing import TYPE_CHECKING

from fmrw.experiments.shared import Patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILL, ADD, XOR, KEYED, DATA = range(5)
OPERATIONS = ("fill", "add", "xor", "keyed", "data")
PERIOD = 65_521  # a prime, so that no record length of a format is in step with it
_DATA_MOST = 8


def fill(start: int, end: int, value: int = 0) -> Patch:
    """Let every byte of `[start, end)` be one value."""
    return Patch(start, end, FILL, value)


def add(start: int, end: int, value: int) -> Patch:
    """Add a value to every byte of `[start, end)`, modulo 256."""
    return Patch(start, end, ADD, value)


def xor(start: int, end: int, value: int) -> Patch:
    """Combine every byte of `[start, end)` with a value by exclusive or."""
    return Patch(start, end, XOR, value)


def keyed(start: int, end: int, key: int) -> Patch:
    """Alter every byte of `[start, end)` by a pattern that depends on key and position."""
    return Patch(start, end, KEYED, key)


def data(start: int, content: bytes) -> list[Patch]:
    """Let the bytes from `start` on be a content."""
    pieces = range(0, len(content), _DATA_MOST)
    return [
        Patch(start + at, start + at + len(piece), DATA, int.from_bytes(piece, "little"))
        for at in pieces
        for piece in [content[at : at + _DATA_MOST]]
    ]


@functools.lru_cache(maxsize=64)
def _pattern(key: int) -> bytes:
    return bytes(random.Random(key).choices(range(1, 256), k=PERIOD))  # noqa: S311 - the same for everybody


@functools.lru_cache(maxsize=512)
def _added(value: int) -> bytes:
    return bytes((byte + value) & 0xFF for byte in range(256))


@functools.lru_cache(maxsize=256)
def _xored(value: int) -> bytes:
    return bytes(byte ^ value for byte in range(256))


def pattern(key: int, start: int, end: int) -> bytes:
    """Give the bytes that `keyed` combines with `[start, end)`."""
    whole, first = _pattern(key), start % PERIOD
    size = end - start
    return (whole[first:] + whole * (size // PERIOD + 1))[:size]


def altered(patch: Patch, start: int, content: bytes) -> bytes:
    """Give what a patch makes of the bytes at `start`, all of which lie in it."""
    if patch.operation == FILL:
        return bytes((patch.value,)) * len(content)
    if patch.operation == ADD:
        return content.translate(_added(patch.value & 0xFF))
    if patch.operation == XOR:
        return content.translate(_xored(patch.value & 0xFF))
    if patch.operation == KEYED:
        mask = pattern(patch.value, start, start + len(content))
        mixed = int.from_bytes(content, "little") ^ int.from_bytes(mask, "little")
        return mixed.to_bytes(len(content), "little")
    given = patch.value.to_bytes(_DATA_MOST, "little")
    return given[start - patch.start : start - patch.start + len(content)]


class Table:
    """The patches of a slot, sorted by start; none overlaps another."""

    def __init__(self, patches: Iterable[Patch] = ()) -> None:
        self._patches = list(patches)
        self._starts = [patch.start for patch in self._patches]

    def __bool__(self) -> bool:
        """Tell whether anything is altered."""
        return bool(self._patches)

    @property
    def keys(self) -> set[int]:
        """The keys of its `keyed` patches."""
        return {patch.value for patch in self._patches if patch.operation == KEYED}

    def _among(self, start: int, end: int) -> Iterator[Patch]:
        at = max(0, bisect_right(self._starts, start) - 1)
        while at < len(self._patches) and self._starts[at] < end:
            yield self._patches[at]
            at += 1

    def apply(self, buffer: memoryview | bytearray, offset: int, size: int) -> None:
        """Alter the first `size` bytes of a buffer, which were read at `offset`."""
        for patch in self._among(offset, offset + size):
            start, end = max(patch.start, offset), min(patch.end, offset + size)
            if start < end:
                here = slice(start - offset, end - offset)
                buffer[here] = altered(patch, start, bytes(buffer[here]))


def normalised(patches: Iterable[Patch]) -> list[Patch]:
    """Sort patches.

    Raises
    ------
    ValueError
        Two overlap, or one is empty or begins before the file.
    """
    found = sorted(patches)
    if not found:
        return found
    if any(patch.start < 0 or patch.end <= patch.start for patch in found):
        raise ValueError("a patch is empty, or begins before the file")
    if any(one.end > other.start for one, other in itertools.pairwise(found)):
        raise ValueError("two patches alter the same bytes")
    return found
