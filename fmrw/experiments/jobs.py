"""Jobs: what a run is asked to do, and what it may use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from fmrw.experiments.shared import Patch

STEADY = {
    "TZ": "UTC", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1000000000",
}  # fmt: skip
"""Variables that commands get instead of the user's, so that they do the same every time."""


@dataclass(frozen=True)
class Limits:
    """What a run may use; one that goes over the first two is killed, and its observation says so.

    Attributes
    ----------
    seconds : float
        From start to end.
    cpu : float
        CPU time of the command's own process.
    memory : int
        Bytes of data of each process (RLIMIT_DATA: Java and sanitizers reserve addresses that they never use).
    output : int
        Bytes of each file, standard output included.
    processes : int
        Processes and threads at the same time, 301 at least, so that a command that forks without end costs its own run only (Linux 6.14 and
        newer, which count them by the namespace; on an older one it has until `seconds` are over what the machine gives).
    """

    seconds: float = 60.0
    cpu: float = 60.0
    memory: int = 2 << 30
    output: int = 64 << 20
    processes: int = 4096


@dataclass(frozen=True)
class Job:
    """A run to be made.

    Attributes
    ----------
    command : sequence of str
    file : path, optional
        The file that `patches` and `cut` are about.
    patches : sequence of Patch
        `fmrw.experiments.patches` makes them.
    cut : int
        The size that the file seems to have; -1: its own.
    limits : Limits
    tag : object
        For whoever asks; it comes back with the observation.
    """

    command: Sequence[str]
    file: str | os.PathLike[str] | None = None
    patches: Sequence[Patch] = ()
    cut: int = -1
    limits: Limits = field(default_factory=Limits)
    tag: Any = None
