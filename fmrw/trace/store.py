"""Session store: the facts, processes and events of a recording in a folder, which `fmrw.trace.folder` makes and removes.

    session.json         schema version, root, mount options, command, host, versions, times, counts, files, renames
    processes.parquet    `schema.PROCESSES`
    events.parquet       `schema.EVENTS`, once the session is sealed
    sites.parquet        `schema.SITES`, where call sites were recorded
    ranges.parquet       `merged.MERGED`, the merged ranges, where there are many events; bound to them (`fmrw.trace.rangetable`), never needed
    journal/             what the worker writes; turned into the Parquet files by `seal`, then removed
    worker.log           what went wrong inside, if anything did

Folders are 0700 and files 0600: a recording tells what its owner reads. Everything is written under another name, brought to
the disk and renamed, so that a folder holds a whole file or none; `events.parquet` comes last, and the journal goes when that is on the disk,
so that a session is sealed whole or not at all, whatever dies.
Sealing streams: a session of 100 million events never stands in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.io.plugins import register_io_source

from fmrw.errors import SessionError
from fmrw.text import visible
from fmrw.trace import rangetable, schema
from fmrw.trace.facts import FACTS, now, persist, read_facts, replacing, write_facts
from fmrw.trace.folder import (
    EVENTS,
    JOURNAL,
    LOG,
    PROCESSES,
    RANGES,
    SITES,
    TEMPORARY,
    abandoned,
    create,
    is_sealed,
    sweep,
)
from fmrw.trace.follow import Follower
from fmrw.trace.parquet import tables
from fmrw.trace.spool import Spool
from fmrw.trace.version import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "EVENTS", "FACTS", "JOURNAL", "PROCESSES", "RANGES", "SITES", "TEMPORARY", "abandoned", "counts", "create", "facts", "following", "is_sealed",
    "processes", "read_facts", "scan", "scan_events", "seal", "sites", "sweep", "write_events", "write_facts", "write_processes", "write_sites",
]  # fmt: skip

_LISTED = 200_000  # files and renames that `session.json` names at most


def _shown(path: Path) -> str:
    return visible(str(path))


# The journal becomes Parquet


@contextlib.contextmanager
def following(folder: Path) -> Iterator[Follower]:
    """Open the journal of a session for reading."""
    try:
        directory = os.open(folder / JOURNAL, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise SessionError(
            f"{_shown(folder)}: {JOURNAL}: {error.strerror}; give a folder that fmrw recorded into."
        ) from error
    try:
        follower = Follower(directory)
        try:
            yield follower
        finally:
            follower.close()
    finally:
        os.close(directory)


def seal(folder: Path) -> None:
    """Turn the journal of a session that ended into Parquet files, then remove it.

    Raises
    ------
    SessionError
        The files cannot be written; the journal stays, and `fmrw.load` reads it.
    """
    try:
        with following(folder) as follower, replacing(folder / EVENTS, lasting=True) as temporary:
            bound = write_events(temporary, _all(follower), folder)
            write_processes(folder, follower.names.processes_frame())
            write_sites(folder, follower.names.sites_frame())
            write_facts(
                folder,
                {**read_facts(folder), "schema": SCHEMA, "ended": now(), **counts(follower), **bound},
                lasting=True,
            )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SessionError(
            f"{_shown(folder)}: not sealed ({error}); the journal is kept and loads, make room and `fmrw report` again."
        ) from error
    persist(folder)
    shutil.rmtree(folder / JOURNAL)
    _tidy(folder)


def _all(follower: Follower) -> Iterator[pl.DataFrame]:
    yield schema.empty()
    yield from follower.batches()
    yield from follower.flush()


def _tidy(folder: Path) -> None:
    """Remove an empty log, and what a killed process left unfinished."""
    for left in (".report-*", *(f".{name}.*" for name in (EVENTS, RANGES, FACTS))):
        for path in folder.glob(left):
            path.unlink(missing_ok=True)
    log = folder / LOG
    if log.exists() and not log.stat().st_size:
        log.unlink()


def counts(follower: Follower) -> dict[str, Any]:
    """Give what a journal says about itself, for `session.json`."""
    names = follower.names
    return {
        "events": follower.rows,
        "lost": follower.head.counter("lost"),
        "faults": follower.head.counter("faults"),
        "guessed_calls": follower.head.counter("guessed"),
        "lacks": follower.head.lacks(),
        "rings": names.rings[:_LISTED],
        "without_sites": names.without[:_LISTED],
        "files": {
            path: {"size": size, "mtime_ns": mtime}
            for path, (size, mtime) in itertools.islice(names.files.items(), _LISTED)
        },
        "renames": [{"time_ns": time, "old": old, "new": new} for time, old, new in names.renames[:_LISTED]],
    }


def write_events(path: Path, batches: Iterator[pl.DataFrame], folder: Path) -> dict[str, Any]:
    """Stream frames of events into one Parquet file, and their merged ranges into a table in the session's folder.

    Returns
    -------
    dict
        What `session.json` shall say of that table; nothing where there is none.
    """
    watching = rangetable.Watching(batches)

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del with_columns, predicate, n_rows, batch_size  # a sink of everything pushes nothing down
        yield from watching

    lazy = register_io_source(source, schema=schema.EVENTS)
    with path.open("wb") as file:  # polars takes no names that are not UTF-8
        lazy.sink_parquet(file, compression="zstd", row_group_size=1 << 18, maintain_order=True)
    return watching.write(folder, path)


def write_processes(folder: Path, processes: pl.DataFrame) -> None:
    """Write `processes.parquet`."""
    with replacing(folder / PROCESSES, lasting=True) as temporary, temporary.open("wb") as file:
        processes.write_parquet(file, compression="zstd")


def write_sites(folder: Path, sites: pl.DataFrame) -> None:
    """Write `sites.parquet`, where there are any."""
    if sites.height:
        with replacing(folder / SITES, lasting=True) as temporary, temporary.open("wb") as file:
            sites.write_parquet(file, compression="zstd")


# Reading


def scan(folder: Path) -> pl.LazyFrame:
    """Give a session's events, lazily; those of one that is not sealed pass through a temporary file.

    Raises
    ------
    SessionError
        There are none, or they are damaged.
    """
    if is_sealed(folder):
        return scan_events(folder / EVENTS)
    spool = Spool()
    try:
        with following(folder) as follower:
            spool.extend(_all(follower))
    except SessionError:
        if not is_sealed(folder):  # not meanwhile, either
            raise
    return scan_events(folder / EVENTS) if is_sealed(folder) else spool.lazy()


def scan_events(path: Path) -> pl.LazyFrame:
    """Scan a Parquet file of events.

    Raises
    ------
    SessionError
        It is damaged, or not written by fmrw.
    """
    return tables.scan(path, schema.EVENTS)


def processes(folder: Path) -> pl.DataFrame:
    """Give a session's processes.

    Raises
    ------
    SessionError
        They are damaged.
    """
    if is_sealed(folder):
        return tables.scan(folder / PROCESSES, schema.PROCESSES).collect()
    with following(folder) as follower:
        follower.names.refresh()
        return follower.names.processes_frame()


def sites(folder: Path) -> pl.DataFrame:
    """Give a session's call sites as `schema.SITES`; no rows where none were recorded.

    Raises
    ------
    SessionError
        They are damaged.
    """
    if is_sealed(folder):
        path = folder / SITES
        return tables.scan(path, schema.SITES).collect() if path.exists() else schema.SITES.to_frame()
    with following(folder) as follower:
        follower.names.refresh()
        return follower.names.sites_frame()


def facts(folder: Path) -> dict[str, Any]:
    """Give `session.json`, completed from the journal where the session is not sealed."""
    known = read_facts(folder)
    if is_sealed(folder):
        return known
    with following(folder) as follower:
        for _frame in _all(follower):
            pass
        return {**known, **counts(follower)}
