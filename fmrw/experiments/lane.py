"""Lane: a slot as the driver sees it: its runner, its memory, its outputs."""

from __future__ import annotations

import errno
import os
import select
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fmrw.capture.mirror.dirfds import identity
from fmrw.capture.system import proc
from fmrw.errors import MountError
from fmrw.experiments import shared
from fmrw.experiments.observation import Accesses, Observation, Output, read_output
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
        self._outputs = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdout", "stderr")]
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
                pass_fds=[theirs.fileno(), *spaces, self._shared, *self._outputs],
            )  # fmt: skip
            home = os.environ.get("HOME")
            send(self._connection, {
                "enter": spaces, "memory": self._shared, "outputs": self._outputs, "directory": str(self._setup.directory),
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
        if self._writable:
            self._tell(WRITABLE)
            self._answered()

    def _tell(self, byte: int) -> None:
        self._connection.sendall(bytes((byte,)))

    def _answered(self) -> None:
        """Wait for the runner.

        Raises
        ------
        ConnectionError
            It has ended.
        """
        if not self._connection.recv(1):
            raise ConnectionResetError

    def begin(self, job: Job) -> Observation | None:
        """Start a run; give an observation where that cannot be."""
        try:
            self._identity = (0, 0) if job.file is None else identity(os.stat(job.file))  # noqa: PTH116 - every run passes here
            self._program = self._setup.program(job.command[0])
            self._patches = normalised(job.patches)
            self._slot.command(_words(self._program, job.command), _limits(job.limits))
        except OSError as error:
            return _lost(f"{error.strerror}: {error.filename or job.command[0]}")
        try:
            self._ask(job)
        except ConnectionError:  # it has ended since the last run
            return self._made_anew()
        return None

    def _made_anew(self) -> Observation:
        self.restart()
        return _lost("its slot ended, and was made anew")

    def _ask(self, job: Job) -> None:
        self._slot.prepare(self._identity, self._patches, job.cut)
        if job.limits.processes != self._processes:
            self._processes = self._slot.head[shared.PROCESSES] = job.limits.processes
            self._tell(PROCESSES)
            self._answered()
        self._tell(RUN)

    def finish(self, job: Job) -> Observation | None:
        """Give what is known of a run that has ended; None when it is run again, since it wanted to write."""
        try:
            self._answered()
            return self._finish(job)
        except ConnectionError:  # as if nothing had come
            return self._made_anew()

    def _finish(self, job: Job) -> Observation | None:
        head = self._slot.head
        written = receive(self._connection) if head[shared.WRITTEN] else ()
        if written is None:
            return self._made_anew()
        if head[shared.FAILED]:
            return _lost(f"{os.strerror(head[shared.FAILED])}: {os.fsdecode(self._program)}")
        refused = head[shared.REFUSED]
        if refused and not self._writable and self._setup.writable is None:
            self._writable = True
            self._tell(WRITABLE)
            self._answered()
            self._ask(job)
            return None
        return self._observe([Written(*each) for each in written], refused)

    def _observe(self, written: list[Written], refused: int) -> Observation:
        slot = self._slot
        head = slot.head
        code = os.waitstatus_to_exitcode(head[shared.STATUS])
        lost = max(0, head[shared.RECORDS] - shared.MOST_RECORDS)
        return Observation(
            status=code if code >= 0 else None, signal=-code if code < 0 else None, timeout=_OVER[head[shared.OVER]],
            stdout=read_output(self._outputs[0]), stderr=read_output(self._outputs[1]), written=written,
            seconds=head[shared.TAKEN_NS] / 1e9, cpu=head[shared.USED_NS] / 1e9, memory=head[shared.RESIDENT], left=head[shared.LEFT],
            refused=refused, accesses=Accesses(slot.records(), slot.names(), lost), faults=head[shared.FAULTS],
        )  # fmt: skip

    def restart(self) -> None:
        """End what runs in the slot, and make it anew."""
        self._end()
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
        while self._outputs:
            os.close(self._outputs.pop())


def _words(program: bytes, command: Sequence[str]) -> bytes:
    words = [program, *map(os.fsencode, command), b""]
    joined = b"\0".join(words)
    if joined.count(b"\0") != len(words) - 1:
        raise OSError(errno.EINVAL, "A word of a command holds a NUL")
    return joined


def _limits(limits: Limits) -> tuple[int, int, int, int]:
    return round(limits.cpu * 1e9), round(limits.seconds * 1e9), limits.memory, limits.output


def _lost(why: str) -> Observation:
    nothing = Output(0, b"", b"")
    return Observation(None, None, "", nothing, nothing, [], 0.0, 0.0, 0, 0, 0, Accesses(b"", []), why)
