"""Children: programs started with io_uring withheld from them.

A seccomp filter belongs to the thread that installs it and to what that thread starts. So a thread of its own installs it, starts the
program, and ends: nothing else of this process is filtered, nothing of Python runs in a forked child, and `subprocess` goes on
using vfork(2).
"""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Any

from fmrw.capture.system import seccomp

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Start: TypeAlias = Callable[..., tuple[subprocess.Popen[bytes], str]]


class _Start(threading.Thread):
    """Starts a program and ends."""

    def __init__(self, command: Sequence[str | os.PathLike[str]], options: dict[str, Any]) -> None:
        super().__init__(name="fmrw-start", daemon=True)
        self._command, self._options = command, options
        self.child: subprocess.Popen[bytes] | None = None
        self.withheld = seccomp.Withheld.REFUSED
        self.error: BaseException | None = None

    def run(self) -> None:
        """Withhold io_uring, then start the program."""
        try:
            self.withheld = seccomp.withhold()
            self.child = subprocess.Popen(self._command, **self._options)
        except BaseException as error:  # noqa: BLE001 - raised where the program was wanted
            self.error = error


def start_without_io_uring(
    command: Sequence[str | os.PathLike[str]],
    **options: Any,  # noqa: ANN401 - those of `subprocess.Popen`
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a program to which the kernel says that it has no io_uring; give it, and how that went (`seccomp.Withheld`).

    Raises
    ------
    OSError
        As `subprocess.Popen` does.
    """
    starting = _Start(command, options)
    starting.start()
    try:
        starting.join()
    except BaseException:
        starting.join()  # a moment: what was started is ours to end
        if starting.child is not None:
            starting.child.terminate()
            starting.child.wait()
        raise
    if starting.child is None:
        raise starting.error or RuntimeError("no program was started")
    return starting.child, starting.withheld.value


def started(
    command: Sequence[str | os.PathLike[str]],
    **options: Any,  # noqa: ANN401 - the same
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a program with all that there is."""
    return subprocess.Popen(command, **options), "allowed"
