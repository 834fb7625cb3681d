"""Site numbers: each stack that asked for bytes has one; `fmrw.capture.sites.known` knows it again.

A thread is only looked at while it waits in a read or write of its own: its request carries the owner of its locks, and the line of its
system call names one of `CALLS`. In a page fault a thread may hold the lock of its address space until we answer; reading its memory would wait for that
lock, and it for us. Another thread of its process may hold it all the same. Then this one waits, for the answer that a third thread
of ours gives; so no more than `_LOOKING` threads look at once.

A process that shares its memory with its parent (vfork(2)) is not remembered: its descriptors would stay those of the parent after execve(2).

Threads: any; `_lock` is held while a stack is walked.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.native.stacks import Walked
from fmrw.capture.sites.compiled import Compiled, walked
from fmrw.capture.sites.faults import Faults
from fmrw.capture.sites.frames import CFI
from fmrw.capture.sites.golang import GO
from fmrw.capture.sites.known import KnownStacks, passing
from fmrw.capture.sites.modules import Modules
from fmrw.capture.sites.python import PYTHON, functions
from fmrw.capture.sites.space import Space
from fmrw.capture.sites.unwind import unwind
from fmrw.capture.system.libc import address_of_read, share_memory
from fmrw.capture.system.proc import family_of, open_entry
from fmrw.capture.system.room import as_room_allows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmrw.capture.native.stacks import Stacks
    from fmrw.capture.sites.modules import Module
    from fmrw.capture.sites.unwind import Walk

CALLS = frozenset((b"0", b"17", b"19", b"295", b"327", b"1", b"18", b"20", b"296", b"328"))
"""read, pread64, readv, preadv, preadv2, write, pwrite64, writev, pwritev, pwritev2 (arch/x86/entry/syscalls/syscall_64.tbl)."""
_BUFFERED = frozenset((b"0", b"17", b"1", b"18"))
_WORDS = 9
_LONGEST = len(b"0xffffffff")
_LOOKING = 64
_KEPT_THREADS, _KEPT_SPACES = 512, 64
_TRIES = 4
Entry = tuple[int, int, str] | tuple[int, int, str, str, str]
"""A frame of a site: a module's number, the distance from its beginning, how it was found; of Python also function and line."""
DENIED, NARROW, FULL, BUSY = "denied", "32-bit", "too many", "at once"
"""Why a program's rows have no site: it may not be looked at; it is of 32 bits; there are no numbers left; too many threads waited at once."""


class _Thread(NamedTuple):
    tid: int
    line: int
    pid: int


class Notes(NamedTuple):
    """Where what is found goes: modules, sites by number, and programs that have none with the reason."""

    module: Callable[[Module], None]
    site: Callable[[int, Sequence[Entry]], None]
    without: Callable[[int, str], None]


