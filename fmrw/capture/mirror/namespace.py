"""Namespace: operations on names in the mirrored directory: look up, make, remove, rename, describe.

`Names` holds what `fmrw.capture.mirror.passthrough` describes about paths, about files that lose their last name while they are open, and
about the rights of the caller.
"""

# ruff: noqa: D102 - one method per operation of fuse(4)
from __future__ import annotations

import itertools
import logging
import os
import re
import stat
from ctypes import c_uint64
from typing import TYPE_CHECKING

from fmrw.capture.fuse import loop
from fmrw.capture.fuse.adapter import Caller, Stat
from fmrw.capture.mirror.credentials import Actor
from fmrw.capture.mirror.dirfds import Pinned, Place, identity, told_apart
from fmrw.capture.system import libc
from fmrw.capture.system.proc import descriptor_path

if TYPE_CHECKING:
    from fmrw.capture.mirror.dirfds import Handle

_log = logging.getLogger(__name__)
_HIDDEN = re.compile(rb"(?:^|/)\.fuse_hidden[0-9a-f]{16}$")  # libfuse 2.9, hidden_name(): "%08x%08x"
_DEVICE = Stat.st_dev.offset
_SET_ID = stat.S_ISUID | stat.S_ISGID
_ACCESS_LISTS = (b"system.posix_acl_access", b"system.posix_acl_default")


