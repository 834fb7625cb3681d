"""Rows: what a survey keeps of each run, as frames that every engine reads; column names are known here and nowhere else.

Integers are signed, and there is no Struct, List, Enum, Duration and UInt64, so that Polars, DuckDB, Spark and Dask open the files unchanged. `parser`
is no column of the files: it stands in the folder's name, hive-style.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.experiments import shared
from fmrw.experiments.shared import RECORD
from fmrw.text import visible
from fmrw.trace.effects import OF_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.experiments.observation import Accesses, Observation, Output

ACCEPTED, REFUSED, CRASHED, HUNG, FAILED = VERDICTS = "accepted", "refused", "crashed", "hung", "failed"
"""Status 0; another status; ended by a signal; over a limit of time; not run at all, and `error` says why."""

FILES = pl.Schema({"file": pl.String(), "size": pl.Int64(), "mtime_ns": pl.Int64()})
"""Columns of `files/`: path relative to the corpus, bytes, and time of change in ns since 1970, as listed before the first run."""

RUNS = pl.Schema(
    {
        "file": pl.String(),  # path relative to the corpus; what is no UTF-8, and control characters, as `\xNN`
        "size": pl.Int64(),  # bytes, just before the run; null: the file was gone
        "verdict": pl.String(),  # accepted, refused, crashed, hung, failed
        "status": pl.Int32(),  # exit status; null where a signal ended it, or nothing was run
        "signal": pl.Int32(),  # the signal; null where it ended by itself
        "limit": pl.String(),  # which limit it was killed for: "time", "cpu", or ""
        "seconds": pl.Float64(),  # from start to end
        "cpu_seconds": pl.Float64(),  # of the command and the children it waited for
        "memory": pl.Int64(),  # most bytes resident, of it or one of those children
        "stdout_size": pl.Int64(),  # bytes
        "stdout_hash": pl.String(),  # BLAKE2b, 128 bits, hexadecimal
        "stdout_head": pl.String(),  # the first lines
        "stderr_size": pl.Int64(),
        "stderr_hash": pl.String(),
        "stderr_head": pl.String(),
        "opens": pl.Int64(),  # how often it opened the file
        "reads": pl.Int64(),  # requests that got at least one byte of it
        "read": pl.Int64(),  # different bytes requested
        "share": pl.Float64(),  # read ÷ size; null for an empty file
        "smallest_request": pl.Int64(),  # bytes asked for at a time; null: none but pages
        "first_start": pl.Int64(),  # the first request that got bytes, half-open
        "first_end": pl.Int64(),
        "last_start": pl.Int64(),  # the last one
        "last_end": pl.Int64(),
        "fidelity": pl.String(),  # "byte", or "page" where some ranges are whole pages (mapped files); null: nothing was read
        "strip": pl.String(),  # 32 parts of the file: 0 nothing read, 9 all, 1 to 8 in between
        "shape": pl.String(),  # 8 parts of the file: "." nothing read, "#" all, "-" in between; "": an empty file
        "others": pl.Int64(),  # other files below the corpus that it read
        "lost": pl.Int64(),  # requests beyond those that were kept (65,536)
        "written": pl.Int64(),  # files it wrote elsewhere, all gone after the run
        "denied": pl.Int64(),  # attempts to write into the corpus, which is read-only (EROFS)
        "left": pl.Int64(),  # processes it left behind, which were killed
        "changed": pl.Boolean(),  # whether the file changed since it was listed
        "error": pl.String(),  # why it was not run, or what was wrong with the run; ""
        "host": pl.String(),  # where it was run
    }
)
"""Columns of `runs/parser=NAME/`: one row for each file."""

EXTENTS = pl.Schema(
    {
        "file": pl.String(),
        "start": pl.Int64(),  # half-open, bytes
        "end": pl.Int64(),
        "reads": pl.Int64(),  # requests that lie in it
        "size": pl.Int64(),  # of the file, as in `runs`
    }
)
"""Columns of `extents/parser=NAME/`: the ranges of each file that were read, merged, sorted."""

EFFECTS = pl.Schema(
    {
        "file": pl.String(),
        "start": pl.Int64(),  # half-open, bytes; the ranges of a file cover it, in order, without overlap
        "end": pl.Int64(),
        "class": pl.String(),  # of `fmrw.experiments.classes.CLASSES`; null: not settled
        "values": pl.String(),  # the values that showed it, decimal, with spaces between
        "effect": pl.String(),  # what altering it changed, or why it was not tried
        "field_start": pl.Int64(),  # of the number that steers, of which it is part; half-open, null elsewhere
        "field_end": pl.Int64(),
        "field": pl.String(),  # what that number steers: offset, length, …
        "access": pl.Int64(),  # of which access
        "byteorder": pl.String(),  # "little", "big", or null for a single byte
        "scale": pl.Int64(),  # bytes for each step of the number
        "size": pl.Int64(),  # of the file, as in `runs`
        "runs": pl.Int64(),  # that the map of this file took
        "complete": pl.Boolean(),  # whether they sufficed
    }
)
"""Columns of `effects/parser=NAME/`: what the bytes of each file do to the parser; an empty file has no rows."""

STRIP, SHAPE = 32, 8
_LINES, _LONG = 4, 200

Ranges = list[tuple[int, int, int]]
"""Start, end, requests."""


def of_run(seen: Observation, path: bytes, size: int) -> tuple[dict[str, Any], Ranges]:
    """Give the row of a run, without `file`, `changed` and `host`, and the ranges it read of its file."""
    read, ranges = _reads(seen.accesses, path)
    covered = sum(end - start for start, end, _ in ranges)
    row = {
        "size": size, "verdict": _verdict(seen), "status": seen.status, "signal": seen.signal, "limit": seen.timeout,
        "seconds": seen.seconds, "cpu_seconds": seen.cpu, "memory": seen.memory,
        **_output("stdout", seen.stdout), **_output("stderr", seen.stderr), **read,
        "read": covered, "share": min(1.0, covered / size) if size else None,
        "strip": "".join("0123456789"[_level(share)] for share in shares(ranges, size, STRIP)),
        "shape": "".join(".-#"[min(1, _level(share)) + (share >= 1)] for share in shares(ranges, size, SHAPE)),
        "lost": seen.accesses.lost, "written": len(seen.written), "denied": seen.refused, "left": seen.left,
        "error": seen.error or (f"the mount failed {seen.faults} times" if seen.faults else ""),
    }  # fmt: skip
    return row, ranges


def not_run(why: str, size: int | None) -> dict[str, Any]:
    """Give the row of a run that could not be."""
    numbers = ("seconds", "cpu_seconds", "memory", "stdout_size", "stderr_size", "opens", "reads", "read", "others",
               "lost", "written", "denied", "left")  # fmt: skip
    texts = ("limit", "stdout_hash", "stdout_head", "stderr_hash", "stderr_head", "strip", "shape")
    return {
        **dict.fromkeys(numbers, 0), **dict.fromkeys(texts, ""), "verdict": FAILED, "size": size, "error": visible(why)
    }  # fmt: skip


def _verdict(seen: Observation) -> str:
    if seen.error:
        return FAILED
    if seen.timeout:
        return HUNG
    if seen.signal is not None:
        return CRASHED
    return ACCEPTED if seen.status == 0 else REFUSED


def _output(name: str, output: Output) -> dict[str, Any]:
    lines = output.head[: _LINES * _LONG].split(b"\n")[:_LINES]
    head = "\n".join(visible(line[:_LONG].decode("utf-8", "backslashreplace")) for line in lines).rstrip("\n")
    return {f"{name}_size": output.size, f"{name}_hash": output.digest.hex(), f"{name}_head": head}


def _reads(accesses: Accesses, path: bytes) -> tuple[dict[str, Any], Ranges]:
    """Sum up what was read of a file."""
    wanted = {number for number, name in enumerate(accesses.names) if name == path}
    others, opens, smallest, page = set(), 0, None, False
    got: list[tuple[int, int]] = []
    for _time, start, _size, length, requested, _handle, file, _tid, _errno, op, flags in RECORD.iter_unpack(
        accesses.data
    ):
        if file not in wanted:
            if op == shared.READ and length:
                others.add(file)
        elif op == shared.OPEN:
            opens += 1
        elif op == shared.READ and length:
            got.append((start, start + length))
            if flags & shared.PAGE:
                page = True
            else:
                smallest = requested if smallest is None else min(smallest, requested)
    first, last = (got[0], got[-1]) if got else ((None, None), (None, None))
    found = {
        "opens": opens, "reads": len(got), "smallest_request": smallest, "others": len(others),
        "first_start": first[0], "first_end": first[1], "last_start": last[0], "last_end": last[1],
        "fidelity": None if not got else "page" if page else "byte",
    }  # fmt: skip
    return found, _merged(got)


def _merged(got: list[tuple[int, int]]) -> Ranges:
    """Merge ranges that touch, and count how many went into each."""
    merged: Ranges = []
    for start, end in sorted(got):
        if merged and start <= merged[-1][1]:
            before, until, count = merged[-1]
            merged[-1] = before, max(until, end), count + 1
        else:
            merged.append((start, end, 1))
    return merged


def shares(ranges: Sequence[tuple[int, int, int]], size: int, parts: int) -> list[float]:
    """Say which share of each of `parts` equal parts of a file lies in sorted, disjoint ranges; nothing for an empty file.

    A file of fewer bytes than parts has as many parts as bytes.
    """
    parts = min(parts, size)
    if ranges and ranges[0][0] <= 0 and ranges[0][1] >= size:  # as of most small files
        return [1.0] * parts
    edges = [size * number // parts for number in range(parts + 1)] if parts else []
    found, place = [], 0
    for left, right in pairwise(edges):
        covered = 0
        while place < len(ranges) and ranges[place][0] < right:
            covered += max(0, min(ranges[place][1], right) - max(ranges[place][0], left))
            if ranges[place][1] > right:
                break
            place += 1
        found.append(covered / (right - left))
    return found


def _level(share: float) -> int:
    return 0 if share <= 0 else 9 if share >= 1 else 1 + min(7, int(share * 8))


def runs_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Make the frame of a part's runs; what a row lacks is null."""
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in RUNS}, schema=RUNS)


