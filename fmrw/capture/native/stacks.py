"""Stacks: the memory that `stacks.c` shares with Python: threads that may be looked at, and stacks of which the call site is known.

Threads: everything is written under the interpreter's lock; `stacks.c` says how it reads without.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_uint16, c_uint64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_THREADS, _STACKS, _WORDS, _EXTENT = 256, 512, 160, 1 << 16
_WORD = 8


class _Thread(ctypes.Structure):
    """`struct known_thread`."""

    _fields_ = (("tid", c_int32), ("line", c_int32), ("memory", c_int32), ("space", c_int32))


class _Stack(ctypes.Structure):
    """`struct known_stack`."""

    _fields_ = (
        ("version", c_uint64), ("place", c_uint64), ("top", c_uint64), ("space", c_int32), ("site", c_int32), ("extent", c_int32),
        ("words", c_int32), ("at", c_uint16 * _WORDS), ("value", c_uint64 * _WORDS),
    )  # fmt: skip


class Memory(ctypes.Structure):
    """`struct stacks`."""

    _fields_ = (("looking", c_int64), ("threads", _Thread * _THREADS), ("stacks", _Stack * _STACKS))


class Stacks:
    """Stacks that the compiled code knows again.

    Parameters
    ----------
    slot : callable
        `fmrw_stack_slot` of `stacks.c`.
    """

    def __init__(self, slot: Any) -> None:  # noqa: ANN401 - a function of ctypes
        self._slot = slot
        self._memory = Memory()
        self.address = ctypes.addressof(self._memory)

    @property
    def looking(self) -> bool:
        """Whether descriptors are in use at this moment."""
        return bool(self._memory.looking)

    def learn_thread(self, tid: int, line: int, memory: int, space: int) -> None:
        """Let a thread be looked at.

        Parameters
        ----------
        line, memory
            Descriptors on the line of its system call and on its memory.
        space
            Number of its address space.
        """
        thread = self._memory.threads[tid % _THREADS]
        thread.tid = 0
        thread.line, thread.memory, thread.space = line, memory, space
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

    def learn_stack(self, space: int, place: int, top: int, words: Mapping[int, int], site: int) -> None:
        """Know a stack again from now on, unless it is too large.

        Parameters
        ----------
        space
            Number of the address space.
        place, top
            Where the thread waits, and its stack pointer.
        words
            What was looked at, by address.
        site
            Number of the site.
        """
        extent = max(words, default=top) + _WORD - top
        if len(words) > _WORDS or extent > _EXTENT or any((at - top) % _WORD or at < top for at in words):
            return
        stack = self._memory.stacks[self._slot(place, top, space)]
        stack.version |= 1
        stack.place, stack.top, stack.space, stack.site = place, top, space, site
        stack.extent, stack.words = extent, len(words)
        for number, (address, value) in enumerate(words.items()):
            stack.at[number], stack.value[number] = (address - top) // _WORD, value
        stack.version += 1
