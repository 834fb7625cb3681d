"""From the journal to the frame: one reader for a mount that runs, one that ended, and one that was killed.

`Follower.read` gives what has come since the last call. Requests of one call are joined to one row; a call of which more is to
come waits until it is whole, or until its thread does something else. Records are decoded a segment at a time with
numpy, so that reading costs memory for 65,536 events, whatever the session holds.
"""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fmrw.capture import journal as log
from fmrw.errors import NewerSchema, SessionError
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_NUMPY = {"q": "<i8", "I": "<u4", "i": "<i4", "H": "<u2", "B": "u1"}
DTYPE = np.dtype([(name, _NUMPY[code]) for name, code in log.FIELDS])
_OPS = pl.Series("op", schema.OPS, dtype=pl.Enum(schema.OPS))
_FIDELITY = pl.Series("fidelity", schema.FIDELITIES, dtype=pl.Enum(schema.FIDELITIES))


class DamagedWarning(UserWarning):
    """A recording was cut short; what could be read is there, the rest is not."""


class Names:
    """The numbered names of a journal, read as they come."""

    def __init__(self, directory: int) -> None:
        self._fd = os.open("names.jsonl", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        self._offset = 0
        self._rest = b""
        self.paths: dict[int, str] = {}
        self.processes: dict[int, dict[str, Any]] = {}
        self.files: dict[str, tuple[int, int]] = {}
        self.renames: list[tuple[int, str, str]] = []

    def refresh(self) -> None:
        """Read the lines that have come; a line that is not whole yet waits."""
        while chunk := os.pread(self._fd, 1 << 20, self._offset):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            self._enter(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            warnings.warn(f"a line of names is damaged and left out ({error})", DamagedWarning, stacklevel=4)

    def _enter(self, entry: Mapping[str, Any]) -> None:
        kind = entry["kind"]
        if kind == "path":
            self.paths[int(entry["id"])] = str(entry["text"])
        elif kind == "process":
            self.processes[int(entry["id"])] = dict(entry)
        elif kind == "file":
            self.files[self.paths[int(entry["path"])]] = (int(entry["size"]), int(entry["mtime_ns"]))
        elif kind == "rename":
            self.renames.append((int(entry["time_ns"]), str(entry["old"]), str(entry["new"])))

    def processes_frame(self) -> pl.DataFrame:
        """Give the processes as a frame of `schema.PROCESSES`."""
        rows = [
            {**entry, "first_seen": int(entry["first_seen_ns"]) // 1000}
            for entry in self.processes.values()
            if entry["pid"]
        ]
        wide = schema.PROCESSES | {"first_seen": pl.Int64()}
        frame = pl.DataFrame(rows, schema=wide, strict=False) if rows else pl.DataFrame(schema=wide)
        return frame.with_columns(pl.col("first_seen").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))

    def close(self) -> None:
        """Close the file of names."""
        os.close(self._fd)


class Follower:
    """Read a journal from its beginning, and on while it grows.

    Parameters
    ----------
    directory : int
        Descriptor of the journal's folder; the caller keeps it open.

    Raises
    ------
    SessionError
        The folder is no journal of ours.
    """

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self.head = _open_head(directory)
        self.names = Names(directory)
        self._number = 0
        self._fd: int | None = None
        self._place = 0
        self._parts = pl.DataFrame(schema=_PARTS)
        self.recorded = 0

    def read(self) -> pl.DataFrame:
        """Give the events since the last call as one frame of `schema.EVENTS`."""
        frames = list(self.batches())
        return pl.concat(frames) if frames else schema.empty()

    def batches(self) -> Iterator[pl.DataFrame]:
        """Give the events since the last call, a frame per segment."""
        ended = bool(self.head.counter("closed"))
        for base, records in self._records():
            yield self._frame(base, records)
        if ended:
            yield from self.flush()

    def flush(self) -> Iterator[pl.DataFrame]:
        """Give the calls that were waiting for more: nothing more will come."""
        if self._parts.height:
            whole, self._parts = _joined(self._parts), self._parts.clear()
            yield whole

    def close(self) -> None:
        """Close what was opened here."""
        self.names.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _records(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        while self._fd is not None or self._open_next():
            records = self._ready()
            base = self._number * log.SEGMENT + self._place
            if not len(records):
                return
            self._place += len(records)
            self.recorded += len(records)
            yield base, records
            if self._place < log.SEGMENT:
                return
            os.close(self._fd or 0)
            self._fd = None
            self._number += 1

    def _open_next(self) -> bool:
        try:
            self._fd = os.open(
                f"{self._number:06d}.events", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory
            )
        except FileNotFoundError:
            return False
        self._place = 0
        return True

    def _ready(self) -> NDArray[np.void]:
        """Read the records that are there from the present place on: up to the first without its mark."""
        offset = self._place * log.RECORD.size
        data = os.pread(self._fd or 0, log.SEGMENT_BYTES - offset, offset)
        whole = len(data) // log.RECORD.size
        if whole * log.RECORD.size != len(data):
            warnings.warn(
                "the journal is cut inside a record; all before it is loaded", DamagedWarning, stacklevel=2
            )
        records = np.frombuffer(data, DTYPE, whole)
        unmarked = np.flatnonzero(records["mark"] != log.MARK)
        return records[: unmarked[0]] if len(unmarked) else records

    def _frame(self, base: int, records: NDArray[np.void]) -> pl.DataFrame:
        self.names.refresh()
        parts = self._decode(base, records)
        pieces = (parts["flags"] & (log.MORE | log.CONTINUES)) != 0
        if not self._parts.height and not pieces.any():
            return parts.select(schema.EVENTS.names())
        waiting = pl.concat([self._parts, parts.filter(pieces)])
        whole, self._parts = _settled(waiting, parts)
        return pl.concat([parts.filter(~pieces).select(schema.EVENTS.names()), _joined(whole)]).sort("seq")

    def _decode(self, base: int, records: NDArray[np.void]) -> pl.DataFrame:
        seq = np.arange(base, base + len(records), dtype=np.int64)
        kept = records["op"] < len(schema.OPS)
        records, seq = records[kept], seq[kept]
        truncated = records["op"] == log.TRUNCATE
        start = np.where(truncated, 0, records["start"])
        end = np.where(truncated, records["start"], start + records["length"])
        process = records["process"].astype(np.int64)
        return pl.DataFrame(
            {
                "seq": seq,
                "time": pl.Series(records["time_ns"] // 1000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
                "op": _OPS.gather(records["op"].astype(np.uint32)),
                "path": _names(self.names.paths, records["path"].astype(np.int64), "path"),
                "call": records["call"],
                "start": start,
                "end": end,
                "requested": records["requested"].astype(np.int64),
                "size": records["size"],
                "fidelity": _FIDELITY.gather((records["flags"] & log.PAGE).astype(np.uint32)),
                "handle": records["handle"].astype(np.int64),
                "pid": _names({n: p["pid"] for n, p in self.names.processes.items()}, process, "pid", pl.Int32()),
                "tid": records["tid"],
                "process": _names({n: p["name"] for n, p in self.names.processes.items()}, process, "process"),
                "errno": records["errno"].astype(np.int32),
                "flags": records["flags"],
            }
        )  # fmt: skip


_PARTS = pl.Schema({**schema.EVENTS, "flags": pl.UInt8()})


def _names(
    table: Mapping[int, Any], numbers: NDArray[np.int64], column: str, dtype: pl.DataType | None = None
) -> pl.Series:
    """Look numbers up in a table of names; a number whose name was lost stays readable as `?17`."""
    kind = dtype or pl.String()
    if not len(numbers):
        return pl.Series(column, [], dtype=kind)
    used, places = np.unique(numbers, return_inverse=True)
    missing = (lambda _number: 0) if dtype is not None else (lambda number: f"?{number}")
    values = [table.get(number, missing(number)) for number in used.tolist()]
    return pl.Series(column, values, dtype=kind).gather(places.astype(np.uint32))


def _settled(waiting: pl.DataFrame, batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the pieces of calls into those of whole calls and those that wait for more.

    A call is whole when its last piece does not announce more, or when its thread has gone on to another call.
    """
    last = waiting.group_by("call").agg(pl.col("flags", "tid", "seq").last())
    moved_on = batch.group_by("tid").agg(pl.col("seq").max().alias("latest"))
    open_calls = (
        last.join(moved_on, on="tid", how="left")
        .filter((pl.col("flags") & log.MORE) != 0, pl.col("latest").fill_null(-1) <= pl.col("seq"))
        .get_column("call")
    )
    waits = pl.col("call").is_in(open_calls.implode())
    return waiting.filter(~waits), waiting.filter(waits)


def _joined(parts: pl.DataFrame) -> pl.DataFrame:
    """Make one row of the pieces of each call."""
    first = ("op", "path", "start", "fidelity", "handle", "pid", "tid", "process")
    return (
        parts.group_by("call")
        .agg(
            pl.col("seq").first(),
            pl.col(*first).first(),
            pl.col("time", "end", "size").last(),
            pl.col("requested").sum(),
            pl.when(pl.col("end").last() > pl.col("start").first())
            .then(0)
            .otherwise(pl.col("errno").last())
            .alias("errno"),
        )
        .with_columns(pl.col("errno").cast(pl.Int32))
        .select(schema.EVENTS.names())
        .sort("seq")
    )


def count(directory: int) -> int:
    """Count the records of a journal without decoding them.

    Parameters
    ----------
    directory : int
        Descriptor of the journal's folder.
    """
    names = list(log.segments(directory))
    if not names:
        return 0
    fd = os.open(names[-1], os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        data = os.pread(fd, log.SEGMENT_BYTES, 0)
    finally:
        os.close(fd)
    last = np.frombuffer(data, DTYPE, len(data) // log.RECORD.size)
    return (len(names) - 1) * log.SEGMENT + int(np.count_nonzero(last["mark"] == log.MARK))


def _open_head(directory: int) -> log.Head:
    try:
        fd = os.open("head", os.O_RDWR | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        raise SessionError(
            f"no journal here ({error.strerror}); give the folder that fmrw recorded into."
        ) from error
    try:
        if os.fstat(fd).st_size != log.HEAD_BYTES:
            raise SessionError(
                "the head of the journal is damaged; its size is not one page. Restore it from a copy."
            )
        head = log.Head(fd)
    finally:
        os.close(fd)
    if head.counter("magic") != log.MAGIC:
        raise SessionError("this is no journal of fmrw; give the folder that fmrw recorded into.")
    if head.counter("version") > log.VERSION:
        raise NewerSchema("this journal was written by a newer fmrw; `pip install --upgrade fmrw` reads it.")
    return head
