"""Parquet files of a session, read so that whatever is in them ends in rows or in one SessionError.

A frame that is scanned lazily fails where it is used, far from here. So a file is tried once, before anybody sees it: its claims
first (`fmrw.trace.parquet.claims`), then every page of it is decoded, in bounded memory, about 0.1 s for a million events, and what our own code relies
on is looked at: no value missing, times and ranges that can be. What passed is remembered as long as it does not
change. Who wants some rows or columns only (`rows`, `each`, `ends`) gets them as frames: then the claims of what is asked for come first as
well, and only that is decoded, and looked at as it goes out. Statistics in the file are never used: they may lie, and hide rows.

Where polars panics, Rust writes to standard error before Python hears of it. It is kept from there (`_silenced`) while a file is
tried: what other threads wrote meanwhile is passed on, unless a panic stands between.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from typing import IO, TYPE_CHECKING, Any

import polars as pl

from fmrw.errors import SessionError
from fmrw.text import visible
from fmrw.trace import schema
from fmrw.trace.parquet.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_LONGEST = 1 << 17  # bytes of a path, a name or a command line
_LAST = 253_402_300_800_000_000  # microseconds from 1970 to the year 10000, where Python's calendar ends
_REMEMBERED = 4096
_BATCH = 1 << 18
_tried: dict[tuple[int, ...], None] = {}
_claimed: dict[tuple[int, ...], Claims] = {}
_silence = threading.RLock()


def scan(path: Path, columns: pl.Schema, missing: frozenset[str] | None = None) -> pl.LazyFrame:
    """Scan a Parquet file that holds these columns, whoever wrote it.

    Parameters
    ----------
    missing
        Those in which values may be missing, and which the file may lack; of a table of events `schema.NULLABLE`.

    Raises
    ------
    SessionError
        It is damaged, claims what cannot be, or was not written by fmrw.
    """
    with _told(path), _opened(path) as file:
        _claims_of(file.fileno(), columns).check(file.fileno())  # whoever gets the scan may read anything
        lazy = _sound(file, columns, missing=missing)
        known = (*_identity(file.fileno()), len(columns))
        if known not in _tried:
            with _silenced():
                _examine(lazy, columns, missing)
            _remember(_tried, known, None)
    return lazy


def rows(
    path: Path, columns: pl.Schema, where: pl.Expr | None = None, most: int | None = None
) -> pl.DataFrame:
    """Read the rows of a Parquet file that fulfil a condition, `most` of them at most; nothing else of it is decoded or tried.

    Raises
    ------
    SessionError
        As for `scan`, as far as these columns and rows are concerned.
    """
    with _told(path), _opened(path) as file, _silenced():
        lazy = _sound(file, columns)
        lazy = lazy if where is None else lazy.filter(where)
        found = (lazy if most is None else lazy.head(most)).collect(engine="streaming")
        _examine(found.lazy(), columns)
    return found


def each(path: Path, columns: pl.Schema, take: Callable[[pl.DataFrame], None]) -> None:
    """Hand these columns of a Parquet file over in batches, each tried before, in their order; `take` asks nothing of files itself.

    Raises
    ------
    SessionError
        As for `scan`, as far as these columns are concerned.
    """
    with _told(path), _opened(path) as file, _silenced():
        lazy = _sound(file, columns)
        for batch in lazy.collect_batches(chunk_size=_BATCH, maintain_order=True):
            _examine(batch.lazy(), columns)
            take(batch)


def ends(path: Path, columns: pl.Schema, count: int) -> pl.DataFrame:
    """Read the first and the last rows of a Parquet file; nothing else of it is decoded or tried.

    Raises
    ------
    SessionError
        As for `scan`, as far as these columns and rows are concerned.
    """
    with _told(path), _opened(path) as file, _silenced():
        claims = _claims_of(file.fileno())
        lazy, last = _sound(file, columns, claims.at_ends(count)), claims.rows - count
        parts = [lazy.head(count), *([lazy.slice(last, count)] if last > 0 else [])]
        found = pl.concat(part.collect() for part in parts)
        _examine(found.lazy(), columns)
    return found


def height(path: Path) -> int:
    """Count the rows of a Parquet file, by its claims.

    Raises
    ------
    SessionError
        They cannot be.
    """
    with _told(path), _opened(path) as file:
        return _claims_of(file.fileno()).rows


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one line what is wrong with a file."""
    try:
        yield
    except FileNotFoundError as error:
        raise SessionError(
            f"{_shown(path.parent)} is gone, or was never finished: there is no {path.name}; bring the folder back, or record again."
        ) from error
    except (*DAMAGE, OSError, ValueError) as error:
        reason = visible(getattr(error, "strerror", None) or str(error).partition("\n")[0])
        raise SessionError(f"{_shown(path)} is damaged ({reason}); restore it from a copy.") from error
    except _OfAnotherMake as error:
        raise SessionError(f"{_shown(path)} {error}; it was not written by fmrw. Record again.") from error


