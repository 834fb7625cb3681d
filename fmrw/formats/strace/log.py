"""A log of `strace -f -y` becomes the frame: for machines without FUSE, and to check what a mount recorded.

    strace -f -y -ttt -T -o log 7z l sample.iso
    read_strace("log", root="samples")

`straceline` cuts lines into calls, `stracestate` keeps what the kernel kept, and this module says what each call does to it.
Every read and write of a file gets the range it moved, whoever opened the file and however the descriptor came there.
`-e trace=desc,file,process` is enough, `-y` tells paths as the kernel sees them, and times are best with `-ttt -T`.

What the rows are: `sendfile`, `splice`, `copy_file_range` and clones are one read and one write each; asynchronous transfers
(`io_submit`) have theirs when they are submitted. Reading at the end of the file
gives an empty range there. Calls that failed have no row. `O_TRUNC` is an open followed by a truncation to 0. Fidelity is
`byte`.

Limits. Page faults are not system calls: what a program reads through `mmap` (and what `execve` and the loader map) is not
in the log (`read_log` names the files), nor is io_uring (which is warned of) or what another process does with a descriptor sent over a socket before it is first used under
`-y`. A descriptor open before the log began is taken to stand at offset 0. The size a file had before an append to it must
be in the log (a stat, a seek to the end) or in `sizes`; else the append counts from the largest offset seen, with a warning.
Of calls that move one offset at the same moment, strace may report the ends in another order than the kernel had them: their ranges
may be exchanged (in 71 of 300 logs of two processes that raced; the bytes read by both together are right).
"""

from __future__ import annotations

import datetime as dt
import os
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fmrw.errors import BadInput
from fmrw.formats.strace.calls import FORKS, WANTED, Replay
from fmrw.formats.strace.line import Call, Clock, calls, mended
from fmrw.text import path_text, visible
from fmrw.trace import schema
from fmrw.trace.foreign import DamagedWarning, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader

LONGEST_LINE = 2**23  # bytes


class Log(NamedTuple):
    """What a log tells.

    Attributes
    ----------
    events : frame of schema.EVENTS
        In the order in which the calls were answered.
    mapped : list of str
        Files of these events that were mapped, sorted: what was read of them through a map is not in the log.
    """

    events: pl.DataFrame
    mapped: list[str]


