"""Paths in the journal: each has a number, and the size and time of its file's last change.

Threads: any; two that meet the same new path get the same number, and the second waits until it is noted.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from fmrw.text import path_text

if TYPE_CHECKING:
    import os

    from fmrw.capture.recorder.journal import Journal

_I64 = (1 << 63) - 1


class Paths:
    """Number the paths of a mount.

    Parameters
    ----------
    journal : Journal
        Where they are noted.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._numbers: dict[bytes, int] = {}
        self._count = itertools.count()
        self._lock = threading.Lock()
        self._facts: dict[int, int] = {}  # their hashes: a third of the memory, for every file ever opened

    def number(self, path: bytes) -> int:
        """Give the number of a path; nobody gets one that is not noted yet."""
        number = self._numbers.get(path)
        return self._new(path) if number is None else number

    def _new(self, path: bytes) -> int:
        with self._lock:
            number = self._numbers.get(path)
            if number is None:
                number = next(self._count)
                self._journal.note("path", id=number, text=path_text(path[1:]))
                self._numbers[path] = number
            return number

    def note_file(self, path: bytes, status: os.stat_result) -> None:
        """Keep size and time of a file's last change, so that later readers know whether it is still the same."""
        facts = (status.st_size, max(-_I64, min(status.st_mtime_ns, _I64)))  # readers keep 64 bits: to 2262
        number = self.number(path)
        if self._facts.get(number) != hash(facts):
            self._journal.note("file", path=number, size=facts[0], mtime_ns=facts[1])
            self._facts[number] = hash(facts)
