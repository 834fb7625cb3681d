"""io_uring as a program uses it: one request at a time, through a ring of eight places (io_uring_setup(2), io_uring_enter(2)).

fmrw tries with it what the kernel does (`fmrw.capture.system.trial`), and its tests what programs get.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from ctypes import c_long
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

READ, WRITE = 22, 23  # IORING_OP_ (include/uapi/linux/io_uring.h)
CURRENT = 2**64 - 1
"""The offset that means the file's own position."""
SQPOLL = 2
_SETUP, _ENTER = 425, 426
_PLACES = 8
_BY_WORKER = 1 << 4  # IOSQE_ASYNC
_WAIT, _WAKE = 1, 2  # IORING_ENTER_GETEVENTS, IORING_ENTER_SQ_WAKEUP
_SUBMISSIONS, _COMPLETIONS, _ENTRIES = 0, 0x8000000, 0x10000000  # IORING_OFF_
_ENTRY = struct.Struct("<BBHiQQIIQ24x")
_COMPLETION = struct.Struct("<QiI")
_ROOM = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = c_long


def _call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    words = [c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _libc.syscall(c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class Ring:
    """A ring, closed on leaving.

    Parameters
    ----------
    flags : int
        `SQPOLL`: a thread of the kernel takes the requests.

    Raises
    ------
    OSError
        ENOSYS, EPERM: there is no io_uring for this process.
    """

    def __init__(self, flags: int = 0) -> None:
        parameters = ctypes.create_string_buffer(struct.pack("<4xI", 0) + struct.pack("<I", flags), 120)
        self.fd = _call(_SETUP, _PLACES, parameters)
        self._sq = struct.unpack_from(
            "<7I", parameters.raw, 40
        )  # head, tail, mask, entries, flags, dropped, array
        self._cq = struct.unpack_from(
            "<6I", parameters.raw, 80
        )  # head, tail, mask, entries, overflow, entries' place
        self._submissions = self._map(self._sq[6] + 4 * _PLACES, _SUBMISSIONS)
        self._completions = self._map(self._cq[5] + 2 * _PLACES * _COMPLETION.size, _COMPLETIONS)
        self._entries = self._map(_PLACES * 64, _ENTRIES)
        self._room = mmap.mmap(-1, _ROOM)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._room))
        self._done = 0

    def _map(self, size: int, offset: int) -> mmap.mmap:
        return mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)

    def read(self, fd: int, size: int, offset: int = CURRENT, *, worker: bool = False) -> bytes:
        """Read at most `size` bytes; with `worker`, by a thread of io_uring's own."""
        done = self._submit(READ, fd, size, offset, worker=worker)
        return self._room[:done]

    def write(self, fd: int, data: bytes, offset: int = CURRENT, *, worker: bool = False) -> int:
        """Write, and give the number of bytes written."""
        self._room[: len(data)] = data
        return self._submit(WRITE, fd, len(data), offset, worker=worker)

    def _submit(self, operation: int, fd: int, size: int, offset: int, *, worker: bool) -> int:
        place = self._done % _PLACES
        flags = _BY_WORKER if worker else 0
        _ENTRY.pack_into(
            self._entries, 64 * place, operation, flags, 0, fd, offset, self._address, size, 0, self._done
        )
        struct.pack_into("<I", self._submissions, self._sq[6] + 4 * place, place)
        struct.pack_into("<I", self._submissions, self._sq[1], self._done + 1)
        _call(_ENTER, self.fd, 1, 1, _WAIT | _WAKE, None, 0)
        at = self._done % (2 * _PLACES)
        _tag, result, _flags = _COMPLETION.unpack_from(self._completions, self._cq[5] + at * _COMPLETION.size)
        self._done += 1
        struct.pack_into("<I", self._completions, self._cq[0], self._done)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return int(result)

    def __enter__(self) -> Self:
        """Give the ring."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, with the mappings, each of which keeps a descriptor of it."""
        for mapping in (self._submissions, self._completions, self._entries):
            mapping.close()
        os.close(self.fd)
