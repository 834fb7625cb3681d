"""A faithful mirror of the directory beneath the mount. It records nothing.

Every path is resolved from a descriptor of the directory, opened before the mount covered it: the parent through
`openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`, the last component without following a link. The kernel has resolved
every link before it asks us, so whatever link we meet was swapped in beneath, and is refused (ELOOP).

Open files that lose their last name
------------------------------------
libfuse renames an open file to `.fuse_hidden…` instead of unlinking it, so that later calls have a path. `Passthrough` takes
that rename as what it means: it opens the file once more, unlinks it for good, and answers calls on the hidden path
from that descriptor. So nothing called `.fuse_hidden…` ever exists beneath, link counts are true, an emptied directory
can be removed at once, and a crash leaves nothing to sweep.

Limits
------
`rename2` flags, `O_TMPFILE`, `SEEK_HOLE`, ioctls and leases do not exist in libfuse 2. Locks are kept by the kernel: they hold
between all programs that use the mount, and are not seen beneath it. `O_DIRECT` is dropped (libfuse's buffers are not
aligned for it).
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import stat
from typing import TYPE_CHECKING

from fmrw.capture import libc
from fmrw.capture.adapter import Caller, Stat
from fmrw.capture.process import descriptor_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_log = logging.getLogger(__name__)
_HIDDEN = re.compile(rb"(?:^|/)\.fuse_hidden[0-9a-f]{16}$")  # libfuse 2.9, hidden_name(): "%08x%08x"
_DROPPED = os.O_DIRECT | os.O_CREAT | os.O_EXCL | os.O_NOCTTY
_ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO swapped in beneath must not block us


class Handle:
    """An open file: its descriptor, its present path, and its number, which is never given twice."""

    __slots__ = ("append", "closer", "fd", "inode", "number", "path")

    def __init__(self, number: int, fd: int, path: bytes, flags: int) -> None:
        self.number = number
        self.fd = fd
        self.path = path
        self.append = bool(flags & os.O_APPEND)
        self.inode = os.fstat(fd).st_ino
        self.closer = (0, 0)  # thread and process of the last flush


class _Place:
    """A name in an opened directory; what was opened for it is closed on leaving."""

    __slots__ = ("_owned", "directory", "name")

    def __init__(self, directory: int, name: bytes, *, owned: bool) -> None:
        self.directory = directory
        self.name = name
        self._owned = owned

    def __enter__(self) -> tuple[int, bytes]:
        return self.directory, self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            os.close(self.directory)


class Passthrough:
    """Mirror the directory behind a descriptor.

    Parameters
    ----------
    root : int
        Descriptor of the directory, opened before it is mounted over.
    grain : int
        `st_blksize` reported for regular files, which sizes the buffers of glibc and CPython; 0 keeps the true one.
    chown_new : bool
        Give what is created to the caller (for a worker run by root).
    """

    def __init__(self, root: int, *, grain: int = 0, chown_new: bool = False) -> None:
        self.root = root
        self.caller = Caller()
        self.handles: dict[int, Handle] = {}
        self._grain = grain
        self._chown_new = chown_new
        self._self = (os.geteuid(), os.getegid())
        self._numbers = itertools.count(1)
        self._directories: dict[int, int] = {}
        self._parked: dict[bytes, int] = {}

    def fault(self, operation: str, error: BaseException) -> None:
        """Take note of an exception that is no OSError; the program sees EIO."""
        _log.error("%s failed: %r", operation, error, exc_info=error)

    # Paths

    def place(self, path: bytes) -> _Place:
        """Open the parent of a path, give it with the last component."""
        head, _, name = path.rpartition(b"/")
        if path in self._parked:
            return _Place(self._parked[path], b"", owned=False)
        if len(head) <= 1:
            return _Place(self.root, name or b".", owned=False)
        return _Place(libc.open_directory_beneath(self.root, head[1:]), name, owned=True)

    def _pin(self, path: bytes) -> int:
        """Open what is at a path itself, only to name it; the caller closes the descriptor."""
        with self.place(path) as (directory, name):
            if not name:
                return os.dup(directory)
            return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)

    def _by_name(self, path: bytes) -> _Pinned:
        return _Pinned(self._pin(path))

    # What a name is

    def getattr(self, path: bytes, buffer: int) -> None:
        with self.place(path) as (directory, name):
            if name:
                libc.stat_into(directory, name, buffer)
            else:
                libc.fstat_into(directory, buffer)
        self._set_grain(buffer)

    def fgetattr(self, fh: int, buffer: int) -> None:
        libc.fstat_into(self.handles[fh].fd, buffer)
        self._set_grain(buffer)

    def _set_grain(self, buffer: int) -> None:
        if self._grain:
            status = Stat.from_address(buffer)
            if stat.S_ISREG(status.st_mode):
                status.st_blksize = self._grain

    def access(self, path: bytes, mode: int) -> None:
        with self.place(path) as (directory, name):
            if name:
                libc.access(directory, name, mode)

    def readlink(self, path: bytes) -> bytes:
        with self.place(path) as (directory, name):
            return os.readlink(name, dir_fd=directory)

    def statfs(self, _path: bytes, buffer: int) -> None:
        libc.fstatvfs_into(self.root, buffer)

    # Names come and go

    def mknod(self, path: bytes, mode: int, device: int) -> None:
        with self.place(path) as (directory, name):
            os.mknod(name, mode, device, dir_fd=directory)
            self._own(directory, name)
            self._restore_set_id(path, mode)

    def mkdir(self, path: bytes, mode: int) -> None:
        with self.place(path) as (directory, name):
            os.mkdir(name, mode, dir_fd=directory)
            self._own(directory, name)

    def symlink(self, target: bytes, path: bytes) -> None:
        with self.place(path) as (directory, name):
            os.symlink(target, name, dir_fd=directory)
            self._own(directory, name)

    def link(self, old: bytes, new: bytes) -> None:
        with self.place(old) as (source, name), self.place(new) as (directory, new_name):
            os.link(name, new_name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)

    def unlink(self, path: bytes) -> None:
        parked = self._parked.pop(path, None)
        if parked is not None:
            os.close(parked)
            return
        with self.place(path) as (directory, name):
            os.unlink(name, dir_fd=directory)

    def rmdir(self, path: bytes) -> None:
        with self.place(path) as (directory, name):
            os.rmdir(name, dir_fd=directory)

    def rename(self, old: bytes, new: bytes) -> None:
        if self._hides(old, new):
            self._park(old, new)
            return
        with self.place(old) as (source, name), self.place(new) as (directory, new_name):
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=directory)
        self._follow_rename(old, new)

    def _hides(self, old: bytes, new: bytes) -> bool:
        """Tell libfuse's hiding of an open file from a rename by a program."""
        if not _HIDDEN.search(new) or old.rpartition(b"/")[0] != new.rpartition(b"/")[0]:
            return False
        with self.place(old) as (directory, name):
            inode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino
        return any(handle.inode == inode for handle in list(self.handles.values()))

    def _park(self, old: bytes, hidden: bytes) -> None:
        fd = self._pin(old)
        try:
            with self.place(old) as (directory, name):
                os.unlink(name, dir_fd=directory)
        except BaseException:
            os.close(fd)
            raise
        self._parked[hidden] = fd

    def _follow_rename(self, old: bytes, new: bytes) -> None:
        """Let open files keep a path that is true: the renamed one, and all below a renamed directory."""
        below = old + b"/"
        for handle in list(self.handles.values()):
            if handle.path == old:
                handle.path = new
            elif handle.path.startswith(below):
                handle.path = new + handle.path[len(old) :]

    def _own(self, directory: int, name: bytes) -> None:
        """Give what root has just made to the caller; the group of a set-gid parent stays."""
        context = self.caller.context
        if self._chown_new and (context.uid, context.gid) != self._self:
            inherited = os.fstat(directory).st_mode & stat.S_ISGID
            gid = -1 if inherited else context.gid
            os.chown(name, context.uid, gid, dir_fd=directory, follow_symlinks=False)

    def _restore_set_id(self, path: bytes, mode: int) -> None:
        """Set the bits again that a change of owner clears (chown(2), not for directories)."""
        if self._chown_new and mode & (stat.S_ISUID | stat.S_ISGID):
            self.chmod(path, stat.S_IMODE(mode))

    # Metadata

    def chmod(self, path: bytes, mode: int) -> None:
        with self._by_name(path) as target:
            os.chmod(target, mode)  # noqa: PTH101 - a magic link, not a path to build

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        with self.place(path) as (directory, name):
            if name:
                os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
            else:
                os.chown(descriptor_path(directory), uid, gid)

    def utimens(self, path: bytes, times: int | None) -> None:
        with self.place(path) as (directory, name):
            if name:
                libc.utimens(directory, name, times)
            else:
                libc.utimens(libc.AT_FDCWD, os.fsencode(descriptor_path(directory)), times, follow=True)

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None:
        with self._by_name(path) as target:
            os.setxattr(target, name, value, flags)

    def getxattr(self, path: bytes, name: bytes) -> bytes:
        with self._by_name(path) as target:
            return os.getxattr(target, name)

    def listxattr(self, path: bytes) -> list[bytes]:
        with self._by_name(path) as target:
            return [os.fsencode(name) for name in os.listxattr(target)]

    def removexattr(self, path: bytes, name: bytes) -> None:
        with self._by_name(path) as target:
            os.removexattr(target, name)

    # Open files

    def open(self, path: bytes, flags: int) -> int:
        """Open an existing file; give the number of its handle."""
        fd = self._open_beneath(path, flags & ~_DROPPED, 0)
        if flags & os.O_TRUNC:
            self._clear_set_id(fd)
        return self._admit(fd, path, flags).number

    def create(self, path: bytes, flags: int, mode: int) -> int:
        """Create and open a file; give the number of its handle."""
        wanted = (flags & ~_DROPPED) | os.O_CREAT | os.O_EXCL
        try:
            fd = self._open_beneath(path, wanted, mode)
        except FileExistsError:  # made beneath since the kernel looked
            return self.open(path, flags)
        with self.place(path) as (directory, name):
            self._own(directory, name)
        self._restore_set_id(path, mode)
        return self._admit(fd, path, flags).number

    def _open_beneath(self, path: bytes, flags: int, mode: int) -> int:
        with self.place(path) as (directory, name):
            if not name:
                return os.open(descriptor_path(directory), (flags | os.O_CLOEXEC) & ~os.O_CREAT)
            try:
                return os.open(name, flags | _ALWAYS, mode, dir_fd=directory)
            except BlockingIOError:  # a lease is held: wait for it, as the plain open would
                return os.open(name, (flags | _ALWAYS) & ~os.O_NONBLOCK, mode, dir_fd=directory)

    def _admit(self, fd: int, path: bytes, flags: int) -> Handle:
        try:
            handle = Handle(next(self._numbers), fd, path, flags)
        except BaseException:
            os.close(fd)
            raise
        self.handles[handle.number] = handle
        return handle

    def read(self, fh: int, buffer: int, size: int, offset: int) -> int:
        return libc.pread_into(self.handles[fh].fd, buffer, size, offset)

    def write(self, fh: int, buffer: int, size: int, offset: int) -> int:
        handle = self.handles[fh]
        done = libc.pwrite_from(handle.fd, buffer, size, offset)
        if self._chown_new:
            self._clear_set_id(handle.fd)
        return done

    def _clear_set_id(self, fd: int) -> None:
        """Clear set-uid and set-gid bits as the kernel does when somebody without CAP_FSETID writes.

        With direct I/O the kernel leaves it to the file system, and a worker run by root has the capability.
        """
        if not self._chown_new or not self.caller.context.uid:
            return
        mode = os.fstat(fd).st_mode
        kept = mode & ~stat.S_ISUID
        if mode & stat.S_IXGRP:
            kept &= ~stat.S_ISGID
        if kept != mode:
            os.fchmod(fd, stat.S_IMODE(kept))

    def truncate(self, path: bytes, size: int) -> None:
        fd = self._open_beneath(path, os.O_WRONLY, 0)
        try:
            os.ftruncate(fd, size)
            self._clear_set_id(fd)
        finally:
            os.close(fd)

    def ftruncate(self, fh: int, size: int) -> None:
        os.ftruncate(self.handles[fh].fd, size)
        self._clear_set_id(self.handles[fh].fd)

    def fallocate(self, fh: int, mode: int, offset: int, length: int) -> None:
        libc.fallocate(self.handles[fh].fd, mode, offset, length)

    def flush(self, fh: int) -> None:
        """Close a duplicate: what a file system below says only on close (quota, NFS) reaches the program."""
        os.close(os.dup(self.handles[fh].fd))

    def fsync(self, fh: int, datasync: int) -> None:
        (os.fdatasync if datasync else os.fsync)(self.handles[fh].fd)

    def release(self, fh: int) -> None:
        os.close(self.handles.pop(fh).fd)

    # Directories

    def opendir(self, path: bytes) -> int:
        with self.place(path) as (directory, name):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        number = next(self._numbers)
        self._directories[number] = fd
        return number

    def readdir(self, fh: int) -> Iterator[tuple[bytes, int, int]]:
        """Give (name, inode number, type bits of the mode) of every entry, `.` and `..` included."""
        fd = self._directories[fh]
        for dots in (b".", b".."):
            yield dots, os.stat(dots, dir_fd=fd).st_ino, stat.S_IFDIR
        with os.scandir(fd) as entries:
            for entry in entries:
                yield os.fsencode(entry.name), entry.inode(), _type(entry)

    def releasedir(self, fh: int) -> None:
        os.close(self._directories.pop(fh))

    def fsyncdir(self, fh: int, datasync: int) -> None:
        (os.fdatasync if datasync else os.fsync)(self._directories[fh])


class _Pinned:
    """A descriptor as a path that cannot be swapped, closed on leaving."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> str:
        return descriptor_path(self._fd)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def _type(entry: os.DirEntry[str]) -> int:
    """Give the type bits readdir(3) would, without a stat; 0 (unknown) for sockets, FIFOs and devices."""
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0