class Names:
    """The names in the directory behind a descriptor.

    Parameters
    ----------
    root : int
        Descriptor of the directory, opened before it is mounted over.
    grain : int
        `st_blksize` reported for regular files, which sizes the buffers of glibc and CPython; 0 keeps the true one.
    chown_new : bool
        Do what is asked with the rights of who asks (for a worker run by root).
    """

    def __init__(self, root: int, *, grain: int = 0, chown_new: bool = False) -> None:
        self.root = root
        self.device = os.fstat(root).st_dev
        self.caller = Caller()
        self.handles: dict[int, Handle] = {}
        self._grain = grain
        self._serves_others = chown_new
        self._as_caller = Actor(self.caller, switches=chown_new)
        self._numbers = itertools.count(1)
        self._directories: dict[int, int] = {}
        self._parked: dict[bytes, int] = {}

    def fault(self, operation: str, error: BaseException) -> None:
        """Take note of an exception that is no OSError; the program sees EIO."""
        _log.error("%s failed: %r", operation, error, exc_info=error)

    def agreed(self, flags: int) -> None:
        """Take note of the flags that stand in the answer to INIT (`fmrw.capture.fuse.loop`)."""

    # Paths

    def place(self, path: bytes) -> Place:
        """Open the parent of a path, give it with the last component."""
        head, _, name = path.rpartition(b"/")
        if path in self._parked:
            return Place(self._parked[path], b"", owned=False)
        if len(head) <= 1:
            return Place(self.root, name or b".", owned=False)
        return Place(libc.open_directory_beneath(self.root, head[1:]), name, owned=True)

    def _pin(self, path: bytes) -> int:
        """Open what is at a path itself, only to name it; the caller closes the descriptor."""
        with self.place(path) as (directory, name):
            if not name:
                return os.dup(directory)
            return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)

    def _target(self, path: bytes) -> Place:
        """Give a file that exists: by name, or, where its user's rights count, the file itself.

        Who may not search its directory any more may have come there before.
        """
        if self._as_caller.is_another():
            return Place(self._pin(path), b"", owned=True)
        return self.place(path)

    def _by_name(self, path: bytes) -> Pinned:
        return Pinned(self._pin(path))

    # What a name is

    def getattr(self, path: bytes, buffer: int) -> None:
        parked = self._parked.get(path)
        if parked is None:
            libc.stat_beneath(self.root, path[1:], buffer)
        else:
            libc.fstat_into(parked, buffer)
            Stat.from_address(buffer).st_nlink += 1  # libfuse takes its hidden name off
        self._adapt(buffer)

    def size_of(self, path: bytes) -> int:
        """Give the size of a regular file, 0 for whatever else is there."""
        try:
            with self.place(path) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def fgetattr(self, fh: int, buffer: int) -> None:
        libc.fstat_into(self.handles[fh].fd, buffer)
        self._adapt(buffer)

    def _adapt(self, buffer: int) -> None:
        """Say what differs on a mount: the numbers of files of other file systems, and the grain."""
        if c_uint64.from_address(buffer + _DEVICE).value != self.device:
            status = Stat.from_address(buffer)
            status.st_ino = told_apart(status.st_dev, status.st_ino)
        if self._grain:
            self._set_grain(buffer)

    def _set_grain(self, buffer: int) -> None:
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
        with self.place(path) as (directory, name), self._as_caller():
            os.mknod(name, self._masked(directory, mode), device, dir_fd=directory)

    def mkdir(self, path: bytes, mode: int) -> None:
        with self.place(path) as (directory, name), self._as_caller():
            os.mkdir(name, self._masked(directory, mode), dir_fd=directory)

    def _masked(self, directory: int, mode: int) -> int:
        """Apply the caller's umask, which a default ACL of the directory replaces (umask(2))."""
        umask = self.caller.context.umask
        return mode if libc.has_default_acl(descriptor_path(directory).encode()) else mode & ~umask

    def symlink(self, target: bytes, path: bytes) -> None:
        with self.place(path) as (directory, name), self._as_caller():
            os.symlink(target, name, dir_fd=directory)

    def link(self, old: bytes, new: bytes) -> None:
        with self.place(old) as (source, name), self.place(new) as (directory, new_name), self._as_caller():
            os.link(name, new_name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)

    def unlink(self, path: bytes) -> None:
        parked = self._parked.pop(path, None)
        if parked is not None:
            os.close(parked)
            return
        with self.place(path) as (directory, name), self._as_caller():
            os.unlink(name, dir_fd=directory)

    def rmdir(self, path: bytes) -> None:
        with self.place(path) as (directory, name), self._as_caller():
            os.rmdir(name, dir_fd=directory)
        self._leave_below(path)

    def rename(self, old: bytes, new: bytes) -> None:
        if self._hides(old, new):
            self._park(old, new)
            return
        with self.place(old) as (source, name), self.place(new) as (directory, new_name), self._as_caller():
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=directory)
        self._leave_below(new)
        self._follow_rename(old, new)

    def _hides(self, old: bytes, new: bytes) -> bool:
        """Tell libfuse's hiding of an open file from a rename by a program."""
        (folder, _, _), (new_folder, _, name) = old.rpartition(b"/"), new.rpartition(b"/")
        if not _HIDDEN.search(new) or folder != new_folder or name == loop.renames_to():
            return False
        with self.place(old) as (directory, name):
            wanted = identity(os.stat(name, dir_fd=directory, follow_symlinks=False))
        return any(handle.identity == wanted for handle in list(self.handles.values()))

    def _makes_room(self, old: bytes, new: bytes) -> bool:
        """Tell libfuse's hiding of an open file that a rename is about to replace."""
        return loop.opcode() == loop.RENAME and self._hides(old, new)

    def _park(self, old: bytes, hidden: bytes) -> None:
        """Keep an open file reachable under libfuse's hidden name, and take its own name away.

        Before a rename over an open file the name stays: the rename replaces it, at once or not at all.
        """
        fd = self._pin(old)
        try:
            if loop.opcode() != loop.RENAME:
                with self.place(old) as (directory, name), self._as_caller():
                    os.unlink(name, dir_fd=directory)
        except BaseException:
            os.close(fd)
            raise
        self._parked[hidden] = fd

    def _follow_rename(self, old: bytes, new: bytes) -> None:
        """Let open files keep a path that is true: the renamed one, and all below a renamed directory, hidden ones too."""
        below = old + b"/"
        for hidden in self._parked_below(old):
            self._parked[new + hidden[len(old) :]] = self._parked.pop(hidden)
        for handle in list(self.handles.values()):
            if handle.path == old:
                handle.path = new
            elif handle.path.startswith(below):
                handle.path = new + handle.path[len(old) :]

    def _parked_below(self, path: bytes) -> list[bytes]:
        return [hidden for hidden in list(self._parked) if hidden.startswith(path + b"/")]

    def _leave_below(self, path: bytes) -> None:
        """Let go of hidden files whose directory has just been removed: libfuse has no path to them any more, not even to unlink them."""
        for hidden in self._parked_below(path):
            os.close(self._parked.pop(hidden))

    # Metadata

    def chmod(self, path: bytes, mode: int) -> None:
        with self._by_name(path) as target:
            if self._serves_others and self._only_clears_set_id(target, mode):
                os.chmod(target, mode)  # noqa: PTH101 - a magic link, not a path to build
                return
            with self._as_caller():
                os.chmod(target, mode)  # noqa: PTH101 - the same

    def _only_clears_set_id(self, target: str, mode: int) -> bool:
        """Tell the kernel's clearing of set-id bits, done for a writer who need not be the owner."""
        present, mode = stat.S_IMODE(os.stat(target).st_mode), stat.S_IMODE(mode)  # noqa: PTH116 - as above
        return mode != present and mode | _SET_ID == present | _SET_ID and not mode & ~present

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        with self._target(path) as (directory, name), self._as_caller():
            libc.chown(directory, name, uid, gid)

    def utimens(self, path: bytes, times: int | None) -> None:
        with self._target(path) as (directory, name), self._as_caller():
            libc.utimens(directory, name, times)

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None:
        with self._by_name(path) as target, self._as_caller():
            os.setxattr(target, name, value, flags)

    def getxattr(self, path: bytes, name: bytes) -> bytes | None:
        """Give the value; None where the file has no attribute of that name (ENODATA)."""
        with self.place(path) as (directory, last):
            if not last or (
                self._as_caller.is_another() and name not in _ACCESS_LISTS
            ):  # those: the kernel itself asks
                return self._own_xattr(path, name)
            return libc.get_attribute(b"%b/%b" % (descriptor_path(directory).encode(), last), name)

    def _own_xattr(self, path: bytes, name: bytes) -> bytes:
        with self._by_name(path) as target, self._as_caller():
            return os.getxattr(target, name)

    def listxattr(self, path: bytes) -> list[bytes]:
        with self._by_name(path) as target, self._as_caller():
            return [os.fsencode(name) for name in os.listxattr(target)]

    def removexattr(self, path: bytes, name: bytes) -> None:
        with self._by_name(path) as target, self._as_caller():
            os.removexattr(target, name)
