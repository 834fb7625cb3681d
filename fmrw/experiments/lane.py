"""Lane: a slot as the driver sees it: its runner, its memory, its outputs."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import shutil
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.mirror.dirfds import identity
from fmrw.capture.system import proc
from fmrw.errors import MountError
from fmrw.experiments import shared
from fmrw.experiments.observation import Accesses, Observation, Output, output
from fmrw.experiments.patches import normalised
from fmrw.experiments.runner import PROCESSES, WRITABLE, receive, send
from fmrw.experiments.serve import mount_of, scratch_of
from fmrw.experiments.shared import Slot
from fmrw.experiments.spawn import RUN
from fmrw.experiments.start import START_S
from fmrw.experiments.view import Written
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fmrw.experiments.jobs import Job, Limits

_OVER = ("", "cpu", "time")
_AHEAD = (0.02, shared.PLACES - 1), (0.2, 2), (math.inf, 1)
"""How long runs may take, in seconds, of which so many may wait: one less than there are places, since the last run has its own until the next begins."""
_MOST_TOLD = 64


class _Begun(NamedTuple):
    """A run that the runner knows of; `writable`: whether it may write into the directory."""

    number: int
    job: Job
    generation: int
    program: bytes
    writable: bool


@dataclass
class Setup:
    """What all slots of a mount have in common.

    Attributes
    ----------
    directory : Path
        What is mounted.
    stage : str
        Where, in the namespace of the process that mounts.
    server : int
        That process.
    folder : str
        Where commands are run.
    variables : dict
        Their environment.
    writable : bool or None
        See `fmrw.experiments.runs.Runs`.
    most_written : int
        Bytes that a run may write.
    own_user : bool
        Whether slots are in a user namespace.
    """

    directory: Path
    stage: str
    server: int
    folder: str
    variables: dict[bytes, bytes]
    writable: bool | None
    most_written: int
    own_user: bool
    programs: dict[str, bytes] = field(default_factory=dict)

    def program(self, name: str) -> bytes:
        """Find the program of a command.

        Raises
        ------
        FileNotFoundError
            There is none.
        """
        found = self.programs.get(name)
        if found is None:
            path = os.fsdecode(self.variables.get(b"PATH", os.defpath.encode()))
            where = name if "/" in name else shutil.which(name, path=path)
            if where is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            found = self.programs[name] = os.fsencode(where)
        return found


class Lane:
    """A slot as the driver sees it: its runner, its memory, its outputs."""

    def __init__(self, setup: Setup, number: int, memory: int) -> None:
        self._setup = setup
        self._number = number
        self._slot = Slot(memory)
        self._shared = memory
        self._begun: deque[_Begun] = deque()
        self._untold = bytearray()
        self._generation = 0
        self._pace = math.inf
        self._writable = bool(setup.writable)
        self._start()

    @property
    def descriptor(self) -> int:
        """What becomes readable when a run ends."""
        return self._connection.fileno()

    def _start(self) -> None:
        self._connection, theirs = socket.socketpair()
        self._processes = 0
        kinds = ("user", "mnt") if self._setup.own_user else ("mnt",)
        spaces = [
            os.open(proc.namespace_path(self._setup.server, kind), os.O_RDONLY | os.O_CLOEXEC)
            for kind in kinds
        ]
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "fmrw.experiments.runner", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True,
                pass_fds=[theirs.fileno(), *spaces, self._shared],
            )  # fmt: skip
            home = os.environ.get("HOME")
            send(self._connection, {
                "enter": spaces, "memory": self._shared, "directory": str(self._setup.directory),
                "slot": f"{mount_of(self._setup.stage)}/{self._number}", "scratch": scratch_of(self._setup.stage),
                "others": [self._setup.folder, *([home] if home else [])], "most_written": self._setup.most_written,
                "own_user": self._setup.own_user,
                "folder": self._setup.folder, "variables": self._setup.variables,
            })  # fmt: skip
        finally:
            theirs.close()
            for fd in spaces:
                os.close(fd)

    def await_ready(self) -> None:
        """Wait until the slot's mounts are there."""
        ready, _, _ = select.select([self._connection], [], [], START_S)
        answer = receive(self._connection) if ready else None
        if answer is None or "error" in answer:
            why = visible(answer["error"]) if answer else "its process ended"
            raise MountError(f"a slot could not be made: {why}. `fmrw doctor` tells what is missing.")
        self._untold[:] = bytes((WRITABLE,)) if self._writable else b""

    # Running

    @property
    def waiting(self) -> int:
        """How many runs have begun or wait to."""
        return len(self._begun)

    def room(self, *, ahead: bool) -> int:
        """Give how many more may wait: short runs for each other, so that nobody is woken for each; long ones run where there is a slot."""
        most = next(most for pace, most in _AHEAD if self._pace <= pace) if ahead else 1
        return most - len(self._begun)

    def begin(self, number: int, job: Job) -> Observation | None:
        """Let a run begin, as soon as those before it have ended and the runner is told; give an observation where that cannot be.

        Parameters
        ----------
        number : int
            For whoever asks; `finish` gives it back.
        job : Job
        """
        generation, limits = self._generation + 1, _limits(job.limits)
        try:
            identity = (0, 0) if job.file is None else _identity(job.file)
            program = self._setup.program(job.command[0])
            place = self._slot.place(generation)
            place.command(_words(program, job.command), limits)
            place.prepare(generation, identity, normalised(job.patches), job.cut)
        except OSError as error:
            return _lost(f"{error.strerror}: {error.filename or job.command[0]}")
        self._generation = generation
        self._begun.append(_Begun(number, job, generation, program, self._writable))
        if limits[-1] != self._processes:
            self._processes = limits[-1]
            self._untold.append(PROCESSES)
        self._untold.append(RUN)
        return None

    def tell(self) -> None:
        """Tell the runner of what has begun."""
        if self._untold:
            with contextlib.suppress(ConnectionError):  # it has ended: so `finish` will find
                self._connection.sendall(self._untold)
            self._untold.clear()

    def finish(self) -> list[tuple[int, Job, Observation]]:
        """Give what is known of the runs that have ended; those that wanted to write, and may, are run again."""
        try:
            told = self._connection.recv(_MOST_TOLD)
        except ConnectionError:
            told = b""
        if not told:
            return self._made_anew()
        found = []
        for byte in told:
            if byte == RUN:
                begun = self._begun.popleft()
                observation = self._seen(begun)
                if observation is not None:
                    found.append((begun.number, begun.job, observation))
        return found

    def _made_anew(self) -> list[tuple[int, Job, Observation]]:
        """Make the slot anew; what ran is lost, what waited is begun again."""
        lost, *waited = self._begun
        self.restart()
        found = [(lost.number, lost.job, _lost("its slot ended, and was made anew"))]
        for each in waited:
            observation = self.begin(each.number, each.job)
            if observation is not None:
                found.append((each.number, each.job, observation))
        return found

    def _seen(self, begun: _Begun) -> Observation | None:
        """Give what is known of a run; None when it is run again."""
        head = self._slot.place(begun.generation).head
        if head[shared.FAILED]:
            return _lost(f"{os.strerror(head[shared.FAILED])}: {os.fsdecode(begun.program)}")
        if not head[shared.REFUSED] or begun.writable or self._setup.writable is not None:
            return self._observed(begun.generation)
        if not self._writable:
            self._writable = True
            self._untold.append(WRITABLE)
        return self.begin(begun.number, begun.job)

    def _observed(self, generation: int) -> Observation:
        place = self._slot.place(generation)
        head = place.head
        code = os.waitstatus_to_exitcode(head[shared.STATUS])
        self._pace = head[shared.TAKEN_NS] / 1e9
        return Observation(
            status=code if code >= 0 else None, signal=-code if code < 0 else None, timeout=_OVER[head[shared.OVER]],
            stdout=output(*place.output(0)), stderr=output(*place.output(1)),
            written=[Written(*each) for each in place.written()], seconds=self._pace, cpu=head[shared.USED_NS] / 1e9,
            memory=head[shared.RESIDENT], left=head[shared.LEFT], refused=head[shared.REFUSED],
            accesses=Accesses(place.records(), place.names(), max(0, head[shared.RECORDS] - shared.MOST_RECORDS)),
            faults=head[shared.FAULTS],
        )  # fmt: skip

    def restart(self) -> None:
        """End what runs in the slot, and make it anew; nothing waits there then."""
        self._end()
        self._begun.clear()
        self._slot.present = self._generation
        self._start()
        self.await_ready()

    def _end(self) -> None:
        self._connection.close()
        self._child.kill()
        self._child.wait()

    def close(self) -> None:
        """End the slot."""
        self._end()
        self._slot.close()


def _words(program: bytes, command: Sequence[str]) -> bytes:
    words = [program, *map(os.fsencode, command), b""]
    joined = b"\0".join(words)
    if joined.count(b"\0") != len(words) - 1:
        raise OSError(errno.EINVAL, "A word of a command holds a NUL")
    return joined


def _identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    return identity(os.stat(path))  # noqa: PTH116 - every run passes here


def _limits(limits: Limits) -> tuple[int, ...]:
    return (
        round(limits.cpu * 1e9),
        round(limits.seconds * 1e9),
        limits.memory,
        limits.output,
        limits.processes,
    )


def _lost(why: str) -> Observation:
    nothing = Output(0, b"", b"")
    return Observation(None, None, "", nothing, nothing, [], 0.0, 0.0, 0, 0, 0, Accesses(b"", []), why)
