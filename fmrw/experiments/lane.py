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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.capture.mirror.dirfds import identity
from fmrw.capture.system import proc
from fmrw.errors import MountError
from fmrw.experiments import shared
from fmrw.experiments.observation import Accesses, Observation, Output, read_output
from fmrw.experiments.patches import normalised
from fmrw.experiments.runner import ENDED, OVER_CPU, receive, send
from fmrw.experiments.serve import mount_of, scratch_of
from fmrw.experiments.shared import Slot
from fmrw.experiments.start import START_S
from fmrw.experiments.view import Written
from fmrw.text import visible

if TYPE_CHECKING:
    from fmrw.experiments.jobs import Job


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
        self._outputs = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdout", "stderr")]
        self._writable = bool(setup.writable)
        self._start()

    @property
    def descriptor(self) -> int:
        """What becomes readable when a run ends."""
        return self._connection.fileno()

    def _start(self) -> None:
        self._connection, theirs = socket.socketpair()
        kinds = ("user", "mnt") if self._setup.own_user else ("mnt",)
        spaces = [
            os.open(proc.namespace_path(self._setup.server, kind), os.O_RDONLY | os.O_CLOEXEC)
            for kind in kinds
        ]
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "fmrw.experiments.runner", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True,
                pass_fds=[theirs.fileno(), *spaces, *self._outputs],
            )  # fmt: skip
            home = os.environ.get("HOME")
            send(self._connection, {
                "enter": spaces, "outputs": self._outputs, "directory": str(self._setup.directory),
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
            send(self._connection, ("writable", True))
            receive(self._connection)

    def begin(self, job: Job) -> Observation | None:
        """Start a run; give an observation where that cannot be."""
        try:
            self._identity = (0, 0) if job.file is None else identity(Path(job.file).stat())
            program = self._setup.program(job.command[0])
        except OSError as error:
            return _lost(f"{error.strerror}: {error.filename}")
        self._patches = normalised(job.patches)
        try:
            self._ask(job, program)
        except ConnectionError:  # it has ended since the last run
            return self._made_anew()
        return None

    def _made_anew(self) -> Observation:
        self.restart()
        return _lost("its slot ended, and was made anew")

    def _ask(self, job: Job, program: bytes) -> None:
        self._slot.prepare(self._identity, self._patches, job.cut)
        self._program = program
        words = [os.fsencode(word) for word in job.command]
        limits = job.limits
        allowed = {
            "cpu_s": limits.cpu,
            "wall_s": limits.seconds,
            "memory": limits.memory,
            "output": limits.output,
            "processes": limits.processes,
        }
        send(self._connection, ("run", program, words, allowed))

    def finish(self, job: Job) -> Observation | None:
        """Give what is known of a run that has ended; None when it is run again, since it wanted to write."""
        try:
            return self._finish(job)
        except ConnectionError:  # as if nothing had come
            return self._made_anew()

    def _finish(self, job: Job) -> Observation | None:
        told = receive(self._connection)
        if told is None:
            return self._made_anew()
        if "error" in told:
            return _lost(f"{told['what']}: {os.fsdecode(self._program)}")
        refused = self._slot.head[shared.REFUSED]
        if refused and not self._writable and self._setup.writable is None:
            self._writable = True
            send(self._connection, ("writable", True))
            receive(self._connection)
            self._ask(job, self._program)
            return None
        return self._observe(told, refused)

    def _observe(self, told: dict[str, Any], refused: int) -> Observation:
        code = os.waitstatus_to_exitcode(told["status"])
        slot, ended = self._slot, told["ended"]
        lost = max(0, slot.head[shared.RECORDS] - shared.MOST_RECORDS)
        return Observation(
            status=code if code >= 0 else None, signal=-code if code < 0 else None,
            timeout="" if ended == ENDED else "cpu" if ended == OVER_CPU else "time",
            stdout=read_output(self._outputs[0]), stderr=read_output(self._outputs[1]),
            written=[Written(*each) for each in told["written"]],
            seconds=told["wall_s"], cpu=told["cpu_s"], memory=told["memory"], left=told["left"], refused=refused,
            accesses=Accesses(slot.records(), slot.names(), lost), faults=slot.head[shared.FAULTS],
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


def _lost(why: str) -> Observation:
    nothing = Output(0, b"", b"")
    return Observation(None, None, "", nothing, nothing, [], 0.0, 0.0, 0, 0, 0, Accesses(b"", []), why)
