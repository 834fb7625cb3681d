"""Mirror of the slots: `/0`, `/1`, … each show the same directory, read-only, with the bytes altered that the slot's memory names.

A slot's files have nodes of their own in the kernel, so a page cache of their own. Who calls is not looked up.

What is plain is answered in C where the package was built with a compiler (`fmrw.experiments.native`); what is written here says how.
"""

# ruff: noqa: D102, ARG002, FBT001 - one method per operation of fuse(4)
from __future__ import annotations

import errno
import mmap
import os
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from fmrw.capture.fuse.adapter import Stat
from fmrw.capture.fuse.transfers import PLAIN
from fmrw.capture.mirror.passthrough import Passthrough
from fmrw.capture.recorder.calls import Calls
from fmrw.capture.system.libc import pread_into, stat_beneath
from fmrw.experiments import shared
from fmrw.experiments.native import NativeSlots
from fmrw.experiments.patches import Table
from fmrw.experiments.shared import NO_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.capture.mirror.dirfds import Place
    from fmrw.experiments.shared import Slot

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_TRUNC


class SlotState:
    """What the mount knows of a slot's present run."""

    def __init__(self, memory: Slot, number: int, native: NativeSlots | None) -> None:
        self._memory = memory
        self._number = number
        self._native = native
        self.place = memory.place(0)
        self.lock = threading.Lock()
        self.generation = -1
        self.table = Table()
        self.target = (0, 0)
        self.cut = -1
        self.files: dict[bytes, int] = {}

    def renew(self) -> int:
        """Look whether another run has begun; give its number."""
        generation = self._memory.present
        if generation != self.generation:
            with self.lock:
                self.place = self._memory.place(generation)
                head = self.place.head
                self.table = Table(self.place.patches())
                self.target = head[shared.DEVICE], head[shared.INODE]
                self.cut = head[shared.CUT]
                self.files = {}
                self.generation = generation
        return generation

    def record(
        self,
        generation: int,
        path: bytes | None,
        *,
        start: int,
        size: int,
        length: int,
        requested: int,
        handle: int,
        file: int,
        tid: int,
        errno: int,
        op: int,
        flags: int,
    ) -> int:  # fmt: skip
        """Add a record if the run is still the present one, with the number of a path if one is given; give that number."""
        fields = (time.monotonic_ns(), start, size, length, requested, handle, file, tid, errno, op, flags)
        if self._native is not None:
            return self._native.record(self._number, generation, path, fields)
        with self.lock:
            if generation == self._memory.present:
                if path is not None:
                    file = self._file(path)
                self.place.add_record(*fields[:6], file, *fields[7:])
        return file

    def count(self, what: int) -> None:
        """Count a fault or a refusal in the present run."""
        self._memory.place(self._memory.present).head[what] += 1

    def _file(self, path: bytes) -> int:
        """Give the number of a path in this run; under the lock."""
        found = self.files.get(path)
        if found is None:
            found = len(self.files) if self.place.add_name(path) else NO_NAME
            if found != NO_NAME:
                self.files[path] = found
        return found


class Opened:
    """An open file: whose run it belongs to, and what is altered in it."""

    __slots__ = ("cut", "fd", "file", "generation", "number", "slot", "table")

    def __init__(self, fd: int, number: int, slot: SlotState, generation: int, *, altered: bool) -> None:
        self.fd = fd
        self.number = number & 0xFFFFFFFF
        self.slot = slot
        self.generation = generation
        self.table = slot.table if altered and slot.table else None
        self.cut = slot.cut if altered else -1
        self.file = NO_NAME


