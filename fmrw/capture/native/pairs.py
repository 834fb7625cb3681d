"""Pairs: the memory that `transfers.c` shares with Python: which thread is known to use which open file, and where records go.

A pair is learned after Python has recorded a plain request of it, and forgotten before anything that was noted for it changes: the
file is closed or renamed, the thread's name is looked up anew, a call of several requests begins.

Threads: everything happens under the interpreter's lock; `transfers.c` says where it lets go of it.
"""

from __future__ import annotations

import ctypes
import os
from collections import defaultdict
from ctypes import c_char, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from fmrw.capture.native import stacks, unwinding, walking
from fmrw.capture.native.build import library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

DECLINED, ANSWERED, RING, UNRECORDED = range(4)
"""What `read` and `write` give; a write that was done and could not be recorded gives `UNRECORDED | bytes << 2`."""

NO_WRITES, WRITES, WRITES_FOR_OTHERS = range(3)
"""Whether writes of a pair are done here; for others than the worker's user set-id bits must be looked at."""
LARGEST_ROOM = 1 << 17
"""Bytes of data of a read that is answered here, at most."""
_PAIRS, _NAMES, _NAME = 1024, 2, 32
_OFF = "FMRW_NATIVE"


class _Pair(ctypes.Structure):
    """`struct pair`."""

    _fields_ = (
        ("handle", c_uint64), ("tid", c_int32), ("fd", c_int32), ("path", c_uint32), ("process", c_uint32),
        ("writes", c_int32), ("names", c_int32), ("name_fd", c_int32 * _NAMES), ("name_length", c_int32 * _NAMES),
        ("name", c_char * _NAME * _NAMES),
    )  # fmt: skip


class _State(ctypes.Structure):
    """`struct state`."""

    _fields_ = (
        ("armed", c_void_p), ("place", c_void_p), ("call", c_void_p), ("segment", c_void_p), ("records", c_int64),
        ("largest", c_int64), ("connection", c_int64), ("stacks", c_void_p), ("pairs", _Pair * _PAIRS),
    )  # fmt: skip


def code() -> Any:  # noqa: ANN401 - a library of ctypes
    """Load the compiled code; None where there is none, or the environment says FMRW_NATIVE=0.

    Raises
    ------
    OSError
        It cannot be loaded.
    """
    if os.environ.get(_OFF) == "0" or not library().exists():
        return None
    return ctypes.PyDLL(str(library()))


class User(NamedTuple):
    """A thread that uses an open file, as its records say it; `writes`: one of `NO_WRITES`, `WRITES`, `WRITES_FOR_OTHERS`."""

    handle: int
    tid: int
    fd: int
    path: int
    process: int
    writes: int


class Counter:
    """Numbers one after the other, shared with the compiled code; an iterator."""

    def __init__(self, take: Any, first: int = 0) -> None:  # noqa: ANN401 - a function of ctypes
        self._cell = c_int64(first)
        self._take = take
        self.address = ctypes.addressof(self._cell)

    def __iter__(self) -> Self:
        """Give itself."""
        return self

    def __next__(self) -> int:
        """Take the next number."""
        number: int = self._take(self.address)
        return number


