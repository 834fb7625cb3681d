"""View: what the programs of a slot see of the machine.

They see everything where it is, and can change nothing:

- the slot lies over the directory, at its real path;
- everything else is read-only, but for a few folders (`/tmp`, the home, where the command is run, …), over which an overlay lies whose
  upper half is memory and is emptied after each run: what was written there is what the run wrote;
- what is mounted below such a folder is there, too, and read-only;
- processes, network and semaphores are the slot's own.

The mount itself answers every attempt to write with EROFS and counts it; `writable` lays an overlay over the slot, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.system import namespaces, proc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PIECE = 1 << 20
_MOST_WRITTEN = 1000
_USUAL = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - overlaid, never written


class Written(NamedTuple):
    """A file that a run wrote, made or removed."""

    path: bytes
    kind: str
    size: int
    digest: bytes


class _Area(NamedTuple):
    """A folder with an overlay, where its upper half lies, and when that was last changed."""

    folder: str
    store: str
    upper: str
    changed_ns: int


def places(directory: str, others: Sequence[str]) -> list[str]:
    """Choose the folders that get an overlay: none in another, none below the directory."""
    wanted = {os.path.realpath(folder) for folder in (*_USUAL, *others) if Path(folder).is_dir()} - {"/"}
    return [folder for folder in _outermost(wanted) if not _within(folder, directory)]


def _outermost(folders: Iterable[str]) -> list[str]:
    """Leave out what lies in another."""
    found: list[str] = []
    for folder in sorted(folders):
        if not any(_within(folder, other) for other in found):
            found.append(folder)
    return found


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


class View:
    """Mounts of a slot's own namespace, which are gone with its last process.

    Parameters
    ----------
    directory : str
        Absolute and real.
    slot : str
        Where the slot lies.
    scratch : str
        An empty folder, over which memory is mounted.
    others : sequence of str
        More folders in which may be written, for as long as a run lasts.
    most_bytes : int
        That may be written altogether.
    own_user : bool
        Whether this is a user namespace, where an overlay keeps its notes in another place.
    """

    def __init__(
        self,
        directory: str,
        slot: str,
        scratch: str,
        others: Sequence[str],
        most_bytes: int,
        *,
        own_user: bool,
    ) -> None:
        self.directory = directory
        self._slot = slot
        self._scratch = scratch
        self._options = ",userxattr" if own_user else ""
        self._places = places(directory, others)
        self._areas: list[_Area] = []
        self._writable = False
        namespaces.make_read_only("/")
        limits = f"size={most_bytes},nr_inodes=65536,mode=700"
        namespaces.mount("fmrw", scratch, "tmpfs", namespaces.MS_NOSUID | namespaces.MS_NODEV, limits)
        self._lay()

    def _lay(self) -> None:
        for number, folder in enumerate(self._places):
            self._overlay(folder, folder, number)
        if self._writable:
            self._overlay(self.directory, self._slot, len(self._places))
        else:
            namespaces.mount(self._slot, self.directory, flags=namespaces.MS_BIND)
            namespaces.let_write(self.directory)  # or the kernel would refuse what the mount has to count

    def _overlay(self, folder: str, lower: str, number: int) -> None:
        store = f"{self._scratch}/{number}"
        for name in ("", "/upper", "/work"):
            Path(store + name).mkdir(mode=0o700)
        upper = f"{store}/upper"
        shutil.copystat(lower, upper)  # its time too, which tells a change
        hidden = self._mounted_below(folder)
        os.chdir(lower)  # a path in the options would need escapes that differ by kernel
        options = f"lowerdir=.,upperdir={upper},workdir={store}/work{self._options}"
        try:
            namespaces.mount("fmrw", folder, "overlay", 0, options)
        except OSError:
            if folder == self.directory:
                raise
            shutil.rmtree(store)  # it stays read-only
        else:
            self._areas.append(_Area(folder, store, upper, Path(upper).stat().st_mtime_ns))
            for point, fd in hidden:
                with contextlib.suppress(OSError):  # one that its server has left: it stays hidden
                    namespaces.mount(
                        proc.descriptor_path(fd), point, flags=namespaces.MS_BIND | namespaces.MS_REC
                    )
        finally:
            os.chdir("/")
            for _point, fd in hidden:
                os.close(fd)

    def _mounted_below(self, folder: str) -> list[tuple[str, int]]:
        """Give what an overlay over a folder would hide, by path, and opened."""
        found = []
        for point in _outermost(
            each for each in proc.mount_points() if each.startswith(folder.rstrip("/") + "/")
        ):
            if point != self.directory:
                with contextlib.suppress(OSError):
                    found.append((point, os.open(point, os.O_PATH | os.O_CLOEXEC)))
        return found

    @property
    def writable(self) -> bool:
        """Whether programs may write into the directory, for as long as a run lasts."""
        return self._writable

    @writable.setter
    def writable(self, wanted: bool) -> None:
        if wanted != self._writable:
            self._lift()
            self._writable = wanted
            self._lay()

    def _lift(self) -> None:
        if not self._writable:
            namespaces.unmount(self.directory)
        for area in reversed(self._areas):
            namespaces.unmount(area.folder)
            _remove(area.store)
        self._areas = []

    def uppers(self) -> list[tuple[str, int]]:
        """Give the folders into which comes what programs write, and when each was last changed, in ns."""
        return [(area.upper, area.changed_ns) for area in self._areas]

    @property
    def written_to(self) -> bool:
        """Whether anything has come into them: every change makes an entry at their top."""
        return any(os.stat(area.upper).st_mtime_ns != area.changed_ns for area in self._areas)  # noqa: PTH116 - every run passes here

    def settle(self) -> list[Written]:
        """Give what was written since the last time, and let it be gone."""
        found: list[Written] = []
        for area in self._areas:
            for written in _walk(os.fsencode(area.upper)):
                if len(found) < _MOST_WRITTEN:
                    path = os.fsencode(area.folder) + written.path[len(area.upper) :]
                    found.append(written._replace(path=path))
        self._lift()
        self._lay()
        return sorted(found)


def _remove(folder: str) -> None:
    """Remove what a run wrote, also where it has taken the right to that away."""
    for inner, _names, _files in os.walk(folder):
        Path(inner).chmod(0o700)  # before it is listed
    shutil.rmtree(folder, ignore_errors=True)


def _walk(folder: bytes) -> Iterator[Written]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError:
        return
    for name in names:
        path = folder + b"/" + name
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            below = list(_walk(path))
            yield from below or [Written(path, "directory", 0, b"")]
        elif stat.S_ISREG(status.st_mode):
            yield Written(path, "file", status.st_size, _digest(path))
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(path)  # noqa: PTH115 - bytes
            yield Written(path, "link", len(target), hashlib.blake2b(target, digest_size=16).digest())
        elif stat.S_ISCHR(status.st_mode) and not status.st_rdev:
            yield Written(path, "removed", 0, b"")  # an overlay's whiteout
        else:
            yield Written(path, "other", 0, b"")


def _digest(path: bytes) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - bytes
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError:  # without a right to it
        return b""
    return found.digest()
