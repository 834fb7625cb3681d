"""Trial: a small mount in `exact`, and a program that finds out what this kernel does with its files."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from fmrw.capture.mounts import unmount as unmounting
from fmrw.capture.system import trial
from fmrw.capture.worker.settings import Settings
from fmrw.errors import MountError
from fmrw.recording.workers import InProcess

_LIMIT_S = 10


def kernel() -> dict[str, bool | None]:
    """Try this machine's kernel.

    Returns
    -------
    dict
        `maps`: whether files can be mapped shared; `position`: whether io_uring reads on at a file's own position, None where there is
        no io_uring.

    Raises
    ------
    MountError
        Nothing can be mounted; the message says why, and ends with the cure.
    """
    with tempfile.TemporaryDirectory(prefix="fmrw-doctor-") as folder:
        root, session = Path(folder, "root"), Path(folder, "session")
        root.mkdir()
        session.mkdir(mode=0o700)
        (root / "file").write_bytes(trial.CONTENT)
        worker = InProcess(Settings(root=str(root), session=str(session), reports="off"))
        try:
            return _asked(root / "file")
        finally:
            unmounting.unmount(root, force=True)
            worker.wait()


def _asked(file: Path) -> dict[str, bool | None]:
    command = [sys.executable, "-P", "-m", trial.__name__, str(file)]
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, check=True, timeout=_LIMIT_S)
        found: dict[str, bool | None] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise MountError(f"the trial of this kernel failed ({error}); report this as a defect.") from error
    return found
