"""Adapter: between libfuse 2 and Python. C pointers in, errno out, no policy.

`Adapter` is fusepy's `FUSE` with its callbacks laid anew. fusepy hands every call through a decorator, decodes paths as
strict UTF-8, copies what it reads twice, cannot express UTIME_OMIT, and its wrapper turns a BaseException into *success
with no data*. Here

- paths stay bytes, structures are filled in place, and libfuse is not asked to `read` and `write` (`fmrw.capture.fuse.transfers`);
- whatever an operation raises becomes an errno: OSError its own, anything else EIO, reported to `operations.fault`;
- the libfuse 2.9 table is filled to its end, so that `fallocate` works;
- requests are received by `fmrw.capture.fuse.loop`.

`use_ino`, zero timeouts, `flag_nullpath_ok` (calls on open files work without a path) and `flag_utime_omit_ok` are what
it takes to be indistinguishable from the directory beneath.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import threading
from ctypes import CFUNCTYPE, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any

import fuse

from fmrw.capture.fuse import loop
from fmrw.capture.fuse.gate import Gate
from fmrw.capture.fuse.transfers import Rooms, Transfers
from fmrw.capture.system import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fmrw.capture.fuse.transfers import Limits
    from fmrw.capture.native.metadata import Metadata
    from fmrw.capture.native.receiving import Receiver

if not hasattr(fuse, "fuse_operations"):  # the package fuse-python installs a module of the same name
    raise ImportError("the module `fuse` is not fusepy's")


class Stat(fuse.c_stat):  # type: ignore[misc] # fusepy has no types
    """`struct stat`, for those who fill one, or hand one to libfuse, which copies all of it.

    fusepy's ends before the three reserved words of x86-64: what is written into one by the C library goes 24 bytes beyond it.
    """

    _fields_ = (("reserved", c_int64 * 3),)


FI_FH = fuse.fuse_file_info.fh.offset

_FILL = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_int64)
_PATH_FI = (c_char_p, c_void_p)
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "getattr": (c_char_p, c_void_p),
    "readlink": (c_char_p, c_void_p, c_size_t),
    "mknod": (c_char_p, c_uint32, c_uint64),
    "mkdir": (c_char_p, c_uint32),
    "unlink": (c_char_p,),
    "rmdir": (c_char_p,),
    "symlink": (c_char_p, c_char_p),
    "rename": (c_char_p, c_char_p),
    "link": (c_char_p, c_char_p),
    "chmod": (c_char_p, c_uint32),
    "chown": (c_char_p, c_uint32, c_uint32),
    "truncate": (c_char_p, c_int64),
    "open": _PATH_FI,
    "statfs": (c_char_p, c_void_p),
    "flush": _PATH_FI,
    "release": _PATH_FI,
    "fsync": (c_char_p, c_int, c_void_p),
    "setxattr": (c_char_p, c_char_p, c_void_p, c_size_t, c_int),
    "getxattr": (c_char_p, c_char_p, c_void_p, c_size_t),
    "listxattr": (c_char_p, c_void_p, c_size_t),
    "removexattr": (c_char_p, c_char_p),
    "opendir": _PATH_FI,
    "readdir": (c_char_p, c_void_p, c_void_p, c_int64, c_void_p),
    "releasedir": _PATH_FI,
    "fsyncdir": (c_char_p, c_int, c_void_p),
    "access": (c_char_p, c_int),
    "create": (c_char_p, c_uint32, c_void_p),
    "ftruncate": (c_char_p, c_int64, c_void_p),
    "fgetattr": (c_char_p, c_void_p, c_void_p),
    "utimens": (c_char_p, c_void_p),
    "fallocate": (c_char_p, c_int, c_int64, c_int64, c_void_p),
}


TRANSFERS = ("read", "write")
"""Operations that are not in libfuse's table: `fmrw.capture.fuse.transfers` answers them."""

_FLAG_FIELDS = ("flag_nullpath_ok", "flag_nopath", "flag_utime_omit_ok", "flag_reserved")
_POINTERS = [entry[0] for entry in fuse.fuse_operations._fields_ if entry[0] not in (*_FLAG_FIELDS, "ioctl")]


def version() -> str:
    """Give the versions of fusepy and of libfuse."""
    from importlib.metadata import version as installed  # noqa: PLC0415 - takes as long to import as this module

    return f"{installed('fusepy')}, libfuse {fuse._libfuse.fuse_version() / 10:.1f}"  # noqa: SLF001


class Operations(ctypes.Structure):
    """`struct fuse_operations` of libfuse 2.9, to its end; fusepy's ends before `poll`."""

    _fields_ = (
        *((name, c_void_p) for name in _POINTERS),
        *((name, c_uint, bits) for name, bits in zip(_FLAG_FIELDS, (1, 1, 1, 29), strict=True)),
        *((name, c_void_p) for name in ("ioctl", "poll", "write_buf", "read_buf", "flock", "fallocate")),
    )


