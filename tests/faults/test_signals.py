"""Signals, ends and starts in odd surroundings: the directory is plain again, and open files go on working."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest
from namespaces import apart
from processes import FMRW, Cast, Owner, Program, eventually, gone, kill, mounted, needs_root
from test_kills import check_events, check_file

from fmrw.session.loading import load
from fmrw.trace import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.mount


def writes_on(program: Program, lines: int = 20) -> int:
    """See that a program goes on writing; give how far it is."""
    said = [program.line() for _ in range(lines)]
    assert all(said), program.finish()[2]
    return int(said[-1])


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name
)
@pytest.mark.parametrize("victim", ["owner", "worker"])
def test_a_polite_signal_detaches_and_open_files_go_on(
    cast: Cast, folder: Path, tmp_path: Path, victim: str, number: signal.Signals
) -> None:
    owner = cast.owner(folder, output=tmp_path / "session")
    program = cast.writer(folder / "data")
    writes_on(program)
    kill({"owner": owner.pid, "worker": owner.worker}[victim], number)
    eventually(lambda: not mounted(folder), "plain again", within_s=60)
    program.lines_so_far()
    writes_on(program)  # through a mount that nobody sees any more
    kill(program.pid)
    acknowledged = program.finish()[1].count("\n")
    if victim == "worker":
        owner.leave()
    eventually(lambda: gone(owner.worker), "the worker has ended")
    eventually(lambda: gone(owner.pid) or victim == "worker", "the owner has ended")
    check_file(folder / "data", acknowledged)
    assert store.is_sealed(tmp_path / "session")
    check_events(tmp_path / "session", acknowledged)


@pytest.mark.parametrize("victim", ["owner", "worker"])
def test_a_broken_pipe_ends_nothing(cast: Cast, folder: Path, victim: str) -> None:
    owner = cast.owner(folder)
    kill({"owner": owner.pid, "worker": owner.worker}[victim], signal.SIGPIPE)
    assert (folder / "file").read_bytes()
    assert mounted(folder)
    assert owner.leave() > 0


ENDS = {
    "the end of the program": "",
    "an exception": "raise SystemError('on purpose')",
    "sys.exit": "import sys; sys.exit(3)",
    "os._exit": "import os; os._exit(4)",
    "abort": "import os; os.abort()",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_interpreter_that_ends_leaves_the_plain_directory(cast: Cast, folder: Path, end: str) -> None:
    code = f"""
import sys
import fmrw
mount = fmrw.mount(sys.argv[1])
open(sys.argv[1] + "/file", "rb").read(1)
print(mount.worker_pid, mount.session, flush=True)
{end}
"""
    program = cast.program(code, folder)
    worker, session = program.line().split()
    program.finish()
    eventually(lambda: not mounted(folder), "plain again", within_s=60)
    eventually(lambda: gone(int(worker)), "the worker has ended")
    from pathlib import Path  # noqa: PLC0415 - a type elsewhere

    eventually(lambda: not Path(session).exists(), "its temporary session is gone")


def test_unmounting_from_outside_ends_the_recording(
    cast: Cast, folder: Path, tmp_path: Path, fusermount_u: Callable[[Path], None]
) -> None:
    owner = cast.owner(folder, output=tmp_path / "session")
    (folder / "file").read_bytes()
    fusermount_u(folder)
    eventually(lambda: store.is_sealed(tmp_path / "session"), "sealed by the owner, without being asked")
    seen = owner.leave()
    assert load(tmp_path / "session").events.height == seen > 0


@pytest.mark.parametrize(
    "closed",
    [c for n in (1, 2, 3) for c in itertools.combinations((0, 1, 2), n)],
    ids=lambda c: "".join(map(str, c)),
)
def test_run_with_closed_standard_descriptors(folder: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
    away = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    command = [
        *FMRW,
        "run",
        str(folder),
        "-o",
        str(tmp_path / "session"),
        "--no-reports",
        "--",
        "cksum",
        str(folder / "file"),
    ]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {away}', "sh", *command], capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode in ((0, 1) if 1 in closed else (0,)), done.stderr  # cksum has nowhere to write
    assert "Traceback" not in done.stderr
    reads = load(tmp_path / "session").events.filter(pl.col("op") == "read")
    assert reads["end"].max() == 16384
    assert set(reads["process"]) == {"cksum"}


def test_an_owner_with_closed_standard_descriptors_mounts(cast: Cast, folder: Path, tmp_path: Path) -> None:
    code = """
import os, sys
for fd in (0, 1, 2):
    os.close(fd)
import fmrw
with fmrw.mount(sys.argv[1], output=sys.argv[2]) as mount:
    with open(sys.argv[1] + "/file", "rb") as file:
        file.read(10)
assert mount.trace.events.height >= 3
assert open(sys.argv[1] + "/file", "rb").read(4) == bytes(range(4))
os._exit(7)
"""
    program = cast.program(code, folder, tmp_path / "session")
    assert program.finish()[0] == 7
    assert store.is_sealed(tmp_path / "session")


@needs_root
def test_a_worker_in_a_namespace_of_processes(folder: Path, tmp_path: Path) -> None:
    script = f'cat "{folder}/file" >/dev/null; exec head -c 5 "{folder}/file"'
    done = subprocess.run(
        [*apart("-pf", "--mount-proc"), *FMRW, "run", folder, "-o", tmp_path / "session", "--no-reports",
         "--", "sh", "-c", script],
        capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reads = load(tmp_path / "session").events.filter(pl.col("op") == "read", pl.col("end") > pl.col("start"))
    assert set(reads["process"]) == {"cat", "head"}
    assert reads["pid"].max() < 1000  # numbers of the namespace
    assert set(load(tmp_path / "session").processes.filter(pl.col("pid") > 0)["exe"]) >= {
        "/usr/bin/cat",
        "/usr/bin/head",
    }


@needs_root
def test_a_namespace_that_is_destroyed_leaves_nothing(cast: Cast, folder: Path, tmp_path: Path) -> None:
    owner = Owner(folder, prefix=apart("-pf", "--kill-child", "--mount-proc"), output=tmp_path / "session")
    cast.stack.callback(owner.program.end)
    assert not mounted(folder)  # it is seen in there only
    kill(owner.pid)
    owner.program.finish()
    assert load(tmp_path / "session").events.height >= 0


def test_a_signal_before_there_is_a_mount_is_not_forgotten(folder: Path, cast: Cast) -> None:
    """An owner that is killed while its worker starts must not leave a mount that nobody owns."""
    code = """
import os, sys, threading
from fmrw.capture.worker import start as mount
import fmrw.recording.mount
def die(child, root):
    print(child.pid, flush=True)
    os._exit(0)
mount._await_ready = die
fmrw.mount(sys.argv[1], output=sys.argv[2])
"""
    program = cast.program(code, folder, folder.parent / "session")
    worker = int(program.line())
    program.finish()
    eventually(lambda: gone(worker), "the worker has ended")
    assert not mounted(folder)


def test_running_a_program_that_kills_itself(folder: Path) -> None:
    done = subprocess.run(
        [*FMRW, "run", folder, "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"],
        capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGKILL
    assert not mounted(folder)
