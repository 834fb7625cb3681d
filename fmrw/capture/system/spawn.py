"""Starting programs: what a process that serves a mount must mind when it starts one that lies, or begins to work, inside it."""

from __future__ import annotations

import subprocess
import sys


def start_without_the_lock() -> None:
    """Let `subprocess` start programs in a way that lets go of the interpreter's lock.

    Where the new program lies below a mount, or enters it first (`cwd`), it waits for a thread of the process that serves the mount.
    Where that is the process which starts it, and which keeps the lock until the new one's exec, both wait for ever:

    - `posix_spawn` keeps it (seen with 3.11 to 3.13). `subprocess` uses it with `close_fds=False`, and since 3.13 without, too.
    - `vfork` keeps it before 3.11.4 (gh-104372; Debian 12 has 3.11.2). Those use `fork`.

    The switches are those that the documentation of `subprocess` names. `os.posix_spawn` itself has none.
    """
    setattr(subprocess, "_USE_POSIX_SPAWN", False)  # noqa: B010 - typeshed calls both final
    if sys.version_info < (3, 11, 4):
        setattr(subprocess, "_USE_VFORK", False)  # noqa: B010
