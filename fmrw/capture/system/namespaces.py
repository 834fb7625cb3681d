"""Namespaces: a view of the machine of one's own, without its processes, its network and its right to write.

Thin calls of unshare(2), setns(2), mount(2), umount2(2), mount_setattr(2), personality(2) and prctl(2), errno raised as OSError.
Python has the first two from 3.12 on only.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_long, c_size_t, c_uint, c_uint64, c_ulong, c_void_p
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 1 << 12, 1 << 14, 1 << 18, 1 << 19
MNT_DETACH = 2

_SYS_MOUNT_SETATTR = 442  # the same number on every architecture (introduced in Linux 5.12)
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_ADDR_NO_RANDOMIZE = 0x0040000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class _Attributes(ctypes.Structure):
    """`struct mount_attr`."""

    _fields_ = (("set", c_uint64), ("clear", c_uint64), ("propagation", c_uint64), ("userns", c_uint64))


def _function(name: str, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes has no types
    function = getattr(_libc, name)
    function.argtypes, function.restype = arguments, c_int
    return function


_unshare = _function("unshare", c_int)
_setns = _function("setns", c_int, c_int)
_mount = _function("mount", c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_umount2 = _function("umount2", c_char_p, c_int)
_personality = _function("personality", c_ulong)
_prctl = _function("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_call = ctypes.CDLL(None, use_errno=True).syscall
_call.argtypes, _call.restype = (c_long, c_int, c_char_p, c_uint, c_void_p, c_size_t), c_long


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)


def unshare(flags: int) -> None:
    """Leave the namespaces that are named by `CLONE_…` flags for new ones; of processes, children do."""
    _checked(_unshare(flags), "unshare")


def enter(fd: int) -> None:
    """Enter the namespace a descriptor refers to."""
    _checked(_setns(fd, 0), "setns")


def mount(
    source: str | bytes, target: str | bytes, kind: str = "", flags: int = 0, options: str = ""
) -> None:
    """Mount, bind (`MS_BIND`) or set how mounts spread (`MS_PRIVATE`, `MS_SLAVE`)."""
    _checked(
        _mount(
            os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, options.encode() or None
        ),
        os.fsdecode(target),
    )


def unmount(target: str | bytes) -> None:
    """Detach what is mounted at a path, files in use or not."""
    _checked(_umount2(os.fsencode(target), MNT_DETACH), os.fsdecode(target))


def make_read_only(path: str) -> None:
    """Make a mount and all below it read-only, for this namespace.

    Raises
    ------
    OSError
        ENOSYS before Linux 5.12.
    """
    _set_attributes(path, _AT_RECURSIVE, _Attributes(_MOUNT_ATTR_RDONLY, 0, 0, 0))


def let_write(path: str) -> None:
    """Make one mount writable again."""
    _set_attributes(path, 0, _Attributes(0, _MOUNT_ATTR_RDONLY, 0, 0))


def _set_attributes(path: str, flags: int, wanted: _Attributes) -> None:
    size = ctypes.sizeof(wanted)
    _checked(_call(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, ctypes.byref(wanted), size), path)


def fix_addresses() -> None:
    """Let programs started from here find their memory at the same addresses every time; where that is denied, at random ones."""
    _personality(_ADDR_NO_RANDOMIZE)


def end_with_parent(signal: int) -> None:
    """Get a signal when the thread that has started this process ends."""
    _checked(_prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    _checked(_prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
