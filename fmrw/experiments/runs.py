"""Runs: the engine of experiments. One mount, a few slots, and in each slot one command after the other.

    with Runs("samples") as runs:
        seen = runs.run(["unzip", "-l", "samples/a.zip"], file="samples/a.zip", patches=[patches.xor(4, 6, 0xFF)])
        seen.status, seen.stdout.text, list(seen.accesses)

The file beneath is never touched: bytes are altered in the answers to the slot's reads. Every slot sees the directory at its real
path, so that commands and outputs are the same in all. Nothing is left behind, however the driver ends: mounts lie in namespaces that end
with their last process, and those processes end with the driver.
"""

from __future__ import annotations

import contextlib
import os
import select
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fmrw.capture.mounts.registry import mounts
from fmrw.errors import AlreadyMounted, MountError, NotMounted
from fmrw.experiments import shared
from fmrw.experiments.jobs import STEADY, Job, Limits
from fmrw.experiments.lane import Lane, Setup
from fmrw.experiments.serve import Settings
from fmrw.experiments.start import stage, start_server
from fmrw.text import typed, visible

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from fmrw.experiments.observation import Observation
    from fmrw.experiments.shared import Patch


class Runs:
    """Run commands under one mount, many times.

    Parameters
    ----------
    directory : path
        What is mounted; every file in it may be run on.
    slots : int
        Commands at the same time; 0: as many as there are CPUs for this process.
    grain : int
        `st_blksize` reported, so that programs with buffers of stdio ask in small pieces; 0 keeps the true one.
    folder : path
        Where commands are run; the present folder.
    variables : mapping
        Added to the environment; `STEADY` is what replaces the user's own.
    writable : bool or None
        Whether commands may write into the directory, for as long as they run (an overlay in memory). None: as soon as one has
        tried to; it is then run again.
    most_written : int
        Bytes that a run may write altogether.

    Raises
    ------
    MountError
        With the reason and its cure; nothing is mounted then and no process left. Also where the directory is monitored.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        slots: int = 0,
        grain: int = 0,
        folder: str | os.PathLike[str] | None = None,
        variables: Mapping[str, str] = STEADY,
        writable: bool | None = None,
        most_written: int = 256 << 20,
    ) -> None:
        self.directory = Path(os.path.realpath(directory))
        _require(self.directory)
        self.slots = slots or len(os.sched_getaffinity(0))
        self._lanes: list[Lane] = []
        self._server: subprocess.Popen[bytes] | None = None
        self._memories = [shared.memory() for _ in range(self.slots)]
        self._stage, self._made = stage()
        own_user = os.geteuid() != 0
        try:
            self._server = start_server(
                Settings(str(self.directory), self._stage, self._memories, grain, own_user)
            )
            setup = Setup(
                self.directory, self._stage, self._server.pid, os.path.realpath(folder or "."),
                {os.fsencode(name): os.fsencode(text) for name, text in {**os.environ, **variables}.items()},
                writable, most_written, own_user,
            )  # fmt: skip
            self._lanes += [Lane(setup, number, memory) for number, memory in enumerate(self._memories)]
            for lane in self._lanes:
                lane.await_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End all processes; may be called again."""
        for lane in self._lanes:
            lane.close()
        self._lanes = []
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            self._server = None
        while self._memories:
            os.close(self._memories.pop())
        if self._made:
            with contextlib.suppress(OSError):
                Path(self._stage).rmdir()
            self._made = False

    @property
    def server(self) -> int:
        """The process that mounts."""
        if self._server is None:
            raise NotMounted("these runs are closed; make new ones with `fmrw.Runs(directory)`.")
        return self._server.pid

    @property
    def alive(self) -> bool:
        """Whether the process that mounts is there; without it every command finds the directory unusable."""
        return self._server is not None and self._server.poll() is None

    # Running

    def run(
        self,
        command: Sequence[str],
        *,
        file: str | os.PathLike[str] | None = None,
        patches: Sequence[Patch] = (),
        cut: int = -1,
        limits: Limits | None = None,
    ) -> Observation:
        """Run a command once.

        Parameters
        ----------
        command : sequence of str
        file : path, optional
            The file that is altered.
        patches : sequence of Patch
        cut : int
            The size that the file seems to have; -1: its own.
        limits : Limits, optional
        """
        job = Job(command, file, patches, cut, limits or Limits())
        return next(observation for _job, observation in self.map([job]))

    def map(
        self, jobs: Iterable[Job], *, ordered: bool = False, ahead: bool = True
    ) -> Iterator[tuple[Job, Observation]]:
        """Run jobs, as many at a time as there are slots; give each with its observation.

        Unless `ordered`, they come as they end. Who stops listening stops the runs, too.

        Parameters
        ----------
        jobs : iterable of Job
        ordered : bool
            Give them in the order of the jobs.
        ahead : bool
            Whether a few jobs are taken before there is a slot for them, if runs are short: who looks at observations then does so while others
            run. Without, a job is taken when a slot is free, so that it may come from a generator that decides by what was seen before.
        """
        if any(lane.waiting for lane in self._lanes):
            raise MountError("these runs are busy; listen to the end of the present ones, or make others.")
        waiting, arrived = _Waiting(jobs), _Arrivals(ordered=ordered)
        try:
            while not waiting.ended or any(lane.waiting for lane in self._lanes):
                for number, job, observation in chain(self._begin(waiting, ahead=ahead), self._finish()):
                    yield from arrived.take(number, job, observation)
        finally:
            for lane in self._lanes:
                if lane.waiting:
                    lane.restart()

    def _begin(self, waiting: _Waiting, *, ahead: bool) -> Iterator[tuple[int, Job, Observation]]:
        """Begin what there is room for; give what cannot be."""
        while (lane := self._free(ahead=ahead)) is not None and (each := waiting.take()) is not None:
            refused = lane.begin(*each)
            if refused is not None:
                yield (*each, refused)

    def _finish(self) -> Iterator[tuple[int, Job, Observation]]:
        """Wait until runs have ended; give them."""
        for lane in self._lanes:
            lane.tell()
        for lane in self._ready():
            yield from lane.finish()

    def _free(self, *, ahead: bool) -> Lane | None:
        """Give the slot where a run would wait least; None where it would be too much."""
        lane = min(self._lanes, key=lambda each: each.waiting, default=None)
        return lane if lane is not None and lane.room(ahead=ahead) > 0 else None

    def _ready(self) -> list[Lane]:
        """Wait until runs have ended; give the slots where."""
        busy = {lane.descriptor: lane for lane in self._lanes if lane.waiting}
        poll = select.poll()
        for descriptor in busy:
            poll.register(descriptor, select.POLLIN)
        return [busy[descriptor] for descriptor, _event in poll.poll()] if busy else []


class _Waiting:
    """Jobs that have not begun, numbered."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = enumerate(jobs)
        self.ended = False

    def take(self) -> tuple[int, Job] | None:
        """Give the next one; None: there is none any more."""
        found = next(self._jobs, None)
        self.ended = found is None
        return found


class _Arrivals:
    """Observations as they come, or in the order of their jobs."""

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._waiting: dict[int, tuple[Job, Observation]] = {}
        self._next = 0

    def take(self, number: int, job: Job, observation: Observation) -> Iterator[tuple[Job, Observation]]:
        """Give what may be given now."""
        if not self._ordered:
            yield job, observation
            return
        self._waiting[number] = job, observation
        while self._next in self._waiting:
            yield self._waiting.pop(self._next)
            self._next += 1


def _require(directory: Path) -> None:
    shown = visible(str(directory))
    if not directory.is_dir():
        raise MountError(f"{shown} is no directory; name the one that holds the files.")
    if directory == Path("/"):
        raise MountError("experiments cannot lie over /; move the file into a folder of its own.")
    for point in mounts():
        if point.root == directory or point.root in directory.parents:
            raise AlreadyMounted(
                f"{shown} is monitored, and would record every run; `fmrw unmount {typed(point.root)}` first, or take a copy of the file."
            )