def _sound(
    file: IO[bytes],
    columns: pl.Schema,
    groups: Iterable[int] | None = None,
    missing: frozenset[str] | None = None,
) -> pl.LazyFrame:
    """Give a file's columns once what it claims of them, in all row groups or some, has been held against it."""
    claims = _claims_of(file.fileno(), columns)
    later = _later(columns, missing)
    lazy = pl.scan_parquet(file, use_statistics=False)  # keeps a descriptor of its own
    with _silenced():
        found = lazy.collect_schema()
    lacking = [
        name
        for name in columns
        if name not in found and _stand_in(name, columns) == name and name not in later
    ]
    if lacking:
        raise _OfAnotherMake(f"lacks the columns {', '.join(lacking)}")
    claims.check(
        file.fileno(), [name if name in found else _stand_in(name, columns) for name in columns], groups
    )
    return _typed(lazy, columns, later)


def _claims_of(fd: int, columns: pl.Schema | None = None) -> Claims:
    lists = [name.encode() for name, kind in (columns or {}).items() if isinstance(kind, pl.List)]
    known = (*_identity(fd), len(lists))
    claims = _claimed.get(known)
    if claims is None:
        claims = Claims(fd, lists)
        _remember(_claimed, known, claims)
    return claims


class _OfAnotherMake(Exception):
    """A file that may well be sound, but is no table of ours."""


def _typed(lazy: pl.LazyFrame, columns: pl.Schema, later: frozenset[str]) -> pl.LazyFrame:
    found = lazy.collect_schema()
    return lazy.select(
        (
            pl.lit(None)
            if name not in found and name in later
            else pl.col(name if name in found else _stand_in(name, columns))
        )
        .cast(kind)
        .alias(name)
        for name, kind in columns.items()
    )


def _later(columns: pl.Schema, missing: frozenset[str] | None) -> frozenset[str]:
    """Give the columns in which values may be missing, and that older sessions lack; a table of sites is none without their numbers."""
    if missing is not None:
        return missing
    return schema.NULLABLE if "depth" not in columns else frozenset()


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


def _remember(among: dict[tuple[int, ...], Any], known: tuple[int, ...], what: Any) -> None:  # noqa: ANN401 - theirs
    while len(among) >= _REMEMBERED:
        among.pop(next(iter(among)))
    among[known] = what


def _examine(lazy: pl.LazyFrame, columns: pl.Schema, missing: frozenset[str] | None = None) -> None:
    """Decode everything once; raise ValueError for values that our own code could not bear."""
    answers = lazy.select(_doubts(columns, _later(columns, missing))).collect(engine="streaming")
    broken = [what for what, holds in answers.row(0, named=True).items() if holds]
    if broken:
        raise ValueError(broken[0])


def _doubts(columns: pl.Schema, later: frozenset[str]) -> Iterator[pl.Expr]:
    for name, kind in columns.items():
        column = pl.col(name)
        if name not in later:
            yield column.is_null().any().alias(f"values of {name} are missing")
        else:  # decoded all the same: what nobody looks at here would fail where it is used
            yield (column.max() < column.min()).alias(f"values of {name} cannot be compared")
        if isinstance(kind, pl.List):
            sound = column.list.drop_nulls().list.len() == column.list.len()
            yield (~sound).any().alias(f"values in {name} are missing")
        if kind == pl.String():
            yield (column.str.len_bytes().max() > _LONGEST).alias(f"a {name} is too long")
        if kind == pl.Datetime("us", "UTC"):
            moment = column.to_physical()
            yield ((moment < 0) | (moment >= _LAST)).any().alias(f"a {name} is out of range")
    if {"start", "end"} <= set(columns):
        yield ((pl.col("start") < 0) | (pl.col("end") < pl.col("start"))).any().alias("a range cannot be")
    if "size" in columns:
        yield (pl.col("size") < 0).any().alias("a size cannot be")


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
