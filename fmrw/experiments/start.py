"""Start: brings up the process that mounts, and says why where it cannot."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fmrw.capture.system.patience import MOST_STEPS, STEP_S
from fmrw.errors import FuseMissing, MountError, NotMounted
from fmrw.experiments.serve import STAGE, Settings
from fmrw.text import visible

START_S = STEP_S * MOST_STEPS
"""Seconds that processes have to come up, as many as a worker of a mount: what needs one needs a minute beside thirty others."""


def stage() -> tuple[str, bool]:
    """Give a directory to mount on in the namespace, and whether it was made for that."""
    if Path(STAGE).is_dir():
        return STAGE, False
    return tempfile.mkdtemp(prefix="fmrw-"), True


def start_server(settings: Settings) -> subprocess.Popen[bytes]:
    """Start the process that mounts; give it when the kernel has accepted the mount."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "fmrw.experiments.serve"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", start_new_session=True,
        pass_fds=settings.slots,
    )  # fmt: skip
    try:
        answer = _ask(child, settings)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    if "ready" not in answer:
        child.kill()
        child.communicate()
        raise _refusal(answer["error"], own_user=settings.own_user)
    return child


def _ask(child: subprocess.Popen[bytes], settings: Settings) -> dict[str, Any]:
    stdin, stdout = child.stdin, child.stdout
    if stdin is None or stdout is None:
        return {"error": "the process that mounts has no pipes; report this as a defect"}
    stdin.write(json.dumps(asdict(settings)).encode() + b"\n")
    stdin.flush()
    ready, _, _ = select.select([stdout], [], [], START_S)
    line = stdout.readline() if ready else b""
    answer: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {"error": _last_words(child)}
    return answer


def _last_words(child: subprocess.Popen[bytes]) -> str:
    child.kill()
    said = child.communicate()[1].decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"FUSE did not answer within {START_S} s"


def _refusal(why: str, *, own_user: bool) -> MountError:
    if not Path("/dev/fuse").exists() or "libfuse" in why or "module `fuse`" in why:
        return FuseMissing(f"no mount for experiments: {visible(why)}. `fmrw doctor` tells what is missing.")
    cure = (
        "User namespaces are forbidden here (`sysctl kernel.unprivileged_userns_clone user.max_user_namespaces "
        "kernel.apparmor_restrict_unprivileged_userns`); allow them, or run this as root."
        if own_user
        else "Experiments need the right to make namespaces (CAP_SYS_ADMIN); run this outside of the container, or give it that right."
    )
    return NotMounted(f"no mount for experiments: {visible(why)}. {cure}")
