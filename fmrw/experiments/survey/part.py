"""Part: some files by all parsers, in whichever process; each run is kept as soon as it ends.

`run_part` is what executors are given. A thread that runs parts keeps its mount from one part to the next (`release` ends them). Runs and maps of an unfinished part
stand in the `spool`; whoever takes the part up again runs only what is not there. When all are there, the part's Parquet files are put in place, the runs of the last parser last, and the spool's go.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.errors import MountError
from fmrw.experiments.jobs import Job, Limits
from fmrw.experiments.runs import Runs
from fmrw.experiments.survey import rows
from fmrw.experiments.survey.mapping import Map, mapped, not_mapped, why_not
from fmrw.experiments.survey.parsers import command_for
from fmrw.experiments.survey.plan import Folder
from fmrw.experiments.survey.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fmrw.experiments.survey.corpus import File
    from fmrw.experiments.survey.plan import Plan

_ATTEMPTS = 3


class Done(NamedTuple):
    """What is told of a part: its number, the runs and maps made now, how many runs there are of each verdict, and how many maps."""

    number: int
    made: int
    verdicts: Mapping[str, int]
    maps: int = 0


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
    with Spool(folder, number) as spool:
        before = spool.steps
        for attempt in range(_ATTEMPTS):
            try:
                _do_missing(_engines.get(out, plan), plan, files, spool, tell)
                break
            except _MountLost:
                _engines.drop()
                if attempt == _ATTEMPTS - 1:
                    raise
        _write(folder, plan, number, files, spool)
        made = spool.steps - before
        verdicts: dict[str, int] = {}
        for row in spool.rows.values():
            verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + 1
    spool.remove()
    return Done(number, made, verdicts, len(spool.maps))


class _MountLost(MountError):
    """The process that mounts ended while programs ran; what they did then says nothing."""


def _do_missing(
    runs: Runs, plan: Plan, files: list[File], spool: Spool, tell: Callable[[int], None] | None
) -> None:
    _run_missing(runs, plan, files, spool, tell)
    if plan.probe:
        _map_missing(runs, plan, files, spool, tell)


def _require_mount(runs: Runs, plan: Plan) -> None:
    if not runs.alive:
        raise _MountLost(f"the mount over {plan.corpus} ended; `fmrw doctor` tells what this machine lacks.")


def _run_missing(
    runs: Runs, plan: Plan, files: list[File], spool: Spool, tell: Callable[[int], None] | None
) -> None:
    jobs = _Jobs(plan, files, spool)
    for job, seen in runs.map(jobs):
        _require_mount(runs, plan)
        task: _Task = job.tag
        path = task.file.path
        row, ranges = rows.of_run(seen, path, task.before.st_size)
        row["changed"] = _changed(task, jobs.stat(path))
        spool.add(task.file.file, task.parser, row, ranges)
        if tell is not None:
            tell(spool.steps)


def _map_missing(
    runs: Runs, plan: Plan, files: list[File], spool: Spool, tell: Callable[[int], None] | None
) -> None:
    for file in files:
        for parser in plan.parsers:
            if (file.file, parser) in spool.maps:
                continue
            found = _mapped(runs, plan, file, parser, spool.rows[file.file, parser])
            _require_mount(runs, plan)
            spool.add_map(file.file, parser, found.json())
            if tell is not None:
                tell(spool.steps)


def _mapped(runs: Runs, plan: Plan, file: File, parser: str, run: Mapping[str, Any]) -> Map:
    why = why_not(run)
    if why is not None:
        return not_mapped(why, run["size"])
    path = os.fsencode(plan.corpus) + b"/" + file.path
    command = command_for(plan.parsers[parser], os.fsdecode(path))
    found = mapped(runs, path, command, most=plan.probe, limits=_limits(plan))
    try:
        after = os.lstat(path)
    except OSError:
        return not_mapped("the file is gone", run["size"])
    if (after.st_size, after.st_mtime_ns) != (file.size, file.mtime_ns):
        return not_mapped("the file has changed", run["size"])
    return found


def _limits(plan: Plan) -> Limits:
    return Limits(seconds=plan.seconds, cpu=plan.seconds, memory=plan.memory)


class _Jobs:
    """The runs of a part that are not there yet, as jobs; files that cannot be run on get their rows at once."""

    def __init__(self, plan: Plan, files: list[File], spool: Spool) -> None:
        self._plan = plan
        self._root = os.fsencode(plan.corpus)
        self._limits = _limits(plan)
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


def _write(folder: Folder, plan: Plan, number: int, files: list[File], spool: Spool) -> None:
    """Put the part's Parquet files in place; the runs of the last parser say that all are there."""
    if plan.probe:
        _write_maps(folder, plan, number, files, spool)
    found = {parser: [spool.rows[file.file, parser] for file in files] for parser in plan.parsers}
    for parser, each in found.items():
        extents = rows.extents_frame([(row["file"], row["size"], row["extents"]) for row in each])
        folder.write(extents, folder.part("extents", number, parser))
    for parser, each in found.items():
        folder.write(rows.runs_frame(each), folder.part("runs", number, parser))


def _write_maps(folder: Folder, plan: Plan, number: int, files: list[File], spool: Spool) -> None:
    for parser in plan.parsers:
        keys = [(file.file, parser) for file in files]
        each = [(key[0], spool.rows[key]["size"], spool.maps[key]) for key in keys]
        folder.write(rows.effects_frame(each), folder.part("effects", number, parser))