def extents_frame(rows: Sequence[tuple[str, int | None, Ranges]]) -> pl.DataFrame:
    """Make the frame of a part's extents, from files, their sizes and their ranges."""
    flat = [(file, *extent, size) for file, size, ranges in rows for extent in ranges]
    return pl.DataFrame(flat, schema=EXTENTS, orient="row")


def effects_frame(rows: Sequence[tuple[str, int | None, Mapping[str, Any]]]) -> pl.DataFrame:
    """Make the frame of a part's effects, from files, their sizes and their maps (`fmrw.experiments.survey.mapping.Map.json`)."""
    flat = [
        {
            **{name: each[name] for name in ("start", "end", "class", "effect")}, "values": " ".join(map(str, each["values"])),
            **{column: (each["field"] or {}).get(name) for column, name in OF_FIELD.items()},
            "file": file, "size": size, "runs": found["runs"], "complete": found["complete"],
        }
        for file, size, found in rows for each in found["ranges"]
    ]  # fmt: skip
    return pl.DataFrame(flat, schema=EFFECTS, orient="row")


def files_frame(files: Sequence[tuple[str, int, int]]) -> pl.DataFrame:
    """Make the frame of a part's files."""
    return pl.DataFrame([tuple(file) for file in files], schema=FILES, orient="row")
