"""Saving: a trace, wherever it comes from, written as a session folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.session import annotations as notes
from fmrw.trace import effects, schema, store
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
    found: pl.DataFrame | None = None,
) -> None:
    """Write events, processes, call sites, what a probe found, facts and named ranges into a new folder; see `Trace.save`."""
    store.create(target, {})
    known = {name: value for name, value in facts.items() if name != "ranges"}
    bound = store.write_events(
        target / store.EVENTS, iter([schema.empty(), events.select(schema.EVENTS.names())]), target
    )
    store.write_processes(target, processes)
    store.write_sites(target, sites)
    if found is not None and found.height:
        effects.write(found, target)
    own = {
        "schema": SCHEMA,
        "ephemeral": False,
        "events": events.height,
    }  # which may be fewer than of the whole recording
    store.write_facts(target, {**store.read_facts(target), **known, **own, **bound})
    for path, ranges in marked.items():
        notes.write(target, path, ranges)
