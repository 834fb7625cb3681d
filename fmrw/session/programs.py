"""Programs: what one of those that a recording knows did, looked up by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.errors import UnknownPath
from fmrw.session.sources import merged_ranges, rows
from fmrw.text import visible

if TYPE_CHECKING:
    from fmrw.session.sources import Source

_MOST_NAMED = 12


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