def read_strace(
    path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """Read the events of a log of `strace -f -y`; parameters and errors are those of `read_log`."""
    return read_log(path, root, sizes=sizes).events


def read_log(
    path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
) -> Log:
    """Read a log of `strace -f -y`.

    Parameters
    ----------
    path : path
        The log.
    root : path, optional
        Keep only files below this directory, with paths relative to it; all files, with their absolute paths, if not given.
    sizes : mapping, optional
        Sizes files had when the log began, by absolute path.

    Raises
    ------
    BadInput
        Not such a log.

    Warns
    -----
    DamagedWarning
        The log was cut in the middle of a line, an append cannot be placed, a relative name has no known directory, or io_uring was used.
    """
    shown = visible(os.fspath(path))
    replay, clock = Replay({_text(name): size for name, size in (sizes or {}).items()}), Clock()
    with opened(path, "a log of `strace -f -y -o log`") as stream:
        written = os.fstat(stream.fileno()).st_mtime
        replay.tasks.children = _children(_lines(stream, shown, warn=False))
        stream.seek(0)
        seen = 0
        for event in calls(_lines(stream, shown, warn=True), WANTED, clock):
            seen += 1
            replay.take(event)
    replay.finish()
    _say_what_is_missing(replay, shown)
    if not seen:
        raise BadInput(
            f"{shown} holds no system calls, and is no other recording; give a log of `strace -f -y -o log`, or the recording before its file."
        )
    frame = _frame(replay, clock.shift(_midnight(written)))
    mapped = pl.DataFrame({"path": sorted(replay.mapped)}, schema={"path": pl.String})
    if root is not None:
        frame, mapped = beneath(frame, root), beneath(mapped, root)
    return Log(frame, mapped.join(frame, on="path", how="semi")["path"].sort().to_list())


def _say_what_is_missing(replay: Replay, shown: str) -> None:
    """Warn of what the log cannot tell.

    Raises
    ------
    BadInput
        It has numbers for flags, which nothing here can tell apart.
    """
    if replay.is_raw:
        raise BadInput(f"{shown} was written with `-X raw`; record again without it, or with `-X verbose`.")
    missing = [
        f"{visible(file)} was appended to before its size was known; give it with `sizes`"
        for file in replay.unplaced
    ]
    if replay.unnamed:
        count = f"{replay.unnamed:,} file{'' if replay.unnamed == 1 else 's'}"
        missing.append(
            f"{count} opened by a relative name left out, since the directory is not told; record with `strace -f -y`"
        )
    if replay.has_rings:
        missing.append(
            "io_uring was used, and its reads and writes are in no log of strace; record with `fmrw run` to see them"
        )
    for what in missing:
        warnings.warn(f"{shown}: {what}", DamagedWarning, stacklevel=3)


def beneath(events: pl.DataFrame, root: str | os.PathLike[str]) -> pl.DataFrame:
    """Keep the rows of files below a directory, and make their paths relative to it.

    Parameters
    ----------
    events : frame with a column `path`
        Paths are absolute.
    root : path
        As it is called here, or with its links resolved.
    """
    names = {_text(os.path.abspath(root)), _text(os.path.realpath(root))}  # noqa: PTH100 - Path.resolve follows links
    relative = pl.coalesce(
        pl.when(pl.col("path").str.starts_with(f"{name.rstrip('/')}/")).then(
            pl.col("path").str.slice(len(name.rstrip("/")) + 1)
        )
        for name in sorted(names)
    )
    return events.with_columns(path=relative).filter(pl.col("path").is_not_null())


def _text(path: str | os.PathLike[str]) -> str:
    return path_text(os.fsencode(path))


def _midnight(seconds: float) -> int:
    """Give the midnight that began the day of a time, on this machine's clock, in microseconds since 1970."""
    day = dt.datetime.fromtimestamp(seconds).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return int(day.timestamp()) * 1_000_000


def _lines(stream: BufferedReader, shown: str, *, warn: bool) -> Iterator[str]:
    for line in iter(lambda: stream.readline(LONGEST_LINE), b""):
        if line.endswith(b"\n"):
            yield line.decode("latin-1")
        elif stream.peek(1):
            raise BadInput(
                f"{shown} has a line longer than {LONGEST_LINE} bytes; give a log of `strace -f -y -o log`."
            )
        elif warn:
            warnings.warn(
                f"{shown}: the last line is incomplete and was left out", DamagedWarning, stacklevel=4
            )


def _children(lines: Iterator[str]) -> dict[int, list[tuple[int, int | None, str]]]:
    """Find who made whom before replaying; see `stracestate.Tasks`."""
    children: dict[int, list[tuple[int, int | None, str]]] = {}
    relevant = re.compile("clone|fork").search
    whole = mended(
        lines
    )  # before a line is judged: a message of strace's own may stand in the middle of a `clone`
    blanked = (line if relevant(line) else "" for line in whole)  # quick to read, and keeps the numbers
    for call in calls(blanked, FORKS, Clock()):
        if isinstance(call, Call) and call.result is not None and call.result > 0:
            children.setdefault(call.result, []).append((call.entered, call.tid, ",".join(call.arguments)))
    return children


def _frame(replay: Replay, shift: int) -> pl.DataFrame:
    rows = [row for row in replay.rows if row.handle not in replay.directories]
    names = replay.tasks.names
    number = range(len(rows))
    columns = {
        "seq": number,
        "time": [row.time + shift for row in rows],
        "op": [row.op for row in rows],
        "path": [row.path for row in rows],
        "call": number,
        "start": [row.start for row in rows],
        "end": [row.end for row in rows],
        "requested": [row.requested for row in rows],
        "size": [row.size for row in rows],
        "fidelity": ["byte"] * len(rows),
        "handle": [row.handle for row in rows],
        "pid": [names.get(row.pid, row.pid) for row in rows],
        "tid": [names.get(row.tid, row.tid) for row in rows],
        "process": [row.process for row in rows],
        "errno": [0] * len(rows),
        "thread": [row.thread for row in rows],
        "site": [None] * len(rows),
    }
    return pl.DataFrame(columns).cast(dict(schema.EVENTS))  # type: ignore[arg-type]  # a Schema is such a mapping
