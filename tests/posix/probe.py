"""What a differential case does its work through: every call is noted with its value or its errno.

A case is a function of a `Probe`. It runs twice, on a plain directory and on a mount, each time as root in a process of
its own (`actor.py`), and the two logs must be the same. What may differ between two runs is made the same first: the
directory's path becomes `<root>`, times since the case began become `now`, inode numbers of
the resulting tree are counted in the order they are met.
"""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: ANN401, PTH101, PTH102, PTH115, PTH118, PTH123, PTH208
from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CASES: dict[str, Callable[[Probe], None]] = {}
CLOCK_REALTIME_COARSE = 5  # what the kernel stamps files with (include/uapi/linux/time.h)
OTHER, THIRD = 54321, 54322  # user ids that no account has
TEAM = 54400  # a group id, the same

_TIMES = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")
_libc = ctypes.CDLL(None, use_errno=True)


class NeedsRoot(Exception):
    """The case changes user, and this process may not."""


def case(function: Callable[[Probe], None]) -> Callable[[Probe], None]:
    """Register a case under its name."""
    CASES[function.__name__] = function
    return function


def call(name: str, *arguments: Any) -> int:
    """Call a C function; its errno as OSError."""
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def acl(*entries: tuple[str, int, int]) -> bytes:
    """Encode a POSIX ACL as its extended attribute: (tag, id, permissions) in the kernel's order (acl(5))."""
    tags = {"user_obj": 1, "user": 2, "group_obj": 4, "group": 8, "mask": 16, "other": 32}
    rows = [
        struct.pack("<HHI", tags[tag], bits, who if tag in {"user", "group"} else 0xFFFFFFFF)
        for tag, who, bits in entries
    ]
    return struct.pack("<I", 2) + b"".join(rows)


class Probe:
    """A directory and the log of what was done in it."""

    def __init__(self, root: bytes) -> None:
        self.root = root
        self.log: list[Any] = []
        self.begun = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)  # what is not older happens now
        os.utime(root, ns=(10**18, 10**18))
        self.times = _TIMES  # those that are compared
        self._inodes: dict[int, int] = {}

    def at(self, *names: str | bytes) -> bytes:
        """Give a path below the directory."""
        return os.path.join(self.root, *(os.fsencode(name) for name in names))

    def __call__(self, label: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call, note the outcome under a label, give the value or None."""
        try:
            value = function(*arguments, **keywords)
        except OSError as error:
            self.log.append([label, errno.errorcode.get(error.errno or 0, str(error))])
            return None
        self.log.append([label, self.show(value)])
        return value

    def note(self, label: str, value: Any) -> None:
        """Note something that was found out."""
        self.log.append([label, self.show(value)])

    def show(self, value: Any) -> Any:
        """Make a value comparable between two runs."""
        match value:
            case bytes():
                return value.replace(self.root, b"<root>").decode("latin-1")
            case os.stat_result():
                return self._status(value)
            case str():
                return self.show(os.fsencode(value))
            case list() | tuple():
                return [self.show(item) for item in value]
            case _:
                return value

    def _status(self, found: os.stat_result) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "mode": f"{found.st_mode:o}", "uid": found.st_uid, "gid": found.st_gid, "rdev": found.st_rdev,
            "blksize": found.st_blksize, "nlink": found.st_nlink,
        }  # fmt: skip
        if not stat.S_ISDIR(found.st_mode):
            shown["size"] = found.st_size
        for name in self.times:
            moment = getattr(found, name)
            shown[name] = "now" if moment >= self.begun else moment
        return shown

    # Making things, unnoted

    def file(
        self, name: str | bytes, content: bytes = b"content", mode: int = 0o644, owner: int = -1
    ) -> bytes:
        """Make a file; give its path."""
        path = self.at(name)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.write(fd, content)
        os.close(fd)
        self._adorn(path, mode, owner)
        return path

    def folder(self, name: str | bytes, mode: int = 0o755, owner: int = -1) -> bytes:
        """Make a directory; give its path."""
        path = self.at(name)
        os.mkdir(path)
        self._adorn(path, mode, owner)
        return path

    def _adorn(self, path: bytes, mode: int, owner: int) -> None:
        if owner >= 0:
            if os.geteuid():
                raise NeedsRoot
            os.chown(path, owner, owner)
        os.chmod(path, mode)

    def content(self, path: bytes) -> bytes:
        """Read a whole file."""
        with open(path, "rb") as file:
            return file.read()

    # Other processes

    def user(self, action: Callable[[], None], uid: int = OTHER, groups: Iterable[int] = ()) -> None:
        """Do something in a forked process of another user; what it notes counts."""
        if os.geteuid():
            raise NeedsRoot

        def become() -> None:
            os.setgroups(list(groups))
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            action()

        self.fork(become)

    def fork(self, action: Callable[[], None]) -> None:
        """Do something in a forked process; what it notes counts."""
        import json  # noqa: PLC0415 - the fork's only way back

        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            self.log = []
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - told to the parent
                self.log.append(["raised", repr(error)])
            os.write(writing, json.dumps(self.log).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as answer:
            self.log += json.loads(answer.read() or "[]")
        self.note("ended", os.waitpid(child, 0)[1])

    # The resulting tree

    def tree(self) -> list[Any]:
        """Describe everything in the directory: name, status, extended attributes, content or target."""
        found: list[Any] = []
        self._describe(self.root, b".", found)
        return found

    def _describe(self, path: bytes, name: bytes, found: list[Any]) -> None:
        status = os.lstat(path)
        number = self._inodes.setdefault(status.st_ino, len(self._inodes))
        entry: list[Any] = [self.show(name), number, self._status(status)]
        if stat.S_ISLNK(status.st_mode):
            found.append([*entry, self.show(os.readlink(path))])
            return
        keys = sorted(os.listxattr(path, follow_symlinks=False))
        entry.append([[key, self.show(os.getxattr(path, key))] for key in keys])
        if stat.S_ISREG(status.st_mode):
            entry.append(self._digest(path))
        found.append(entry)
        if stat.S_ISDIR(status.st_mode):
            for child in sorted(os.listdir(path)):
                self._describe(path + b"/" + child, name + b"/" + child, found)

    def _digest(self, path: bytes) -> Any:
        with open(path, "rb") as file:
            head = file.read(1 << 16)
            file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 16)))
            return self.show(head + b"|" + file.read())
