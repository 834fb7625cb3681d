"""Stack memory: words of a stack that holds still, read in a few large pieces, and remembered.

The words that were looked at are what a stack is known again by (`fmrw.capture.sites.known`).
"""

from __future__ import annotations

import os
import time
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fmrw.capture.sites.space import Space

_FIRST = 1 << 13
_NEXT = 1 << 15
_MOST = 1 << 20
_LIMIT_S = 0.05  # of our own work
_PAGE = 4096
_WORD = Struct("<Q")


class Unreadable(Exception):
    """A word that is not there, is not memory, or comes after too much work."""


class Stack:
    """The stack of a thread that waits.

    Parameters
    ----------
    space : Space
        Of its process.
    top : int
        Its stack pointer.
    skipped : tuple of int
        Address and size of a buffer that is no stack, for guesses.

    Attributes
    ----------
    words : dict of int to int
        What was looked at, by address.
    """

    def __init__(self, space: Space, top: int, skipped: tuple[int, int] = (0, 0)) -> None:
        self.space, self.top, self.skipped = space, top, skipped
        self.words: dict[int, int] = {}
        self._pieces: list[tuple[int, bytes]] = []
        self._begin, self._data = 0, b""
        self._read = 0
        self._ends = time.thread_time() + _LIMIT_S

    def word(self, address: int) -> int:
        """Give a word of the stack, and remember it.

        Raises
        ------
        Unreadable
            It is not there.
        """
        value = self.words.get(address)
        if value is None:
            value = self.words[address] = self.glance(address)
        return value

    def glance(self, address: int) -> int:
        """Give a word without remembering it, as `word` does otherwise."""
        place = address - self._begin
        if not 0 <= place <= len(self._data) - 8:
            place = self._turn_to(address)
        found: int = _WORD.unpack_from(self._data, place)[0]
        return found

    def _turn_to(self, address: int) -> int:
        """Make a piece that holds a word the present one; give its place in it."""
        for begin, data in self._pieces:
            if 0 <= address - begin <= len(data) - 8:
                self._begin, self._data = begin, data
                return address - begin
        self.check_time()
        mapping = self.space.mapping(address)
        if mapping is None or not mapping.is_memory:
            raise Unreadable("no stack there")
        size = min(_NEXT if self._pieces else _FIRST, mapping.end - address, _MOST - self._read)
        try:
            data = os.pread(self.space.memory, size, address) if size >= _WORD.size else b""
        except (OSError, OverflowError) as error:
            raise Unreadable(str(error)) from error
        if len(data) < _WORD.size:
            raise Unreadable("not there, or too much")
        self._read += max(len(data), _PAGE)
        self._pieces.append((address, data))
        self._begin, self._data = address, data
        return 0

    def memory_at(self, address: int, size: int) -> bytes:
        """Give bytes of memory that need not be stack: the heap, and data of a program whose file lies on a disk of this machine.

        Raises
        ------
        Unreadable
            They are not there.
        """
        self.check_time()
        mapping = self.space.mapping(address)
        if mapping is None or not (mapping.is_memory or self.space.is_local(mapping)) or size > _NEXT << 1:
            raise Unreadable("no memory there")
        self._read += size
        if self._read > _MOST:
            raise Unreadable("too much")
        try:
            data = os.pread(self.space.memory, size, address)
        except (OSError, OverflowError) as error:
            raise Unreadable(str(error)) from error
        if len(data) != size:
            raise Unreadable("not there")
        return data

    def check_time(self) -> None:
        """Raise `Unreadable` when this has taken too long."""
        if time.thread_time() > self._ends:
            raise Unreadable("it takes too long")
