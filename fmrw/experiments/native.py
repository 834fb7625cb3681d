"""Native: the memory that `slots.c` and `altering.c` of `fmrw/capture/native` share with the mirror of the slots, and how it is put before the mirror's callbacks."""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from ctypes import addressof, c_char, c_char_p, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.fuse.adapter import FI_FH
from fmrw.capture.native import pairs
from fmrw.capture.native.build import library
from fmrw.capture.native.metadata import Names, lists_are_known
from fmrw.capture.native.receiving import Receiving
from fmrw.experiments import patches, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmrw.capture.native.receiving import Receiver
    from fmrw.experiments.shared import Slot

_SLOTS, _OPENED, _PATTERNS, _KNOWN_BYTES = 256, 1024, 128, 12 << 17
_OURS = 1 << 62
_CALLBACKS = ("getattr", "fgetattr", "open", "release")


class _Slot(ctypes.Structure):
    """`struct slot`."""

    _fields_ = (
        ("memory", c_void_p), ("known", c_void_p), ("lock", c_int64), ("generation", c_int64), ("count", c_int64),
    )  # fmt: skip


class OpenedBeneath(ctypes.Structure):
    """`struct opened`: a file that was opened there."""

    _fields_ = (
        ("generation", c_int64), ("cut", c_int64), ("used", c_int32), ("fd", c_int32), ("slot", c_int32), ("altered", c_int32),
        ("number", c_uint32), ("file", c_uint32),
    )  # fmt: skip


class _Slots(ctypes.Structure):
    """`struct slots`."""

    _fields_ = (
        ("metadata", Names), ("fgetattr", c_void_p), ("open", c_void_p), ("release", c_void_p), ("largest", c_int64), ("lock", c_int64),
        ("numbers", c_int64), ("next", c_int64), ("count", c_int64), ("patterns", c_int64), ("key", c_int64 * _PATTERNS),
        ("pattern", c_void_p * _PATTERNS), ("slot", _Slot * _SLOTS), ("opened", OpenedBeneath * _OPENED),
    )  # fmt: skip


class _Access(ctypes.Structure):
    """`struct access`: `fmrw.experiments.shared.RECORD`."""

    _fields_ = (
        ("time_ns", c_int64), ("start", c_int64), ("size", c_int64), ("length", c_uint32), ("requested", c_uint32), ("handle", c_uint32),
        ("file", c_uint32), ("tid", c_int32), ("errno", c_uint16), ("op", c_uint8), ("flags", c_uint8),
    )  # fmt: skip


class Functions(NamedTuple):
    """The compiled functions that are called from Python."""

    receive: Any
    record: Any
    callbacks: dict[str, int]


class NativeSlots:
    """The compiled part of a mirror of slots.

    Parameters
    ----------
    root : int
        Descriptor of the directory.
    slots : sequence of Slot
    grain : int
        As in `fmrw.experiments.mirror.Slots`.

    Raises
    ------
    OSError, AttributeError
        There is no compiled code, or it was made for other structures.
    """

    def __init__(self, root: int, slots: Sequence[Slot], *, grain: int) -> None:
        self._functions, self._context = _functions()
        if len(slots) > _SLOTS:
            raise OSError(f"more than {_SLOTS} slots")
        device = os.fstat(root).st_dev
        self._memory = _Slots(metadata=Names(device=device, root=root, grain=grain), count=len(slots))
        self._known = mmap.mmap(-1, _KNOWN_BYTES * len(slots))
        known = addressof(c_char.from_buffer(self._known))
        for number, slot in enumerate(slots):
            self._memory.slot[number] = _Slot(memory=slot.address, known=known + number * _KNOWN_BYTES)
        self._patterns: dict[int, Any] = {}
        self.address = addressof(self._memory)

    @classmethod
    def load(cls, root: int, slots: Sequence[Slot], *, grain: int) -> NativeSlots | None:
        """Give the compiled part; None where there is none."""
        try:
            return cls(root, slots, grain=grain)
        except (OSError, AttributeError):
            return None

    @property
    def answered(self) -> int:
        """How many requests were answered without Python."""
        return int(self._memory.metadata.answered)

    def install(self, table: Any, context: Any, free: list[None]) -> c_int64:  # noqa: ANN401 - of ctypes
        """Stand before the callbacks in libfuse's table; as `fmrw.capture.native.metadata.Metadata.install`."""
        self._free = free
        self._memory.metadata.watch(free)
        self._context(ctypes.cast(context, c_void_p))
        for name in _CALLBACKS:
            before = self._memory.metadata if name == "getattr" else self._memory
            setattr(before, name, getattr(table, name))
            setattr(table, name, self._functions.callbacks[name])
        return c_int64.from_buffer(self._memory, Names.inside.offset)

    def receiver(self, where: Receiver, largest: int, _native: None) -> Callable[[], int]:
        """Give a function that answers requests until one is for Python, and gives its length; 0 when the mount is gone.

        Parameters
        ----------
        where : Receiver
        largest : int
            Bytes that a request carries at most.
        """
        self._memory.largest = largest - mmap.PAGESIZE
        receiving = Receiving(where, largest)
        return functools.partial(self._functions.receive, self.address, ctypes.byref(receiving))

    def opened(self, handle: int) -> OpenedBeneath | None:
        """Give the file that was opened there; None for a handle of Python's."""
        if not handle & _OURS:
            return None
        found: OpenedBeneath = self._memory.opened[handle % _OPENED]
        return found

    def record(self, slot: int, generation: int, path: bytes | None, fields: tuple[int, ...]) -> int:
        """Add a record to a slot, if its run is still the present one; give the number of the path, or of the file in the record."""
        access = _Access(*fields)
        place = self.address + _Slots.slot.offset + slot * ctypes.sizeof(_Slot)
        number: int = self._functions.record(place, generation, path, ctypes.byref(access))
        return number

    def learn(self, key: int) -> None:
        """Let a key's pattern be known."""
        count = self._memory.patterns
        if key in self._patterns or count == _PATTERNS:
            return
        whole = self._patterns[key] = c_char_p(patches.pattern(key, 0, patches.PERIOD))
        self._memory.key[count] = key
        self._memory.pattern[count] = ctypes.cast(whole, c_void_p).value
        self._memory.patterns = count + 1


def _functions() -> tuple[Functions, Callable[[Any], None]]:
    """Give the compiled functions.

    Raises
    ------
    OSError, AttributeError
        As above.
    """
    if pairs.code() is None or not lists_are_known():
        raise OSError("there is no compiled code")
    code = ctypes.CDLL(str(library()))  # which lets go of the interpreter's lock
    code.fmrw_sizes.argtypes, code.fmrw_sizes.restype = (c_int64,), c_int64
    expected = ctypes.sizeof(_Slots), FI_FH, shared.SIZE, ctypes.sizeof(Receiving)
    if tuple(code.fmrw_sizes(number) for number in (5, 6, 8, 12)) != expected:
        raise OSError("the compiled code was made for other structures; install the package again")
    receive, record = code.fmrw_slots_receive, code.fmrw_slot_record
    receive.argtypes = c_void_p, c_void_p
    record.argtypes = c_void_p, c_int64, c_char_p, c_void_p
    receive.restype = record.restype = c_int64
    code.fmrw_use_context.argtypes, code.fmrw_use_context.restype = (c_void_p,), None
    callbacks = {
        name: ctypes.cast(getattr(code, f"fmrw_slot_{name}"), c_void_p).value or 0 for name in _CALLBACKS
    }
    return Functions(receive, record, callbacks), code.fmrw_use_context
