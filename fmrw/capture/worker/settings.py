"""Settings: what a worker is told, and the folder it records into. The worker and who starts it share this."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass, field

from fmrw.capture.recorder.calls import SYNCHRONOUS

_READAHEAD = {"exact": 4096, "paged": 4096, "cached": None}


@dataclass(frozen=True)
class Settings:
    """What the worker is told, as JSON on one line."""

    root: str
    session: str
    capture: str = "exact"
    grain: int = 0
    reports: str = "beside"
    read_only: bool = False
    allow_other: bool = False
    sites: bool = False
    attached: bool = True
    ephemeral: bool = False
    ignored: list[int] = field(default_factory=list)
    renderer: str = ""  # module with `makers(session, directory)` and `finish(session)`, imported at need


def options_of(settings: Settings) -> list[str]:
    """Give libfuse's mount options; constants and integers only, libfuse joins them with commas."""
    options = [
        "fsname=fmrw", "subtype=fmrw", "nonempty", "auto_unmount", "use_ino", "big_writes", "atomic_o_trunc",
        "attr_timeout=0", "entry_timeout=0", "negative_timeout=0",
    ]  # fmt: skip
    if settings.capture in SYNCHRONOUS:
        options.append("sync_read")
    readahead = _READAHEAD[settings.capture]
    if readahead is not None:
        options.append(f"max_readahead={readahead:d}")
    if settings.allow_other:  # never one without the other: any user could read root's files
        options += ["allow_other", "default_permissions"]
    if settings.read_only:
        options.append("ro")
    return options


def open_session(folder: str) -> int:
    """Open a session's folder, above the descriptors that mean standard input and output."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def hold(session: int) -> None:
    """Say by a lock that somebody records into a folder; it lasts until the last copy of the descriptor is closed."""
    with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there either
        fcntl.flock(session, fcntl.LOCK_SH)  # who looks whether somebody holds it lets it go at once