class Context(ctypes.Structure):
    """`struct fuse_context`: who called. `pid` is the id of the calling *thread*."""

    _fields_ = (
        ("fuse", c_void_p),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("pid", c_int),
        ("private_data", c_void_p),
        ("umask", c_uint32),
    )


class Caller(threading.local):
    """The context of the thread that asks: libfuse keeps it at an address that stays the same for each thread."""

    def __init__(self) -> None:
        address = ctypes.cast(fuse._libfuse.fuse_get_context(), c_void_p).value  # noqa: SLF001 - fusepy's own handle
        self.context = Context.from_address(address or 0)


def _function(name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes has no types
    function = getattr(fuse._libfuse, name)  # noqa: SLF001 - fusepy's own handle of libfuse
    function.argtypes = arguments
    function.restype = result
    return function


_setup = _function("fuse_setup", c_void_p, c_int, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p)
_teardown = _function("fuse_teardown", None, c_void_p, c_void_p)
_session = _function("fuse_get_session", c_void_p, c_void_p)


class Adapter(fuse.FUSE):  # type: ignore[misc]  # fusepy ships no types
    """Serve `operations` at a mount point until it is unmounted.

    Parameters
    ----------
    operations
        An object with the methods of `fmrw.capture.mirror.passthrough.Passthrough`. It may have `metadata`, the compiled code that
        stands before them.
    mountpoint : bytes
        Absolute path of an existing directory.
    options : sequence of str
        libfuse mount options; constants only, since libfuse joins them with commas unescaped.
    started : callable
        Called once, from a libfuse thread, when the kernel has accepted the mount.
    direct : bool
        Whether files are opened for direct I/O.
    """

    def __init__(  # replaces fusepy's, see the module's docstring
        self,
        operations: Any,  # noqa: ANN401 - any object with the methods
        mountpoint: bytes,
        options: Sequence[str],
        started: Callable[[], None],
        *,
        direct: bool = False,
    ) -> None:
        self.operations = operations
        self._direct = direct
        self._started = started
        self._gate = Gate()
        self._rooms: Rooms | None = None
        self._metadata: Metadata | None = getattr(operations, "metadata", None)
        lists = loop.POSIX_ACL if "default_permissions" in options else 0
        self._promised = loop.DONT_MASK | lists
        self._arguments = [b"fmrw", b"-f", b"-o", ",".join(options).encode(), mountpoint]

    def serve(self) -> int:
        """Mount and answer requests until unmounted; 0 then, 1 when libfuse refuses (its reason is on stderr)."""
        table = Operations(flag_nullpath_ok=1, flag_utime_omit_ok=1)
        callbacks = [self._install(table, name, types) for name, types in _PROTOTYPES.items()]
        callbacks.append(CFUNCTYPE(c_void_p, c_void_p)(self._init))
        table.init = ctypes.cast(callbacks[-1], c_void_p)
        if self._metadata is not None:
            context = fuse._libfuse.fuse_get_context  # noqa: SLF001 - fusepy's own handle
            self._gate.inside = self._metadata.install(table, context, self._gate.free)
        argv = (c_char_p * len(self._arguments))(*self._arguments)
        mountpoint, threaded = c_void_p(), c_int()
        served = _setup(
            len(argv),
            argv,
            ctypes.byref(table),
            ctypes.sizeof(table),
            ctypes.byref(mountpoint),
            ctypes.byref(threaded),
            None,
        )
        if not served:
            return 1
        try:
            library = loop.library(fuse._libfuse)  # noqa: SLF001 - fusepy's own handle
            loop.Loop(
                library, _session(served), self._promised, self._gate, self._answering,
                direct=self._direct, agreed=self.operations.agreed,
            ).run()  # fmt: skip
        finally:
            _teardown(served, mountpoint)
            libc.ignore_signal(signal.SIGPIPE)  # as Python has it; libfuse has just set it to kill
        return 0

    def _answering(self, where: Receiver, limits: Limits) -> loop.Serving:
        """Give how the calling thread serves."""
        self.operations.limits = limits
        self._rooms = self._rooms or Rooms(limits.read)
        transfers = Transfers(self.operations, self._gate, where.request, where.connection, self._rooms)
        wait = None if self._metadata is None else transfers.receiver(self._metadata, where)
        return loop.Serving(transfers.answers, wait)

    def _init(self, _connection: int) -> int:
        self._started()
        return 0 if self._metadata is None else self._metadata.address  # libfuse keeps it with each request

    def _install(self, table: Operations, name: str, types: tuple[Any, ...]) -> Any:  # noqa: ANN401 - ctypes has no types
        callback = CFUNCTYPE(c_int, *types)(
            self._guarded(name, getattr(self, f"_c_{name}", None) or getattr(self.operations, name))
        )
        setattr(table, name, ctypes.cast(callback, c_void_p))
        return callback

    def _guarded(self, name: str, function: Callable[..., int | None]) -> Callable[..., int]:
        fault, gate = self.operations.fault, self._gate
        enter, leave = gate.enter, gate.free.append

        def call(*arguments: Any) -> int:  # noqa: ANN401 - what C hands over
            enter()
            try:
                return function(*arguments) or 0
            except OSError as error:
                return -(error.errno or errno.EIO)
            except BaseException as error:  # noqa: BLE001 - an exception that leaves here reads as success
                with contextlib.suppress(BaseException):  # memory may be short for taking note, too
                    fault(name, error)
                return -errno.EIO
            finally:
                leave(None)

        return call

    # Operations whose arguments need no turning are called as they are; for the others, C to Python:

    def _c_fgetattr(self, _path: bytes, buffer: int, fi: int) -> None:
        self.operations.fgetattr(_u64(fi + FI_FH), buffer)

    def _c_readlink(self, path: bytes, buffer: int, size: int) -> None:
        target = self.operations.readlink(path)[: size - 1] + b"\0"
        ctypes.memmove(buffer, target, len(target))

    def _c_chown(self, path: bytes, uid: int, gid: int) -> None:
        self.operations.chown(path, ctypes.c_int32(uid).value, ctypes.c_int32(gid).value)

    def _c_ftruncate(self, _path: bytes, size: int, fi: int) -> None:
        self.operations.ftruncate(_u64(fi + FI_FH), size)

    def _c_open(self, path: bytes, fi: int) -> None:
        info = fuse.fuse_file_info.from_address(fi)
        info.fh, info.direct_io = self.operations.open(path, info.flags)

    def _c_create(self, path: bytes, mode: int, fi: int) -> None:
        info = fuse.fuse_file_info.from_address(fi)
        info.fh, info.direct_io = self.operations.create(path, info.flags, mode)

    def _c_flush(self, _path: bytes, fi: int) -> None:
        self.operations.flush(_u64(fi + FI_FH))

    def _c_release(self, _path: bytes, fi: int) -> None:
        self.operations.release(_u64(fi + FI_FH))

    def _c_fsync(self, _path: bytes, datasync: int, fi: int) -> None:
        self.operations.fsync(_u64(fi + FI_FH), datasync)

    def _c_fallocate(self, _path: bytes, mode: int, offset: int, length: int, fi: int) -> None:
        self.operations.fallocate(_u64(fi + FI_FH), mode, offset, length)

    def _c_setxattr(self, path: bytes, name: bytes, value: int, size: int, flags: int) -> None:
        self.operations.setxattr(path, name, ctypes.string_at(value, size) if size else b"", flags)

    def _c_getxattr(self, path: bytes, name: bytes, buffer: int, size: int) -> int:
        value = self.operations.getxattr(path, name)
        return -errno.ENODATA if value is None else _give(value, buffer, size)

    def _c_listxattr(self, path: bytes, buffer: int, size: int) -> int:
        return _give(b"".join(name + b"\0" for name in self.operations.listxattr(path)), buffer, size)

    def _c_opendir(self, path: bytes, fi: int) -> None:
        c_uint64.from_address(fi + FI_FH).value = self.operations.opendir(path)

    def _c_readdir(self, _path: bytes, buffer: int, fill: int, _offset: int, fi: int) -> int:
        listed = None if self._metadata is None else self.operations.listing(_u64(fi + FI_FH))
        if self._metadata is not None and listed is not None:
            fd, inode, above, reports = listed
            done = self._metadata.hand_over(fd, inode, above, reports=reports, buffer=buffer, fill=fill)
            if done is not None:
                return done
        stat, add = Stat(), _FILL(fill)
        address = ctypes.addressof(stat)
        entries: Iterable[tuple[bytes, int, int]] = self.operations.readdir(_u64(fi + FI_FH))
        for name, inode, mode in entries:
            stat.st_ino = inode
            stat.st_mode = mode
            if add(buffer, name, address, 0):
                return -errno.ENOMEM  # with offset 0 libfuse refuses an entry only when it has no memory
        return 0

    def _c_releasedir(self, _path: bytes, fi: int) -> None:
        self.operations.releasedir(_u64(fi + FI_FH))

    def _c_fsyncdir(self, _path: bytes, datasync: int, fi: int) -> None:
        self.operations.fsyncdir(_u64(fi + FI_FH), datasync)


def _u64(address: int) -> int:
    return c_uint64.from_address(address).value


def _give(value: bytes, buffer: int, size: int) -> int:
    """Answer as getxattr(2): the length when asked with size 0, ERANGE when it does not fit."""
    if size == 0:
        return len(value)
    if len(value) > size:
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    ctypes.memmove(buffer, value, len(value))
    return len(value)
