"""Metadata: libfuse's callbacks for what a name is, in C where the mirror only asks the kernel (`metadata.c`).

They run inside libfuse, without the interpreter's lock, and call Python's callback for everything that is not plain. A listing of a directory asks
four or five such questions for each file.
"""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import c_char, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any

from fmrw.capture.native.pairs import LARGEST_ROOM, code
from fmrw.capture.native.receiving import Receiving
from fmrw.capture.native.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmrw.capture.native.pairs import Native
    from fmrw.capture.native.receiving import Receiver

_SUFFIXES, _SUFFIX = 4, 32
_LEFT_TO_PYTHON = 1
_LENGTH_AT = object.__basicsize__  # of a list: PyVarObject.ob_size of CPython's stable ABI


class Names(ctypes.Structure):
    """`struct names`."""

    _fields_ = (
        ("getattr", c_void_p), ("getxattr", c_void_p), ("device", c_uint64), ("answered", c_uint64), ("free", c_void_p),
        ("inside", c_int64), ("root", c_int32),
        ("grain", c_int32), ("switches", c_int32), ("uid", c_uint32), ("gid", c_uint32), ("suffixes", c_int32),
        ("suffix_length", c_int32 * _SUFFIXES), ("suffix", c_char * _SUFFIX * _SUFFIXES), ("reports", c_void_p),
    )  # fmt: skip

    def watch(self, free: list[None]) -> None:
        """Look at the length of a list without the interpreter's lock: one entry for each thread that is in no operation of Python's."""
        self.free = id(free) + _LENGTH_AT


def lists_are_known() -> bool:
    """Tell whether a list's length stands where the compiled code looks for it."""
    probe: list[None] = [None] * 3
    length = c_int64.from_address(id(probe) + _LENGTH_AT)
    first = length.value
    probe.append(None)
    return (first, length.value) == (3, 4)


class Metadata:
    """The callbacks of one mount.

    Parameters
    ----------
    library
        The compiled code.
    root : int
        Descriptor of the mirrored directory.
    grain : int
        `st_blksize` of regular files; 0 leaves it.
    switches : bool
        Whether the rights of other callers than the worker's user count.
    suffixes : sequence of bytes
        How names of reports end.
    looks : sequence of int
        Numbers of the calls that only ask what a name is, where reports stand beside their files and all see them who see the files.

    Raises
    ------
    OSError, AttributeError
        The compiled code was made for other structures.
    """

    def __init__(
        self,
        library: Any,  # noqa: ANN401 - of ctypes
        root: int,
        *,
        grain: int,
        switches: bool,
        suffixes: Sequence[bytes],
        looks: Sequence[int] = (),
    ) -> None:
        self._library = library
        library.fmrw_sizes.argtypes, library.fmrw_sizes.restype = (c_int64,), c_int64
        expected = ctypes.sizeof(Names), ctypes.sizeof(Receiving)
        if tuple(library.fmrw_sizes(which) for which in (3, 12)) != expected:
            raise OSError("the compiled code was made for other structures; install the package again")
        self._names = Names(
            device=os.fstat(root).st_dev, root=root, grain=grain, switches=switches, uid=os.geteuid(), gid=os.getegid(),
            suffixes=len(suffixes),
        )  # fmt: skip
        for number, suffix in enumerate(suffixes):
            self._names.suffix_length[number] = len(suffix)
            ctypes.memmove(self._names.suffix[number], suffix, len(suffix))
        self.reports = Reports(library, looks) if suffixes and looks else None
        if self.reports is not None:
            self._names.reports = self.reports.address
        self.address = ctypes.addressof(self._names)
        library.fmrw_list.argtypes = (c_void_p, c_int32, c_uint64, c_uint64, c_int32, c_void_p, c_void_p)
        library.fmrw_list.restype = c_int32

    @classmethod
    def load(
        cls, root: int, *, grain: int, switches: bool, suffixes: Sequence[bytes], looks: Sequence[int] = ()
    ) -> Metadata | None:
        """Give the callbacks; None where there is no compiled code, or it cannot know the names of reports."""
        if len(suffixes) > _SUFFIXES or any(len(each) > _SUFFIX for each in suffixes):
            return None
        try:
            library = code()
            if library is None:
                return None
            if not lists_are_known():
                return None
            return cls(library, root, grain=grain, switches=switches, suffixes=suffixes, looks=looks)
        except (OSError, AttributeError):  # of another machine, or damaged: Python answers
            return None

    def hand_over(
        self, fd: int, inode: int, above: int, *, reports: bool, buffer: int, fill: int
    ) -> int | None:
        """Hand all entries of a directory to libfuse, in its `readdir`.

        Parameters
        ----------
        fd, inode, above : int
            The directory, on the mirrored file system; its inode number and its parent's.
        reports : bool
            Whether the reports of its files stand among them.
        buffer, fill : int
            Addresses, as libfuse gives them.

        Returns
        -------
        int or None
            What libfuse is to be answered; None where Python is to list, and nothing has been handed over.
        """
        said: int = self._library.fmrw_list(self.address, fd, inode, above, reports, buffer, fill)
        return None if said == _LEFT_TO_PYTHON else said

    @property
    def answered(self) -> int:
        """How many questions were answered without Python."""
        return int(self._names.answered)

    def receiver(self, where: Receiver, largest: int, native: Native | None) -> Callable[[], int]:
        """Give what receives requests in a thread, and answers those of callers that are known; see `fmrw_receive`.

        Parameters
        ----------
        where : Receiver
        largest : int
            Bytes of data that a request carries at most.
        native : Native or None
            Knows the callers; None leaves reads and writes to Python.
        """
        receiving = Receiving(where, min(largest, LARGEST_ROOM))
        receiving.names = self.address
        if native is not None:
            native.answer_on(where.connection)
            receiving.state = native.state
        receive = self._library.fmrw_receive
        receive.argtypes, receive.restype = (c_void_p,), c_int64
        return functools.partial(receive, ctypes.byref(receiving))

    def install(self, table: Any, context: Any, free: list[None]) -> c_int64:  # noqa: ANN401 - of ctypes
        """Stand before the callbacks that are in libfuse's table, and give how many threads are in one of those here.

        Parameters
        ----------
        table : Operations
            Its functions `getattr` and `getxattr` are called for what is not answered here.
        context : function of ctypes
            `fuse_get_context`; its `private_data` must be `address`.
        free : list
            One entry for each thread that is in no operation of Python's (`fmrw.capture.fuse.gate`); only its length is looked at, without the
            interpreter's lock.
        """
        self._free = free
        self._names.watch(free)
        use = self._library.fmrw_use_context
        use.argtypes, use.restype = (c_void_p,), None
        use(ctypes.cast(context, c_void_p))
        for name in ("getattr", "getxattr"):
            setattr(self._names, name, getattr(table, name))
            setattr(table, name, ctypes.cast(getattr(self._library, f"fmrw_{name}"), c_void_p))
        return c_int64.from_buffer(self._names, Names.inside.offset)
