"""What a call in progress describes in its caller's memory: vectors of buffers, control blocks of libaio, requests of io_uring.

Only for a request that a program made itself, and whose system call is one of these: while a page fault is answered the caller may
hold the lock of its address space, and looking there would wait for the lock, and the lock for us.
Everything here is read from somebody else's memory, which may change meanwhile and say anything: what makes no sense gives None.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.system.proc import mappings_of, read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.capture.recorder.syscalls import Call

_MOST_BUFFERS = 1024  # IOV_MAX
_MOST_BLOCKS = 1024  # control blocks of one io_submit that are looked at
_MOST_RING = 1 << 20  # bytes of a ring's requests: 16,384 of 64 bytes
_BLOCK = struct.Struct("=16xH6xQQq")
"""Of `struct iocb` (include/uapi/linux/aio_abi.h): operation, buffer, bytes or buffers, offset."""
_REQUEST = 64  # bytes of `struct io_uring_sqe` (include/uapi/linux/io_uring.h)
_OFFSET_AT = 8
_TELLS = struct.Struct("=B15xQI")
"""Of the same: operation, buffer, bytes or buffers."""
_HERE = (1 << 64) - 1  # the offset of a request that goes on where the last one ended
_PREAD, _PWRITE, _PREADV, _PWRITEV = 0, 1, 7, 8  # IOCB_CMD_*
_READV, _WRITEV, _READ_FIXED, _WRITE_FIXED, _READ, _WRITE = 1, 2, 4, 5, 22, 23  # IORING_OP_*
_MAPPED = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) \S+ 10000000 \S+ \S+ +anon_inode:\[io_uring\]$", re.MULTILINE
)
"""A mapping of a ring's requests, IORING_OFF_SQES, in `/proc/<pid>/maps`."""


class Wanted(NamedTuple):
    """How many bytes a call asks for, and whether it has several buffers."""

    amount: int
    several: bool


def vector(tid: int, address: int, count: int, *, narrow: bool) -> Wanted | None:
    """Add up the lengths of an array of `struct iovec`."""
    if count > _MOST_BUFFERS:
        return None
    form = struct.Struct("=II" if narrow else "=QQ")
    data = read_at(tid, address, form.size * count)
    lengths = [length for _base, length in form.iter_unpack(data[: len(data) // form.size * form.size])]
    return Wanted(sum(lengths), count > 1) if len(lengths) == count else None


def submitted(tid: int, call: Call, start: int, *, writes: bool, after: int) -> tuple[Wanted, int] | None:
    """Find the control block that a request at an offset belongs to.

    Parameters
    ----------
    call : Call
        io_submit(2): a context, how many blocks, an array of pointers to them.
    start : int
        Offset of the request.
    after : int
        Position of the block that was found before for the same call, or -1: they are served in order.

    Returns
    -------
    tuple
        What the block wants, and its position.
    """
    width = struct.Struct("=I" if call.narrow else "=Q")
    count = min(call.arguments[1], _MOST_BLOCKS)
    data = read_at(tid, call.arguments[2], width.size * count)
    pointers = [pointer for (pointer,) in width.iter_unpack(data[: len(data) // width.size * width.size])]
    positions = range(len(pointers))
    for position in (*positions[after + 1 :], *positions[: after + 1]):
        block = read_at(tid, pointers[position], _BLOCK.size)
        wanted = _asked(tid, block, start, writes=writes, narrow=call.narrow)
        if wanted is not None:
            return wanted, position
    return None


def _asked(tid: int, block: bytes, start: int, *, writes: bool, narrow: bool) -> Wanted | None:
    """Give what a control block wants; None where it is another operation or offset."""
    if len(block) < _BLOCK.size:
        return None
    plain, vectored = (_PWRITE, _PWRITEV) if writes else (_PREAD, _PREADV)
    operation, buffer, amount, offset = _BLOCK.unpack(block)
    if offset == start and operation == plain:
        return Wanted(amount, several=False)
    if offset == start and operation == vectored:
        return vector(tid, buffer, amount, narrow=narrow)
    return None


def queued(tid: int, start: int, size: int, *, writes: bool, narrow: bool) -> Wanted | None:
    """Find what a request of io_uring at an offset asks for, in the rings of the process; None where that is not clear.

    A ring keeps what was asked until its place is used again. So several places may name the offset; they must agree.
    """
    found: set[Wanted] = set()
    here: set[Wanted] = set()
    for ring in _rings(tid):
        found.update(_matching(tid, ring, start, size, writes=writes, narrow=narrow))
        here.update(_matching(tid, ring, _HERE, size, writes=writes, narrow=narrow))
    likely = found or here
    return likely.pop() if len(likely) == 1 else None


def _rings(tid: int) -> Iterator[bytes]:
    for low, high in _MAPPED.findall(mappings_of(tid)):
        address = int(low, 16)
        yield read_at(tid, address, min(int(high, 16) - address, _MOST_RING))


def _matching(
    tid: int, ring: bytes, offset: int, size: int, *, writes: bool, narrow: bool
) -> Iterator[Wanted]:
    """Give what the requests of a ring want that begin at an offset and are no smaller than a piece of them."""
    plain, vectored = ((_WRITE, _WRITE_FIXED), _WRITEV) if writes else ((_READ, _READ_FIXED), _READV)
    sought = struct.pack("=Q", offset)
    for at in range(0, len(ring) - _REQUEST + 1, _REQUEST):
        if ring[at + _OFFSET_AT : at + _OFFSET_AT + 8] != sought:
            continue
        operation, buffer, amount = _TELLS.unpack_from(ring, at)
        wanted = Wanted(amount, several=False) if operation in plain else None
        if operation == vectored:
            wanted = vector(tid, buffer, amount, narrow=narrow)
        if wanted is not None and wanted.amount >= size:
            yield wanted
