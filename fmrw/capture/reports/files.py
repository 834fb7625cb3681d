"""Report files: virtual files in the mount, a table suffix → maker, and the rules by which they are seen.

For every regular file NAME and every suffix of the table, `NAME` + suffix can be opened; its content is made at that moment
by the maker, which answers with a descriptor. Rules:

- A real file of that name always wins.
- Readers and removers see them, makers do not: while a program waits in a lookup, its system call tells which it is (a worker of
  io_uring, which tells nothing, is taken for a maker). So
  `open(O_CREAT | O_EXCL)`, `mkdir`, `link` succeed, and from then on the program sees its own file. Where that look
  is denied, opening for writing makes the real file, and only O_EXCL is refused. `O_TRUNC` alone, as `cp` over a name
  it has seen, makes the real file too.
- A name that was unlinked stays away until the mount ends, and `rm -r` finds the reports of a file it has just removed.
- Where they are listed: `beside` the files, `hidden` (by name only), `aside` (under `/.fmrw/` only), `off`. The folders of the Python
  that runs fmrw list none, since much of what lies there loads whatever it finds.
- The process that makes them sees none: it would wait for itself.
- The size is 0 until a report was opened, and right for every open descriptor.
- A report says how a file is read, so it belongs to the file's owner and may be read by whom the file may be read by: its
  mode is the file's read bits, its access list the file's without all but reading, and a worker that serves other users
  opens the file with the reader's rights before it makes anything. Reports go by name. Where somebody put another file under
  the name of one that was not for all to read, the report is the worker's own user's alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from fmrw.capture.fuse import loop
from fmrw.capture.fuse.adapter import Stat
from fmrw.capture.mirror.dirfds import identity
from fmrw.capture.native.metadata import Metadata
from fmrw.capture.recorder.calls import creates, removes
from fmrw.capture.recorder.syscalls import LOOKING
from fmrw.capture.reports.names import Report, ReportNames
from fmrw.capture.reports.permissions import ACCESS_LIST, READ, READ_SEARCH, Owners, narrowed, narrowed_list
from fmrw.capture.system import libc
from fmrw.text import path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.capture.recorder.journal import Journal

_REMEMBERED = 65_536  # reports of removed files that `rm -r` may still want to remove


class ReportFiles(ReportNames):
    """A `Monitor` with reports.

    Parameters
    ----------
    makers : mapping of bytes to callable
        Suffix → function(path as text) → descriptor of a file with the report, which is closed here.
    shown : {"beside", "hidden", "aside", "off"}
        Where reports are seen.
    shared : bool
        Whether other users are let in.
    code : sequence of bytes
        Folders that list no reports, as paths in the mount.
    """

    def __init__(
        self,
        root: int,
        journal: Journal,
        *,
        makers: Mapping[bytes, Callable[[str], int]],
        shown: str,
        shared: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(root, journal, makers=makers, shown=shown, **options)
        self._shared = shared and bool(self._makers)
        self._owners = Owners()
        self._made: dict[int, tuple[int, Report]] = {}
        self._sizes: dict[Report, int] = {}
        self._orphans: set[bytes] = set()
        self.metadata = Metadata.load(
            root, grain=self._grain, switches=self._serves_others, suffixes=self._suffixes,
            looks=() if self._aside or self._shared else LOOKING,
        )  # fmt: skip
        self._in_c = None if self.metadata is None else self.metadata.reports

    def close(self) -> None:
        """Let go of reports, too, and of what compiled code keeps open."""
        super().close()
        for number in list(self._made):
            self.release(number)
        if self._in_c is not None:
            self._in_c.close()

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
            status = Stat.from_address(buffer)
            status.st_mode = stat.S_IFDIR | narrowed(status.st_mode, READ_SEARCH)
            return True
        if path in self._orphans and removes(self.caller.context.pid):
            super().getattr(b"/", buffer)
            Stat.from_address(buffer).st_mode = stat.S_IFREG | 0o444
            return True
        report = self._report(path)
        if report is None or creates(self.caller.context.pid):
            return False
        self._fill(report, buffer, self._sizes.get(report, 0))
        if self._in_c is not None:
            self._in_c.know(self.caller.context.pid)
        return True

    def _fill(self, report: Report, buffer: int, size: int) -> None:
        """Describe a report: the file's owner, times and read bits, its own size and inode number."""
        super().getattr(report.base, buffer)
        status = Stat.from_address(buffer)
        status.st_mode = stat.S_IFREG | narrowed(status.st_mode, READ)
        if not self._owners.allow(report.base, status.st_uid):
            status.st_uid, status.st_gid = os.geteuid(), os.getegid()
            status.st_mode = stat.S_IFREG | stat.S_IRUSR
        status.st_nlink = 1
        status.st_size = size
        status.st_blocks = -(-size // 512)
        status.st_ino = self._inode(status.st_ino, report.suffix)

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
        real = self._stands_for(path)
        if real is not None and mode & os.W_OK:
            raise _error(errno.EACCES)
        super().access(path if real is None else real, mode)

    # Opening makes them

    def open(self, path: bytes, flags: int) -> tuple[int, bool]:  # type: ignore[override]  # with the direct-I/O bit
        report = self._report(path)
        if report is None:
            return self._opened_real(super().open(path, flags))
        if flags & (os.O_ACCMODE | os.O_TRUNC):
            replaces = flags & os.O_TRUNC or creates(self.caller.context.pid) is not False
            if self._aside or not replaces:
                raise _error(errno.EACCES)
            return super().create(path, flags, 0o666)
        self._require_reader(report.base)
        fd = self._makers[report.suffix](path_text(report.base[1:]))
        self._sizes[report] = os.fstat(fd).st_size
        self._leave(path)
        number = next(self._numbers)
        self._made[number] = (fd, report)
        return number, not self.direct_io.must_not(self.caller.context.pid)

    def create(self, path: bytes, flags: int, mode: int) -> tuple[int, bool]:  # type: ignore[override]  # as `open`
        return self._opened_real(super().create(path, flags, mode))

    def _require_reader(self, base: bytes) -> None:
        """Raise EACCES when the caller may not read the file that a report tells about, as it is now."""
        if not self._as_caller.is_another():
            return
        fd = self._open_beneath(base, os.O_RDONLY)
        try:
            if not self._owners.allow(base, os.fstat(fd).st_uid):
                raise _error(errno.EACCES)
        finally:
            os.close(fd)

    def _opened_real(self, opened: tuple[int, bool]) -> tuple[int, bool]:
        if self._shared:
            handle = self.handles[opened[0]]
            self._owners.note(handle.path, os.fstat(handle.fd))
        return opened

    def read_other(self, fh: int, buffer: memoryview, size: int, offset: int) -> int:
        return libc.pread_into(self._made[fh][0], buffer, size, offset)

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
            self._leave(path)
        else:
            super().unlink(path)
            self._orphan(path)

    def _park(self, old: bytes, hidden: bytes) -> None:
        """Take a file's name away that is open: whoever has listed its reports may remove them next, as those of any other."""
        super()._park(old, hidden)
        if loop.opcode() != loop.RENAME:
            self._orphan(old)

    def _leave(self, path: bytes) -> None:
        """Say ourselves what a report is that differs from others."""
        if self._in_c is not None:
            self._in_c.leave(path)

    def _orphan(self, path: bytes) -> None:
        if self._beside:
            if len(self._orphans) > _REMEMBERED:
                self._orphans.clear()
            self._orphans.update(path + suffix for suffix in self._suffixes)

    def rename(self, old: bytes, new: bytes) -> None:
        if self._report(old) is not None:
            raise _error(errno.EXDEV)  # mv copies instead
        super().rename(old, new)
        self._note_owners(new)

    def _note_owners(self, path: bytes) -> None:
        """Look again at open files whose accesses stand under another name, or whose mode is another, from now on."""
        if self._shared:
            for handle in list(self.handles.values()):
                if handle.path == path or handle.path.startswith(path + b"/"):
                    with contextlib.suppress(OSError):  # another thread has closed it meanwhile
                        status = os.fstat(handle.fd)
                        if identity(status) == handle.identity:  # nor opened another file under its number
                            self._owners.note(handle.path, status)

    def link(self, old: bytes, new: bytes) -> None:
        self._refuse(old)
        super().link(old, new)

    def chmod(self, path: bytes, mode: int) -> None:
        self._refuse(path)
        super().chmod(path, mode)
        self._note_owners(path)

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

    def getxattr(self, path: bytes, name: bytes) -> bytes | None:
        real = self._stands_for(path)
        if real is None:
            return super().getxattr(path, name)
        if name != ACCESS_LIST:
            return None
        value = super().getxattr(real, name)
        return value and narrowed_list(value, READ_SEARCH if self._folder(path) else READ)

    def listxattr(self, path: bytes) -> list[bytes]:
        return [] if self._unreal(path) else super().listxattr(path)

    def removexattr(self, path: bytes, name: bytes) -> None:
        self._refuse(path)
        super().removexattr(path, name)

    def _refuse(self, path: bytes) -> None:
        if self._unreal(path):
            raise _error(errno.EPERM)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
