"""Tails: bytes behind the last part of a file's format that no parser has read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.structure import structure
from fmrw.capture.system.proc import descriptor_path
from fmrw.session.beneath import open_below
from fmrw.text import path_bytes

if TYPE_CHECKING:
    from fmrw.experiments.survey.findings import Findings

_SCHEMA = pl.Schema(
    {"file": pl.String(), "size": pl.Int64(), "format": pl.String(), "format_end": pl.Int64(), "unread": pl.Int64()}
)  # fmt: skip


def tails(survey: Findings, candidates: int) -> pl.DataFrame:
    """Look at the files with the most bytes that nobody read; see `Survey.tails`."""
    most = survey.runs.group_by("file").agg(pl.col("size").max(), pl.col("read").max())
    suspects = (
        most.filter(pl.col("read") < pl.col("size")).sort(pl.col("size") - pl.col("read"), "file", descending=[True, False]).head(candidates).collect()
    )  # fmt: skip
    extents = (
        survey.extents.join(suspects.lazy().select("file"), on="file")
        .select("file", "start", "end")
        .collect()
    )
    read = {name: frame for (name,), frame in extents.partition_by("file", as_dict=True).items()}
    found = []
    for file, size in suspects.select("file", "size").iter_rows():
        own = read.get(file, extents.clear())
        gaps = ranges.complement(ranges.merge(own.select("start", "end")), size)
        if gaps.height and (row := _behind(survey.plan.corpus, file, size, gaps)) is not None:
            found.append(row)
    return pl.DataFrame(found, schema=_SCHEMA).sort("unread", "file", descending=[True, False])


def _behind(corpus: str, file: str, size: int, gaps: pl.DataFrame) -> dict[str, Any] | None:
    fd = open_below(corpus, path_bytes(file))
    if fd is None:
        return None
    try:
        if os.fstat(fd).st_size != size:
            return None
        parts = structure(descriptor_path(fd))
    finally:
        os.close(fd)
    if not parts.height:
        return None
    end = int(parts.select(pl.col("end").max()).item())
    behind = gaps.with_columns(pl.max_horizontal("start", pl.lit(end, pl.Int64)).alias("start")).filter(
        pl.col("start") < pl.col("end")
    )
    unread = int(behind.select((pl.col("end") - pl.col("start")).sum()).item())
    formats = ", ".join(parts.filter(pl.col("depth") == 0)["name"])
    return (
        {"file": file, "size": size, "format": formats, "format_end": end, "unread": unread}
        if unread
        else None
    )
