"""System calls that Python lacks, or has only a slow way to: thin, typed, errno raised as OSError.

`fstatat` and `fstatvfs` fill the kernel's own structures at an address, so that a `stat` passes through byte for byte,
nanoseconds included; `openat2` resolves a path without ever following a symbolic link or leaving the directory
(Linux 5.6; a walk by single components stands in where it is missing).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import threading
from ctypes import c_char_p, c_int, c_int64, c_long, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_EACCESS = 0x200
AT_SYMLINK_NOFOLLOW = 0x100
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
_SYS_FACCESSAT2 = 439  # the same (5.8)
_SYS_OPENAT2 = 437  # the same number on every architecture (introduced in Linux 5.6)
_LONGEST = 4000  # PATH_MAX is 4,096 with its NUL; deeper paths are walked in pieces

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_UNSUPPORTED = (errno.ENOSYS, errno.EPERM, errno.E2BIG)  # EPERM: a seccomp filter that does not know it


class _OpenHow(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


_BENEATH = _OpenHow(_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
_PARENT = _OpenHow(_DIRECTORY, 0, RESOLVE_NO_XDEV)
_BENEATH_AT = ctypes.byref(_BENEATH)
_BENEATH_SIZE = ctypes.sizeof(_BENEATH)


def _function(name: str, *arguments: Any, result: Any = c_int) -> Any:  # noqa: ANN401 - ctypes has no types
    function = getattr(_libc, name)
    function.argtypes = arguments
    function.restype = result
    return function


_fstatat = _function("fstatat", c_int, c_char_p, c_void_p, c_int)
_fstatvfs = _function("fstatvfs", c_int, c_void_p)
_faccessat = _function("faccessat", c_int, c_char_p, c_int, c_int)
_fchownat = _function("fchownat", c_int, c_char_p, c_int, c_int, c_int)
_utimensat = _function("utimensat", c_int, c_char_p, c_void_p, c_int)
_fallocate = _function("fallocate", c_int, c_int, c_int64, c_int64)
_syscall = _function("syscall", c_long, c_int, c_char_p, c_void_p, c_size_t, result=c_long)
_signal = _function("signal", c_int, c_void_p, result=c_void_p)
_getxattr = _function("getxattr", c_char_p, c_char_p, c_void_p, c_size_t, result=c_long)
_lgetxattr = _function("lgetxattr", c_char_p, c_char_p, c_void_p, c_size_t, result=c_long)
_setfsuid = _function("setfsuid", c_uint)
_setfsgid = _function("setfsgid", c_uint)
_unshare = _function("unshare", c_int)
_call2 = ctypes.CDLL(None, use_errno=True).syscall  # `_syscall` has openat2's argument types
_call2.argtypes, _call2.restype = (c_long, c_size_t, c_void_p), c_long
_call4 = ctypes.CDLL(None, use_errno=True).syscall
_call4.argtypes, _call4.restype = (c_long, c_int, c_char_p, c_int, c_int), c_long
_call3 = ctypes.CDLL(None, use_errno=True).syscall
_call3.argtypes, _call3.restype = (c_long, c_int, c_int, c_int), c_long
_SYS_KCMP = {"x86_64": 312, "aarch64": 272}.get(os.uname().machine)
_KCMP_VM = 1  # include/uapi/linux/kcmp.h
_CLONE_FS = 0x200
_RWF_NOAPPEND = 0x20  # include/uapi/linux/fs.h
_CANNOT_SHARE = (errno.ESRCH, errno.EPERM)  # it is gone, or in another PID namespace; somebody else's
_one_at_a_time = threading.Lock()
_SAME = 0xFFFFFFFF  # an id that is never set: the call only tells the present one
_SYS_SETGROUPS = {"x86_64": 116, "aarch64": 159}.get(os.uname().machine)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def pread_into(fd: int, buffer: memoryview, size: int, offset: int) -> int:
    """Read `size` bytes at `offset` to the beginning of a buffer; give the number read."""
    return os.preadv(fd, (buffer[:size],), offset)


def pwrite_from(fd: int, buffer: memoryview, size: int, offset: int) -> int:
    """Write `size` bytes from the beginning of a buffer at `offset`; give the number written."""
    return os.pwrite(fd, buffer[:size], offset)


def pwrite_in_place(fd: int, buffer: memoryview, size: int, offset: int) -> int:
    """Write at `offset` also where the descriptor was opened to append: Linux appends then, whatever offset pwrite(2) is given.

    Before Linux 6.9, which has a flag for it, the descriptor appends not at all for that moment.
    """
    try:
        return os.pwritev(fd, (buffer[:size],), offset, _RWF_NOAPPEND)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    with _one_at_a_time:
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
        try:
            return os.pwrite(fd, buffer[:size], offset)
        finally:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def stat_into(directory: int, name: bytes, address: int) -> None:
    """Put the `struct stat` of a name, itself and not what it links to, at a memory address."""
    _checked(_fstatat(directory, name, address, AT_SYMLINK_NOFOLLOW))


def stat_beneath(directory: int, path: bytes, address: int) -> None:
    """Put the `struct stat` of a path below a directory, itself and no link on the way followed, at a memory address.

    As `open_directory_beneath` and `stat_into`, without what they cost: three quarters of all requests pass here.
    """
    head, slash, name = path.rpartition(b"/")
    if not slash:
        stat_into(directory, name or b".", address)
        return
    parent: int = _syscall(_SYS_OPENAT2, directory, head, _BENEATH_AT, _BENEATH_SIZE)
    if parent < 0:
        parent = open_directory_beneath(directory, head)
    failed = _fstatat(parent, name, address, AT_SYMLINK_NOFOLLOW)
    os.close(parent)
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def parent_inode(directory: int) -> int | None:
    """Give the inode number of a directory's parent; None where a mount lies over that, or it cannot be told.

    A plain `..` would step from beneath a mount onto it.
    """
    fd: int = _syscall(_SYS_OPENAT2, directory, b"..", ctypes.byref(_PARENT), _BENEATH_SIZE)
    if fd < 0:
        return None
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def fstat_into(fd: int, address: int) -> None:
    """Put the `struct stat` of an open descriptor at a memory address."""
    _checked(_fstatat(fd, b"", address, AT_EMPTY_PATH))


def fstatvfs_into(fd: int, address: int) -> None:
    """Put the `struct statvfs` of a descriptor's file system at a memory address."""
    _checked(_fstatvfs(fd, address))


