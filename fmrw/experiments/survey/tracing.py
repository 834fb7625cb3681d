"""Tracing: what a survey's parsers read of one file, as a `Trace`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema

if TYPE_CHECKING:
    from fmrw.experiments.survey.plan import Plan


def trace(plan: Plan, runs: pl.DataFrame, extents: pl.DataFrame) -> Trace:
    """Make a trace in which each parser is a program; both frames are about one file, in the order of the parsers."""
    numbers = {parser: place + 1 for place, parser in enumerate(plan.parsers)}
    told = {row["parser"]: row for row in runs.iter_rows(named=True)}
    events = [
        _event(seq, row, numbers[row["parser"]], told[row["parser"]])
        for seq, row in enumerate(extents.iter_rows(named=True))
    ]
    facts = {
        "root": plan.corpus,
        "options": {"capture": "exact"},
        "files": {},
        **({"ended": plan.begun} if plan.begun else {}),
    }
    processes = [
        {
            "pid": number,
            "tid": number,
            "name": parser,
            "thread": parser,
            "cmdline": " ".join(plan.parsers[parser]),
        }
        for parser, number in numbers.items()
    ]
    return Trace(
        FrameSource(
            pl.DataFrame(events, schema=schema.EVENTS),
            pl.DataFrame(processes, schema=schema.PROCESSES),
            facts,
        )
    )


def _event(seq: int, row: dict[str, Any], number: int, run: dict[str, Any]) -> dict[str, Any]:
    length = row["end"] - row["start"]
    return {
        "seq": seq, "time": dt.datetime.fromtimestamp(seq / 1e6, dt.UTC), "op": "read", "path": row["file"], "call": seq,
        "start": row["start"], "end": row["end"], "requested": min(length, run["smallest_request"] or length), "size": row["size"],
        "fidelity": run["fidelity"] or "byte", "handle": number, "pid": number, "tid": number, "process": row["parser"],
        "errno": 0, "thread": row["parser"],
    }  # fmt: skip
