"""Drawing: a survey's disagreements as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.experiments.survey.rows import ACCEPTED
from fmrw.figures.page import About
from fmrw.figures.survey import Cell, survey
from fmrw.figures.theme import SCREEN, Look
from fmrw.text import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

    from fmrw.experiments.survey.findings import Findings


def chart(found: Findings, files: Sequence[str], look: Look = SCREEN) -> alt.LayerChart:
    """Draw some files of a survey; see `Survey.chart`."""
    runs = found.runs.filter(pl.col("file").is_in(list(files))).collect()
    cells: dict[str, dict[str, Cell]] = {file: {} for file in files}
    for row in runs.iter_rows(named=True):
        cells[row["file"]][row["parser"]] = Cell(_said(row), row["verdict"] == ACCEPTED, row["strip"])
    seen = runs["fidelity"].drop_nulls()
    plan = found.plan
    about = About(
        f"{Path(plan.corpus).name}: {len(files):,} of {plan.count:,} files",
        int(runs.group_by("file").agg(pl.col("size").max())["size"].sum()),
        page=None if seen.is_empty() else "page" in seen.to_list(),
        requests=int(runs["reads"].sum()),
        capture="exact",
    )
    return survey(cells, found.parsers, about, look=look)


def _said(row: Mapping[str, Any]) -> str:
    ending = row["status"] if row["status"] is not None else row["signal"]
    code = f" {ending}" if ending and row["verdict"] != ACCEPTED else ""
    share = "" if row["share"] is None else f", {percent(row['share'])}"
    return f"{row['verdict']}{code}{share}"
