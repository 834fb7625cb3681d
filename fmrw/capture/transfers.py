"""Reads and writes answered without libfuse: the request as the kernel wrote it in, the answer as the kernel reads it out.

Most requests move data, and libfuse does for them what nobody here asks for: it builds the path, allocates and frees the
buffer of every read (above 128 KiB with fresh pages from the kernel), takes locks for interrupts that are switched off, and calls
back into Python with C arguments. Here the data goes from the file into the very bytes that are sent. What has a name is
left to libfuse.

Each thread of `fmrw.capture.loop` has its own `Transfers`. The layouts are those of protocol 7.19, which libfuse 2.9 speaks
(include/uapi/linux/fuse.h); they have not changed since 7.9.
"""

from __future__ import annotations

import contextlib
import errno
import os
from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE = 15, 16
_REQUEST = Struct("=QQIIIIQQIIQ")
"""`struct fuse_in_header` from `unique` on, then what `fuse_read_in` and `fuse_write_in` have in common: handle, offset, size,
flags, owner of locks."""
_REQUEST_AT = 8
_DATA_AT = 80  # behind the header and `struct fuse_write_in`
_FROM_CACHE = 1  # FUSE_WRITE_CACHE
_ANSWER = Struct("=IiQ")  # struct fuse_out_header
_WRITTEN = Struct("=IiQII")  # the same and `struct fuse_write_out`
_LARGEST = (
    1 << 17
)  # bytes of a read: 32 pages of 4 KiB; where pages are larger, room is made when it is needed


class Transfers:
    """Answer the reads and writes that one thread receives.

    Parameters
    ----------
    context : Any
        The thread's `fmrw.capture.adapter.Context`; it tells the operations who asks.
    read, write : callable
        Called with (handle, buffer, size, offset, whether a program asks and not the page cache); they give the number of
        bytes moved, or a negative errno, and raise nothing.
    request : memoryview
        Where the thread receives requests.
    connection : int
        The descriptor that is answered on.
    """

    def __init__(
        self,
        context: Any,  # noqa: ANN401 - a ctypes structure
        read: Callable[..., int],
        write: Callable[..., int],
        request: memoryview,
        connection: int,
    ) -> None:
        self._context = context
        self._read = read
        self._write = write
        self._request = request
        self._data = request[_DATA_AT:]
        self._connection = connection
        self._make_room(_LARGEST)
        self.answers: dict[int, Callable[[], None]] = {READ: self.read, WRITE: self.write}

    def _make_room(self, size: int) -> None:
        self._answer = memoryview(bytearray(_ANSWER.size + size))
        self._room = self._answer[_ANSWER.size :]

    def read(self) -> None:
        """Answer `FUSE_READ`."""
        try:
            unique, _node, uid, gid, tid, _pad, handle, offset, size, _flags, owner = self._unpacked()
            context = self._context
            context.uid, context.gid, context.pid = uid, gid, tid
            if size > len(self._room):
                self._make_room(size)
            done = self._read(handle, self._room, size, offset, owner != 0)
            if done < 0:
                self._refuse(-done)
                return
            length = _ANSWER.size + done
            _ANSWER.pack_into(self._answer, 0, length, 0, unique)
            self._send(self._answer[:length])
        except BaseException:  # noqa: BLE001 - no memory: who asked must not wait for ever
            self._refuse(errno.EIO)

    def write(self) -> None:
        """Answer `FUSE_WRITE`."""
        try:
            unique, _node, uid, gid, tid, _pad, handle, offset, size, flags, _owner = self._unpacked()
            context = self._context
            context.uid, context.gid, context.pid = uid, gid, tid
            done = self._write(handle, self._data, size, offset, not flags & _FROM_CACHE)
            if done < 0:
                self._refuse(-done)
                return
            self._send(_WRITTEN.pack(_WRITTEN.size, 0, unique, done, 0))
        except BaseException:  # noqa: BLE001 - as in `read`
            self._refuse(errno.EIO)

    def _unpacked(self) -> tuple[int, ...]:
        return _REQUEST.unpack_from(self._request, _REQUEST_AT)

    def _refuse(self, code: int) -> None:
        with contextlib.suppress(OSError):  # the connection is gone; so is who asked
            self._send(_ANSWER.pack(_ANSWER.size, -code, self._unpacked()[0]))

    def _send(self, answer: bytes | memoryview) -> None:
        try:
            os.write(self._connection, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:  # that: who asked was killed meanwhile
                raise
