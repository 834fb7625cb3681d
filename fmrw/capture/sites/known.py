"""Known stacks: each stack that was walked is known again by the words that its walk has looked at.

Threads: those of `fmrw.capture.sites.numbers`, which holds its lock.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.native.stacks import MOST_CODES, Walked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.capture.native.stacks import Stacks
    from fmrw.capture.sites.frames import Frame
    from fmrw.capture.sites.space import Code, Space

_KEPT_STACKS = 4096
_WORD = Struct("<Q")
_STACK = 1 << 16
_APART = 2048  # bytes between words that are read in one piece


class _Known(NamedTuple):
    """A stack that was walked: pieces of memory (address, size, words by offset), what must still be mapped, its site."""

    pieces: tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]
    codes: tuple[Code, ...]
    site: int
    lean: bool  # whether the compiled code can know it


class _Thread(NamedTuple):
    tid: int
    line: int
    space: Space


class KnownStacks:
    """Stacks that were walked, with their sites.

    Parameters
    ----------
    native : Stacks or None
        The compiled code, which is taught those that it can know.
    """

    def __init__(self, native: Stacks | None) -> None:
        self._native = native
        self._stacks: OrderedDict[tuple[int, int, int], _Known] = OrderedDict()

    def site(self, tid: int, line: int, space: Space, place: int, top: int) -> int | None:
        """Give the site of a stack that is known and unchanged; None where it must be walked.

        Parameters
        ----------
        tid, line : int
            The thread, and the descriptor of what it waits in.
        space : Space
            Its address space.
        place, top : int
            Where it waits, and its stack pointer.
        """
        known = self._stacks.get((space.number, place, top))
        if known is None:
            return None
        try:
            same = all(_same(space.memory, *piece) for piece in known.pieces)
        except (OSError, struct_error):
            same = False
        if not same or not all(space.holds(code) for code in known.codes):
            return None  # walked, which notices when the program has gone on to another one
        if self._native is not None and known.lean:
            words = {address + at: value for address, _size, words in known.pieces for at, value in words}
            self._teach(
                self._native, _Thread(tid, line, space), Walked(place, top, words, known.site), known.codes
            )
        return known.site

    def learn(self, tid: int, line: int, space: Space, walked: Walked, codes: tuple[Code, ...]) -> None:
        """Know a stack again, as long as what it was walked by stays: its words, and the code on it that may be unloaded."""
        place, top, words, site = walked
        lean = len(codes) <= MOST_CODES and all(top <= address < top + _STACK for address in words)
        while len(self._stacks) >= _KEPT_STACKS:
            self._stacks.popitem(last=False)
        self._stacks[space.number, place, top] = _Known(_pieces(words), codes, site, lean)
        if self._native is not None and lean:
            self._native.forget_stack(space.number, place, top)
            self._teach(self._native, _Thread(tid, line, space), walked, codes)

    @staticmethod
    def _teach(native: Stacks, thread: _Thread, walked: Walked, codes: tuple[Code, ...]) -> None:
        """Let the compiled code know a stack and its thread."""
        number = thread.space.number
        if not native.knows_stack(number, walked.place, walked.top):
            native.learn_stack(number, walked, [code.mapping.numbers for code in codes])
        native.learn_thread(thread.tid, thread.line, (thread.space.memory, thread.space.list), number)


def passing(space: Space, frames: Sequence[Frame]) -> tuple[Code, ...]:
    """Give the code on a stack that may be unloaded while its program runs."""
    codes = {frame.code.mapping.begin: frame.code for frame in frames if frame.code is not None}
    return tuple(code for code in codes.values() if not space.stays(code))


def _pieces(words: dict[int, int]) -> tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]:
    """Group words that lie near each other: address, size, and the words by their offsets."""
    groups: list[list[int]] = []
    for address in sorted(words):
        if not groups or address - groups[-1][-1] > _APART:
            groups.append([])
        groups[-1].append(address)
    return tuple(
        (
            group[0],
            group[-1] + _WORD.size - group[0],
            tuple((address - group[0], words[address]) for address in group),
        )
        for group in groups
    )


def _same(memory: int, address: int, size: int, words: tuple[tuple[int, int], ...]) -> bool:
    """Tell whether a piece of memory holds the words that it held before."""
    data = os.pread(memory, size, address)
    return all(_WORD.unpack_from(data, at)[0] == value for at, value in words)
