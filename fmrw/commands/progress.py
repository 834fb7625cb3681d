"""Progress: the line that tells that something is happening while a command runs."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from fmrw.recording.mounted import Mount

_QUIET_S = 1.0  # commands shorter than this are not disturbed
_TICK_S = 0.5


def watching(mounted: Mount, child: subprocess.Popen[bytes]) -> int:
    """Wait for a child; on a terminal, after a second, a line tells how much was recorded."""
    with _interrupts_left_to_the_child():
        if not sys.stderr.isatty():
            return child.wait()
        if (status := _ended(child, _QUIET_S)) is not None:
            return status
        from rich.console import Console  # noqa: PLC0415 - most commands are shorter
        from rich.live import Live  # noqa: PLC0415 - the same

        console = Console(stderr=True)
        with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as live:
            while (status := _ended(child, _TICK_S)) is None:
                if _line_mode():
                    live.update(_progress(mounted), refresh=True)
        return status


@contextlib.contextmanager
def _interrupts_left_to_the_child() -> Iterator[None]:
    """Let Ctrl-C pass us by: the child got it too, and decides.

    KeyboardInterrupt would come between waitpid(2) and the line that keeps what it said, and the status would be lost.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ended(child: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None


def _progress(mounted: Mount) -> Text:
    from rich.text import Text  # noqa: PLC0415 - as above

    facts = mounted.facts()  # its counters: a long recording may be larger than the memory
    return Text(f"fmrw: {facts['events']:,} events, {len(facts['files']):,} files", "dim")


def _line_mode() -> bool:
    """Tell whether the terminal echoes lines; a program that draws on the whole screen has switched that off."""
    try:
        return bool(termios.tcgetattr(sys.stderr.fileno())[3] & termios.ICANON)
    except termios.error:
        return False
