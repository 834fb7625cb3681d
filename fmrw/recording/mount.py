"""`mount`: monitor a directory, for as long as this process lives or in the background."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.capture.mounts.preflight import check_machine, claimed
from fmrw.capture.system.proc import comm_of
from fmrw.capture.worker.settings import Settings
from fmrw.errors import MountError
from fmrw.recording import kernel
from fmrw.recording.mounted import Mount
from fmrw.recording.workers import InProcess
from fmrw.trace import folder
from fmrw.trace.facts import read_facts
from fmrw.trace.kept import BOUNDED
from fmrw.trace.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

CaptureMode = Literal["exact", "paged", "cached"]
ReportMode = Literal["beside", "hidden", "aside", "off"]
RENDERER = "fmrw.capture.reports.helper"


def mount(
    directory: str | os.PathLike[str],
    *,
    capture: CaptureMode = "exact",
    grain: int = 0,
    reports: ReportMode = "beside",
    read_only: bool = False,
    allow_other: bool = False,
    sites: bool = False,
    worker: Literal["process", "thread"] = "process",
    output: str | os.PathLike[str] | None = None,
    command: Sequence[str | os.PathLike[str]] | None = None,
    ignored: Sequence[int] = (),
) -> Mount:
    """Monitor a directory.

    Parameters
    ----------
    directory
        An existing directory; what is in it stays where it is, seen through the mount.
    capture
        `exact`: every read and write, to the byte, and mapped files by the page, at the first touch of each page (shared `mmap`
        gets ENODEV before Linux 6.6). `paged`: the first touch of every page, however it is touched. `cached`: what the
        page cache asks for, read-ahead and all.
    grain
        `st_blksize` to report, which sizes the buffers of glibc's stdio (1 suits it) and of CPython (16; 1 makes it ask for 8 KiB);
        0 leaves it.
    reports
        Where `NAME.csv` and `NAME-heatmap.pdf` are seen: `beside` the files, `hidden` (by name only), `aside`
        (under `.fmrw/`), `off`.
    read_only
        Refuse every change with EROFS.
    allow_other
        Let other users in, with the permissions of the files.
    sites
        Record with each read and write which code asked: the stack of the thread that waits, read from outside (x86-64).
    worker
        `process` (default), or `thread` in this process: see `InThread` for what can freeze then.
    output
        Session folder to record into; without it a temporary one, gone after `unmount` (the trace stays in memory). In a notebook that has
        loaded the extension it is kept in `~/.local/state/fmrw`, as `fmrw.sessions()` tells, and mounting again in the same way gives the
        mount that is there.
    command
        What is run, kept in the session.
    ignored
        Processes that are not recorded, by id.

    Raises
    ------
    MountError, SessionError
        One line that ends with the cure; nothing is mounted then.
    """
    if sites:
        require_sites(thread=worker == "thread")
    root = registry.resolved(directory)
    kept = None if output is None else registry.resolved(output)
    if kept is not None:
        unmounting.require_answer(kept)
    settings = Settings(
        root=str(root), session="", capture=capture, grain=grain, reports=reports, read_only=read_only,
        allow_other=allow_other, sites=sites, ignored=[*ignored], renderer=RENDERER,
    )  # fmt: skip
    if command is None and (alike := kernel.mounted_alike(settings, kept)) is not None:
        return alike
    check_machine()
    folder.sweep()
    with claimed(root):
        bounded = None if kept is not None else kernel.session_for(root)
        session = kept or bounded or Path(tempfile.mkdtemp(prefix=folder.TEMPORARY))
        settings = replace(settings, session=str(session), ephemeral=kept is None and bounded is None)
        return _mounted(settings, command, thread=worker == "thread", bounded=bounded is not None)


def require_sites(*, thread: bool = False) -> None:
    """Refuse to record call sites where that cannot be done.

    Raises
    ------
    MountError
        This is no x86-64 machine, or the worker is a thread of the very process whose memory it would look at.
    """
    if platform.machine() != "x86_64":
        raise MountError(
            f"call sites are recorded on x86-64, and this is {platform.machine()}; leave sites out."
        )
    if thread:
        raise MountError('call sites need a worker process; leave out worker="thread".')


def _mounted(
    settings: Settings, command: Sequence[str | os.PathLike[str]] | None, *, thread: bool, bounded: bool
) -> Mount:
    session = Path(settings.session)
    try:
        folder.create(session, {**_facts(settings, command), BOUNDED: bounded})
    except BaseException:
        if settings.ephemeral:
            shutil.rmtree(session, ignore_errors=True)
        raise
    try:
        return Mount(settings, thread=thread, facts=read_facts(session))
    except BaseException:
        shutil.rmtree(session, ignore_errors=True)  # ours, made above, and nothing was recorded
        raise


def start_background(root: Path, session: Path, **options: Any) -> int:  # noqa: ANN401 - those of `mount`
    """Monitor a directory with a worker that outlives this process; give the worker's id.

    The session is sealed by the worker when somebody unmounts.
    """
    if options.get("sites"):
        require_sites()
    settings = Settings(root=str(root), session=str(session), attached=False, renderer=RENDERER, **options)
    unmounting.require_answer(session)
    check_machine()
    with claimed(root):
        folder.create(session, _facts(settings, None))
        try:
            return InProcess(settings).release()
        except BaseException:
            shutil.rmtree(session, ignore_errors=True)  # ours, made above, and nothing was recorded
            raise


def _facts(settings: Settings, command: Sequence[str | os.PathLike[str]] | None) -> dict[str, Any]:
    options = {
        name: getattr(settings, name)
        for name in ("capture", "grain", "reports", "read_only", "allow_other", "sites")
    }
    return {
        "fmrw": VERSION,
        "root": settings.root,
        "ephemeral": settings.ephemeral,
        "options": options,
        "command": [os.fsdecode(part) for part in command] if command is not None else None,
        "parent": os.getpid(),
        "parent_name": comm_of(os.getpid()),
    }
