"""Part: some files by all parsers, in whichever process; each run is kept as soon as it ends.

`run_part` is what executors are given. A thread that runs parts keeps its mount from one part to the next (`release` ends them). Runs of an unfinished part
stand in the spool, a line each, in a file of every process that has tried; whoever takes the part up again runs only what
no file has. When all runs are there, the part's Parquet files are put in place, the runs of the last parser last, and the spool's go.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import stat
import threading
import uuid
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from fmrw.errors import MountError
from fmrw.experiments.jobs import Job, Limits
from fmrw.experiments.runs import Runs
from fmrw.experiments.survey import rows
from fmrw.experiments.survey.parsers import command_for
from fmrw.experiments.survey.plan import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fmrw.experiments.survey.corpus import File
    from fmrw.experiments.survey.plan import Plan

_ATTEMPTS = 3
Key = tuple[str, str]  # file, parser


class Done(NamedTuple):
    """What is told of a part: its number, the runs made now, and how many there are of each verdict."""

    number: int
    made: int
    verdicts: Mapping[str, int]


class _Task(NamedTuple):
    file: File
    parser: str
    before: os.stat_result


class _Engines:
    """The mounts of this process: one for each thread and survey."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[int, tuple[str, Runs]] = {}

    def get(self, place: str, plan: Plan) -> Runs:
        """Give this thread's mount; one for another survey ends."""
        mine = threading.get_ident()
        with self._lock:
            known = self._runs.get(mine)
        if known is not None and known[0] == place and known[1].alive:
            return known[1]
        self.drop()
        folder = plan.folder if Path(plan.folder).is_dir() else "/"
        made = Runs(plan.corpus, slots=1, grain=plan.grain, folder=folder, writable=False)
        with self._lock:
            self._runs[mine] = place, made
        return made

    def drop(self) -> None:
        """End this thread's mount."""
        with self._lock:
            known = self._runs.pop(threading.get_ident(), None)
        if known is not None:
            known[1].close()

    def release(self, place: str) -> None:
        """End all mounts of a survey; nothing may run in them."""
        with self._lock:
            ended = [mine for mine, known in self._runs.items() if known[0] == place]
            runs = [self._runs.pop(mine)[1] for mine in ended]
        for each in runs:
            each.close()


_engines = _Engines()


def release(out: str) -> None:
    """End the mounts that this process keeps for a survey; none of its parts may be running."""
    _engines.release(out)


def run_part(out: str, number: int, tell: Callable[[int], None] | None = None) -> Done:
    """Run the files of a part by all parsers.

    Parameters
    ----------
    out : str
        The survey's folder, absolute.
    number : int
    tell : callable, optional
        Told after each run how many there are of this part now.

    Raises
    ------
    MountError
        This machine cannot mount; it should take no parts.
    """
    folder = Folder(out)
    plan = folder.plan()
    files = list(folder.files_of(number))
    with _Spool(folder, number) as spool:
        before = len(spool.rows)
        for attempt in range(_ATTEMPTS):
            try:
                _run_missing(_engines.get(out, plan), plan, files, spool, tell)
                break
            except _MountLost:
                _engines.drop()
                if attempt == _ATTEMPTS - 1:
                    raise
        _write(folder, plan, number, files, spool.rows)
        made = len(spool.rows) - before
        verdicts: dict[str, int] = {}
        for row in spool.rows.values():
            verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + 1
    spool.remove()
    return Done(number, made, verdicts)


class _MountLost(MountError):
    """The process that mounts ended while programs ran; what they did then says nothing."""


def _run_missing(
    runs: Runs, plan: Plan, files: list[File], spool: _Spool, tell: Callable[[int], None] | None
) -> None:
    jobs = _Jobs(plan, files, spool)
    for job, seen in runs.map(jobs):
        if not runs.alive:
            raise _MountLost(
                f"the mount over {plan.corpus} ended; `fmrw doctor` tells what this machine lacks."
            )
        task: _Task = job.tag
        path = task.file.path
        row, ranges = rows.of_run(seen, path, task.before.st_size)
        row["changed"] = _changed(task, jobs.stat(path))
        spool.add(task.file.file, task.parser, row, ranges)
        if tell is not None:
            tell(len(spool.rows))


