"""Credentials: a worker run by root that lets others in does with their rights what it does for them.

The kernel has checked before it asks, by what the path was then. Beneath the mount somebody may have put another file there
since; done as root, the call would reach it. Done as the caller, the kernel checks again, on what is really touched,
and files that are made belong to the right user and group from the beginning.

Linux keeps credentials per thread; the C library's wrappers change those of all threads, the bare system calls only ours.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from fmrw.capture.system import libc
from fmrw.capture.system.proc import groups_of

if TYPE_CHECKING:
    from types import TracebackType

    from fmrw.capture.fuse.adapter import Caller

_OURSELVES: AbstractContextManager[None] = nullcontext()


class Acting:
    """Change this thread's file-system user, group and supplementary groups; back on leaving."""

    __slots__ = ("_gid", "_groups", "_own", "_uid")

    def __init__(self, uid: int, gid: int, groups: list[int], own: tuple[int, int, list[int]]) -> None:
        self._uid = uid
        self._gid = gid
        self._groups = groups
        self._own = own

    def __enter__(self) -> None:
        """Take on the caller's rights."""
        libc.set_groups(self._groups)
        libc.set_fs_ids(self._uid, self._gid)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take back the worker's own."""
        uid, gid, groups = self._own
        libc.set_fs_ids(uid, gid)
        libc.set_groups(groups)


class Actor:
    """Gives a context in which the calling user's rights count.

    Parameters
    ----------
    caller : Caller
        Who asks this thread.
    switches : bool
        False for a worker that cannot or need not: every context does nothing then.
    """

    def __init__(self, caller: Caller, *, switches: bool) -> None:
        self._caller = caller
        self._switches = switches
        self._own = (os.geteuid(), os.getegid(), os.getgroups())

    def is_another(self) -> bool:
        """Tell whether somebody else's rights count for this request."""
        context = self._caller.context
        return self._switches and (context.uid, context.gid) != self._own[:2]

    def __call__(self) -> AbstractContextManager[None]:
        """Act as the one whose request this thread answers."""
        if not self.is_another():
            return _OURSELVES
        context = self._caller.context
        return Acting(context.uid, context.gid, groups_of(context.pid), self._own)
