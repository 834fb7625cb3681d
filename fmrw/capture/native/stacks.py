"""Stacks: the memory that `stacks.c` shares with Python: threads that may be looked at, and stacks of which the call site is known.

Threads: everything is written under the interpreter's lock; `stacks.c` says how it reads without.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_uint16, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.capture.native.unwinding import Unwinding
    from fmrw.capture.native.walking import Walker

_THREADS, _STACKS, _WORDS, _EXTENT = 256, 512, 160, 1 << 16
MOST_CODES = 8
"""Mappings of a stack that are held against those of the process with every look."""
_WORD = 8


class _Thread(ctypes.Structure):
    """`struct known_thread`."""

    _fields_ = (
        ("tid", c_int32),
        ("line", c_int32),
        ("memory", c_int32),
        ("space", c_int32),
        ("list", c_int32),
    )


class _Code(ctypes.Structure):
    """`struct known_code`."""

    _fields_ = (
        ("begin", c_uint64), ("end", c_uint64), ("offset", c_uint64), ("inode", c_uint64), ("major", c_uint32), ("minor", c_uint32),
    )  # fmt: skip


class _Stack(ctypes.Structure):
    """`struct known_stack`."""

    _fields_ = (
        ("version", c_uint64), ("place", c_uint64), ("top", c_uint64), ("space", c_int32), ("site", c_int32), ("extent", c_int32),
        ("words", c_int32), ("codes", c_int32), ("unused", c_int32), ("code", _Code * MOST_CODES), ("at", c_uint16 * _WORDS), ("value", c_uint64 * _WORDS),
    )  # fmt: skip


class Memory(ctypes.Structure):
    """`struct stacks`."""

    _fields_ = (("looking", c_int64), ("threads", _Thread * _THREADS), ("stacks", _Stack * _STACKS))


class Walked(NamedTuple):
    """A stack: where the thread waits, its stack pointer, the words by address, its site."""

    place: int
    top: int
    words: dict[int, int]
    site: int


class Stacks:
    """Stacks that the compiled code knows again.

    Parameters
    ----------
    code : PyDLL
        With `stacks.c`.
    unwinding, walker : Unwinding, Walker
        Read the tables that stacks are walked by, and walk them.
    """

    def __init__(self, code: Any, unwinding: Unwinding, walker: Walker) -> None:  # noqa: ANN401 - a library of ctypes
        self._slot, self._site = code.fmrw_stack_slot, code.fmrw_site
        self.unwinding, self.walker = unwinding, walker
        self._slot.argtypes, self._slot.restype = (c_uint64, c_uint64, c_int64), c_int64
        self._site.argtypes, self._site.restype = (c_void_p, c_int64), c_int64
        self._memory = Memory()
        self.address = ctypes.addressof(self._memory)

    @property
    def looking(self) -> bool:
        """Whether descriptors are in use at this moment."""
        return bool(self._memory.looking)

    def site(self, tid: int) -> int:
        """Give the number of the site that a thread waits at, as the compiled code finds it with every request; -1 where it does not know."""
        found: int = self._site(self.address, tid)
        return found

    def learn_thread(self, tid: int, line: int, entries: tuple[int, int], space: int) -> None:
        """Let a thread be looked at.

        Parameters
        ----------
        line, entries
            Descriptors on the line of its system call, on its memory and on the list of what is mapped.
        space
            Number of its address space.
        """
        thread = self._memory.threads[tid % _THREADS]
        thread.tid = 0
        thread.line, (thread.memory, thread.list), thread.space = line, entries, space
        thread.tid = tid

    def forget_thread(self, tid: int) -> None:
        """Look at a thread no more."""
        thread = self._memory.threads[tid % _THREADS]
        if thread.tid == tid:
            thread.tid = 0

    def forget_space(self, space: int) -> None:
        """Look at no thread of an address space any more."""
        for thread in self._memory.threads:
            if thread.space == space:
                thread.tid = 0

    def knows_stack(self, space: int, place: int, top: int) -> bool:
        """Tell whether a stack of these is known; one with other words may be."""
        stack = self._memory.stacks[self._slot(place, top, space)]
        return bool(stack.version) and (stack.place, stack.top, stack.space) == (place, top, space)

    def forget_stack(self, space: int, place: int, top: int) -> None:
        """Know a stack no more."""
        if self.knows_stack(space, place, top):
            self._memory.stacks[self._slot(place, top, space)].place = 0

    def learn_stack(self, space: int, walked: Walked, codes: Sequence[tuple[int, ...]]) -> None:
        """Know a stack again from now on, unless it is too large.

        Parameters
        ----------
        space
            Number of the address space.
        walked
            Where the thread waits, its stack pointer, what was looked at, and the number of the site.
        codes
            What must still be mapped, at most `MOST_CODES`: begin, end, offset, inode, and the device's two numbers.
        """
        place, top, words, site = walked
        extent = max(words, default=top) + _WORD - top
        if len(words) > _WORDS or extent > _EXTENT or any((at - top) % _WORD or at < top for at in words):
            return
        stack = self._memory.stacks[self._slot(place, top, space)]
        stack.version |= 1
        stack.place, stack.top, stack.space, stack.site = place, top, space, site
        stack.extent, stack.words, stack.codes = extent, len(words), len(codes)
        for number, code in enumerate(codes):
            stack.code[number] = _Code(*code)
        stack.at[: len(words)] = [(address - top) // _WORD for address in words]
        stack.value[: len(words)] = list(words.values())
        stack.version += 1