class Slots(Passthrough):
    """Mirror a directory once per slot.

    Parameters
    ----------
    root : int
        Descriptor of the directory.
    slots : sequence of Slot
        Their memory; slot 2 is called `/2`.
    """

    def __init__(self, root: int, slots: Sequence[Slot], *, grain: int = 0) -> None:
        super().__init__(root, grain=grain)
        self.metadata = native = NativeSlots.load(root, slots, grain=grain)
        self._states = [SlotState(slot, number, native) for number, slot in enumerate(slots)]
        self._slots = {b"%d" % number: state for number, state in enumerate(self._states)}
        self._opened: dict[int, Opened] = {}
        self._callers = Calls()
        self.limits = PLAIN

    def _split(self, path: bytes) -> tuple[SlotState | None, bytes]:
        """Give the slot of a path, and the path in the directory."""
        name, _, rest = path[1:].partition(b"/")
        return self._slots.get(name), b"/" + rest

    def place(self, path: bytes) -> Place:
        return super().place(self._split(path)[1])

    def getattr(self, path: bytes, buffer: int) -> None:
        slot, rest = self._split(path)
        if slot is None and path != b"/":
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        stat_beneath(self.root, rest[1:], buffer)
        self._seem(slot, buffer)

    def fgetattr(self, fh: int, buffer: int) -> None:
        opened = self._opened[fh]
        super().fgetattr(fh, buffer)
        if opened.cut >= 0:
            Stat.from_address(buffer).st_size = opened.cut

    def _seem(self, slot: SlotState | None, buffer: int) -> None:
        """Say what differs from the file beneath."""
        if slot is not None:
            slot.renew()
            if slot.cut >= 0:
                status = Stat.from_address(buffer)
                if (status.st_dev, status.st_ino) == slot.target:
                    status.st_size = slot.cut
        self._adapt(buffer)

    # Files

    def listing(self, _fh: int) -> None:
        """Leave every listing to `readdir`: what is compiled for slots answers for files only."""

    def open(self, path: bytes, flags: int) -> tuple[int, bool]:  # type: ignore[override]  # with the direct-I/O bit
        slot, rest = self._split(path)
        if slot is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        generation = slot.renew()
        if flags & _WRITES:
            self._refuse_in(slot)
        try:  # so that thousands of runs leave no trace on the file; its owner's right
            number = super().open(path, flags | os.O_NOATIME)
        except PermissionError:
            number = super().open(path, flags & ~os.O_NOATIME)  # which an overlay asks for
        handle = self.handles[number]
        altered = handle.identity == slot.target
        opened = self._opened[number] = Opened(handle.fd, number, slot, generation, altered=altered)
        size = os.lseek(opened.fd, 0, os.SEEK_END)
        opened.file = slot.record(
            generation, rest[1:], start=0, size=size, length=0, requested=0, handle=opened.number, file=NO_NAME, tid=self.caller.context.pid,
            errno=0, op=shared.OPEN, flags=0,
        )  # fmt: skip
        return number, True

    def _opened_at(self, fh: int) -> Opened:
        """Give an open file, by whom it was opened ever."""
        beneath = self.metadata.opened(fh) if self.metadata is not None else None
        if beneath is None:
            return self._opened[fh]
        slot = self._states[beneath.slot]
        altered = slot.renew() == beneath.generation and bool(beneath.altered)
        opened = Opened(beneath.fd, beneath.number, slot, beneath.generation, altered=altered)
        opened.cut, opened.file = beneath.cut, beneath.file
        if opened.table is not None and self.metadata is not None:
            for key in opened.table.keys:
                self.metadata.learn(key)
        return opened

    def read(self, fh: int, buffer: memoryview, size: int, offset: int, exact: bool = True) -> int:  # noqa: FBT002
        opened = self._opened_at(fh)
        wanted = size if opened.cut < 0 else max(0, min(size, opened.cut - offset))
        code = 0
        try:
            done = pread_into(opened.fd, buffer, wanted, offset) if wanted else 0
        except OSError as error:
            done, code = 0, error.errno or errno.EIO
            raise
        finally:
            self._record_read(opened, offset, size, done, code, exact=exact)
        if opened.table is not None:
            opened.table.apply(buffer, offset, done)
        return done

    def _record_read(
        self, opened: Opened, offset: int, size: int, done: int, code: int, *, exact: bool
    ) -> None:
        slot = opened.slot
        end = os.lseek(opened.fd, 0, os.SEEK_END) if opened.cut < 0 else opened.cut
        if exact and size > self.limits.read - mmap.PAGESIZE:  # perhaps a piece of what is asked for
            wanted = self._callers.wanted(
                self.caller.context.pid, offset, size, writes=False, whole=False
            ).amount
            size = min(max(size, wanted), NO_NAME)
        slot.record(
            opened.generation, None, start=offset, size=end, length=done, requested=size, handle=opened.number, file=opened.file,
            tid=self.caller.context.pid, errno=code, op=shared.READ, flags=0 if exact else shared.PAGE,
        )  # fmt: skip

    def fsync(self, fh: int, datasync: int) -> None:
        """Do nothing: there is nothing that was written."""

    def flush(self, fh: int) -> NoReturn:
        """Say that nobody need ask: there is nothing to flush."""
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def release(self, fh: int) -> None:
        self._opened.pop(fh, None)
        super().release(fh)

    def fault(self, operation: str, error: BaseException) -> None:
        for slot in self._states:
            slot.count(shared.FAULTS)
        super().fault(operation, error)

    # Nothing is written

    def _refuse_in(self, slot: SlotState | None) -> NoReturn:
        if slot is not None:
            slot.count(shared.REFUSED)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def _refuse(self, path: bytes) -> NoReturn:
        self._refuse_in(self._split(path)[0])

    def create(self, path: bytes, flags: int, mode: int) -> NoReturn:
        self._refuse(path)

    def mknod(self, path: bytes, mode: int, device: int) -> NoReturn:
        self._refuse(path)

    def mkdir(self, path: bytes, mode: int) -> NoReturn:
        self._refuse(path)

    def symlink(self, target: bytes, path: bytes) -> NoReturn:
        self._refuse(path)

    def link(self, old: bytes, new: bytes) -> NoReturn:
        self._refuse(new)

    def unlink(self, path: bytes) -> NoReturn:
        self._refuse(path)

    def rmdir(self, path: bytes) -> NoReturn:
        self._refuse(path)

    def rename(self, old: bytes, new: bytes) -> NoReturn:
        self._refuse(old)

    def chmod(self, path: bytes, mode: int) -> NoReturn:
        self._refuse(path)

    def chown(self, path: bytes, uid: int, gid: int) -> NoReturn:
        self._refuse(path)

    def utimens(self, path: bytes, times: int | None) -> NoReturn:
        self._refuse(path)

    def truncate(self, path: bytes, size: int) -> NoReturn:
        self._refuse(path)

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> NoReturn:
        self._refuse(path)

    def removexattr(self, path: bytes, name: bytes) -> NoReturn:
        self._refuse(path)

    def write(self, fh: int, buffer: memoryview, size: int, offset: int, exact: bool = True) -> NoReturn:  # noqa: FBT002
        self._refuse_in(self._opened[fh].slot)

    def ftruncate(self, fh: int, size: int) -> NoReturn:
        self._refuse_in(self._opened[fh].slot)

    def fallocate(self, fh: int, mode: int, offset: int, length: int) -> NoReturn:
        self._refuse_in(self._opened[fh].slot)
