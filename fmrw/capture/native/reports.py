"""Reports in C: what compiled code is to know, to say what the name of a report is (`reports.c`).

Python says it to each thread first, and tells the thread then (`know`); it keeps the names it has something of its own to say of (`leave`).
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes import c_char_p, c_int32, c_int64, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOKS, _ODD, _CALLERS = 16, 256, 64


class _Caller(ctypes.Structure):
    """`struct caller`."""

    _fields_ = (("tid", c_int32), ("fd", c_int32), ("busy", c_int32))


class _Reports(ctypes.Structure):
    """`struct reports`."""

    _fields_ = (
        ("looks", c_int32 * _LOOKS), ("many_looks", c_int32), ("many_odd", c_int32), ("odd", c_uint64 * _ODD), ("threads", _Caller * _CALLERS),
    )  # fmt: skip


class Reports:
    """The reports of one mount that stand beside their files, and that anybody may see who sees the files.

    Parameters
    ----------
    library
        The compiled code.
    looks : sequence of int
        Numbers of the calls that only ask what a name is.

    Raises
    ------
    OSError, AttributeError
        The compiled code was made for other structures.
    """

    def __init__(self, library: Any, looks: Sequence[int]) -> None:  # noqa: ANN401 - of ctypes
        if library.fmrw_sizes(9) != ctypes.sizeof(_Reports):
            raise OSError("the compiled code was made for other structures; install the package again")
        numbers = looks[:_LOOKS]
        self._reports = _Reports(looks=(c_int32 * _LOOKS)(*numbers), many_looks=len(numbers))
        self.address = ctypes.addressof(self._reports)
        self._leave, self._know = library.fmrw_leave_report, library.fmrw_know_thread
        self._leave.argtypes, self._leave.restype = (c_void_p, c_char_p), None
        self._know.argtypes, self._know.restype = (c_void_p, c_int64), None
        forget = library.fmrw_forget_threads
        forget.argtypes, forget.restype = (c_void_p,), None
        self.close = weakref.finalize(self, _forget, forget, self._reports)

    def leave(self, path: bytes) -> None:
        """Leave a name to Python from now on."""
        self._leave(self.address, path)

    def know(self, tid: int) -> None:
        """Let a thread that is none of ours be answered in C, as long as it lives and may be looked at."""
        self._know(self.address, tid)


def _forget(forget: Any, reports: _Reports) -> None:  # noqa: ANN401 - of ctypes
    forget(ctypes.addressof(reports))
