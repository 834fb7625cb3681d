"""A bare Debian: debootstrap's smallest system in a folder, entered with chroot, in mounts of its own.

Nothing but what a network needs is taken from this machine: the resolver, and what apt and pip are told about reaching their
registries (a proxy, another index, certificates).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# In a mount namespace of its own, so that whatever happens nothing stays mounted here. The root has to be a mount point, as
# that of every real system is: what lies below is looked up in the table of mounts.
ENTER = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
cd "$1"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot . bash -c "$2" 0<&-
"""
LONGEST_S = 3600  # a hang would be for ever
PIP_SETTINGS = ("index-url", "proxy", "trusted-host", "cert")


class Debian:
    """A release of Debian in a folder."""

    def __init__(self, folder: Path, release: str) -> None:
        self.root = folder
        subprocess.run(
            ["/usr/sbin/debootstrap", "--variant=minbase", release, folder],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        shutil.copyfile("/etc/resolv.conf", folder / "etc/resolv.conf")
        settings = _output("apt-config", "dump", "Acquire")
        (folder / "etc/apt/apt.conf.d/90network").write_text(settings)
        self._reach_the_index()

    def _reach_the_index(self) -> None:
        settings: dict[str, str] = {}
        said = _output(sys.executable, "-m", "pip", "config", "list").splitlines()
        for line in sorted(said, reverse=True):  # the environment (:env:) comes last, since it counts more
            name, _, value = line.partition("=")
            settings[name.rpartition(".")[2]] = value.strip("'")
        if "cert" in settings:
            (self.root / "etc/ssl").mkdir(exist_ok=True)
            settings["cert"] = (
                f"/{shutil.copyfile(settings['cert'], self.root / 'etc/ssl/index.crt').relative_to(self.root)}"
            )
        lines = [f"{name} = {settings[name]}" for name in PIP_SETTINGS if name in settings]
        (self.root / "etc/pip.conf").write_text("\n".join(["[global]", *lines, ""]))

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside, without standard input and with the smallest environment; end one that hangs."""
        enter = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-euc",
            ENTER,
            "enter",
            self.root,
            command,
        ]
        process = subprocess.Popen(
            enter, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            said, _ = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            self.end()
            said, _ = process.communicate()
        return subprocess.CompletedProcess(enter, process.returncode, said)

    def processes(self) -> list[int]:
        """Find the processes that live inside."""
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if self._inside(entry)]

    def _inside(self, process: Path) -> bool:
        try:
            return (process / "root").readlink().is_relative_to(self.root)
        except OSError:  # gone, or of another user
            return False

    def end(self) -> None:
        """End what lives inside."""
        while found := self.processes():
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def remove(self) -> None:
        """End what still lives inside, and remove the folder."""
        self.end()
        subprocess.run(["rm", "-rf", "--one-file-system", self.root], check=True)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
