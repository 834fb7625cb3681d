"""SIGKILL, for everybody in any order, in the middle of a load: what was acknowledged is there, and nothing is left."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

import polars as pl
import psutil
import pytest
from processes import BLOCK, Cast, Owner, Program, block, eventually, fmrw, gone, kill, mounted

from fmrw.session.loading import load
from fmrw.trace import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.mount

ORDERS = [
    ("worker",),
    ("owner",),
    ("program",),
    ("worker", "owner"),
    ("owner", "worker"),
    ("program", "worker", "owner"),
    ("renderer", "worker"),
    ("renderer", "owner", "program"),
    ("owner", "renderer", "worker"),
]


def renderer_of(worker: int) -> int:
    """Find the helper that makes reports: the worker's only Python child beside what multiprocessing may bring."""
    commands = {child.pid: " ".join(child.cmdline()) for child in psutil.Process(worker).children()}
    (found,) = [
        pid
        for pid, command in commands.items()
        if command.startswith(sys.executable) and "resource_tracker" not in command
    ]
    return found


def check_file(file: Path, acknowledged: int) -> None:
    """See that every block that was acknowledged is there, as it was written."""
    data = file.read_bytes()
    assert len(data) >= acknowledged * BLOCK
    for number in range(acknowledged):
        assert data[number * BLOCK : (number + 1) * BLOCK] == block(number), f"block {number}"


def recorded_writes(session: Path) -> dict[str, int]:
    """Load a session; give how many writes of each file it has, each once and in order."""
    writes = load(session).events.filter(pl.col("op") == "write")
    starts = {
        path: list(range(0, rows * BLOCK, BLOCK)) for path, rows in writes["path"].value_counts().rows()
    }
    assert {path: writes.filter(pl.col("path") == path)["start"].to_list() for path in starts} == starts
    return {path: len(each) for path, each in starts.items()}


def check_events(session: Path, acknowledged: int) -> None:
    """See that every write that was acknowledged is recorded."""
    assert recorded_writes(session)["data"] >= acknowledged, (
        "events were lost that were acknowledged before the kill"
    )


def play(
    cast: Cast,
    folder: Path,
    order: tuple[str, ...],
    moment: Callable[[float, float], float],
    **options: object,
) -> tuple[Owner, int]:
    """Let a program write and kill those in order; give the owner and how many writes were acknowledged."""
    owner = cast.owner(folder, **options)
    pids = {"owner": owner.pid, "worker": owner.worker}
    if "renderer" in order:
        (folder / "file.csv").read_bytes()
        pids["renderer"] = renderer_of(owner.worker)
    program = cast.writer(folder / "data")
    pids["program"] = program.pid
    assert program.line() == "1"
    acknowledged = 1
    for victim in order:
        threading.Event().wait(moment(0.0, 0.15))
        kill(pids[victim])
    eventually(
        lambda: not mounted(folder) or not {"worker", "owner"} & set(order), "plain again", within_s=60
    )
    if not {"worker", "owner"} & set(order):
        owner.leave()
    acknowledged += _ended(program, order)
    eventually(lambda: gone(owner.worker), "the worker has ended")
    return owner, acknowledged


def _ended(program: Program, order: tuple[str, ...]) -> int:
    """Let a program that outlived its mount write a while through its open file, then end it."""
    written = 0
    if order == ("owner",):
        assert program.line()
        written += 1
    kill(program.pid)
    _status, said, _error = program.finish()
    return written + said.count("\n")


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_what_was_acknowledged_is_in_the_file_and_in_the_session(
    cast: Cast, folder: Path, tmp_path: Path, order: tuple[str, ...], dice: Callable[[float, float], float]
) -> None:
    _owner, acknowledged = play(cast, folder, order, dice, output=tmp_path / "session")
    check_file(folder / "data", acknowledged)
    check_events(tmp_path / "session", acknowledged)


@pytest.mark.parametrize("order", [("worker",), ("owner",), ("owner", "worker")], ids="-".join)
def test_a_temporary_session_goes_with_whoever_is_killed(
    cast: Cast, folder: Path, order: tuple[str, ...], dice: Callable[[float, float], float]
) -> None:
    owner, acknowledged = play(cast, folder, order, dice)
    check_file(folder / "data", acknowledged)
    if order == ("worker",):
        assert owner.leave() >= acknowledged
    if "worker" in order and "owner" in order and owner.session.exists():
        assert owner.session in store.abandoned()
        assert str(owner.session) in _doctor()
    eventually(lambda: not owner.session.exists(), "the temporary session is gone")


def _doctor() -> str:
    import subprocess  # noqa: PLC0415 - its notes go to standard error

    done = subprocess.run(
        [sys.executable, "-m", "fmrw", "doctor", "--fix"], capture_output=True, text=True, check=False
    )
    return done.stderr


def test_a_background_worker_that_was_killed_leaves_a_session_that_loads(
    cast: Cast, folder: Path, tmp_path: Path
) -> None:
    fmrw("mount", folder, "-o", tmp_path / "session")
    program = cast.writer(folder / "data")
    assert program.line()
    (worker,) = [
        w for w in psutil.process_iter(["cmdline"]) if str(tmp_path / "session") in (w.info["cmdline"] or [])
    ]
    kill(worker.pid)
    eventually(lambda: not mounted(folder), "plain again", within_s=60)
    status, said, error = program.finish()
    assert (status, error.split()[0]) == (0, "error")
    acknowledged = 1 + said.count("\n")
    check_file(folder / "data", acknowledged)
    check_events(tmp_path / "session", acknowledged)


def test_a_renderer_that_dies_is_replaced(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    first = (folder / "file.csv").read_bytes()
    kill(renderer_of(owner.worker))
    assert (folder / "file.csv").read_bytes().startswith(first[:30])
    owner.leave()


def test_a_stopped_worker_whose_owner_was_killed_is_aborted(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder, output=folder.parent / "session")
    program = cast.writer(folder / "data")
    assert program.line()
    kill(owner.worker, signal.SIGSTOP)
    kill(owner.pid)
    fmrw("unmount", "--abort", folder)
    assert not mounted(folder)
    eventually(lambda: gone(owner.worker), "the worker has ended")
    status, said, error = program.finish()
    assert (status, error.split()[0]) == (0, "error")
    check_file(folder / "data", 1 + said.count("\n"))
    check_events(folder.parent / "session", 1 + said.count("\n"))