class Sites:
    """Number the stacks of threads that wait for us.

    Parameters
    ----------
    notes : Notes
    most : int
        Greatest number.
    own_device, open_beneath
        As for `fmrw.capture.sites.modules.Modules`.
    is_narrow : callable
        Tells whether a thread runs a 32-bit program; asked only where that is possible.
    native : Stacks or None
        The compiled code, which knows stacks again.
    """

    def __init__(
        self,
        notes: Notes,
        most: int,
        *,
        own_device: Callable[[], bytes] = lambda: b"",
        open_beneath: Callable[[bytes], int] | None = None,
        is_narrow: Callable[[int], bool] = lambda _tid: True,
        native: Stacks | None = None,
    ) -> None:
        self._is_narrow = is_narrow
        self._notes, self._most, self._native = notes, most, native
        unwinding = None if native is None else native.unwinding
        self._modules = Modules(
            notes.module, own_device, open_beneath, unwinding, lambda: native is not None and native.looking
        )
        self._modules.leave = self._leave
        self._threads: OrderedDict[int, _Thread] = OrderedDict()
        self._spaces: OrderedDict[int, Space] = OrderedDict()
        self._stacks = KnownStacks(native)
        self._compiled = None if native is None else Compiled(native, self._number)
        self._numbers: dict[tuple[Entry, ...], int] = {}
        self._count = itertools.count(1)
        self._told: set[tuple[int, str]] = set()
        self._looking: list[None] = []
        self._forgotten: list[int] = []
        self._unused: list[int] = []
        self._lock = threading.Lock()
        self._most_threads, self._most_spaces = as_room_allows(_KEPT_THREADS), as_room_allows(_KEPT_SPACES)
        self._faults = Faults(
            self._next, lambda number, frame: notes.site(number, [frame]), self._modules, self._lock
        )

    def prepare(self) -> None:
        """Read what nearly every program will need, before there is a mount: the tables of the C library, whose functions read."""
        self._modules.prepare()
        with contextlib.suppress(OSError), contextlib.closing(Space(os.getpid(), self._modules)) as own:
            own.code(address_of_read())

    def mounted(self) -> None:
        """Learn, once there is a mount, which one it is."""
        self._modules.mounted()

    def of(self, tid: int) -> int:
        """Give the number of the site that a thread waits at; 0 where there is none.

        Parameters
        ----------
        tid : int
            A thread whose request was made by itself, not by the page cache.
        """
        if len(self._looking) >= _LOOKING:
            self._tell(tid, BUSY)
            return 0
        self._looking.append(None)
        try:
            with self._lock:
                return self._of(tid)
        finally:
            self._looking.pop()

    def fault(self, tid: int) -> int:
        """Give the number of the instruction with which a thread touches a page that is to be read; 0 where it does not."""
        return self._faults.of(tid, family_of(tid)[0])

    def _of(self, tid: int) -> int:
        while self._forgotten:
            self._forget(self._forgotten.pop())
        for _again in range(2):
            try:
                return self._found(tid)
            except ProcessLookupError:  # the thread is gone, or runs another program now
                self._forget(tid, whole=True)
            except PermissionError:
                self._tell(tid, DENIED)
                break
            except OSError:
                self._forget(tid, whole=True)
                break
        return 0

    def _found(self, tid: int) -> int:
        thread = self._threads.get(tid)
        space = None if thread is None else self._spaces.get(thread.pid)
        if self._compiled is not None and space is not None:
            seen = self._compiled.site(tid, space)
            if seen is not None:
                return seen
        thread = thread or self._meet(tid)
        return self._waiting(tid, thread, _settled(thread.line))

    def _meet(self, tid: int) -> _Thread:
        while len(self._threads) >= self._most_threads:
            self._forget(next(iter(self._threads)))
        thread = self._threads[tid] = _Thread(tid, open_entry(tid, "syscall"), family_of(tid)[0])
        return thread

    def _waiting(self, tid: int, thread: _Thread, words: list[bytes]) -> int:
        if len(words) != _WORDS:
            if not words:
                self._tell(tid, DENIED)
            return 0
        if len(words[7]) <= _LONGEST and len(words[8]) <= _LONGEST and self._is_narrow(tid):
            self._tell(tid, NARROW)  # whose calls have other numbers
            return 0
        if words[0] not in CALLS:
            return 0
        top, place = int(words[7], 16), int(words[8], 16)
        space, kept = self._space(tid, thread.pid)
        if kept and self._compiled is not None:
            seen = self._compiled.introduce(tid, thread.line, space)
            if seen is not None:
                return seen
        try:
            found = self._stacks.site(tid, thread.line, space, place, top)
            if found is None:
                buffer = (int(words[2], 16), int(words[3], 16)) if words[0] in _BUFFERED else (0, 0)
                found = self._walked(thread, space, place, top, buffer, kept=kept)
        finally:
            if not kept:
                space.close()
        return found

    def _space(self, tid: int, pid: int) -> tuple[Space, bool]:
        """Give a thread's address space, and whether it is kept."""
        space = self._spaces.get(pid)
        if space is not None:
            return space, True
        space = Space(tid, self._modules)
        if share_memory(pid, family_of(tid)[1]):
            return space, False
        while len(self._spaces) >= self._most_spaces:
            self._drop_space(next(iter(self._spaces)))
        self._spaces[pid] = space
        return space, True

    def _walked(
        self, thread: _Thread, space: Space, place: int, top: int, buffer: tuple[int, int], *, kept: bool
    ) -> int:
        """Walk a stack, and know it again where its address space is kept."""
        if not os.pread(space.memory, 8, top):
            raise ProcessLookupError
        if space.code(place) is None or space.mapping(top) is None:
            space.refresh()
        version = space.version
        walk = self._walk(space, place, top, buffer)
        codes = passing(space, walk.frames)
        sure = walk.whole and all(frame.quality in (CFI, GO) for frame in walk.frames)
        if not (sure and all(space.holds(code) for code in codes)):
            space.refresh()
        if space.version != version:
            walk = unwind(space, top, place, buffer)
            codes = passing(space, walk.frames)
            if self._native is not None:
                self._native.forget_codes(space.number)
        site = self._number(self._entries(walk, thread.tid), space)
        if kept:
            self._stacks.learn(
                thread.tid, thread.line, space, Walked(place, top, walk.stack.words, site), codes
            )
        return site

    def _walk(self, space: Space, place: int, top: int, buffer: tuple[int, int]) -> Walk:
        """Walk a stack, by the compiled code where that can do it."""
        walk = None if self._native is None else walked(self._native.walker, space, top, place, buffer)
        return unwind(space, top, place, buffer) if walk is None else walk

    def _entries(self, walk: Walk, tid: int) -> tuple[Entry, ...]:
        """Give what a site is made of, functions of Python in front of the frame of the loop that runs them."""
        inside = functions(walk.stack, walk.frames, tid)
        entries: list[Entry] = []
        for number, frame in enumerate(walk.frames):
            for file, name, line in inside.get(number, ()):
                module = self._modules.of_source(os.fsencode(file.encode("utf-8", "surrogateescape")))
                entries.append((module.number, line, PYTHON, name, f"{file.rpartition('/')[2]}:{line}"))
            entries.append(frame.entry)
        return tuple(entries)

    # Numbers

    def _number(self, frames: tuple[Entry, ...], space: Space) -> int:
        number = self._numbers.get(frames)
        if number is None:
            number = self._next()
            if not number:
                self._tell(space.tid, FULL)
                return 0
            self._numbers[frames] = number
            self._notes.site(number, frames)
        return number

    def _next(self) -> int:
        """Give a number that is not used yet; 0 where there is none left."""
        number = next(self._count)
        return number if number <= self._most else 0

    def _tell(self, tid: int, why: str) -> None:
        pid = family_of(tid)[0]
        if (pid, why) not in self._told and len(self._told) < _KEPT_THREADS:
            self._told.add((pid, why))
            self._notes.without(pid, why)

    # What is no longer used

    def forget(self, tid: int) -> None:
        """Look at a thread no more. Done with the next look: whoever walks a stack now may wait for an answer of who calls this."""
        if tid in self._threads:
            self._forgotten.append(tid)

    def _forget(self, tid: int, *, whole: bool = False) -> None:
        """Look at a thread no more, and with `whole` at none of its process: it is gone, or runs another program."""
        thread = self._threads.pop(tid, None)
        if self._native is not None:
            self._native.forget_thread(tid)
        if thread is not None:
            self._let_go(thread.line)
            if whole:
                self._drop_space(thread.pid)

    def _drop_space(self, pid: int) -> None:
        space = self._spaces.pop(pid, None)
        if space is None:
            return
        if self._native is not None:
            self._native.forget_space(space.number)
        for fd in space.take():
            self._let_go(fd)

    def _leave(self, module: Module) -> None:
        """Walk no stack by a file that is closed now: the number of its descriptor will be another one's."""
        for space in self._spaces.values():
            if space.leave(module) and self._native is not None:
                self._native.forget_codes(space.number)

    def _let_go(self, fd: int) -> None:
        """Close a descriptor once the compiled code uses none."""
        self._unused.append(fd)
        if self._native is None or not self._native.looking:
            while self._unused:
                os.close(self._unused.pop())

    def close(self) -> None:
        """Let everything go; nobody asks any more."""
        self._faults.close()
        with self._lock:
            for tid in list(self._threads):
                self._forget(tid, whole=True)
            for pid in list(self._spaces):
                self._drop_space(pid)
            while self._unused:
                os.close(self._unused.pop())
            self._modules.close()


def _settled(line: int) -> list[bytes]:
    """Read what a thread waits in, again while it is on its way to wait."""
    words = os.pread(line, 256, 0).split()
    for _again in range(_TRIES):
        if words[:1] != [b"running"]:
            break
        os.sched_yield()
        words = os.pread(line, 256, 0).split()
    return words