class Native:
    """The compiled code and its memory, for one mount.

    Attributes
    ----------
    state : int
        Address of the shared memory.
    """

    def __init__(self, code: ctypes.PyDLL) -> None:
        self._slot, self._take = code.fmrw_slot, code.fmrw_take
        for function, arguments in (
            (self._slot, (c_uint64, c_int64)), (self._take, (c_void_p,)), (code.fmrw_sizes, (c_int64,)),
        ):  # fmt: skip
            function.argtypes, function.restype = arguments, c_int64
        shared = {
            0: ctypes.sizeof(_State), 1: ctypes.sizeof(_Pair), 2: ctypes.sizeof(stacks.Memory), 7: ctypes.sizeof(unwinding.Index),
            10: ctypes.sizeof(walking.Question), 11: ctypes.sizeof(walking.Rules),
        }  # fmt: skip
        if any(code.fmrw_sizes(which) != size for which, size in shared.items()):
            raise OSError("the compiled code was made for other structures; install the package again")
        self._code = code
        self._memory = _State()
        self._kept: list[object] = []
        self.state = ctypes.addressof(self._memory)
        self._slots: dict[int, tuple[int, int]] = {}  # slot → handle and thread
        self._by_handle: dict[int, set[int]] = defaultdict(set)
        self._by_thread: dict[int, set[int]] = defaultdict(set)
        self._known: set[tuple[int, int]] = set()

    @classmethod
    def load(cls) -> Native | None:
        """Load the compiled code; None where there is none, or the environment says FMRW_NATIVE=0."""
        try:
            loaded = code()
            return None if loaded is None else cls(loaded)
        except (OSError, AttributeError):  # of another machine, or damaged: Python answers
            return None

    def counter(self, first: int = 0) -> Counter:
        """Make a counter that both sides take numbers from."""
        return Counter(self._take, first)

    # What a mount has one of

    def limit(self, size: int) -> None:
        """Say from which size on a request may be part of a larger call."""
        self.forget_all()
        self._memory.largest = size

    def serve(self, *, armed: memoryview, calls: Counter) -> None:
        """Say where a waiting reader is noted, and where calls are numbered."""
        cell = c_int64.from_buffer(armed)
        self._kept += [cell, calls]
        self._memory.armed, self._memory.call = ctypes.addressof(cell), calls.address

    def know_stacks(self) -> stacks.Stacks:
        """Record call sites from now on; give the stacks that are known here."""
        known = stacks.Stacks(self._code, unwinding.Unwinding(self._code), walking.Walker(self._code))
        self._kept.append(known)
        self._memory.stacks = known.address
        return known

    def answer_on(self, connection: int) -> None:
        """Say on which descriptor requests are answered."""
        self._memory.connection = connection

    def record_into(self, view: mmap | None, places: Counter | None, records: int) -> None:
        """Say which segment of the journal records go into; None: none."""
        if view is None or places is None:
            self._memory.segment = None
            return
        first = c_char.from_buffer(view)
        self._memory.segment = None  # never one segment with the places of another
        self._memory.place, self._memory.records = places.address, records
        self._segment = (first, places)
        self._memory.segment = ctypes.addressof(first)

    # Pairs

    def knows(self, handle: int, tid: int) -> bool:
        """Tell whether requests of this thread on this file are answered here."""
        return (handle, tid) in self._known

    def learn(self, user: User, names: Sequence[tuple[int, bytes]]) -> None:
        """Let plain requests of a thread on a file be answered here from now on.

        Parameters
        ----------
        names
            Descriptors that give the thread's name and its process's, and what they give now; both are compared with every request.
        """
        if len(names) > _NAMES or any(len(text) > _NAME for _, text in names):
            return
        slot = self._slot(user.handle, user.tid)
        self._drop(slot)
        pair = self._memory.pairs[slot]
        pair.tid, pair.fd, pair.path, pair.process = user.tid, user.fd, user.path, user.process
        pair.writes, pair.names = user.writes, len(names)
        for number, (name_fd, text) in enumerate(names):
            pair.name_fd[number], pair.name_length[number] = name_fd, len(text)
            ctypes.memmove(pair.name[number], text, len(text))
        pair.handle = user.handle
        self._slots[slot] = user.handle, user.tid
        self._known.add((user.handle, user.tid))
        self._by_handle[user.handle].add(slot)
        self._by_thread[user.tid].add(slot)

    def _drop(self, slot: int) -> None:
        self._memory.pairs[slot].handle = 0
        before = self._slots.pop(slot, None)
        if before is not None:
            self._known.discard(before)
            _discard(self._by_handle, before[0], slot)
            _discard(self._by_thread, before[1], slot)

    def forget_file(self, handle: int) -> None:
        """Know nothing of an open file any more."""
        for slot in tuple(self._by_handle.get(handle, ())):
            self._drop(slot)

    def forget_thread(self, tid: int) -> None:
        """Know nothing of a thread any more."""
        for slot in tuple(self._by_thread.get(tid, ())):
            self._drop(slot)

    def forget_all(self) -> None:
        """Know no pair any more."""
        for handle in tuple(self._by_handle):
            self.forget_file(handle)


def _discard(table: dict[int, set[int]], key: int, slot: int) -> None:
    slots = table[key]
    slots.discard(slot)
    if not slots:
        del table[key]
