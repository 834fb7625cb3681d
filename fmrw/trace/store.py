"""A session on disk: a folder with its facts, its processes and its events.

    session.json         schema version, root, mount options, command, host, versions, times, counts, files, renames
    processes.parquet    `schema.PROCESSES`
    events.parquet       `schema.EVENTS`, once the session is sealed
    journal/             what the worker writes; turned into the Parquet files by `seal`, then removed
    worker.log           what went wrong inside, if anything did

Folders are 0700 and files 0600: a recording tells what its owner reads. Everything is written under another name and renamed,
so that a folder holds a whole file or none. Sealing streams: a session of 100 million events never stands in memory.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import platform
import shutil
import socket
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.io.plugins import register_io_source

from fmrw.errors import NewerSchema, SessionError, SessionExists
from fmrw.text import visible
from fmrw.trace import schema
from fmrw.trace.follow import Follower

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FACTS = "session.json"
EVENTS = "events.parquet"
PROCESSES = "processes.parquet"
JOURNAL = "journal"


def now() -> str:
    """Give the present time as sessions write it: ISO 8601, UTC, microseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def create(folder: Path, facts: Mapping[str, Any]) -> None:
    """Make an empty session.

    Raises
    ------
    SessionExists
        The folder holds something already; nothing is overwritten.
    SessionError
        It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise SessionError(f"{_shown(folder)}: {error.strerror}; choose a folder you may write.") from error
    if occupied:
        raise SessionExists(
            f"{_shown(folder)} is not empty, and a session is never overwritten; choose another folder, such as {_shown(_free_name(folder))}."
        )
    folder.chmod(0o700)
    host = {"host": socket.gethostname(), "kernel": platform.release(), "python": platform.python_version()}
    write_facts(folder, {"schema": schema.VERSION, "started": now(), **host, **facts})


def _free_name(folder: Path) -> Path:
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 10_000))
    return next(name for name in numbered if not name.exists())


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `session.json`, whole or not at all."""
    with _replacing(folder / FACTS) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=True) + "\n")


def read_facts(folder: Path) -> dict[str, Any]:
    """Read `session.json`.

    Raises
    ------
    SessionError
        It is missing or damaged.
    NewerSchema
        A newer fmrw wrote it.
    """
    try:
        facts = json.loads((folder / FACTS).read_bytes())
    except OSError as error:
        raise SessionError(
            f"{_shown(folder)} is no session ({FACTS}: {error.strerror}); give a folder that fmrw recorded into."
        ) from error
    except ValueError as error:
        raise SessionError(
            f"{_shown(folder)}: {FACTS} is damaged ({error}); restore it from a copy."
        ) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("schema"), int):
        raise SessionError(
            f"{_shown(folder)}: {FACTS} does not describe a session; give a folder that fmrw recorded into."
        )
    if facts["schema"] > schema.VERSION:
        raise NewerSchema(
            f"{_shown(folder)} was written by a newer fmrw (schema {facts['schema']}, this one reads {schema.VERSION}); `pip install --upgrade fmrw` reads it."
        )
    return facts


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside a path; rename it there when all went well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.touch(mode=0o600)
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _shown(path: Path) -> str:
    return visible(str(path))


# The journal becomes Parquet


@contextlib.contextmanager
def following(folder: Path) -> Iterator[Follower]:
    """Open the journal of a session for reading."""
    try:
        directory = os.open(folder / JOURNAL, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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


def is_sealed(folder: Path) -> bool:
    """Tell whether a session's events stand in Parquet."""
    return (folder / EVENTS).exists()


def seal(folder: Path) -> None:
    """Turn the journal of a session that ended into Parquet files, then remove it.

    Raises
    ------
    SessionError
        The files cannot be written; the journal stays, and `fmrw.load` reads it.
    """
    try:
        with following(folder) as follower:
            _write_events(folder, follower)
            write_processes(folder, follower.names.processes_frame())
            write_facts(folder, {**read_facts(folder), "ended": now(), **counts(follower)})
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SessionError(
            f"{_shown(folder)}: not sealed ({error}); the journal is kept and loads, make room and `fmrw report` again."
        ) from error
    shutil.rmtree(folder / JOURNAL)
    log = folder / "worker.log"
    if log.exists() and not log.stat().st_size:
        log.unlink()


def counts(follower: Follower) -> dict[str, Any]:
    """Give what a journal says about itself, for `session.json`."""
    names = follower.names
    return {
        "events": follower.recorded,
        "lost": follower.head.counter("lost"),
        "faults": follower.head.counter("faults"),
        "guessed_calls": follower.head.counter("guessed"),
        "files": {path: {"size": size, "mtime_ns": mtime} for path, (size, mtime) in names.files.items()},
        "renames": [{"time_ns": time, "old": old, "new": new} for time, old, new in names.renames],
    }


def _write_events(folder: Path, follower: Follower) -> None:
    def batches() -> Iterator[pl.DataFrame]:
        yield schema.empty()
        yield from follower.batches()
        yield from follower.flush()

    with _replacing(folder / EVENTS) as temporary:
        write_events(temporary, batches())


def write_events(path: Path, batches: Iterator[pl.DataFrame]) -> None:
    """Stream frames of events into one Parquet file."""

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del with_columns, predicate, n_rows, batch_size  # a sink of everything pushes nothing down
        yield from batches

    lazy = register_io_source(source, schema=schema.EVENTS)
    lazy.sink_parquet(path, compression="zstd", row_group_size=1 << 18, maintain_order=True)


def write_processes(folder: Path, processes: pl.DataFrame) -> None:
    """Write `processes.parquet`."""
    with _replacing(folder / PROCESSES) as temporary:
        processes.write_parquet(temporary, compression="zstd")


# Reading


def scan(folder: Path) -> pl.LazyFrame:
    """Give a session's events, lazily where they are sealed.

    Raises
    ------
    SessionError
        There are none, or they are damaged.
    """
    if not is_sealed(folder):
        with following(folder) as follower:
            frames = [schema.empty(), *follower.batches(), *follower.flush()]
        return pl.concat(frames).lazy()
    lazy = pl.scan_parquet(folder / EVENTS)
    try:
        found = lazy.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SessionError(
            f"{_shown(folder)}: {EVENTS} is damaged ({error}); restore it from a copy."
        ) from error
    missing = [name for name in schema.EVENTS if name not in found]
    if missing:
        raise SessionError(
            f"{_shown(folder)}: {EVENTS} lacks the columns {', '.join(missing)}; it was not written by fmrw. Record again."
        )
    return lazy.select(pl.col(name).cast(kind) for name, kind in schema.EVENTS.items())


def processes(folder: Path) -> pl.DataFrame:
    """Give a session's processes."""
    if (folder / PROCESSES).exists():
        return pl.read_parquet(folder / PROCESSES)
    with following(folder) as follower:
        follower.names.refresh()
        return follower.names.processes_frame()


def facts(folder: Path) -> dict[str, Any]:
    """Give `session.json`, completed from the journal where the session is not sealed."""
    known = read_facts(folder)
    if is_sealed(folder):
        return known
    with following(folder) as follower:
        for _frame in follower.batches():
            pass
        return {**known, **counts(follower)}
