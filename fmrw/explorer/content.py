"""File content: the bytes of a recorded file and the structure of its format, read without adding events.

The content is read through the descriptor that the trace gives; nothing monitors it. If the file is gone, or differs from what was
recorded, the reason is given in words and there are no bytes. Nothing is guessed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import polars as pl

from fmrw.analysis.structure import structure
from fmrw.analysis.structure.parts import SCHEMA
from fmrw.errors import FmrwError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.explorer.trace_protocol import Recording

_GONE = "the file is not at hand; put it back to see its bytes"


class Expected(Protocol):
    """What is recorded of a file, to compare its content with; `RecordedFile` is one.

    Attributes
    ----------
    trace : Recording
        Opens the file, and knows its time of change.
    path : str
        As in the events.
    size : int
        Bytes in the file after its last event.
    """

    trace: Recording
    path: str
    size: int

    @property
    def live(self) -> bool:
        """Whether events may still come."""

    def present(self, op: str) -> bool:
        """Tell whether an operation happened at all."""


class Content:
    """The bytes and the structure of one file.

    Parameters
    ----------
    recorded
        The content is given as long as it is what was recorded.
    """

    def __init__(self, recorded: Expected) -> None:
        self._recorded = recorded
        self._structure: pl.DataFrame | None = None

    def content(self, start: int, end: int) -> tuple[bytes | None, str]:
        """Read bytes of the file.

        Returns
        -------
        bytes or None, str
            The bytes of [start, end), fewer at the end of the file, and nothing to say; or None, and why.
        """
        found, reason = self.contents([(start, end)])
        return (found[0] if found else None), reason

    def reason(self) -> str:
        """Say why there are no bytes to show; "" where the file is what was recorded."""
        return self.contents([])[1]

    def contents(self, windows: Sequence[tuple[int, int]]) -> tuple[list[bytes], str]:
        """Read several ranges through one descriptor; none at all if the file is not what was recorded."""
        fd = self._open()
        if fd is None:
            return [], _GONE
        try:
            reason = self._changed(os.fstat(fd))
            return ([] if reason else [os.pread(fd, end - start, start) for start, end in windows]), reason
        except OSError as error:
            return [], f"the file cannot be read: {error.strerror}"
        finally:
            os.close(fd)

    def _open(self) -> int | None:
        try:
            return self._recorded.trace.content(self._recorded.path)
        except FmrwError:
            return None

    def _changed(self, status: os.stat_result) -> str:
        if status.st_size != self._recorded.size:
            return f"the file changed: {self._recorded.size:,} bytes were recorded, it has {status.st_size:,} now"
        known = self._recorded.trace.facts.get("files", {}).get(self._recorded.path, {}).get("mtime_ns")
        written = (
            self._recorded.present("write") and self._recorded.live
        )  # its time goes on while it is watched
        if known and known != status.st_mtime_ns and not written:
            return "the file changed since it was recorded: its time of change is another"
        return ""

    @property
    def structure(self) -> pl.DataFrame | None:
        """The ranges the format names, once `parse` has found them."""
        return self._structure

    def parse(self) -> str:
        """Look for a format in the file; give the reason if that cannot be done."""
        fd = self._open()
        if fd is None:
            return _GONE
        try:
            reason = self._changed(os.fstat(fd))
            if not reason:
                self._structure = structure(f"/dev/fd/{fd}")
        except FmrwError as error:
            return str(error)
        finally:
            os.close(fd)
        return reason

    def parts(self, start: int, end: int) -> pl.DataFrame:
        """Give the named ranges that share a byte with [start, end): `start, end, name, depth`."""
        found = self._structure
        if found is None:
            return pl.DataFrame(schema=SCHEMA)
        return found.filter(pl.col("start") < end, pl.col("end") > start)
