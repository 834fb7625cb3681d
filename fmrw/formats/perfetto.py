"""Events as a trace for ui.perfetto.dev and chrome://tracing: a track for every thread, and one for every file.

The JSON trace event format ("Trace Event Format", Google, 2016). An event is an instant on the track of the thread that made
the call and another on the track of the file; files stand together under a process of their own, whose id no real
process can have. Where it is known which code asked, the call is a slice on the track of its thread, below a slice for each frame of its stack,
the outermost on top ("complete events"). Such slices last 1 µs, or less where a thread has several events in one: how long a call took is not
known, and slices of a track must not cross. Times are microseconds after the first event, since only the moment of the answer is known; when that was
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
from fmrw.text import brief, visible
from fmrw.trace import exactness
from fmrw.trace.schema import EVENTS, transfers

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping, Sequence

FILES_PID = 2**22 + 1
"""Id of the pretended process of the files; PID_MAX_LIMIT is 2^22."""

_SLICE = 50_000
_NOBODY: Mapping[int, Sequence[str]] = MappingProxyType({})
_DEEPEST = 32  # frames that are shown of a stack
_PLAIN = ("start", "end", "requested", "size", "fidelity", "handle", "errno")
_ARGUMENTS = ("path", "process", "thread", *_PLAIN)


def export_perfetto(
    events: pl.DataFrame,
    processes: pl.DataFrame,
    path: str | os.PathLike[str],
    stacks: Mapping[int, Sequence[str]] = _NOBODY,
    mapped: Collection[str] = (),
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
        The frames of each call site (`Trace.sites`), the innermost first; the innermost 32 are shown.
    mapped : collection of str, optional
        Files that may have been read through maps which were not recorded (`fmrw.trace.exactness.is_mapped`); they are marked.

    Raises
    ------
    FigureError
        It cannot be written.
    """
    files = {name: number for number, name in enumerate(events["path"].unique(maintain_order=True), 1)}
    begun = events["time"].min()
    moved = transfers(events)
    said = (
        exactness.files_text([exactness.fidelity(moved)], mapped=any(file in mapped for file in files)),
        exactness.request_text(exactness.smallest_request(moved)),
    )
    exact = "; ".join(filter(None, said))
    other = {"begun": str(begun), "writer": "fmrw", "exactness": exact}
    head = {"displayTimeUnit": "ns", "otherData": other}
    try:
        with Path(path).open("w", encoding="utf-8") as stream:
            stream.write(f'{_json(head)[:-1]},"traceEvents":[\n')
            stream.write(",\n".join(map(_json, _tracks(events, processes, files, exact, mapped))))
            frames = _frames(stacks)
            for piece in _placed(events, begun, frames).iter_slices(_SLICE):
                stream.writelines(f",\n{line}" for line in _slices(piece, frames))
                stream.writelines(f",\n{line}" for line in _instants(piece, files))
            stream.write("\n]}\n")
    except OSError as error:
        raise FigureError(f"{visible(str(path))}: {error.strerror}; choose a file you may write.") from error


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


# The tracks


def _tracks(
    events: pl.DataFrame, processes: pl.DataFrame, files: dict[str, int], exact: str, mapped: Collection[str]
) -> Iterator[dict[str, Any]]:
    yield _named("process_name", FILES_PID, 0, f"files ({exact})")
    for file, number in files.items():
        yield _named("thread_name", FILES_PID, number, file + exactness.mark(None, mapped=file in mapped))
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


def _frames(stacks: Mapping[int, Sequence[str]]) -> pl.DataFrame:
    """Give the frames of each site, the outermost first, and all of them in one text."""
    named = {site: [brief(name) for name in frames[:_DEEPEST]] for site, frames in stacks.items()}
    rows = [(site, shown[::-1], " ← ".join(shown)) for site, shown in named.items() if shown]
    return pl.DataFrame(
        rows, {"site": pl.Int32, "frames": pl.List(pl.String), "stack": pl.String}, orient="row"
    )


def _placed(events: pl.DataFrame, begun: object, frames: pl.DataFrame) -> pl.DataFrame:
    """Add `ts`, and the place of a slice on the track of its thread, `at` and `dur`, in µs to the ns: events of one µs share it."""
    known = events.join(frames.select("site", "stack"), on="site", how="left", maintain_order="left")
    number, count = (each.over("pid", "tid", "time") for each in (pl.int_range(pl.len()), pl.len()))
    ts = (pl.col("time") - pl.lit(begun, EVENTS["time"])).dt.total_microseconds()
    return known.with_columns(ts=ts, at=ts + number * 1000 // count / 1000, dur=1000 // count / 1000)


def _slices(piece: pl.DataFrame, frames: pl.DataFrame) -> Iterator[str]:
    """Give the slices of events whose stack is known, as lines of JSON: the frames, and after them the call, which lies in the innermost."""
    known = piece.filter(pl.col("stack").is_not_null())
    place = (pl.lit("X").alias("ph"), "pid", "tid", pl.col("at").alias("ts"), "dur")
    above = known.join(frames.select("site", "frames"), on="site", maintain_order="left").explode("frames")
    yield from _lines(above.select(pl.col("frames").alias("name"), *place))
    yield from _lines(known.select(pl.col("op").cast(pl.String).alias("name"), _arguments(known), *place))


def _instants(piece: pl.DataFrame, files: dict[str, int]) -> Iterator[str]:
    """Give each event on its file's track, and on its thread's where it has no slice there, as lines of JSON."""
    number = piece["path"].replace_strict(files, return_dtype=pl.Int64)
    common = piece.select(
        _arguments(piece),
        "ts",
        "pid",
        "tid",
        "stack",
        ph=pl.lit("i"),
        s=pl.lit("t"),
        name=pl.col("op").cast(pl.String),
    ).select("ph", "s", "name", "ts", "args", "pid", "tid", "stack")
    of_files = _lines(common.drop("stack").with_columns(pid=pl.lit(FILES_PID), tid=number))
    for sliced, one, other in zip(
        common["stack"].is_not_null(), _lines(common.drop("stack")), of_files, strict=True
    ):
        if not sliced:
            yield one
        yield other


def _arguments(piece: pl.DataFrame) -> pl.Series:
    """Give what stands beside an event."""
    names = (_shown(piece[name]) for name in ("path", "process", "thread"))
    stacks = ["stack"] if piece["stack"].null_count() < piece.height else []
    shown = piece.select(*names, *_PLAIN, *stacks)
    return shown.select(args=pl.struct(*_ARGUMENTS, *stacks)).to_series()


def _lines(rows: pl.DataFrame) -> pl.Series:
    return rows.select(
        pl.struct(pl.all()).struct.json_encode().str.replace_all("<", "\\u003c", literal=True)
    ).to_series()


def _shown(names: pl.Series) -> pl.Series:
    """Scrub names, each different one once."""
    changed = {name: visible(name) for name in names.unique().drop_nulls()}
    return names.replace(list(changed), list(changed.values()))
