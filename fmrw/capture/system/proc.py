"""/proc: paths to descriptors, facts of processes, settings of the kernel, the mount table (proc(5)).

`/proc` is named here, in `fmrw.capture.recorder.process` (who called) and in `fmrw.capture.mounts.holders` (who holds a mount) only.
"""

from __future__ import annotations

import fcntl
import os
import re
from struct import Struct
from typing import NamedTuple

_DELETED = " (deleted)"
_FAMILY = re.compile(rb"\nTgid:\t(\d+)\n.*?\nPPid:\t(\d+)\n", re.DOTALL)
_LONGEST_COMMAND = 4096  # bytes
_INFO = Struct("=QQIII")
"""Of `struct pidfd_info` (include/uapi/linux/pidfd.h): what is told, control group, thread, process, parent."""
_INFO_WANTED = _INFO.pack(1, 0, 0, 0, 0).ljust(64, b"\0")  # PIDFD_INFO_PID
_PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xff, 11, 64 bytes)
_PIDFD_THREAD = os.O_EXCL
_STATUS = 4096  # bytes of a status, at most; what is sought stands at its beginning


class Facts(NamedTuple):
    """What the kernel tells of a process; `exe` is empty where that may not be looked at, `started` is in clock ticks since the start of the machine."""

    ppid: int
    started: int
    exe: str
    command: list[str]


class Exertion(NamedTuple):
    """What a process does: the processor's time it has used, in clock ticks; whether a thread runs or would if it might; whether one waits for a disk, beyond signals."""

    used: int
    runs: bool
    awaits_disk: bool


_ESCAPED = re.compile(r"\\(\d{3})")  # of a space, a tab, a line's end, a backslash
_LOCAL = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "overlay", "tmpfs", "squashfs", "erofs", "vfat")
)
_FOR_ALL = 2  # of io_uring_disabled, Documentation/admin-guide/sysctl/kernel.rst


def descriptor_path(fd: int) -> str:
    """Name what a descriptor refers to by a link that nobody can swap."""
    return f"/proc/self/fd/{fd}"


def descriptor_of(pid: int, fd: int) -> str:
    """Name what another process's descriptor refers to, past whatever is mounted over its path."""
    return f"/proc/{pid}/fd/{fd}"


def family_of(tid: int) -> tuple[int, int]:
    """Give the process a thread belongs to and that one's parent; the thread's own id and 0 when it cannot be looked at.

    Linux 6.13 tells it through a descriptor on the thread, in a third of the time that reading `status` takes. Neither takes a lock
    that a process holds while it waits for a file system.
    """
    try:
        file = os.pidfd_open(tid, _PIDFD_THREAD)
    except OSError:
        return _family_by_status(tid)
    try:
        told = fcntl.ioctl(file, _PIDFD_GET_INFO, _INFO_WANTED)
    except OSError:  # an older kernel
        return _family_by_status(tid)
    finally:
        os.close(file)
    _mask, _control_group, _tid, pid, ppid = _INFO.unpack_from(told)
    return (pid, ppid) if pid else (tid, 0)


def _family_by_status(tid: int) -> tuple[int, int]:
    found = _FAMILY.search(read_entry(tid, "status", _STATUS))
    return (int(found[1]), int(found[2])) if found else (tid, 0)


def program_of(tid: int) -> str:
    """Give the path of the program a thread runs; empty when it may not be looked at."""
    try:
        return os.readlink(f"/proc/{tid}/exe").removesuffix(_DELETED)  # noqa: PTH115 - a hot path
    except OSError:
        return ""


def command_of(tid: int) -> str:
    """Give the beginning of the command line a thread's process was started with; empty when it may not be looked at."""
    words = read_entry(tid, "cmdline", _LONGEST_COMMAND)
    return os.fsdecode(words.removesuffix(b"\0").replace(b"\0", b" "))


def groups_of(tid: int) -> list[int]:
    """Give the supplementary groups of a thread; none when it cannot be looked at."""
    return [int(group) for group in status_field(tid, b"Groups:").split()]


