"""Receiving: where a thread of a mount waits for requests, and the memory that `receiving.c` has for each.

The kernel copies requests and answers page by page, and takes two steps for a page of ours that straddles two of its own. So both
lie in memory such that their data, behind the header, begins with a page: a fifth less time for 128 KiB.
"""

from __future__ import annotations

import ctypes
import mmap
from ctypes import addressof, c_char, c_int64, c_void_p
from typing import NamedTuple

_ANSWER = 16  # bytes of struct fuse_out_header


def aligned(size: int, head: int) -> memoryview:
    """Give memory of which a page begins behind the first `head` bytes."""
    before = mmap.PAGESIZE - head
    return memoryview(mmap.mmap(-1, before + size))[before:]


class Receiver(NamedTuple):
    """Where a thread receives requests, and what libfuse processes them with.

    Attributes
    ----------
    connection : int
        The descriptor that requests are read from, and answers written to.
    request : memoryview
        Where they are put.
    process, session, channel : int
        Addresses of `fuse_session_process` and what it is called with.
    """

    connection: int
    request: memoryview
    process: int
    session: int
    channel: int


class Receiving(ctypes.Structure):
    """`struct receiving`, of one thread.

    Parameters
    ----------
    where : Receiver
    largest : int
        Bytes of data of a read that is answered here, at most.
    """

    _fields_ = (
        ("state", c_void_p), ("names", c_void_p), ("request", c_void_p), ("room", c_void_p), ("connection", c_int64),
        ("request_size", c_int64), ("room_size", c_int64), ("process", c_void_p), ("session", c_void_p), ("channel", c_void_p),
    )  # fmt: skip

    def __init__(self, where: Receiver, largest: int) -> None:
        room = aligned(_ANSWER + largest, _ANSWER)
        self._held = tuple(c_char.from_buffer(memory) for memory in (where.request, room))
        request_at, room_at = map(addressof, self._held)
        super().__init__(
            request=request_at, room=room_at, connection=where.connection, request_size=len(where.request), room_size=len(room),
            process=where.process, session=where.session, channel=where.channel,
        )  # fmt: skip
