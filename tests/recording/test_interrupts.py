"""Ctrl-C while a mount or a command of `fmrw run` is being started: what was begun ends, and nothing stays."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import fmrw
from fmrw.capture.mounts import registry
from fmrw.capture.worker import start as starting
from fmrw.recording import run

if TYPE_CHECKING:
    from pathlib import Path

WAITING = (sys.executable, "-c", "import sys; sys.stdin.read()")


def test_a_command_that_has_begun_ends_although_the_interrupt_comes_before_it_is_known() -> None:
    began: list[subprocess.Popen[bytes]] = []

    def start(command: Any, **_options: Any) -> tuple[subprocess.Popen[bytes], str]:  # noqa: ANN401
        began.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        signal.raise_signal(signal.SIGINT)
        return began[0], ""

    def watch(_mounted: fmrw.Mount, _child: subprocess.Popen[bytes]) -> NoReturn:
        pytest.fail("it was interrupted")

    mounted: Any = None
    with pytest.raises(KeyboardInterrupt):
        run._spawn(WAITING, mounted, watch, None, start)
    (child,) = began
    assert child.stdin is not None
    child.stdin.close()
    assert child.returncode == -signal.SIGTERM


@pytest.mark.mount
@pytest.mark.parametrize("mounts", [True, False], ids=["mounted", "not yet"])
def test_a_mount_that_is_interrupted_is_taken_away_by_its_worker(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *, mounts: bool
) -> None:
    """A worker that is killed while fusermount works for it leaves a mount that nobody serves."""
    workers: list[subprocess.Popen[bytes]] = []

    def interrupted(child: subprocess.Popen[bytes], _root: Path) -> NoReturn:
        workers.append(child)
        if mounts:
            select.select([child.stdout], [], [])  # it says that it has mounted
        raise KeyboardInterrupt

    monkeypatch.setattr(starting, "_await_ready", interrupted)
    monkeypatch.setattr(starting, "_END_S", 600.0)  # or a slow machine's is killed
    with pytest.raises(KeyboardInterrupt):
        fmrw.mount(directory)
    (worker,) = workers
    assert worker.returncode in ({0} if mounts else {0, -signal.SIGTERM})
    assert registry.mounted_at(directory) is None
