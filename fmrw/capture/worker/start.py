"""Starting a worker: `start` brings one up over a directory and returns when the kernel has accepted the mount."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.mounts.registry import MODULE
from fmrw.capture.mounts.unmount import readable
from fmrw.capture.system.patience import STEP_S, Patience
from fmrw.capture.worker.settings import open_session
from fmrw.errors import MountError, NotMounted
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from fmrw.capture.worker.settings import Settings

_END_S = 10.0  # for a worker that is asked to end while it mounts


class Running:
    """A worker that has mounted a directory."""

    def __init__(self, child: subprocess.Popen[bytes], root: Path) -> None:
        self._child = child
        self.root = root
        self.pid = child.pid
        self.bell = _pipe(child.stdout).fileno()

    @property
    def runs(self) -> bool:
        """Whether the worker has not ended yet; may be asked by any thread."""
        return self._child.poll() is None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the worker's end, which closes the bell; give its exit status, None when it goes on.

        For whoever listens to the bell, and nobody else: its number may belong to another pipe afterwards.
        """
        try:
            status = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        return status

    def hand_over(self) -> None:
        """Leave the session to the worker, which takes this for our end; its exit status tells whether it was in time."""
        if self._child.stdin is not None:
            self._child.stdin.close()

    def release(self) -> None:
        """Let a worker that is not attached go on by itself."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.returncode = 0  # not ours to wait for any more: it outlives us


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise MountError("the worker has no pipe; report this as a defect")
    return stream


def start(settings: Settings, log: IO[bytes], meanwhile: Callable[[], None] = lambda: None) -> Running:
    """Mount a directory with a worker process.

    Parameters
    ----------
    settings : Settings
        `root` is absolute and real; `session` an existing empty folder.
    log : binary file
        Where the worker's standard error goes.
    meanwhile : callable
        Called while the worker starts.

    Raises
    ------
    MountError
        With the reason and its cure; nothing is mounted then and no process left.
    """
    session = open_session(settings.session)
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(session), settings.session],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd="/", start_new_session=True, pass_fds=[session],
        )  # fmt: skip
    finally:
        os.close(session)
    try:
        _pipe(child.stdin).write(json.dumps(asdict(settings)).encode() + b"\n")
        _pipe(child.stdin).flush()
        meanwhile()
        _await_ready(child, Path(settings.root))
    except BaseException:
        _end(child)
        raise
    return Running(child, Path(settings.root))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a worker that nobody waits for any more, with the mount it is about to make.

    It is asked first: killed while `fusermount` mounts, it would leave a mount that nobody serves and nobody takes away.
    """
    try:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_S)
    finally:
        child.kill()
        child.communicate()


def _await_ready(child: subprocess.Popen[bytes], root: Path) -> None:
    stdout = _pipe(child.stdout)
    patience = Patience(child.pid)
    while not readable(stdout.fileno(), STEP_S):
        if not patience.lasts():
            raise NotMounted(
                f"{_shown(root)}: FUSE did not answer. Is /dev/fuse readable? `fmrw doctor` tells."
            )
    line = stdout.readline()
    answer = json.loads(line) if line.startswith(b"{") else {"error": "the worker ended"}
    if "ready" not in answer:
        raise NotMounted(f"{_shown(root)}: not mounted: {visible(answer['error'])}. {{log}}")


def _shown(path: Path) -> str:
    return visible(str(path))
