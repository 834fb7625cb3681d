"""Driver: gives a survey's parts to an executor, as fast as they are done, and says how far it is.

It holds a few parts at a time and no rows, so that its memory does not grow with the corpus.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.errors import BadCommand, BadInput, MountError, SessionError
from fmrw.experiments.survey.corpus import Listing
from fmrw.experiments.survey.mapping import LEAST
from fmrw.experiments.survey.parsers import checked
from fmrw.experiments.survey.part import Done, release, run_part
from fmrw.experiments.survey.plan import Folder, Plan
from fmrw.experiments.survey.pool import LocalPool
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fmrw.experiments.survey.results import Survey

_WAITING = 1024  # parts that an executor of somebody else's has at a time
_ATTEMPTS = 3
_TICK_S = 0.5


@dataclass
class Progress:
    """How far a survey is.

    Attributes
    ----------
    total, before : int
        Runs and maps altogether, and those that were there at the start.
    verdicts : Counter
        Of the parts that are done now.
    notes : list of str
        What is to be said, such as which workers take no part.
    """

    total: int
    before: int
    begun: float = field(default_factory=time.monotonic)
    verdicts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    _finished: int = 0
    _running: dict[int, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Runs and maps that are there."""
        return min(self.total, self.before + self._finished + sum(self._running.copy().values()))

    @property
    def rate(self) -> float:
        """Runs and maps per second since the start."""
        return (self.done - self.before) / max(1e-9, time.monotonic() - self.begun)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the end at this rate; None: not known yet."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def told(self, arguments: tuple[Any, ...], count: int) -> None:
        """Take up what a part tells."""
        self._running[arguments[1]] = count

    def finished(self, done: Done) -> None:
        """Take up that a part is done."""
        self._running.pop(done.number, None)
        self._finished += sum(done.verdicts.values()) + done.maps
        self.verdicts.update(done.verdicts)


