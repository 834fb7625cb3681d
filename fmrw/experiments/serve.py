"""Serve: the process that mounts a directory for experiments, in a mount namespace of its own, so that nobody else ever sees it.

Started as `python -m fmrw.experiments.serve` by `fmrw.experiments.runs`, with one line of JSON (`Settings`) on its standard input; it answers
with one line on its standard output. It ends with the driver: at the end of its standard input, or of the driver's process. With the last
process of the namespace the mount is gone; nothing has to be unmounted.

Who is not root gets a user namespace, in which he keeps his user and group.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import select
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmrw.capture.mounts.registry import TYPE
from fmrw.capture.system import libc, namespaces, proc
from fmrw.experiments.shared import Slot

STAGE = "/sys/fs/fuse/connections"
"""A directory that is there wherever FUSE is, and that no program reads: what is mounted over it is seen in the namespace only."""


@dataclass(frozen=True)
class Settings:
    """What the process is told."""

    root: str
    stage: str
    slots: list[int]
    grain: int
    own_user: bool


def mount_of(stage: str) -> str:
    """Give where the slots are."""
    return f"{stage}/mount"


def scratch_of(stage: str) -> str:
    """Give where a slot may mount memory."""
    return f"{stage}/scratch"


def options() -> list[str]:
    """Give libfuse's mount options. Names are kept for a moment, since runs ask for the same ones; sizes never are."""
    return [
        "fsname=fmrw", "subtype=fmrw", "nonempty", "use_ino", "big_writes", "sync_read", "max_readahead=4096",
        "attr_timeout=0", "entry_timeout=10", "negative_timeout=0",
    ]  # fmt: skip


def _isolate(settings: Settings) -> None:
    """Leave the namespaces of the machine, and make the folders that are mounted on."""
    uid, gid = os.getuid(), os.getgid()
    if settings.own_user:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        proc.keep_own_ids(uid, gid)
    namespaces.unshare(namespaces.CLONE_NEWNS)
    _part_mounts(own_user=settings.own_user)
    namespaces.mount(
        "fmrw", settings.stage, "tmpfs", namespaces.MS_NOSUID | namespaces.MS_NODEV, "size=1m,mode=755"
    )
    for folder in (mount_of(settings.stage), scratch_of(settings.stage)):
        Path(folder).mkdir()


def _part_mounts(*, own_user: bool) -> None:
    """Keep mounts of ours from spreading, and other directories' monitored mounts from being held.

    A new namespace has a copy of every mount, and the server of a FUSE mount ends with the last copy (mount_namespaces(7)). A user
    namespace may not take its copies away; it follows where the machine's own are taken away, if those are shared, as systemd has them.
    """
    if own_user:
        namespaces.mount("", "/", flags=namespaces.MS_REC | namespaces.MS_SLAVE)
        return
    namespaces.mount("", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    for point in proc.mount_points(f"{TYPE} "):
        with contextlib.suppress(OSError):  # below another one, and gone with it
            namespaces.unmount(point)


def _say(**message: Any) -> None:  # noqa: ANN401 - what JSON takes
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with(parent: int) -> None:
    """End the process when its driver has."""
    select.select([sys.stdin.fileno(), parent], [], [])
    os._exit(0)


def _serve(settings: Settings, parent: int) -> int:
    from fmrw.capture.fuse.adapter import Adapter  # noqa: PLC0415 - raises where libfuse 2 is missing
    from fmrw.experiments.mirror import Slots  # noqa: PLC0415 - the same

    root = os.open(settings.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    memories = [Slot(fd) for fd in settings.slots]
    _isolate(settings)  # before there are threads: a user namespace is for a process that has one
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    operations = Slots(root, memories, grain=settings.grain)
    adapter = Adapter(
        operations,
        os.fsencode(mount_of(settings.stage)),
        options(),
        lambda: _say(ready=os.getpid()),
        direct=True,
    )
    return adapter.serve()


def _line() -> bytes:
    """Read one line of standard input, and nothing ahead: what follows, or its end, is waited for."""
    with os.fdopen(os.dup(0), "rb", buffering=0) as stdin:
        return stdin.readline()


def main() -> int:
    """Run the process."""
    parent = os.pidfd_open(os.getppid())
    settings = Settings(**json.loads(_line()))
    proc.call_itself("fmrw-experiment")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    libc.drop_umask()
    os.chdir("/")
    logging.basicConfig(level=logging.ERROR)
    try:
        return _serve(settings, parent)
    except (OSError, ImportError) as error:
        _say(error=str(error))
        return 1


if __name__ == "__main__":
    code = main()
    os._exit(code)
