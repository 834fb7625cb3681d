"""Saving: a trace, wherever it comes from, written as a session folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.session import annotations as notes
from fmrw.trace import schema, store
from fmrw.trace.version import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from fmrw.offsets import Annotation


def save(
    target: Path,
    events: pl.DataFrame,
    *,
    processes: pl.DataFrame,
    sites: pl.DataFrame,
    facts: Mapping[str, Any],
    marked: Mapping[str, Sequence[Annotation]],
) -> None:
    """Write events, processes, call sites, facts and named ranges into a new folder; see `Trace.save`."""
    store.create(target, {})
    known = {name: value for name, value in facts.items() if name != "ranges"}
    bound = store.write_events(
        target / store.EVENTS, iter([schema.empty(), events.select(schema.EVENTS.names())]), target
    )
    store.write_processes(target, processes)
    store.write_sites(target, sites)
    write = {**store.read_facts(target), **known, "schema": SCHEMA, "ephemeral": False, **bound}
    store.write_facts(target, write)
    for path, ranges in marked.items():
        notes.write(target, path, ranges)
