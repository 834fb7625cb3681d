"""Events as a trace for ui.perfetto.dev and chrome://tracing: a track for every thread, and one for every file.

The JSON trace event format ("Trace Event Format", Google, 2016). An event is an instant on the track of the thread that made
the call and another on the track of the file; files stand together under a process of their own, whose id no real
process can have. Times are microseconds after the first event, since only the moment of the answer is known; when that was
stands in `otherData`. How exact the ranges are stands there too and behind the name of the files' process, which the viewer shows;
each event says its own. Names are scrubbed, and `<` is escaped so that the file may be embedded in a page.

Written slice by slice: memory does not grow with the trace.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.errors import FigureError
from fmrw.text import visible
from fmrw.trace import exactness
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

FILES_PID = 2**22 + 1
"""Id of the pretended process of the files; PID_MAX_LIMIT is 2^22."""

_SLICE = 50_000
_NOBODY: Mapping[int, str] = MappingProxyType({})
_PLAIN = ("start", "end", "requested", "size", "fidelity", "handle", "errno")
_ARGUMENTS = ("path", "process", "thread", *_PLAIN)


def export_perfetto(
    events: pl.DataFrame,
    processes: pl.DataFrame,
    path: str | os.PathLike[str],
    stacks: Mapping[int, str] = _NOBODY,
) -> None:
    """Write a trace.

    Parameters
    ----------
    events : frame of schema.EVENTS
    processes : frame of schema.PROCESSES
        Names and command lines; threads that are missing are named after their events.
    path : path
        Where to; overwritten.
    stacks : mapping, optional
        What stands as the stack of each call site (`Trace.sites`).

    Raises
    ------
    FigureError
        It cannot be written.
    """
    files = {name: number for number, name in enumerate(events["path"].unique(maintain_order=True), 1)}
    begun = events["time"].min()
    moved = transfers(events)
    said = (
        exactness.exactness_text(exactness.fidelity(moved)),
        exactness.request_text(exactness.smallest_request(moved)),
    )
    exact = "; ".join(filter(None, said))
    other = {"begun": str(begun), "writer": "fmrw", "exactness": exact}
    head = {"displayTimeUnit": "ns", "otherData": other}
    try:
        with Path(path).open("w", encoding="utf-8") as stream:
            stream.write(f'{_json(head)[:-1]},"traceEvents":[\n')
            stream.write(",\n".join(map(_json, _tracks(events, processes, files, exact))))
            for piece in events.iter_slices(_SLICE):
                stream.writelines(f",\n{line}" for line in _instants(piece, files, begun, stacks))
            stream.write("\n]}\n")
    except OSError as error:
        raise FigureError(f"{visible(str(path))}: {error.strerror}; choose a file you may write.") from error


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


# The tracks


def _tracks(
    events: pl.DataFrame, processes: pl.DataFrame, files: dict[str, int], exact: str
) -> Iterator[dict[str, Any]]:
    yield _named("process_name", FILES_PID, 0, f"files ({exact})")
    for file, number in files.items():
        yield _named("thread_name", FILES_PID, number, file)
    known = processes.select("pid", "tid", "name", "thread", "cmdline")
    last = (pl.col("process").last().alias("name"), pl.col("thread").last())
    seen = events.group_by("pid", "tid", maintain_order=True).agg(*last)
    threads = pl.concat([seen.with_columns(cmdline=pl.lit("")), known])
    for pid, tid, name, thread, cmdline in threads.unique(
        ["pid", "tid"], keep="last", maintain_order=True
    ).iter_rows():
        yield _named("thread_name", pid, tid, thread or "")
        if pid == tid:
            yield _named("process_name", pid, tid, name or "")
            yield {
                "ph": "M",
                "name": "process_labels",
                "pid": pid,
                "args": {"labels": visible(cmdline or "")},
            }


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": visible(name)}}


# The events


def _instants(
    piece: pl.DataFrame, files: dict[str, int], begun: object, stacks: Mapping[int, str]
) -> Iterator[str]:
    """Give each event twice, on its thread's track and on its file's, as lines of JSON."""
    number = piece["path"].replace_strict(files, return_dtype=pl.Int64)
    known = [stacks.get(site, "") if site is not None else "" for site in piece["site"]] if stacks else []
    said = {"stack": pl.Series(known, dtype=pl.String)} if stacks else {}
    common = piece.select(
        _shown(piece["path"]),
        _shown(piece["process"]),
        _shown(piece["thread"]),
        *_PLAIN,
        ph=pl.lit("i"),
        s=pl.lit("t"),
        name=pl.col("op").cast(pl.String),
        ts=(pl.col("time") - pl.lit(begun)).dt.total_microseconds(),
        **said,
    ).select("ph", "s", "name", "ts", args=pl.struct(*_ARGUMENTS, *said))
    of_threads = common.with_columns(piece["pid"], piece["tid"])
    of_files = common.with_columns(pid=pl.lit(FILES_PID), tid=number)
    for one, other in zip(_lines(of_threads), _lines(of_files), strict=True):
        yield one
        yield other


def _lines(rows: pl.DataFrame) -> pl.Series:
    return rows.select(
        pl.struct(pl.all()).struct.json_encode().str.replace_all("<", "\\u003c", literal=True)
    ).to_series()


def _shown(names: pl.Series) -> pl.Series:
    """Scrub names, each different one once."""
    changed = {name: visible(name) for name in names.unique().drop_nulls()}
    return names.replace(list(changed), list(changed.values()))