def access(directory: int, name: bytes, mode: int) -> None:
    """Raise what access(2) would say about a name."""
    _checked(_faccessat(directory, name, mode, AT_SYMLINK_NOFOLLOW))


def require_execution(fd: int) -> None:
    """Raise what execve(2) would say to this thread's file-system user about a file.

    Before Linux 5.8 nobody can ask that (faccessat2(2)), and it is EACCES.
    """
    if _call4(_SYS_FACCESSAT2, fd, b"", os.X_OK, AT_EACCESS | AT_EMPTY_PATH) < 0:
        code = ctypes.get_errno()
        code = errno.EACCES if code in _UNSUPPORTED else code
        raise OSError(code, os.strerror(code))


def utimens(directory: int, name: bytes, times: int | None) -> None:
    """Set times from two `struct timespec` at an address (UTIME_NOW and UTIME_OMIT included)."""
    _checked(_utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW if name else AT_EMPTY_PATH))


def chown(directory: int, name: bytes, uid: int, gid: int) -> None:
    """Set the owner of a name, itself and not what it links to; -1 keeps. No name means the descriptor."""
    _checked(_fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW if name else AT_EMPTY_PATH))


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Manipulate the space of a file: fallocate(2) with its modes."""
    _checked(_fallocate(fd, mode, offset, length))


def get_attribute(path: bytes, name: bytes) -> bytes | None:
    """Give the value of an extended attribute, itself and not that of what is linked to; None where there is none of that name.

    That is the answer nearly always, once per file that is looked at, and an exception would cost as much as all else.
    """
    if _lgetxattr(path, name, None, 0) >= 0:
        return os.getxattr(path, name, follow_symlinks=False)
    code = ctypes.get_errno()
    if code == errno.ENODATA:
        return None
    raise OSError(code, os.strerror(code))


def has_default_acl(directory: bytes) -> bool:
    """Tell whether what is made in a directory inherits an access control list (acl(5))."""
    return bool(_getxattr(directory, b"system.posix_acl_default", None, 0) > 0)


def set_groups(groups: list[int]) -> None:
    """Set the supplementary groups of this thread alone (`os.setgroups` sets those of the process)."""
    if _SYS_SETGROUPS is None:
        raise OSError(errno.ENOSYS, "setgroups of one thread is not known on this architecture")
    _checked(_call2(_SYS_SETGROUPS, len(groups), (c_uint * len(groups))(*groups)))


def set_fs_ids(uid: int, gid: int) -> None:
    """Set this thread's file-system user and group, which permissions are checked by (setfsuid(2)).

    Raises
    ------
    PermissionError
        They did not become what was asked for; the calls themselves report no error.
    """
    _setfsgid(gid)
    _setfsuid(uid)
    if _setfsgid(_SAME) != gid or _setfsuid(_SAME) != uid:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def address_of_read() -> int:
    """Give where the C library's read(2) lies in this process."""
    return ctypes.cast(_libc.read, c_void_p).value or 0


