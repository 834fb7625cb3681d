"""Parquet files of a session, read so that whatever is in them ends in rows or in one SessionError.

A frame that is scanned lazily fails where it is used, far from here. So a file is tried once, before anybody sees it: its claims
first (`fmrw.trace.parquet.claims`), then every page of it is decoded, in bounded memory, about 0.1 s for a million events, and what our own code relies
on is looked at: no value missing, times and ranges that can be. What passed is remembered as long as it does not
change. Statistics in the file are never used: they may lie, and hide rows.

Where polars panics, Rust writes to standard error before Python hears of it. It is kept from there (`_silenced`) while a file is
tried: what other threads wrote meanwhile is passed on, unless a panic stands between.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from typing import IO, TYPE_CHECKING

import polars as pl

from fmrw.errors import SessionError
from fmrw.text import visible
from fmrw.trace import schema
from fmrw.trace.parquet import claims

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_LONGEST = 1 << 17  # bytes of a path, a name or a command line
_LAST = 253_402_300_800_000_000  # microseconds from 1970 to the year 10000, where Python's calendar ends
_REMEMBERED = 4096
_tried: dict[tuple[int, ...], None] = {}
_silence = threading.Lock()


def scan(path: Path, columns: pl.Schema) -> pl.LazyFrame:
    """Scan a Parquet file that holds these columns, whoever wrote it.

    Raises
    ------
    SessionError
        It is damaged, claims what cannot be, or was not written by fmrw.
    """
    try:
        with _opened(path) as file:
            known = (*_identity(file.fileno()), len(columns))
            lazy = pl.scan_parquet(file, use_statistics=False)  # keeps a descriptor of its own
            if known not in _tried:
                claims.check(file.fileno())
                with _silenced():
                    _try(lazy, columns)
                _remember(known)
    except (*DAMAGE, OSError, ValueError) as error:
        reason = visible(getattr(error, "strerror", None) or str(error).partition("\n")[0])
        raise SessionError(f"{_shown(path)} is damaged ({reason}); restore it from a copy.") from error
    except _OfAnotherMake as error:
        raise SessionError(f"{_shown(path)} {error}; it was not written by fmrw. Record again.") from error
    return _typed(lazy, columns)


class _OfAnotherMake(Exception):
    """A file that may well be sound, but is no table of ours."""


def _typed(lazy: pl.LazyFrame, columns: pl.Schema) -> pl.LazyFrame:
    found = lazy.collect_schema()
    return lazy.select(
        pl.col(name if name in found else _stand_in(name, columns)).cast(kind).alias(name)
        for name, kind in columns.items()
    )


def _stand_in(name: str, columns: pl.Schema) -> str:
    """Give the column that stands for one which older sessions lack; itself where none does."""
    return next((each for each in schema.SINCE_2.get(name, ()) if each in columns), name)


def _shown(path: Path) -> str:
    return visible(str(path))


def _opened(path: Path) -> IO[bytes]:
    """Open a regular file; a pipe, which could wait for ever, is refused. polars takes no names that are not UTF-8, but files."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    raise ValueError("not a regular file")


def _identity(fd: int) -> tuple[int, ...]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _remember(known: tuple[int, ...]) -> None:
    while len(_tried) >= _REMEMBERED:
        _tried.pop(next(iter(_tried)))
    _tried[known] = None


def _try(lazy: pl.LazyFrame, columns: pl.Schema) -> None:
    """Decode everything once; raise ValueError for values that our own code could not bear."""
    found = lazy.collect_schema()
    missing = [name for name in columns if name not in found and _stand_in(name, columns) == name]
    if missing:
        raise _OfAnotherMake(f"lacks the columns {', '.join(missing)}")
    answers = _typed(lazy, columns).select(_doubts(columns)).collect(engine="streaming")
    broken = [what for what, holds in answers.row(0, named=True).items() if holds]
    if broken:
        raise ValueError(broken[0])


def _doubts(columns: pl.Schema) -> Iterator[pl.Expr]:
    for name, kind in columns.items():
        column = pl.col(name)
        yield column.is_null().any().alias(f"values of {name} are missing")
        if kind == pl.String():
            yield (column.str.len_bytes().max() > _LONGEST).alias(f"a {name} is too long")
        if kind == pl.Datetime("us", "UTC"):
            moment = column.to_physical()
            yield ((moment < 0) | (moment >= _LAST)).any().alias(f"a {name} is out of range")
    if columns == schema.EVENTS:
        start, end, size = pl.col("start"), pl.col("end"), pl.col("size")
        yield ((start < 0) | (end < start) | (size < 0)).any().alias("a range cannot be")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep a panic's message from standard error; pass on everything else that was written there."""
    with _silence:
        try:
            before = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError:  # there is no standard error
            yield
            return
        said = os.memfd_create("fmrw-said")
        os.dup2(said, 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            _pass_on(said)
            os.close(before)


def _pass_on(said: int) -> None:
    with os.fdopen(said, "rb") as file:
        file.seek(0)
        text = file.read()
    if text and b"panicked at" not in text:
        with contextlib.suppress(OSError):  # nobody listens
            os.write(2, text)
