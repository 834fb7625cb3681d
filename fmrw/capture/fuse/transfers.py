"""Transfers: reads and writes answered without libfuse. The request as the kernel wrote it in, the answer as the kernel reads it out.

Most requests move data, and libfuse does for them what nobody here asks for: it builds the path, allocates and frees the
buffer of every read (above 128 KiB with fresh pages from the kernel), takes locks for interrupts that are switched off, and calls
back into Python with C arguments. Here the data goes from the file into the very bytes that are sent. What has a name is
left to libfuse.

Both ways the kernel copies page by page, and takes two steps for a page of ours that straddles two of its own. So requests
and answers lie in memory such that their data, behind the header, begins with a page: a fifth less time for 128 KiB.

Each thread of `fmrw.capture.fuse.loop` has its own `Transfers`. The layouts are those of protocol 7.19, which libfuse 2.9 speaks
(include/uapi/linux/fuse.h); they have not changed since 7.9.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.native.pairs import RING
from fmrw.capture.native.receiving import aligned

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.capture.fuse.gate import Gate
    from fmrw.capture.native.metadata import Metadata
    from fmrw.capture.native.receiving import Receiver

READ, WRITE = 15, 16
_REQUEST = Struct("=QQIIIIQQIIQ")
"""`struct fuse_in_header` from `unique` on, then what `fuse_read_in` and `fuse_write_in` have in common: handle, offset, size,
flags, owner of locks."""
_REQUEST_AT = 8
DATA_AT = 80  # behind the header and `struct fuse_write_in`
_FROM_CACHE = 1  # FUSE_WRITE_CACHE
_ANSWER = Struct("=IiQ")  # struct fuse_out_header
_WRITTEN = Struct("=IiQII")  # the same and `struct fuse_write_out`
_KEPT = 8  # rooms that are kept for the next reads


class Limits(NamedTuple):
    """Bytes of data that a request of the kernel carries at most."""

    read: int
    write: int


PLAIN = Limits(32 * mmap.PAGESIZE, 1 << 17)
"""What libfuse 2 agrees on."""


class Rooms:
    """Memory for answers, shared by all threads: the one used last is in the CPU's caches still."""

    def __init__(self, largest: int) -> None:
        self._size = _ANSWER.size + largest
        self._kept: deque[memoryview] = deque(maxlen=_KEPT)  # one too many lets the oldest go
        self.give_back = self._kept.append

    def take(self, size: int) -> memoryview:
        """Give a room for `size` bytes behind the header."""
        try:
            room = self._kept.pop()
        except IndexError:
            room = aligned(self._size, _ANSWER.size)
        return room if len(room) >= _ANSWER.size + size else aligned(_ANSWER.size + size, _ANSWER.size)


class Transfers:
    """Answer the reads and writes that one thread receives.

    Parameters
    ----------
    operations
        An object with the methods of `fmrw.capture.mirror.passthrough.Passthrough`; `read` and `write` are called with (handle, buffer,
        size, offset, whether a program asks and not the page cache) and give the number of bytes moved.
    gate : Gate
        Which every operation passes.
    request : memoryview
        Where the thread receives requests.
    connection : int
        The descriptor that is answered on.
    rooms : Rooms
        Where answers to reads are put together.
    """

    def __init__(
        self,
        operations: Any,  # noqa: ANN401 - as above
        gate: Gate,
        request: memoryview,
        connection: int,
        rooms: Rooms,
    ) -> None:
        self._context = operations.caller.context
        self._read = operations.read
        self._write = operations.write
        self._fault = operations.fault
        self._free = gate.free
        self._gate = gate
        self._request = request
        self._data = request[DATA_AT:]
        self._connection = connection
        self._rooms = rooms
        self._refused = bytearray(_ANSWER.size)
        self.answers: dict[int, Callable[[], None]] = {READ: self.read, WRITE: self.write}
        self._operations = operations

    def receiver(self, metadata: Metadata, where: Receiver) -> Callable[[], int]:
        """Give a function that waits, in compiled code, for a request that Python is to answer; its length, or 0 when the mount is gone."""
        receive = metadata.receiver(
            where, self._operations.limits.read, getattr(self._operations, "native", None)
        )
        finish = self.finish

        def wait() -> int:
            while (said := receive()) < 0:
                finish(-said)
            return said

        return wait

    def finish(self, code: int) -> None:
        """Do what is left of a request that the compiled code has answered, or has left unanswered after writing."""
        if code == RING:
            self._operations.rung()
        else:
            self._after(code >> 2)

    def _after(self, done: int) -> None:
        """Finish and answer a write that is done."""
        try:
            context = self._context
            (
                unique, _node, context.uid, context.gid, context.pid, _pad, handle, offset, size, _flags, _owner,
            ) = _REQUEST.unpack_from(self._request, _REQUEST_AT)  # fmt: skip
            self._operations.note_written(handle, size, offset, done)
            answer: bytes | bytearray = _WRITTEN.pack(_WRITTEN.size, 0, unique, done, 0)
        except BaseException as error:  # noqa: BLE001 - as in `read`
            answer = self._refusal("write", error)
        self._send(answer)

    def read(self) -> None:
        """Answer `FUSE_READ`."""
        self._gate.enter()
        try:
            context = self._context
            (
                unique, _node, context.uid, context.gid, context.pid, _pad, handle, offset, size, _flags, owner,
            ) = _REQUEST.unpack_from(self._request, _REQUEST_AT)  # fmt: skip
            room = self._rooms.take(size)
            done = self._read(handle, room[_ANSWER.size :], size, offset, owner != 0)
            length = _ANSWER.size + done
            _ANSWER.pack_into(room, 0, length, 0, unique)
            answer: memoryview | bytearray = room[:length]
        except BaseException as error:  # noqa: BLE001 - who asked must not wait for ever
            room, answer = None, self._refusal("read", error)
        self._free.append(None)  # before the answer is sent, see `Gate`
        self._send(answer)
        if room is not None:
            self._rooms.give_back(room)

    def write(self) -> None:
        """Answer `FUSE_WRITE`."""
        self._gate.enter()
        try:
            context = self._context
            (
                unique, _node, context.uid, context.gid, context.pid, _pad, handle, offset, size, flags, _owner,
            ) = _REQUEST.unpack_from(self._request, _REQUEST_AT)  # fmt: skip
            done = self._write(handle, self._data, size, offset, not flags & _FROM_CACHE)
            answer: bytes | bytearray = _WRITTEN.pack(_WRITTEN.size, 0, unique, done, 0)
        except BaseException as error:  # noqa: BLE001 - as in `read`
            answer = self._refusal("write", error)
        self._free.append(None)
        self._send(answer)

    def _refusal(self, operation: str, error: BaseException) -> bytearray:
        """Make the answer to what failed, in memory that is there already; note what no file system says."""
        code = errno.EIO
        if isinstance(error, OSError):
            code = error.errno or errno.EIO
        else:
            with contextlib.suppress(BaseException):  # memory may be short for taking note, too
                self._fault(operation, error)
        unique = _REQUEST.unpack_from(self._request, _REQUEST_AT)[0]
        _ANSWER.pack_into(self._refused, 0, _ANSWER.size, -code, unique)
        return self._refused

    def _send(self, answer: bytes | bytearray | memoryview) -> None:
        try:  # noqa: SIM105 - every read and write passes here
            os.write(self._connection, answer)
        except OSError:  # who asked was killed meanwhile, or the connection is gone
            pass