def share_memory(pid: int, other: int) -> bool:
    """Tell whether two processes share one address space, as between vfork(2) and execve(2); True where that cannot be told."""
    if _SYS_KCMP is None:
        return True
    order: int = _call3(_SYS_KCMP, pid, other, _KCMP_VM)
    return order == 0 or (order < 0 and ctypes.get_errno() not in _CANNOT_SHARE)


def drop_umask() -> None:
    """Give this thread a umask of its own and clear it; where that is denied, the process's stays."""
    if not _unshare(_CLONE_FS):
        os.umask(0)


def default_signal(number: int) -> None:
    """Give a signal its default action, from any thread (Python's `signal` insists on the main one)."""
    _signal(number, None)


def ignore_signal(number: int) -> None:
    """Ignore a signal, from any thread."""
    _signal(number, 1)


def _open_beneath(directory: int, path: bytes) -> int:
    fd: int = _syscall(_SYS_OPENAT2, directory, path, _BENEATH_AT, _BENEATH_SIZE)
    if fd >= 0:
        return fd
    code = ctypes.get_errno()
    if code in _UNSUPPORTED and not _has_openat2():
        return _walk(directory, path)
    raise OSError(code, os.strerror(code))


@functools.cache
def _has_openat2() -> bool:
    fd: int = _syscall(_SYS_OPENAT2, AT_FDCWD, b".", _BENEATH_AT, _BENEATH_SIZE)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def _walk(directory: int, path: bytes) -> int:
    """Open a directory component by component, none of them a symbolic link."""
    current = os.dup(directory)
    for name in path.split(b"/"):
        try:
            deeper = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        finally:
            os.close(current)
        current = deeper
    return current


def open_directory_beneath(directory: int, path: bytes) -> int:
    """Open a directory below a directory, following no link on the way.

    Parameters
    ----------
    directory : int
        Descriptor of the directory that is not left.
    path : bytes
        Relative, without `..`; any length (pieces of less than PATH_MAX are walked one after the other).

    Returns
    -------
    int
        An `O_PATH` descriptor; the caller closes it.
    """
    if len(path) <= _LONGEST:
        return _open_beneath(directory, path)
    cut = path.rindex(b"/", 0, _LONGEST)
    first = _open_beneath(directory, path[:cut])
    try:
        return open_directory_beneath(first, path[cut + 1 :])
    finally:
        os.close(first)