def survey(
    corpus: str | os.PathLike[str],
    out: str | os.PathLike[str],
    parsers: Mapping[str, str | Sequence[str]],
    *,
    files: str = "",
    sample: int = 0,
    jobs: int = 0,
    timeout: float = 60.0,
    memory: int = 2 << 30,
    grain: int = 0,
    probe: int = 0,
    executor: Executor | None = None,
    scheduler: str | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Survey:
    """Run every file of a directory by every parser, and keep what each did and which bytes it read.

    The same call again goes on where the last one ended, however that was. Nothing is changed in the corpus; programs find it read-only,
    and what they write elsewhere is gone after their run.

    Parameters
    ----------
    corpus : path
        The directory; links are not followed.
    out : path
        A folder of its own, outside of the corpus; see `fmrw.experiments.survey` for what it holds.
    parsers : mapping
        Name → command, as a text or as words; `{}` stands for the file's path: `{"unzip": "unzip -l {}"}`.
    files : str
        Only files of these names, such as `*.zip`; of these paths where it has a slash.
    sample : int
        Only so many files, chosen at random, the same ones each time; 0: all.
    jobs : int
        Processes on this machine; 0: one for each CPU.
    timeout : float
        Seconds for a run, and CPU seconds; one that needs more is killed, and its verdict is `hung`.
    memory : int
        Bytes of data of each process of a run.
    grain : int
        Block size to report, so that programs with buffers of stdio ask in small pieces; 0: the true one.
    probe : int
        Also find what the bytes of each file do to each parser, as `fmrw.probe` does, with at most so many runs for each file and parser (16 or more); 0: no. That is so many
        times the runs of the survey: take a `sample`. Files are probed whatever the parser's verdict, except where it hung; bytes that the runs do not suffice for have no class.
    executor : concurrent.futures.Executor, optional
        Who runs the parts, instead of processes of this machine. Its workers see corpus and out under the same paths and have FUSE; functions reach them by pickle, or as they are in
        threads. It is not shut down. Mounts of other processes than this one end with those.
    scheduler : str, optional
        Address of a Dask scheduler, such as `tcp://10.0.0.1:8786`: its workers run the parts. Needs `fmrw[cluster]`.
    watch : callable, optional
        Called with a `Progress` about twice a second.

    Returns
    -------
    Survey

    Raises
    ------
    BadInput
        No files, no parsers, a parser that is not installed, both an executor and a scheduler.
    BadCommand
        A limit or number that means nothing, or `out` lies in the corpus and holds no survey yet.
    SessionExists
        `out` holds something else, or a survey of another corpus or other parsers.
    MountError
        No mount is possible here, or on no worker.
    SessionError
        Some parts could not be run; the survey can be gone on with.
    """
    from fmrw.experiments.survey.results import Survey  # noqa: PLC0415 - polars

    if executor is not None and scheduler is not None:
        raise BadInput("a survey runs on an executor or on a scheduler's workers; give one of them.")
    where = Where(jobs or len(os.sched_getaffinity(0)), executor, scheduler)
    folder, plan = _begun(corpus, out, where, Plan(
        os.path.realpath(corpus), {name: list(words) for name, words in checked(parsers).items()}, files, sample, float(timeout), memory,
        grain, probe, str(Path.cwd()),
    ))  # fmt: skip
    _run(folder, plan, where, watch)
    return Survey(folder.path)


def _begun(
    corpus: str | os.PathLike[str], out: str | os.PathLike[str], where: Where, wanted: Plan
) -> tuple[Folder, Plan]:
    if not Path(wanted.corpus).is_dir():
        raise BadInput(f"{visible(os.fsdecode(corpus))} is no directory; name the one that holds the files.")
    if min(wanted.sample, wanted.grain) < 0 or min(wanted.seconds, wanted.memory) <= 0:
        raise BadCommand("sample and grain are 0 or more, timeout and memory more than 0.")
    if wanted.probe and wanted.probe < LEAST:
        raise BadCommand(
            f"a map takes at least {LEAST} runs, of which five are on the unaltered file; give probe more, or 0."
        )
    folder = Folder(out)
    if not folder.is_planned and Path(os.path.realpath(out)).is_relative_to(wanted.corpus):
        raise BadCommand(
            f"{visible(str(folder.path))} lies in the corpus, which is not to be changed; choose a folder outside of it."
        )

    def listing() -> Listing:
        status = folder.path.stat()
        return Listing(wanted.corpus, wanted.files, frozenset({(status.st_dev, status.st_ino)}))

    known = where.executor is None and where.scheduler is None
    return folder, folder.begin(wanted, listing, where.jobs if known else 0)


@dataclass(frozen=True)
class Where:
    """Who runs the parts: an executor, a scheduler's workers, or `jobs` processes of this machine."""

    jobs: int
    executor: Executor | None
    scheduler: str | None


def _run(folder: Folder, plan: Plan, where: Where, watch: Callable[[Progress], None] | None) -> None:
    finished = folder.finished(plan)
    if len(finished) == plan.parts:
        return
    before = sum(_files_in(plan, number) for number in finished) * plan.steps // max(1, plan.count)
    progress = Progress(plan.steps, before)
    waiting = (number for number in range(plan.parts) if number not in finished)
    with _executor(folder, where, progress) as (chosen, most, options):
        failed = _through(_Parts(chosen, str(folder.path), options), waiting, most, progress, watch)
    if failed:
        number, error = failed[0]
        raise SessionError(
            f"{len(failed):,} of {plan.parts:,} parts could not be run (part {number}: {visible(str(error))}). The same command again goes on with them."
        )


def _files_in(plan: Plan, number: int) -> int:
    return min(plan.batch, plan.count - number * plan.batch)


@contextlib.contextmanager
def _executor(
    folder: Folder, where: Where, progress: Progress
) -> Iterator[tuple[Executor, int, dict[str, Any]]]:
    """Give an executor, how many parts it has at a time, and options of `run_part`."""
    if where.scheduler is not None:
        from fmrw.experiments.survey.cluster import dask_executor  # noqa: PLC0415 - an extra

        with dask_executor(where.scheduler, str(folder.path), progress.notes) as made:
            yield made, _WAITING, {}
    elif where.executor is not None:
        try:
            yield where.executor, _WAITING, {}
        finally:
            release(str(folder.path))
    else:
        pool = LocalPool(where.jobs, progress.told)
        try:
            yield pool, 2 * where.jobs, {"telling": True}
        finally:
            pool.shutdown(cancel_futures=True)


class _Parts:
    """Submit parts."""

    def __init__(self, executor: Executor, out: str, options: dict[str, Any]) -> None:
        self._executor = executor
        self._out = out
        self._options = options

    def submit(self, number: int) -> Future[Done]:
        return self._executor.submit(run_part, self._out, number, **self._options)


def _through(
    parts: _Parts,
    waiting: Iterator[int],
    most: int,
    progress: Progress,
    watch: Callable[[Progress], None] | None,
) -> list[tuple[int, BaseException]]:
    """Run all parts; give those that failed each time, and why."""
    running: dict[Future[Done], int] = {}
    attempts: Counter[int] = Counter()
    failed: list[tuple[int, BaseException]] = []
    try:
        while True:
            while len(running) < most and (number := next(waiting, None)) is not None:
                running[parts.submit(number)] = number
            if not running:
                return failed
            ended, _ = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                number = running.pop(future)
                error = _error_of(future)
                if error is None:
                    progress.finished(future.result())
                elif attempts[number] + 1 < _ATTEMPTS:
                    attempts[number] += 1
                    running[parts.submit(number)] = number
                else:
                    failed.append((number, error))
            if watch is not None:
                watch(progress)
    finally:
        for future in running:
            future.cancel()


def _error_of(future: Future[Done]) -> BaseException | None:
    """Give why a part failed; that nothing can be mounted is raised, since no other attempt cures it."""
    try:
        error = future.exception()
    except CancelledError as cancelled:
        return cancelled
    if isinstance(error, MountError):
        raise error
    return error
