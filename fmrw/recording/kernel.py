"""Kernel: what is different where a notebook's kernel records, from `%load_ext fmrw` on.

A recording that names no folder is kept in one of its own (`fmrw.trace.kept`), so that a restart of the kernel loses nothing. Mounting a directory again in
the same way gives the mount that is there, so that a notebook can be run twice from top to bottom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.capture.mounts import registry
from fmrw.recording.mounted import live
from fmrw.trace import kept

if TYPE_CHECKING:
    from pathlib import Path

    from fmrw.capture.worker.settings import Settings
    from fmrw.recording.mounted import Mount

_ALIKE = ("root", "capture", "grain", "reports", "read_only", "allow_other", "sites", "ignored")


class _Habits:
    """Whether this process is such a kernel."""

    active = False


def begin() -> None:
    """Record as a notebook does from now on."""
    _Habits.active = True


def end() -> None:
    """Record as a script does again."""
    _Habits.active = False


def session_for(root: Path) -> Path | None:
    """Give a folder for a recording that names none; None where it is not kept: in a script, below the directory itself, or on a disk that is read-only.

    Old recordings of notebooks make room first.
    """
    if not _Habits.active:
        return None
    state = registry.resolved(kept.state_folder())
    if state == root or root in state.parents:
        return None
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.prune()
        return kept.fresh(root)
    except OSError:
        return None


def mounted_alike(settings: Settings, output: Path | None) -> Mount | None:
    """Give the mount of this kernel that is just as it is wanted; None if there is none."""
    if not _Habits.active:
        return None
    for mount in live():
        same_folder = output is None or mount.session == output
        if same_folder and all(getattr(mount.settings, name) == getattr(settings, name) for name in _ALIKE):
            return mount
    return None
