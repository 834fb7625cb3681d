"""Passthrough: a faithful mirror of the directory beneath the mount. It records nothing.

Every path is resolved from a descriptor of the directory, opened before the mount covered it: the parent through
`openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`, the last component without following a link. The kernel has resolved
every link before it asks us, so whatever link we meet was swapped in beneath, and is refused (ELOOP).

Open files that lose their last name
------------------------------------
libfuse renames an open file to `.fuse_hidden…` instead of unlinking it, so that later calls have a path. `Passthrough` takes
that rename as what it means: it opens the file once more, unlinks it for good, and answers calls on the hidden path
from that descriptor. So nothing called `.fuse_hidden…` ever exists beneath, link counts are true, an emptied directory
can be removed at once, and a crash leaves nothing to sweep. Where libfuse hides a file that a rename is about to replace,
the name stays for the rename, which replaces it in one step; when that fails, nothing is lost.

Rights
------
A worker run by root that lets others in does everything that names a file with the rights of the caller (`fmrw.capture.mirror.credentials`),
in addition to the kernel's own checks above the mount.

Limits
------
`rename2` flags, `O_TMPFILE`, `SEEK_HOLE`, `FALLOC_FL_COLLAPSE_RANGE`, ioctls and leases do not exist in libfuse 2. Locks are kept by the kernel: they hold
between all programs that use the mount, and are not seen beneath it. `O_DIRECT` is dropped (libfuse's buffers are not
aligned for it).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import resource
import stat
from typing import TYPE_CHECKING

from fmrw.capture.mirror.dirfds import Handle, identity, told_apart
from fmrw.capture.mirror.namespace import Names
from fmrw.capture.system import libc
from fmrw.capture.system.proc import descriptor_path, groups_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT = 2560  # descriptors that are not for open files: two per known thread, and what every answer opens
_SET_ID = stat.S_ISUID | stat.S_ISGID
_DROPPED = os.O_DIRECT | os.O_CREAT | os.O_EXCL | os.O_NOCTTY
_TO_EXECUTE = 0x20
_ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO swapped in beneath must not block us


class Passthrough(Names):
    """Mirror the directory behind a descriptor; the parameters are those of `Names`."""

    def __init__(self, root: int, *, grain: int = 0, chown_new: bool = False) -> None:
        super().__init__(root, grain=grain, chown_new=chown_new)
        limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = limit - min(limit // 4, _KEPT)

    def open(self, path: bytes, flags: int) -> int:
        """Open an existing file; give the number of its handle."""
        self._require_room()
        try:
            fd = self._open_beneath(path, flags & ~_DROPPED)
        except PermissionError:
            if not flags & _TO_EXECUTE or not self._as_caller.is_another():
                raise
            fd = self._open_to_execute(path)
        return self._admit(fd, path, flags).number

    def _open_to_execute(self, path: bytes) -> int:
        """Open for execve(2) what the caller may execute and not read, as a program of mode 0711.

        Only the kernel itself sets the flag (`__FMODE_EXEC`, include/linux/fs.h): open(2) drops it and openat2(2) refuses it. It keeps the
        descriptor to itself, and makes a process that may not read its program undumpable.
        """
        with self._target(path) as (file, _no_name):
            with self._as_caller():
                libc.require_execution(file)
            if not stat.S_ISREG(os.fstat(file).st_mode):  # swapped in beneath
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            return os.open(descriptor_path(file), os.O_RDONLY | os.O_CLOEXEC)

    def create(self, path: bytes, flags: int, mode: int) -> int:
        """Create and open a file; give the number of its handle."""
        self._require_room()
        wanted = (flags & ~_DROPPED) | os.O_CREAT | os.O_EXCL
        try:
            fd = self._open_beneath(path, wanted, mode)
        except FileExistsError:  # made beneath since the kernel looked
            if flags & os.O_EXCL:
                raise
            return Passthrough.open(self, path, flags)  # not a subclass's, which records and gives more
        return self._admit(fd, path, flags).number

    def _require_room(self) -> None:
        """Refuse to open while the few descriptors are left that answering, closing and recording take."""
        if len(self.handles) >= self._most:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _open_beneath(self, path: bytes, flags: int, mode: int = 0) -> int:
        made = flags & os.O_CREAT
        with self.place(path) if made else self._target(path) as (directory, name), self._as_caller():
            if not name:
                return os.open(descriptor_path(directory), (flags | os.O_CLOEXEC) & ~os.O_NOFOLLOW)
            if made:
                mode = self._masked(directory, mode)
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

    def read(self, fh: int, buffer: memoryview, size: int, offset: int) -> int:
        return libc.pread_into(self.handles[fh].fd, buffer, size, offset)

    def write(self, fh: int, buffer: memoryview, size: int, offset: int, exact: bool = True) -> int:  # noqa: FBT002
        """Write what a program writes; a page of a shared mapping goes to its place, also into a file that is opened to append."""
        handle = self.handles[fh]
        put = libc.pwrite_from if exact or not handle.append else libc.pwrite_in_place
        done = put(handle.fd, buffer, size, offset)
        if self._serves_others:
            self._clear_set_id(handle.fd)
        return done

    def _clear_set_id(self, fd: int) -> None:
        """Clear set-uid and set-gid bits as the kernel does when somebody without CAP_FSETID writes.

        With direct I/O the kernel leaves it to the file system, and a worker run by root has the capability. Without
        permission to execute for the group, set-gid stays for the group's members (`setattr_should_drop_sgid`, Linux 6.0).
        """
        context = self.caller.context
        if not context.uid:
            return
        status = os.fstat(fd)
        if not status.st_mode & _SET_ID:
            return
        kept = status.st_mode & ~stat.S_ISUID
        if status.st_mode & stat.S_IXGRP or status.st_gid not in (context.gid, *groups_of(context.pid)):
            kept &= ~stat.S_ISGID
        if kept != status.st_mode:
            os.fchmod(fd, stat.S_IMODE(kept))

    def truncate(self, path: bytes, size: int) -> None:
        """Truncate without opening: a close could fail (quota, NFS) where truncate(2) on the plain directory has none."""
        with self._by_name(path) as target, self._as_caller():
            os.truncate(target, size)

    def ftruncate(self, fh: int, size: int) -> None:
        with self._as_caller():
            os.ftruncate(self.handles[fh].fd, size)

    def fallocate(self, fh: int, mode: int, offset: int, length: int) -> None:
        with self._as_caller():
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
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        with self._target(path) as (directory, name), self._as_caller():
            if name:
                fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory)
            else:
                fd = os.open(descriptor_path(directory), flags)
        number = next(self._numbers)
        self._directories[number] = fd
        return number

    def listing(self, fh: int) -> tuple[int, int, int, bool] | None:
        """Give an open directory, its inode number, its parent's, and whether reports stand in it; None where its entries are not as the kernel says."""
        fd = self._directories[fh]
        device, inode = identity(os.fstat(fd))
        above = libc.parent_inode(fd)
        if device != self.device:
            return None
        return fd, inode, os.fstat(self.root).st_ino if above is None else above, False

    def readdir(self, fh: int) -> Iterator[tuple[bytes, int, int]]:
        """Give (name, inode number, type bits of the mode) of every entry, `.` and `..` included."""
        fd = self._directories[fh]
        device, inode = identity(os.fstat(fd))
        number = _unchanged if device == self.device else functools.partial(told_apart, device)
        yield b".", number(inode), stat.S_IFDIR
        above = libc.parent_inode(fd)
        yield b"..", os.fstat(self.root).st_ino if above is None else number(above), stat.S_IFDIR
        with os.scandir(fd) as entries:
            for entry in entries:
                yield os.fsencode(entry.name), number(entry.inode()), _type(entry)

    def releasedir(self, fh: int) -> None:
        os.close(self._directories.pop(fh))

    def fsyncdir(self, fh: int, datasync: int) -> None:
        (os.fdatasync if datasync else os.fsync)(self._directories[fh])

    def close(self) -> None:
        """Let go of files and directories of which the unmount overtook the kernel's last notice."""
        for release, numbers in ((self.release, self.handles), (self.releasedir, self._directories)):
            for number in list(numbers):
                with contextlib.suppress(OSError):
                    release(number)
        while self._parked:
            os.close(self._parked.popitem()[1])


def _unchanged(inode: int) -> int:
    return inode


def _type(entry: os.DirEntry[str]) -> int:
    """Give the type bits readdir(3) would, without a stat; 0 (unknown) for sockets, FIFOs and devices."""
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0