def call_itself(name: str) -> None:
    """Give this process a name of at most 15 bytes."""
    with open("/proc/self/comm", "w", encoding="ascii") as comm:  # noqa: PTH123
        comm.write(name)


def named(name: str) -> list[int]:
    """Find the processes of a name by what can be read without waiting, even of one that is stuck."""
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdecimal())  # noqa: PTH208 - texts
    return [pid for pid in pids if comm_of(pid) == name]


def comm_of(pid: int) -> str | None:
    """Give the name of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:  # noqa: PTH123
            return comm.read().removesuffix("\n")
    except OSError:
        return None


def facts_of(pid: int) -> Facts | None:
    """Give the facts of a process, which may wait for locks that it holds; None when it is gone."""
    fields = _content(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    if not fields:
        return None
    command = os.fsdecode(_content(f"/proc/{pid}/cmdline").removesuffix(b"\0"))
    return Facts(int(fields[1]), int(fields[19]), _exe(pid), command.split("\0") if command else [])


def exertion(pid: int) -> Exertion:
    """Tell what a process does, of all its threads together; nothing where it is gone."""
    used, states = 0, set[bytes]()
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - texts
    except OSError:
        return Exertion(0, runs=False, awaits_disk=False)
    for thread in threads:
        fields = _content(f"/proc/{pid}/task/{thread}/stat").rpartition(b") ")[2].split()
        if fields:
            used += int(fields[11]) + int(fields[12])
            states.add(fields[0])
    return Exertion(used, runs=b"R" in states, awaits_disk=b"D" in states)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a hot path
            return file.read()
    except OSError:
        return b""


def _exe(pid: int) -> str:
    try:
        path = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - a hot path
    except OSError:
        return ""
    return path.removesuffix(_DELETED) if not os.path.lexists(path) else path


def resident() -> int:
    """Give the memory this process holds, in bytes."""
    with open("/proc/self/statm", "rb") as pages:  # noqa: PTH123 - see statm in proc(5)
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def status_field(tid: int, field: bytes) -> bytes:
    """Give a field of a thread's status; empty when it cannot be looked at."""
    try:
        with open(f"/proc/{tid}/status", "rb") as status:  # noqa: PTH123 - a hot path
            return next((line[len(field) :] for line in status if line.startswith(field)), b"")
    except OSError:
        return b""


def open_entry(tid: int, entry: str) -> int:
    """Open one of the files that tell about a thread; give the descriptor."""
    return os.open(f"/proc/{tid}/{entry}", os.O_RDONLY | os.O_CLOEXEC)


_PLAINLY = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # whatever lies there


def open_mapped(tid: int, begin: int, end: int) -> int:
    """Open the file that a thread's process has mapped to [begin, end), whatever has happened to its name; that is for root."""
    return os.open(f"/proc/{tid}/map_files/{begin:x}-{end:x}", _PLAINLY)


def open_within(tid: int, path: bytes) -> int:
    """Open a file by its absolute path as a thread's process sees it."""
    return os.open(b"/proc/%d/root%b" % (tid, path), _PLAINLY)


def read_entry(tid: int, entry: str, most: int) -> bytes:
    """Read the beginning of one of them, as much as the kernel gives at once; empty when it may not be looked at."""
    try:
        file = open_entry(tid, entry)
    except OSError:
        return b""
    try:
        return os.read(file, most)
    except OSError:
        return b""
    finally:
        os.close(file)


def mappings_of(tid: int) -> bytes:
    """Give a process's mappings, as lines; empty when they may not be looked at."""
    return _content(f"/proc/{tid}/maps")


