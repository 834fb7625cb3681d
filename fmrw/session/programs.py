"""Programs: what one of those that a recording knows did, looked up by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import summary
from fmrw.errors import UnknownPath
from fmrw.session.sources import merged_ranges, rows
from fmrw.text import visible
from fmrw.trace.merged import MERGED, NEEDED, NOBODY_PID, Merging

if TYPE_CHECKING:
    from fmrw.session.sources import Source

_MOST_NAMED = 12
_APART = 1 << 19  # merged ranges up to which those of each process are held by themselves


def require(whole: Source, part: Source, process: str, name: str) -> None:
    """Refuse a part of a recording in which there is nothing.

    Parameters
    ----------
    whole, part
        The recording, and what the process did in it.
    process, name
        What both are called.

    Raises
    ------
    UnknownPath
        The part is empty; the message lists the processes that are recorded.
    """
    if not rows(part, columns=["path"], most=1).height:
        known = merged_ranges(whole).filter(pl.col("process") != "")["process"].unique().sort()
        shown = ", ".join(visible(each) for each in known.head(_MOST_NAMED)) or "nobody"
        raise UnknownPath(f"{visible(process)} did nothing in {name}; these did: {shown}.")


def only_file(source: Source, process: str) -> str:
    """Give the only file that a process read; see `Trace.__getitem__`."""
    read = source.lazy().filter(pl.col("op") == "read", pl.col("end") > pl.col("start"))
    pairs = read.select("process", "path").unique().collect()
    paths: list[str] = pairs.filter(pl.col("process") == process)["path"].to_list()
    if not paths:
        known = ", ".join(visible(name) for name in sorted(set(pairs["process"]))) or "nobody"
        raise UnknownPath(f"{visible(process)} read nothing in this session; {known} did.")
    if len(paths) > 1:
        raise UnknownPath(
            f"{visible(process)} read {len(paths)} files; choose one with `trace.runs(PATH)[{visible(process)!r}]`."
        )
    return paths[0]


def by_program(source: Source, path: str | None) -> pl.DataFrame:
    """Give what each program did with one file, or with each; see `Trace.by_program`."""
    known = merged_ranges(source, path) if source.sealed is not None else MERGED.to_frame()
    if not known.height or (known["pid"] == NOBODY_PID).any():  # those of all programs together
        known = _apart(source, path)
    return summary.by_program(known)


def _apart(source: Source, path: str | None) -> pl.DataFrame:
    """Merge the ranges of each process by themselves, which takes as long as there are events."""
    merging = Merging(by_process=_APART)
    events = source.lazy() if path is None else source.lazy().filter(pl.col("path") == path)
    for batch in events.select(NEEDED).collect_batches(maintain_order=True):
        merging.add(batch)
    frame = merging.frame()
    return MERGED.to_frame() if frame is None else frame