class _Jobs:
    """The runs of a part that are not there yet, as jobs; files that cannot be run on get their rows at once."""

    def __init__(self, plan: Plan, files: list[File], spool: _Spool) -> None:
        self._plan = plan
        self._root = os.fsencode(plan.corpus)
        self._limits = Limits(seconds=plan.seconds, cpu=plan.seconds, memory=plan.memory)
        self._waiting = deque(
            (file, parser)
            for file in files
            for parser in plan.parsers
            if (file.file, parser) not in spool.rows
        )
        self._spool = spool

    def stat(self, path: bytes) -> os.stat_result | None:
        try:
            return os.lstat(self._root + b"/" + path)
        except OSError:
            return None

    def __iter__(self) -> Iterator[Job]:
        while self._waiting:
            file, parser = self._waiting.popleft()
            status = self.stat(file.path)
            if status is None or not stat.S_ISREG(status.st_mode):
                why = "the file is gone" if status is None else "it is no file any more"
                row = rows.not_run(why, None) | {"changed": True}
                self._spool.add(file.file, parser, row, [])
                continue
            words = command_for(self._plan.parsers[parser], os.fsdecode(self._root + b"/" + file.path))
            yield Job(words, limits=self._limits, tag=_Task(file, parser, status))


def _changed(task: _Task, after: os.stat_result | None) -> bool:
    """Tell whether a file is another one than was listed, or became so while a program read it."""
    if after is None or (after.st_ino, after.st_dev) != (task.before.st_ino, task.before.st_dev):
        return True
    return (after.st_size, after.st_mtime_ns) != (task.file.size, task.file.mtime_ns)


class _Spool:
    """The runs of a part that are there: those of former attempts, and those that are added."""

    def __init__(self, folder: Folder, number: int) -> None:
        self._folder = folder
        self._stem = f"part-{number:06d}"
        self.rows: dict[Key, dict[str, Any]] = {}
        self._host = platform.node()
        for path in self._there():
            for line in path.read_bytes().split(b"\n")[:-1]:  # a torn line has no end
                self._take(line)
        self._file: IO[bytes] | None = None

    def _there(self) -> list[Path]:
        return sorted(self._folder.spool.glob(f"{self._stem}-*.jsonl"))

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError):  # written by a machine that crashed
            row = json.loads(line)
            self.rows[row["file"], row["parser"]] = row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, file: str, parser: str, row: dict[str, Any], ranges: rows.Ranges) -> None:
        """Keep a run; it is there when this returns, whatever happens to this process then."""
        row |= {"file": file, "parser": parser, "host": self._host, "extents": ranges}
        if self._file is None:
            name = self._folder.spool / f"{self._stem}-{uuid.uuid4().hex}.jsonl"
            self._file = name.open("ab", buffering=0)
        self._file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        self.rows[file, parser] = row

    def remove(self) -> None:
        """Remove what the part's Parquet files hold now."""
        for path in self._there():
            path.unlink(missing_ok=True)


def _write(
    folder: Folder, plan: Plan, number: int, files: list[File], known: dict[Key, dict[str, Any]]
) -> None:
    """Put the part's Parquet files in place; the runs of the last parser say that all are there."""
    found = {parser: [known[file.file, parser] for file in files] for parser in plan.parsers}
    for parser, each in found.items():
        extents = rows.extents_frame([(row["file"], row["size"], row["extents"]) for row in each])
        folder.write(extents, folder.part("extents", number, parser))
    for parser, each in found.items():
        folder.write(rows.runs_frame(each), folder.part("runs", number, parser))
