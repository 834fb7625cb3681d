"""Starting programs: what a process that serves a mount must mind when it starts one that lies, or begins to work, inside it."""

from __future__ import annotations

import subprocess
import sys


def start_without_vfork() -> None:
    """Let `subprocess` start programs by fork, on a Python that holds its lock during vfork.

    Before 3.11.4 (gh-104372, Debian 12 has 3.11.2) a process that starts another holds the interpreter's lock until that one's
    exec. Where the new one enters a mount first (`cwd`), or is a program below it, it waits for a thread of the process that
    serves the mount, and where that is the same process, the thread waits for the lock. The switch is the one the documentation of
    `subprocess` names.
    """
    if sys.version_info < (3, 11, 4):
        setattr(subprocess, "_USE_VFORK", False)  # noqa: B010 - typeshed calls it final
