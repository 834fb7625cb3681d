"""Stacks: the memory that `stacks.c` shares with Python: threads that may be looked at, and stacks of which the call site is known.

Threads: everything is written under the interpreter's lock; `stacks.c` says how it reads without.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_uint16, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.native.walking import Code, Mapping, Question, Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.capture.native.unwinding import Unwinding
    from fmrw.capture.native.walking import Mapped, Walker

_THREADS, _STACKS, _WORDS, _EXTENT = 256, 512, 160, 1 << 16
_SPACES, _CHAINS, _FRAMES = 64, 512, 64
NOTHING, NEW, CODE, OFTEN = range(-1, -5, -1)
"""Why a waiting thread has no site yet: Python must look; its frames are new; code is not told of; code that was often there may stay for ever."""
SPACE_CODES = 24
"""Code of a process that can be told of."""
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


class _Stack(ctypes.Structure):
    """`struct known_stack`."""

    _fields_ = (
        ("version", c_uint64), ("place", c_uint64), ("top", c_uint64), ("space", c_int32), ("site", c_int32), ("extent", c_int32),
        ("words", c_int32), ("codes", c_int32), ("uses", c_int32), ("code", Mapping * MOST_CODES), ("at", c_uint16 * _WORDS), ("value", c_uint64 * _WORDS),
    )  # fmt: skip


class _Space(ctypes.Structure):
    """`struct known_space`."""

    _fields_ = (("number", c_int32), ("settled", c_int32), ("count", c_int64), ("codes", Code * SPACE_CODES))


class _Chain(ctypes.Structure):
    """`struct known_chain`."""

    _fields_ = (
        ("site", c_int32),
        ("frames", c_int32),
        ("module", c_int32 * _FRAMES),
        ("place", c_uint64 * _FRAMES),
    )


class Memory(ctypes.Structure):
    """`struct stacks`."""

    _fields_ = (
        ("looking", c_int64), ("walking", c_int64), ("threads", _Thread * _THREADS), ("stacks", _Stack * _STACKS), ("spaces", _Space * _SPACES),
        ("chains", _Chain * _CHAINS), ("rules", Rules), ("walk", Question), ("walker", _Thread), ("space", _Space),
        ("place", c_uint64), ("top", c_uint64), ("passes", c_int32), ("passing", Mapping * MOST_CODES),
    )  # fmt: skip


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
        self._see, self._number = code.fmrw_see, code.fmrw_number
        self.unwinding, self.walker = unwinding, walker
        self._slot.argtypes, self._slot.restype = (c_uint64, c_uint64, c_int64), c_int64
        self._site.argtypes, self._site.restype = (c_void_p, c_int64), c_int64
        self._see.argtypes, self._see.restype = (c_void_p, c_int64), c_int64
        self._number.argtypes, self._number.restype = (c_void_p, c_int64), None
        self._memory = Memory()
        self._codes: dict[int, list[Mapped]] = {}
        self._replaced: list[list[Mapped]] = []  # which somebody may use still
        self.address = ctypes.addressof(self._memory)

    @property
    def looking(self) -> bool:
        """Whether descriptors are in use at this moment."""
        return bool(self._memory.looking)

    def site(self, tid: int) -> int:
        """Give the number of the site that a thread waits at, as the compiled code finds it with every request; -1 where it does not know."""
        found: int = self._site(self.address, tid)
        return found

    def see(self, tid: int) -> int:
        """Give the number of the site that a thread waits at, or one of `NOTHING`, `NEW`, `CODE`, `OFTEN`; after `NEW` comes `number`."""
        found: int = self._see(self.address, tid)
        return found

    @property
    def place(self) -> int:
        """The address of code that is not told of, after `CODE`."""
        return int(self._memory.walk.pc)

    def frames(self) -> tuple[tuple[int, int], ...]:
        """Give the frames of a new stack: module, and the distance from its beginning."""
        walk, space = self._memory.walk, self._memory.space
        known = self._codes[space.number]
        return tuple(
            [
                (known[number].module, place - known[number].base)
                for number, place in zip(walk.code[: walk.frames], walk.place[: walk.frames], strict=True)
            ]
        )

    def number(self, site: int) -> None:
        """Give the frames of a new stack their number; -1: none."""
        self._number(self.address, site)

    def learn_space(self, space: int, codes: list[Mapped], *, settled: bool) -> None:
        """Tell of the code of a process, at most `SPACE_CODES`.

        Parameters
        ----------
        space
            Number of its address space.
        settled
            Whether is known of all what stays.
        """
        told = self._memory.spaces[space % _SPACES]
        self._keep(told.number)
        told.number = 0  # until all is told
        codes.sort(key=lambda each: each.numbers[0])
        self._codes[space] = codes
        told.settled, told.count = settled, len(codes)
        for number, code in enumerate(codes):
            told.codes[number] = code.described()
        told.number = space

    def knows_space(self, space: int) -> bool:
        """Tell whether a process was told of."""
        return bool(self._memory.spaces[space % _SPACES].number == space)

    def forget_codes(self, space: int) -> None:
        """Know nothing of the code of a process any more."""
        told = self._memory.spaces[space % _SPACES]
        if told.number == space:
            self._keep(space)
            told.number = 0

    def _keep(self, space: int) -> None:
        """Let what was told of a process go once nobody looks."""
        before = self._codes.pop(space, None)
        if not self.looking:
            self._replaced.clear()
        if before is not None:
            self._replaced.append(before)

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
        self.forget_codes(space)
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
        stack.extent, stack.words, stack.codes, stack.uses = extent, len(words), len(codes), 0
        for number, code in enumerate(codes):
            stack.code[number] = Mapping(*code)
        stack.at[: len(words)] = [(address - top) // _WORD for address in words]
        stack.value[: len(words)] = list(words.values())
        stack.version += 1
