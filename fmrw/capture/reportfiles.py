"""Files that appear in the mount: a table suffix → maker, and the rules by which they are seen.

For every regular file NAME and every suffix of the table, `NAME` + suffix can be opened; its content is made at that moment
by the maker, which answers with a descriptor. Rules:

- A real file of that name always wins.
- Readers and removers see them, makers do not: while a program waits in a lookup, its system call tells which it is. So
  `open(O_CREAT | O_EXCL)`, `mkdir`, `link` succeed, and from then on the program sees its own file. Where that look
  is denied, opening for writing makes the real file, and only O_EXCL is refused. `O_TRUNC` alone, as `cp` over a name
  it has seen, makes the real file too.
- A name that was unlinked stays away until the mount ends, and `rm -r` finds the reports of a file it has just removed.
- Where they are listed: `beside` the files, `hidden` (by name only), `aside` (under `/.fmrw/` only), `off`.
- The size is 0 until a report was opened, and right for every open descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture import libc
from fmrw.capture.adapter import Stat
from fmrw.capture.monitor import Monitor
from fmrw.capture.process import creates, removes
from fmrw.text import path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fmrw.capture.journal import Journal

SHOWN = ("beside", "hidden", "aside", "off")
_FOLDER = b"/.fmrw"
_NAME_MAX = 255
_REMEMBERED = 65_536  # reports of removed files that `rm -r` may still want to remove


class Report(NamedTuple):
    """A file that is not there: the real file it tells about, and which report."""

    base: bytes
    suffix: bytes


class ReportFiles(Monitor):
    """A `Monitor` with reports.

    Parameters
    ----------
    makers : mapping of bytes to callable
        Suffix → function(path as text) → descriptor of a file with the report, which is closed here.
    shown : {"beside", "hidden", "aside", "off"}
        Where reports are seen.
    """

    def __init__(
        self,
        root: int,
        journal: Journal,
        *,
        makers: Mapping[bytes, Callable[[str], int]],
        shown: str,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(root, journal, **options)
        self._makers = makers if shown != "off" else {}
        self._suffixes = tuple(self._makers)
        self._beside = shown == "beside"
        self._aside = shown == "aside"
        self._made: dict[int, tuple[int, Report]] = {}
        self._sizes: dict[Report, int] = {}
        self._listings: dict[int, bytes] = {}
        self._removed: set[bytes] = set()
        self._orphans: set[bytes] = set()

    # Which names are reports

    def _report(self, path: bytes) -> Report | None:
        """Give the report a path names; None for everything else, real files included."""
        if not path.endswith(self._suffixes) or not self._suffixes or path in self._removed:
            return None
        real = path
        if self._aside:
            if not path.startswith(_FOLDER + b"/") or self._exists(_FOLDER):
                return None
            real = path[len(_FOLDER) :]
        elif self._exists(path):
            return None
        suffix = next(s for s in self._suffixes if path.endswith(s))
        base = real[: -len(suffix)]
        return Report(base, suffix) if not base.endswith(b"/") and self._is(base, stat.S_IFREG) else None

    def _exists(self, path: bytes) -> bool:
        return self._mode(path) is not None

    def _is(self, path: bytes, kind: int) -> bool:
        mode = self._mode(path)
        return mode is not None and stat.S_IFMT(mode) == kind

    def _mode(self, path: bytes) -> int | None:
        try:
            with self.place(path) as (directory, name):
                return os.stat(name or b".", dir_fd=directory, follow_symlinks=False).st_mode
        except OSError:
            return None

    def _folder(self, path: bytes) -> bytes | None:
        """Give the real directory that a path under `/.fmrw` stands for."""
        if (
            not self._aside
            or (path != _FOLDER and not path.startswith(_FOLDER + b"/"))
            or self._exists(_FOLDER)
        ):
            return None
        real = path[len(_FOLDER) :] or b"/"
        return real if self._is(real, stat.S_IFDIR) else None

    # What they look like

    def getattr(self, path: bytes, buffer: int) -> None:
        try:
            super().getattr(path, buffer)
        except FileNotFoundError:
            if not self._describe(path, buffer):
                raise

    def _describe(self, path: bytes, buffer: int) -> bool:
        folder = self._folder(path)
        if folder is not None:
            super().getattr(folder, buffer)
            Stat.from_address(buffer).st_mode = stat.S_IFDIR | 0o555
            return True
        if path in self._orphans and removes(self.caller.context.pid):
            super().getattr(b"/", buffer)
            Stat.from_address(buffer).st_mode = stat.S_IFREG | 0o444
            return True
        report = self._report(path)
        if report is None or creates(self.caller.context.pid):
            return False
        self._fill(report, buffer, self._sizes.get(report, 0))
        return True

    def _fill(self, report: Report, buffer: int, size: int) -> None:
        """Describe a report: the file's owner and times, its own mode, size and inode number."""
        super().getattr(report.base, buffer)
        status = Stat.from_address(buffer)
        status.st_mode = stat.S_IFREG | 0o444
        status.st_nlink = 1
        status.st_size = size
        status.st_blocks = -(-size // 512)
        status.st_ino = self._inode(status.st_ino, report.suffix)

    def _inode(self, base: int, suffix: bytes) -> int:
        """Make an inode number that no file system gives: the highest bit set."""
        return (1 << 63) | (base << 4) & ((1 << 63) - 1) | self._suffixes.index(suffix)

    def fgetattr(self, fh: int, buffer: int) -> None:
        if fh not in self._made:
            super().fgetattr(fh, buffer)
            return
        fd, report = self._made[fh]
        try:
            self._fill(report, buffer, os.fstat(fd).st_size)
        except OSError:  # the file it tells about is gone
            libc.fstat_into(fd, buffer)

    def access(self, path: bytes, mode: int) -> None:
        if self._folder(path) is not None or self._report(path) is not None:
            if mode & os.W_OK:
                raise _error(errno.EACCES)
            return
        super().access(path, mode)

    # Opening makes them

    def open(self, path: bytes, flags: int) -> tuple[int, bool]:  # type: ignore[override]  # with the direct-I/O bit
        report = self._report(path)
        if report is None:
            return super().open(path, flags)
        if flags & (os.O_ACCMODE | os.O_TRUNC):
            replaces = flags & os.O_TRUNC or creates(self.caller.context.pid) is not False
            if self._aside or not replaces:
                raise _error(errno.EACCES)
            return super().create(path, flags, 0o666)
        fd = self._makers[report.suffix](path_text(report.base[1:]))
        self._sizes[report] = os.fstat(fd).st_size
        number = next(self._numbers)
        self._made[number] = (fd, report)
        return number, True

    def read(self, fh: int, buffer: int, size: int, offset: int, exact: bool = True) -> int:  # noqa: FBT002
        if fh in self._made:
            return libc.pread_into(self._made[fh][0], buffer, size, offset)
        return super().read(fh, buffer, size, offset, exact)

    def flush(self, fh: int) -> None:
        if fh not in self._made:
            super().flush(fh)

    def fsync(self, fh: int, datasync: int) -> None:
        if fh not in self._made:
            super().fsync(fh, datasync)

    def release(self, fh: int) -> None:
        made = self._made.pop(fh, None)
        if made is None:
            super().release(fh)
        else:
            os.close(made[0])

    # Removing, renaming, marking

    def unlink(self, path: bytes) -> None:
        if path in self._orphans and not self._exists(path):
            self._orphans.discard(path)
        elif self._report(path) is not None:
            self._removed.add(path)
        else:
            super().unlink(path)
            self._orphan(path)

    def _orphan(self, path: bytes) -> None:
        if self._beside:
            if len(self._orphans) > _REMEMBERED:
                self._orphans.clear()
            self._orphans.update(path + suffix for suffix in self._suffixes)

    def rename(self, old: bytes, new: bytes) -> None:
        if self._report(old) is not None:
            raise _error(errno.EXDEV)  # mv copies instead
        super().rename(old, new)

    def link(self, old: bytes, new: bytes) -> None:
        self._refuse(old)
        super().link(old, new)

    def chmod(self, path: bytes, mode: int) -> None:
        self._refuse(path)
        super().chmod(path, mode)

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        self._refuse(path)
        super().chown(path, uid, gid)

    def utimens(self, path: bytes, times: int | None) -> None:
        self._refuse(path)
        super().utimens(path, times)

    def truncate(self, path: bytes, size: int) -> None:
        self._refuse(path)
        super().truncate(path, size)

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None:
        self._refuse(path)
        super().setxattr(path, name, value, flags)

    def getxattr(self, path: bytes, name: bytes) -> bytes:
        if self._unreal(path):
            raise _error(errno.ENODATA)
        return super().getxattr(path, name)

    def listxattr(self, path: bytes) -> list[bytes]:
        return [] if self._unreal(path) else super().listxattr(path)

    def removexattr(self, path: bytes, name: bytes) -> None:
        self._refuse(path)
        super().removexattr(path, name)

    def _unreal(self, path: bytes) -> bool:
        return self._folder(path) is not None or self._report(path) is not None

    def _refuse(self, path: bytes) -> None:
        if self._unreal(path):
            raise _error(errno.EPERM)

    # Listings

    def opendir(self, path: bytes) -> int:
        folder = self._folder(path)
        number = super().opendir(path if folder is None else folder)
        self._listings[number] = path
        return number

    def releasedir(self, fh: int) -> None:
        self._listings.pop(fh, None)
        super().releasedir(fh)

    def readdir(self, fh: int) -> Iterator[tuple[bytes, int, int]]:
        path = self._listings[fh]
        inside = self._folder(path) is not None
        if not inside and not self._beside:
            yield from super().readdir(fh)
            return
        entries = list(super().readdir(fh))
        real = set() if inside else {name for name, _inode, _type in entries}
        head = path.rstrip(b"/") + b"/"
        for name, inode, kind in entries:
            if not inside or kind == stat.S_IFDIR:
                yield name, inode, kind
            if kind == stat.S_IFREG:
                yield from self._reports_of(head, name, inode, real)

    def _reports_of(
        self, head: bytes, base: bytes, inode: int, real: set[bytes]
    ) -> Iterator[tuple[bytes, int, int]]:
        for suffix in self._suffixes:
            name = base + suffix
            if name not in real and len(name) <= _NAME_MAX and head + name not in self._removed:
                yield name, self._inode(inode, suffix), stat.S_IFREG


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
