"""Modules: the files that processes have mapped, opened once for all of them, with their unwind tables.

A module that lies below the mount that is served is opened beneath it, by the directory's own descriptor, and never by its path: who waits for us
could wait for itself. Those on a disk of this machine are opened as they are, others by a thread of their own, with a limit of time: a path may lead to a file system that
does not answer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import stat
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites import elf
from fmrw.capture.sites.cfi import Pieces, Tables
from fmrw.capture.sites.golang import Functions
from fmrw.capture.sites.interpreter import interpreter
from fmrw.capture.system.proc import local_devices, open_mapped, open_within
from fmrw.capture.system.room import as_room_allows

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.capture.native.unwinding import Unwinding
    from fmrw.capture.sites.interpreter import Interpreter

_KEPT, _RETIRED = 400, 64  # descriptors
_LIMIT_S = 1.0
_DELETED = b" (deleted)"
_NOT_THERE = -1
_ODD = (elf.Damaged, OSError, IndexError, OverflowError)
"""What a file ends in that cannot be read, or whose headers lead to nowhere."""


class Place(NamedTuple):
    """Where a file is mapped from, as the kernel's list of mappings says it."""

    device: bytes
    inode: int
    path: bytes


class Module:
    """A file with code in it.

    Attributes
    ----------
    number : int
        One for each file of a recording.
    path : bytes
        As processes have it.
    elf : Elf or None
        Its headers; None where it cannot be read, or is no program.
    tables : Tables or None
    file : Pieces or None
    interpreter : Interpreter or None
        That of Python, where the module holds one.
    """

    def __init__(self, number: int, path: bytes, fd: int, native: Unwinding | None = None) -> None:
        self.number, self.path = number, path
        self.fd = fd
        self.elf: elf.Elf | None = None
        self.tables: Tables | None = None
        self.file: Pieces | None = None
        self.identity: tuple[int, ...] = ()
        self.interpreter: Interpreter | None = None
        if fd == _NOT_THERE:
            return
        self.identity = _identity(fd)
        with contextlib.suppress(*_ODD):
            self.elf = elf.read(fd)
            self.file = Pieces(fd)
            self.tables = Tables(self.file, self.elf, native)
            self.interpreter = interpreter(fd, self.elf, path)

    @functools.cached_property
    def libraries(self) -> frozenset[str]:
        """The names of those that it is linked to."""
        if self.elf is None or self.fd == _NOT_THERE:
            return frozenset()
        with contextlib.suppress(*_ODD):
            return elf.libraries(self.fd, self.elf)
        return frozenset()

    @functools.cached_property
    def go(self) -> Functions | None:
        """The functions of a Go program; None where it is none."""
        if self.file is None or self.fd == _NOT_THERE:
            return None
        with contextlib.suppress(*_ODD):
            table = elf.go_functions(self.fd)
            return Functions(self.file, table) if table[2] else None
        return None

    @property
    def build_id(self) -> str:
        """Its build-id, in hexadecimal digits; empty where there is none."""
        return "" if self.elf is None else self.elf.build_id

    @property
    def changed(self) -> bool:
        """Whether the file is not what it was when it was read."""
        return self.fd != _NOT_THERE and _identity(self.fd) != self.identity

    def close(self) -> None:
        """Let the file go."""
        if self.fd != _NOT_THERE:
            os.close(self.fd)
            self.fd = _NOT_THERE


def _identity(fd: int) -> tuple[int, ...]:
    status = os.fstat(fd)
    return status.st_ino, status.st_size, status.st_mtime_ns


