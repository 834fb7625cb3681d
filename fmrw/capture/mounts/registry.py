"""Registry: what is mounted now and who serves it, found without asking a mount that may not answer.

A worker may be stopped, or wait for a disk. Whoever looks at a path below its mount waits with it, beyond SIGKILL. So mounts come from
the kernel's table, workers from names and command lines, their sessions through their own descriptors, and only a child process of
its own, which is given up in time, ever touches a mount (`probe`).
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fmrw.capture.system.patience import MOST_STEPS, Patience
from fmrw.capture.system.proc import descriptor_of, exertion, facts_of, mount_table, named
from fmrw.errors import MountError

if TYPE_CHECKING:
    from typing import IO

TYPE = "fuse.fmrw"
NAME = "fmrw-worker"
"""What a worker calls itself. Command lines are read of such processes only: that of a program stuck in a page fault makes one wait."""
MODULE = "fmrw.capture.worker.serve"
"""What a worker runs; its last two arguments are the descriptor and the name of its session's folder."""
_PROBE_S = 2
_LINKS = 40  # as the kernel follows at most, path_resolution(7)
_DEAD = (b"not connected", b"connection abort")  # ENOTCONN, ECONNABORTED


@dataclass(frozen=True)
class MountPoint:
    """One fmrw mount as the kernel lists it."""

    id: int
    minor: int
    root: Path


@dataclass(frozen=True)
class Process:
    """A worker process: where it records to.

    `session` is the folder's name, `folder` the same folder through the worker's own descriptor, past any mount that
    covers the name and whose worker may not answer.
    """

    pid: int
    ppid: int
    session: Path
    folder: Path


def mounts() -> list[MountPoint]:
    """List the fmrw mounts this process sees, from `/proc/self/mountinfo` (proc(5))."""
    found = []
    for line in mount_table():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if right.split(" ")[0] == TYPE:
            found.append(
                MountPoint(int(fields[0]), int(fields[2].split(":")[1]), Path(_unescaped(fields[4])))
            )
    return found


def types_over(path: Path) -> list[tuple[Path, str]]:
    """Give mount point and type of the file systems a path lies in, from the root's to its own (proc(5))."""
    found = []
    for line in mount_table():
        left, _, right = line.partition(" - ")
        point = Path(_unescaped(left.split(" ")[4]))
        if point == path or point in path.parents:
            found.append((point, right.split(" ")[0]))
    return sorted(found, key=lambda each: len(each[0].parts))  # stable: of two at one place, the later covers


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def mounted_at(root: Path) -> MountPoint | None:
    """Give the fmrw mount on exactly this directory, the topmost one."""
    return next((point for point in reversed(mounts()) if point.root == root), None)


def workers() -> list[Process]:
    """Find the running worker processes by their command lines, the newest first."""
    found = []
    for pid in named(NAME):
        facts = facts_of(pid)
        if facts is not None and MODULE in facts.command[:-2] and facts.command[-2].isdecimal():
            folder = Path(descriptor_of(pid, int(facts.command[-2])))
            found.append((facts.started, Process(pid, facts.ppid, Path(facts.command[-1]), folder)))
    return [worker for _started, worker in sorted(found, key=lambda each: each[0], reverse=True)]


def worker_of(root: Path) -> Process | None:
    """Find the worker process that monitors a directory, or, once it is detached, goes on serving open files."""
    return next((w for w in workers() if session_facts(w.folder).get("root") == str(root)), None)


def session_of(root: Path) -> Path | None:
    """Give the session folder of a directory that is monitored by a worker process now."""
    worker = worker_of(root) if mounted_at(root) is not None else None
    return None if worker is None else worker.folder


def resolved(directory: str | os.PathLike[str]) -> Path:
    """Follow links to an absolute path, asking nothing of a mount of ours, whose worker may not answer."""
    roots = {point.root for point in mounts()}
    left = list(reversed(Path(directory).absolute().parts[1:]))
    here, links = Path("/"), 0
    while left:
        name = left.pop()
        here = here.parent if name == ".." else here / name
        if here in roots and ".." not in left:
            return here.joinpath(*reversed(left))
        try:
            target = here.readlink()
        except OSError:  # no link, or nothing there
            continue
        links += 1
        if links > _LINKS:
            return here
        left.extend(reversed(target.parts[target.is_absolute() :]))
        here = Path("/") if target.is_absolute() else here.parent
    return here


def answers(root: Path) -> bool:
    """Tell whether a mount answers."""
    return probe(root) == "answers"


def probe(root: Path) -> Literal["answers", "dead", "silent"]:
    """Find out how a mount is: `dead` when its worker is gone, `silent` when it does not answer in time, though neither it nor who asks is kept busy.

    Another process asks. It cannot be killed while a worker holds its question, so nobody waits for its end.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    asker = subprocess.Popen(
        ["stat", "--", root], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    patience: Patience | None = None
    while not _has_ended(asker):
        patience = patience or Patience(_who_serves(root))
        if not (patience.lasts() or (patience.steps < MOST_STEPS and exertion(asker.pid).runs)):
            asker.kill()
            _abandon(asker)
            return "silent"
    said = _stderr(asker).read()
    _stderr(asker).close()
    return "dead" if any(sign in said for sign in _DEAD) else "answers"


def _who_serves(root: Path) -> int:
    worker = worker_of(root)
    return 0 if worker is None else worker.pid


def _has_ended(asker: subprocess.Popen[bytes]) -> bool:
    """Wait for the asker's end, of which its standard error tells at once; `Popen.wait` with a time limit sleeps twice as long each time it looks."""
    ended = select.poll()
    ended.register(_stderr(asker), 0)  # for the hang-up alone: what it says is read later
    if not ended.poll(round(_PROBE_S * 1000)):
        return False
    asker.wait()
    return True


def _abandon(asker: subprocess.Popen[bytes]) -> None:
    """Let go of a killed child; one that the kernel holds back is left to whoever ends first."""
    _stderr(asker).close()
    try:
        asker.wait(_PROBE_S / 10)
    except subprocess.TimeoutExpired:
        asker.returncode = -signal.SIGKILL


def session_facts(session: Path) -> dict[str, Any]:
    """Read a session's `session.json`; empty when there is none to read."""
    try:
        facts = json.loads((session / "session.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _stderr(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stderr is None:
        raise MountError("a child has no pipe; report this as a defect")
    return process.stderr
