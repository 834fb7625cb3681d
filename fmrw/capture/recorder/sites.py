"""Call sites in the journal: what `fmrw.capture.sites` finds becomes lines of names, and what it needs to know of the mount.

Yama, where a kernel has it, lets no ordinary user's process look at another one than its descendants (security/yama/yama_lsm.c): the worker is a
sibling of the command. A program may allow it (PR_SET_PTRACER), which stays over execve(2), but is not passed on to what it starts.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from fmrw.capture.recorder.calls import is_narrow
from fmrw.capture.recorder.journal import MOST_SITES
from fmrw.capture.recorder.process import owner_of
from fmrw.capture.sites.numbers import DENIED, Notes, Sites
from fmrw.capture.system.libc import open_directory_beneath
from fmrw.capture.system.proc import comm_of, device_of_mount, ptrace_scope
from fmrw.text import path_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.capture.native.pairs import Native
    from fmrw.capture.recorder.journal import Journal
    from fmrw.capture.sites.modules import Module
    from fmrw.capture.sites.numbers import Entry


_FOR_ALL = 3  # YAMA_SCOPE_NO_ATTACH


def call_sites(journal: Journal, native: Native | None, directory: int, root: str) -> Sites:
    """Record call sites into a journal.

    Parameters
    ----------
    journal : Journal
    native : Native or None
        The compiled code of the mount.
    directory : int
        Descriptor of the mirrored directory, opened before it is mounted over.
    root : str
        Its path.
    """
    below = os.fsencode(root).rstrip(b"/") + b"/"

    def open_beneath(path: bytes) -> int:
        if not path.startswith(below):
            raise FileNotFoundError
        folder, _slash, name = path.removeprefix(below).rpartition(b"/")
        parent = open_directory_beneath(directory, folder or b".")
        try:
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        finally:
            os.close(parent)

    return Sites(
        Notes(
            functools.partial(_note_module, journal),
            functools.partial(_note_site, journal),
            functools.partial(_note_without, journal),
        ),
        MOST_SITES,
        own_device=lambda: device_of_mount(root),
        open_beneath=open_beneath,
        is_narrow=is_narrow,
        native=None if native is None else native.know_stacks(),
    )


def _note_module(journal: Journal, module: Module) -> None:
    journal.note("module", id=module.number, path=path_text(module.path), build_id=module.build_id)


def _note_site(journal: Journal, number: int, frames: Sequence[Entry]) -> None:
    journal.note("site", id=number, frames=frames)


def _note_without(journal: Journal, pid: int, why: str) -> None:
    said = reason(pid) if why == DENIED else why
    journal.note("no sites", pid=pid, name=comm_of(pid) or "?", why=said)


def reason(pid: int) -> str:
    """Say why a process may not be looked at: "Yama" where an administrator can allow it, "Yama for all" where nobody can, else "denied"."""
    scope, user = ptrace_scope(), os.geteuid()
    if scope >= _FOR_ALL:
        return "Yama for all"
    return "Yama" if scope and user and owner_of(pid) == user else DENIED
