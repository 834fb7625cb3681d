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
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fmrw.capture.mounts.registry import mounts
from fmrw.errors import AlreadyMounted, MountError, NotMounted
from fmrw.experiments import shared
from fmrw.experiments.jobs import STEADY, Job, Limits
from fmrw.experiments.lane import Lane, Setup
from fmrw.experiments.serve import Settings
from fmrw.experiments.start import stage, start_server
from fmrw.text import visible

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
        self._busy: dict[int, tuple[Lane, int, Job]] = {}
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

    def map(self, jobs: Iterable[Job], *, ordered: bool = False) -> Iterator[tuple[Job, Observation]]:
        """Run jobs, as many at a time as there are slots; give each with its observation.

        Jobs are taken when a slot is free, so they may come from a generator that decides by what was seen before. Unless
        `ordered`, they come as they end. Who stops listening stops the runs, too.
        """
        if self._busy:
            raise MountError("these runs are busy; listen to the end of the present ones, or make others.")
        waiting, arrived = enumerate(jobs), _Arrivals(ordered=ordered)
        idle, poll = list(self._lanes), select.poll()
        more = True
        try:
            while more or self._busy:
                while more and idle:
                    number, job = next(waiting, (-1, None))
                    if job is None:
                        more = False
                        break
                    refused = idle[-1].begin(job)
                    if refused is None:
                        self._listen(poll, idle.pop(), number, job)
                    else:
                        yield from arrived.take(number, job, refused)
                for descriptor, _event in poll.poll() if self._busy else ():
                    poll.unregister(descriptor)
                    lane, number, job = self._busy.pop(descriptor)
                    observation = lane.finish(job)
                    if observation is None:  # it is run again
                        self._listen(poll, lane, number, job)
                    else:
                        idle.append(lane)
                        yield from arrived.take(number, job, observation)
        finally:
            for lane, _number, _job in self._busy.values():
                lane.restart()
            self._busy.clear()

    def _listen(self, poll: select.poll, lane: Lane, number: int, job: Job) -> None:
        self._busy[lane.descriptor] = lane, number, job
        poll.register(lane.descriptor, select.POLLIN)


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
            monitored = visible(str(point.root))
            raise AlreadyMounted(
                f"{shown} is monitored, and would record every run; `fmrw unmount {monitored}` first, or take a copy of the file."
            )
