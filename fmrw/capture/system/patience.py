"""Patience: how long to wait for a process that may be slow without being stuck.

A limit on time alone takes a busy machine for a fault: what needs a second needs a minute beside thirty others. So a process is waited
for in steps, and given up when it has neither used the processor nor wanted to during one, or after the last.
"""

from __future__ import annotations

from fmrw.capture.system.proc import exertion

STEP_S = 10
"""How long a process may rest before it is taken for stuck."""
MOST_STEPS = 12


class Patience:
    """Patience with one process, to be asked after each step that was waited in vain.

    Parameters
    ----------
    pid : int
        The process; 0 for one that is not known, and has none.

    Attributes
    ----------
    steps : int
        How often it was asked.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used = exertion(pid).used
        self.steps = 0

    def lasts(self) -> bool:
        """Tell whether to wait for another step: a thread of the process runs, wants to, or waits for a disk, or has run since the last time."""
        self.steps += 1
        before, now = self._used, exertion(self._pid)
        self._used = now.used
        return self.steps < MOST_STEPS and (now.runs or now.awaits_disk or now.used > before)
