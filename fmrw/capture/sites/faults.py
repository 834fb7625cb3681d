"""Page faults: the instruction that touched a page of a mapped file, a site of one frame.

While a fault is answered nothing of the process may be looked at that takes the lock of its memory, not even its list of mappings: it may be held
until the answer comes. The line of its system call takes none, and tells the place in the code. Where it lies is looked up by a thread of its own,
which may wait. The answer waits for that thread, so that a short program is still there, but for a moment only; a process that is gone by then
leaves an address.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites.frames import FAULT
from fmrw.capture.sites.space import Space
from fmrw.capture.system.proc import program_of, read_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.capture.sites.modules import Modules
    from fmrw.capture.sites.space import Code

_WORDS = 3
_MOST = 1 << 14
_KEPT = 16
_LIMIT_S = 2.0
_PATIENCE_S = 0.5  # of an answer; a look takes 0.1 to 0.3 ms where the lock is free, as it nearly always is


class _Fault(NamedTuple):
    tid: int
    pid: int
    place: int
    number: int
    looked_up: threading.Event


class Faults:
    """Number the places that touch pages.

    Parameters
    ----------
    number : callable
        Gives a number that is not used yet; 0 where there is none left.
    note : callable
        Called with a number and its frame: module, offset, quality.
    modules : Modules
        Of the recording.
    lock : threading.Lock
        Held while modules are looked up.
    """

    def __init__(
        self,
        number: Callable[[], int],
        note: Callable[[int, tuple[int, int, str]], None],
        modules: Modules,
        lock: threading.Lock,
    ) -> None:
        self._number, self._note, self._modules, self._lock = number, note, modules, lock
        self._known: dict[tuple[int, str, int], int] = {}
        self._asking = (
            threading.Lock()
        )  # held for a moment only, by threads of ours that were asked at the same time
        self._waiting: queue.SimpleQueue[_Fault | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def of(self, tid: int, pid: int) -> int:
        """Give the number of the place where a thread waits for a page; 0 where that is not in a page fault."""
        words = read_entry(tid, "syscall", 256).split()
        if len(words) != _WORDS or words[0] != b"-1":
            return 0
        key = pid, program_of(tid), int(words[2], 16)
        fault = None
        with self._asking:
            known = self._known.get(key)
            if known is None:
                if len(self._known) >= _MOST:
                    self._known.clear()
                known = self._known[key] = self._number()
                if known:
                    fault = _Fault(tid, pid, key[2], known, threading.Event())
                    self._waiting.put(fault)
                    self._start()
        if fault is not None:
            fault.looked_up.wait(_PATIENCE_S)
        return known

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="fmrw-faults", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        spaces: dict[int, Space] = {}
        while (fault := self._waiting.get()) is not None:
            try:
                self._note(fault.number, self._looked_up(fault, spaces))
            finally:
                fault.looked_up.set()
        for space in spaces.values():
            space.close()

    def _looked_up(self, fault: _Fault, spaces: dict[int, Space]) -> tuple[int, int, str]:
        try:
            code = self._code(fault, spaces)
        except OSError:  # it is gone, or may not be looked at
            code = None
        if code is None:
            return -1, fault.place, FAULT
        place = fault.place + code.shift - (code.module.elf.base if code.module.elf else 0)
        return code.module.number, place, FAULT

    def _code(self, fault: _Fault, spaces: dict[int, Space]) -> Code | None:
        """Give the code at a place; anew where what was known holds no more: it was unloaded, or the process runs another program."""
        if fault.pid in spaces:
            space = spaces[fault.pid]
            code = self._code_in(space, fault.place)
            if code is not None and space.holds(code):
                return code
            spaces.pop(fault.pid).close()
        while len(spaces) >= _KEPT:
            spaces.pop(next(iter(spaces))).close()
        space = spaces[fault.pid] = Space(fault.tid, self._modules)
        return self._code_in(space, fault.place)

    def _code_in(self, space: Space, place: int) -> Code | None:
        """Give the code at a place; the kernel is asked first, which may have to wait, and nobody else meanwhile."""
        if space.mapping(place) is None:
            return None
        with self._lock:
            return space.code(place)

    def close(self) -> None:
        """Look up what waits, and end."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_LIMIT_S)
            self._thread = None
