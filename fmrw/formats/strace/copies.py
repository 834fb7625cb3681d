"""Calls that move more than one range: copies within the kernel, clones of extents, batches of asynchronous transfers.

Each copy is a read of its source and a write of its target. So is a clone (`ioctl` FICLONE and FICLONERANGE, what `cp` does on XFS and
btrfs), though no byte is moved: the target has the source's bytes from then on, and its size. Asynchronous transfers (`io_submit`) have their rows
when they are submitted, of as many bytes as they ask for, up to the end of the file where that is known; what came of each
stands elsewhere in the log, if at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fmrw.formats.strace.line import lengths, number
from fmrw.formats.strace.rows import Recorder

if TYPE_CHECKING:
    from fmrw.formats.strace.line import Call
    from fmrw.formats.strace.state import OpenFile, Task

_NOTED = r"(-?\d+(?:<(?:[^<>]|<[^<>]*>)*>(?:\(deleted\))?)?)"
_RANGE = re.compile(
    rf"\{{src_fd={_NOTED}, src_offset=(\d+), src_length=(\d+), dest_offset=(\d+)\}}$", re.DOTALL
)
_SUBMITTED = re.compile(
    rf"aio_lio_opcode=(?:IOCB_CMD_)?(\w+)(?:, aio_\w+=[^,<]+)*?, aio_fildes={_NOTED}, aio_buf="
    r"""(?:"(?:[^"\\]|\\.)*"(?:\.\.\.)?|(\[.*?\])|\w+)(?:, aio_nbytes=(\d+))?, aio_offset=(-?\d+)""",
    re.DOTALL,
)
_READS, _WRITES = {"PREAD", "PREADV"}, {"PWRITE", "PWRITEV"}


class Copies(Recorder):
    """Replays these calls.

    Attributes
    ----------
    has_rings : bool
        Somebody used io_uring.
    is_raw : bool
        The log has numbers for flags.
    """

    has_rings = False
    is_raw = False

    def sendfile(self, task: Task, call: Call) -> None:
        """Copy; the target comes first."""
        target, source, position, count = call.arguments[:4]
        self._take(task, call, (source, position, count))
        self._put(task, call, (target, "NULL", count))

    def copy(self, task: Task, call: Call) -> None:
        """Copy; the source comes first."""
        source, source_position, target, target_position, count = call.arguments[:5]
        self._take(task, call, (source, source_position, count))
        self._put(task, call, (target, target_position, count))

    def clone(self, task: Task, call: Call) -> None:
        """Let a range of the target be what a range of the source is; a length of 0 means up to the end."""
        target, what, rest = call.arguments[0], call.arguments[1], ", ".join(call.arguments[2:])
        ranged = _RANGE.match(rest)
        if what.endswith("FICLONE"):
            source, begin, length, place = rest, 0, 0, 0
        elif ranged is not None:
            source, begin, length, place = ranged[1], *map(number, ranged.groups()[1:])
        else:
            return
        one, other = self._opened(task, source), self._opened(task, target)
        size = one.file.size if one is not None else 0
        length = length or max(size - begin, 0)
        if one is not None:
            self._read(one, begin, length, length)
        if other is not None and length:
            self._write(other, place, length, length)

    def submit(self, task: Task, call: Call) -> None:
        """Read and write what was submitted: the first of them, as many as the kernel took."""
        for one in list(_SUBMITTED.finditer(", ".join(call.arguments[2:])))[: call.result or 0]:
            opened = self._opened(task, one[2])
            count = lengths(one[3]) if one[3] else number(one[4] or "0")
            if opened is not None:
                self._submitted(opened, one[1], count, number(one[5]))

    def _submitted(self, opened: OpenFile, what: str, count: int, place: int) -> None:
        if what in _READS:
            file = opened.file
            moved = min(count, max(file.size - place, 0)) if file.is_known else count
            self._read(opened, place, moved, count)
        elif what in _WRITES:
            self._write(opened, self._end(opened.file) if opened.append else place, count, count)

    def _take(self, task: Task, call: Call, end: tuple[str, str, str]) -> None:
        opened, moved = self._opened(task, end[0]), call.result or 0
        if opened is None:
            return
        own = end[1] == "NULL"
        self._read(opened, opened.offset if own else number(end[1]), moved, number(end[2]))
        opened.offset += moved if own else 0

    def _put(self, task: Task, call: Call, end: tuple[str, str, str]) -> None:
        opened, moved = self._opened(task, end[0]), call.result or 0
        if opened is None or not moved:
            return
        own = end[1] == "NULL"
        start = self._end(opened.file) if opened.append else opened.offset if own else number(end[1])
        self._write(opened, start, moved, number(end[2]))
        opened.offset = start + moved if own else opened.offset
