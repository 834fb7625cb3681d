"""Doctor: what a machine needs, whether it is there, and the command that cures what is not."""

from __future__ import annotations

import ctypes.util
import os
import platform
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.capture.native.pairs import Native
from fmrw.capture.system.proc import ptrace_scope
from fmrw.errors import MountError
from fmrw.recording import trial
from fmrw.text import typed, visible
from fmrw.trace.folder import abandoned, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

OLDEST, NEWEST = (3, 11), (3, 13)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `cure` is empty where all is well."""

    what: str
    found: str
    cure: str = ""
    fatal: bool = True

    @property
    def well(self) -> bool:
        """Whether there is nothing to cure."""
        return not self.cure


def doctor() -> list[Finding]:
    """Check what this machine needs; a finding that is not well ends with its cure, and the order is that in which to mend."""
    found = [check() for check in CHECKS]
    able = all(finding.well for finding in found if finding.fatal)
    return found + (_kernel() if able else []) + _stale()


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info[:2] < OLDEST:
        return Finding("Python", found, "sudo apt-get install python3.11")
    tested = "" if sys.version_info[:2] <= NEWEST else " (newer than what is tested)"
    return Finding("Python", found + tested)


def _device() -> Finding:
    if not Path("/dev/fuse").exists():
        return Finding("/dev/fuse", "missing", "sudo modprobe fuse")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return Finding("/dev/fuse", "not yours to open", "sudo chmod 666 /dev/fuse")
    return Finding("/dev/fuse", "there")


def _helper() -> Finding:
    program = unmounting.find_fusermount()
    return Finding("fusermount", program or "missing", "" if program else "sudo apt-get install fuse3")


def _library() -> Finding:
    found = os.environ.get("FUSE_LIBRARY_PATH") or ctypes.util.find_library("fuse")
    cure = "" if found else "sudo apt-get install libfuse2 || sudo apt-get install libfuse2t64"
    return Finding("libfuse 2", found or "missing", cure)


def _binding() -> Finding:
    try:
        import fmrw.capture.fuse.adapter as adapter  # noqa: PLC0415, PLR0402 - loads libfuse

        found = adapter.version()
    except (ImportError, OSError) as error:
        return Finding("fusepy", visible(str(error)), "pip install --force-reinstall fusepy")
    return Finding("fusepy", found)


def _others() -> Finding:
    if os.geteuid() == 0:
        return Finding("--allow-other", "possible (root)", fatal=False)
    try:
        allowed = any(
            line.strip() == "user_allow_other" for line in Path("/etc/fuse.conf").read_text().splitlines()
        )
    except OSError:
        allowed = False
    cure = "" if allowed else "echo user_allow_other | sudo tee -a /etc/fuse.conf"
    return Finding("--allow-other", "possible" if allowed else "not for you", cure, fatal=False)


def _peek() -> Finding:
    """Tell whether system calls of other processes may be looked at (Yama, ptrace(2))."""
    if ptrace_scope() and os.geteuid():
        cure = "sudo sysctl kernel.yama.ptrace_scope=0"
        return Finding("large calls", "joined by contiguity, no call sites (Yama)", cure, fatal=False)
    return Finding("large calls", "looked up exactly", fatal=False)


def _native() -> Finding:
    """Tell whether plain reads and writes are answered by compiled code."""
    if Native.load() is not None:
        return Finding("compiled transfers", "there")
    cure = f"sudo apt-get install gcc libc6-dev && {shlex.quote(sys.executable)} -m fmrw.capture.native.build"
    return Finding("compiled transfers", "not built; all works, small reads take longer", cure, fatal=False)


def _kernel() -> list[Finding]:
    """Try on a small mount what this kernel does with files that are opened for direct I/O, as `exact` opens them."""
    try:
        found = trial.kernel()
    except (MountError, OSError, ImportError) as error:
        return [Finding("a mount", visible(str(error)), "fmrw doctor --fix")]
    paged = "" if found["maps"] else "fmrw mount --capture paged DIR"
    maps = "work in exact" if found["maps"] else "refused in exact (ENODEV) before Linux 6.6"
    ring = {
        None: "not there, so that nothing has to be withheld",
        True: "reads on at a file's own position",
        False: "goes wrong at a file's own position in exact; `fmrw run` withholds it, a mount serves by the page who uses it",
    }[found["position"]]
    return [Finding("shared maps", maps, paged, fatal=False), Finding("io_uring", ring, fatal=False)]


def _stale() -> list[Finding]:
    """Look for mounts nobody serves, and for what killed processes left."""
    findings = [finding for point in registry.mounts() if (finding := _mount(point)) is not None]
    left = abandoned()
    if left:
        findings.append(Finding("abandoned sessions", str(len(left)), "fmrw doctor --fix", fatal=False))
    return findings


def _mount(point: registry.MountPoint) -> Finding | None:
    shown = visible(str(point.root))
    cure = {"dead": "fmrw doctor --fix", "silent": f"fmrw unmount --abort {typed(point.root)}"}.get(
        registry.probe(point.root)
    )
    return None if cure is None else Finding("mount without a worker that answers", shown, cure)


CHECKS: list[Callable[[], Finding]] = [_python, _device, _helper, _library, _binding, _others, _peek, _native]


def fix() -> list[str]:
    """Take away the mounts whose worker is gone and the temporary sessions nobody holds; give what was taken away."""
    healed = [point.root for point in registry.mounts() if unmounting.heal(point.root)]
    mounts = [f"the dead mount on {visible(str(root))}" for root in healed]
    return mounts + [f"the abandoned session {visible(str(folder))}" for folder in sweep()]