def read_at(tid: int, address: int, size: int) -> bytes:
    """Read from a thread's memory; what is not there or may not be read is missing."""
    try:
        with open(f"/proc/{tid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - a hot path
            return os.pread(memory.fileno(), size, address)
    except (OSError, OverflowError):
        return b""


def descriptors(tid: int) -> list[str]:
    """Give the numbers of a thread's open descriptors.

    Raises
    ------
    OSError
        PermissionError where it may not be looked at; FileNotFoundError, ProcessLookupError where it is gone.
    """
    return os.listdir(f"/proc/{tid}/fd")  # noqa: PTH208 - a hot path


def target_of(tid: int, descriptor: str) -> str:
    """Tell what a thread's descriptor refers to; empty when it is closed."""
    try:
        return os.readlink(f"/proc/{tid}/fd/{descriptor}")  # noqa: PTH115 - the same
    except FileNotFoundError:
        return ""


def forbids_rings() -> bool:
    """Tell whether nobody may set an io_uring up (a setting since Linux 6.6)."""
    return _setting("/proc/sys/kernel/io_uring_disabled", 0) == _FOR_ALL


def ptrace_scope() -> int:
    """Give Yama's restriction on looking at other processes: 0 where there is none (Yama's documentation)."""
    return _setting("/proc/sys/kernel/yama/ptrace_scope", 0)


def most_fuse_pages() -> int:
    """Give how many pages of data the kernel lets a FUSE request carry (a setting since Linux 6.13)."""
    return _setting("/proc/sys/fs/fuse/max_pages_limit", 256)


def _setting(path: str, otherwise: int) -> int:
    try:
        with open(path, encoding="ascii") as setting:  # noqa: PTH123
            return int(setting.read())
    except (OSError, ValueError):
        return otherwise


def device_of_mount(root: str) -> bytes:
    """Give the device of the FUSE file system mounted on a directory, as lists of mappings write it; empty where there is none."""
    found = b""
    for line in mount_table():
        fields, _dash, kind = line.partition(" - ")
        _id, _parent, device, _from, place, *_rest = fields.split(" ")
        if kind.startswith("fuse") and _ESCAPED.sub(lambda code: chr(int(code[1], 8)), place) == root:
            major, _colon, minor = device.partition(":")
            found = b"%02x:%02x" % (int(major), int(minor))
    return found


def local_devices() -> set[bytes]:
    """Give the devices of file systems that lie on disks, or in the memory, of this machine, as lists of mappings write them."""
    found = set()
    for line in mount_table():
        fields, _dash, kind = line.partition(" - ")
        if kind.split(" ", 1)[0] in _LOCAL:
            major, _colon, minor = fields.split(" ")[2].partition(":")
            found.add(b"%02x:%02x" % (int(major), int(minor)))
    return found


def mount_table() -> list[str]:
    """Give the lines of this process's mount table, `/proc/self/mountinfo` (proc(5))."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123
        return table.readlines()


def mount_points(kind: str = "") -> list[str]:
    """Give where something is mounted, or a file system of one kind, as this process sees it."""
    escaped = re.compile(r"\\([0-7]{3})")
    return [
        escaped.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])
        for line in mount_table()
        if f" - {kind}" in line
    ]


def namespace_path(pid: int, kind: str) -> str:
    """Name a namespace (`mnt`, `user`) of a process, to be opened and entered (setns(2))."""
    return f"/proc/{pid}/ns/{kind}"


def keep_own_ids(uid: int, gid: int) -> None:
    """Keep user and group in a user namespace that this process has just made (user_namespaces(7))."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)


def processes_here() -> str:
    """Name where proc(5) is mounted."""
    return "/proc"


def open_last_number() -> int:
    """Open the number that was given last to a process of this namespace of processes, to be written (proc_sys_kernel(5))."""
    return os.open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY | os.O_CLOEXEC)


_MOST_BY_NAMESPACE = (6, 14)  # "pid: allow pid_max to be set per pid namespace"


def limit_processes(most: int) -> None:
    """Let no more processes and threads be in this namespace of processes, with its first one; nothing where a limit would be the machine's.

    Parameters
    ----------
    most : int
        At least 301 (RESERVED_PIDS, include/linux/threads.h).
    """
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if release and tuple(map(int, release.groups())) >= _MOST_BY_NAMESPACE:
        fd = os.open("/proc/sys/kernel/pid_max", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(most).encode())
        finally:
            os.close(fd)