class Modules:
    """All modules of a recording.

    Parameters
    ----------
    note : callable
        Called with each new `Module`.
    own_device : callable
        Gives the device of the mount that is served, as lists of mappings write it; nothing before there is one.
    open_beneath : callable
        Opens a file below the served directory by the path that processes have, beneath the mount.
    native : Unwinding or None
        The compiled code, which reads unwind tables.
    in_use : callable
        Tells whether somebody reads files at this moment without the caller's lock.

    Attributes
    ----------
    leave : callable
        Called with each module that is closed before the end: no stack may be walked by it any more.
    """

    def __init__(
        self,
        note: Callable[[Module], None],
        own_device: Callable[[], bytes] = lambda: b"",
        open_beneath: Callable[[bytes], int] | None = None,
        native: Unwinding | None = None,
        in_use: Callable[[], bool] = lambda: False,
    ) -> None:
        self._note = note
        self._in_use = in_use
        self._most, self._most_retired = as_room_allows(_KEPT), as_room_allows(_RETIRED)
        self.leave: Callable[[Module], object] = lambda _module: None
        self._own_device = own_device
        self._own = b""
        self._open_beneath = open_beneath
        self._native = native
        self._known: dict[Place, Module] = {}
        self._retired: deque[Module] = deque()
        self._next = 0
        self._local: dict[bytes, bool] = {}
        self._opener: _Opener | None = None

    def prepare(self) -> None:
        """Learn which devices are disks of this machine, before anybody asks."""
        self._local.update(dict.fromkeys(local_devices(), True))

    def mounted(self) -> bytes:
        """Learn which device the mount is, which is asked for as long as there is none; give it."""
        self._own = self._own_device()
        return self._own

    def of(self, place: Place, tid: int, begin: int, end: int) -> Module:
        """Give the module that is mapped from a place, by a thread's process, to [begin, end)."""
        known = self._known.get(place)
        if known is not None:
            if not known.changed:
                return known
            self._retire(known)
        elif len(self._known) >= self._most:
            self._retire(self._known.pop(next(iter(self._known))))
        fd = self._opened(place, tid, begin, end)
        module = Module(self._next, place.path, _NOT_THERE if fd is None else fd, self._native)
        if fd is not None:
            self._known[place] = module
        self._next += 1
        self._note(module)
        return module

    def _retire(self, module: Module) -> None:
        """Close a file later: stacks of programs that run are still walked by its descriptor, whose number would be another file's."""
        self._retired.append(module)
        while len(self._retired) > self._most_retired and not self._in_use():
            left = self._retired.popleft()
            self.leave(left)
            left.close()

    def of_source(self, path: bytes) -> Module:
        """Give the module that a source file of an interpreter is; it has no code of the machine."""
        place = Place(b"", 0, path)
        module = self._known.get(place)
        if module is None:
            module = self._known[place] = Module(self._next, path, _NOT_THERE)
            self._next += 1
            self._note(module)
        return module

    def _opened(self, place: Place, tid: int, begin: int, end: int) -> int | None:
        """Open a file; give the descriptor, -1 where it cannot be opened, None where that takes too long now."""
        if place.device == (self._own or self.mounted()):
            return self._beneath(place)
        if self.is_local(place.device):
            return _open(place, tid, begin, end)
        if self._opener is None:
            self._opener = _Opener()
        return self._opener.open(lambda: _open(place, tid, begin, end))

    def is_local(self, device: bytes) -> bool:
        """Tell whether a device is a disk of this machine, whose files open without a wait for anybody."""
        known = self._local.get(device)
        if known is None:
            known = self._local[device] = device in local_devices()
        return known

    def _beneath(self, place: Place) -> int:
        if self._open_beneath is None:
            return _NOT_THERE
        try:
            return _required(self._open_beneath(place.path), place.inode)
        except OSError:
            return _NOT_THERE

    def close(self) -> None:
        """Let all files go."""
        for module in (*self._known.values(), *self._retired):
            module.close()
        self._known.clear()
        self._retired.clear()
        if self._opener is not None:
            self._opener.end()
            self._opener = None


def _open(place: Place, tid: int, begin: int, end: int) -> int:
    for way in (
        functools.partial(open_mapped, tid, begin, end),
        functools.partial(open_within, tid, place.path.removesuffix(_DELETED)),
    ):
        with contextlib.suppress(OSError, ValueError):
            return _required(way(), place.inode)
    return _NOT_THERE


def _required(fd: int, inode: int) -> int:
    """Give a descriptor back if it is the file that is meant."""
    status = os.fstat(fd)
    if status.st_ino == inode and stat.S_ISREG(status.st_mode):
        return fd
    os.close(fd)
    raise FileNotFoundError


class _Opener(threading.Thread):
    """Opens files one after the other."""

    def __init__(self) -> None:
        super().__init__(name="fmrw-modules", daemon=True)
        self._wanted: queue.SimpleQueue[_Wanted | None] = queue.SimpleQueue()
        self._late: _Wanted | None = None
        self.start()

    def run(self) -> None:
        """Open what is wanted until there is no more."""
        while (wanted := self._wanted.get()) is not None:
            wanted.open()

    def open(self, action: Callable[[], int]) -> int | None:
        """Open a file; None where that takes too long, or the one before does."""
        if self._late is not None and not self._late.done.is_set():
            return None
        wanted = _Wanted(action)
        self._wanted.put(wanted)
        if wanted.done.wait(_LIMIT_S):
            return wanted.found
        self._late = wanted
        return wanted.leave()

    def end(self) -> None:
        """End the thread."""
        self._wanted.put(None)


class _Wanted:
    """A file to be opened, unless nobody waits for it any more."""

    def __init__(self, action: Callable[[], int]) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._left = False
        self.done = threading.Event()
        self.found = _NOT_THERE

    def open(self) -> None:
        """Open it."""
        fd = self._action()
        with self._lock:
            self.found = fd
            if self._left and fd != _NOT_THERE:
                os.close(fd)
            self.done.set()

    def leave(self) -> int | None:
        """Wait no longer; give it if it has just come."""
        with self._lock:
            if self.done.is_set():
                return self.found
            self._left = True
        return None
