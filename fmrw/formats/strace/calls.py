"""What each system call does to the state, and the row it leaves: one method per family of calls.

`Replay.take` gets the finished calls of `straceline` in order; `_FAMILIES` says which method takes which calls. A method gets the
thread and the call.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from fmrw.formats.strace.copies import Copies
from fmrw.formats.strace.line import (
    LARGEST,
    Begun,
    Call,
    Exit,
    descriptor,
    noted,
    number,
    position_of,
    requested,
    string,
)
from fmrw.formats.strace.state import COMM_LENGTH, File, Folder, OpenFile, Slot, Task
from fmrw.text import path_text

if TYPE_CHECKING:
    from collections.abc import Callable

_REGULAR = re.compile(r"stx?_mode=S_IFREG.*stx?_size=(\d{1,18})", re.DOTALL)
_COMM_FILE = re.compile(r"^/proc/(?:\d+/task/(\d+)|(\d+))/comm$")
_ENDLESS = 2**32
_LARGEST_TID = 2**22  # PID_MAX_LIMIT


class Replay(Copies):
    """Replays calls; the events are in `rows`."""

    def take(self, event: Call | Exit | Begun) -> None:
        """Apply what happened."""
        entered = _ENDLESS if isinstance(event, Exit) else event.entered
        self._task, self._time = self.tasks.at(event.tid, entered), event.time
        if isinstance(event, Exit):
            self._exit(self._task, event)
        elif isinstance(event, Call):
            self._answered(self._task, event)

    def _answered(self, task: Task, call: Call) -> None:
        method, least = _METHODS[call.name]
        if len(call.arguments) < least:
            return
        if call.arguments[0].startswith("AT_FDCWD<"):
            task.folder.path = path_text(descriptor(call.arguments[0])[1] or b"")
        if call.comm is not None:
            task.comm = path_text(noted(call.comm))
        if call.result is not None and call.result >= 0:
            method(self, task, call)
        elif call.error == "ENOENT":
            self._absent(task, call)

    def _absent(self, task: Task, call: Call) -> None:
        """Note that a file does not exist: made later, it begins with 0 bytes."""
        path = self._named(task, call)
        if path is not None and call.name in _NAMING:
            self._files.remove(path)

    def _exit(self, task: Task, event: Exit) -> None:
        del self.tasks.alive[task.tid]
        self._leave(task)
        heir = self.tasks.alive.pop(event.heir, None) if event.heir is not None else None
        if heir is not None:
            heir.tid = task.tid
            self.tasks.alive[heir.tid] = heir

    # Families of calls

    def open(self, task: Task, call: Call) -> None:
        """Open, after closing what the descriptor was."""
        flags = "O_CREAT|O_TRUNC" if call.name == "creat" else call.arguments[1 if call.name == "open" else 2]
        path = self._named(task, call) if call.note is None else path_text(noted(call.note))
        fd = call.result or 0
        self.is_raw |= flags[:1].isdigit()
        self._close(task, fd, silently=True)
        if path is None:
            self.unnamed += 1
        if path is None or not path.startswith("/"):
            return
        opened = self._install(task, fd, self._files.at(path), flags).opened
        if "O_EXCL" in flags or "O_TMPFILE" in flags:
            self._changed(opened.file, 0)
        if not opened.is_path:
            self._row("open", opened)
        if "O_TRUNC" in flags:
            self._truncated(opened, 0)

    def close(self, task: Task, call: Call) -> None:
        """Close."""
        self._close(task, descriptor(call.arguments[0])[0] or 0)

    def close_range(self, task: Task, call: Call) -> None:
        """Close many, or mark them."""
        first, last = number(call.arguments[0]), number(call.arguments[1], _ENDLESS)
        if "UNSHARE" in call.arguments[2]:
            self._unshare(task)
        for fd in [fd for fd in task.table.slots if first <= fd <= last]:
            if "CLOEXEC" in call.arguments[2]:
                task.table.slots[fd].cloexec = True
            else:
                self._close(task, fd)

    def duplicate(self, task: Task, call: Call) -> None:
        """Let another descriptor point to the same open file."""
        opened, fd = self._opened(task, call.arguments[0]), call.result or 0
        if descriptor(call.arguments[0])[0] == fd:
            return
        if opened is not None:
            opened.users += 1
        self._close(task, fd)
        if opened is not None:
            task.table.slots[fd] = Slot(opened, "CLOEXEC" in "".join(call.arguments[1:]))

    def control(self, task: Task, call: Call) -> None:
        """Change flags of a descriptor or an open file."""
        what, rest = call.arguments[1], "".join(call.arguments[2:])
        if what.startswith("F_DUPFD"):
            self.duplicate(task, call)
            return
        if what.endswith(("FICLONE", "FICLONERANGE")):
            self.clone(task, call)
            return
        opened = self._opened(task, call.arguments[0])
        slot = task.table.slots.get(descriptor(call.arguments[0])[0] or 0)
        if opened is None or slot is None:
            return
        if what == "F_SETFL":
            opened.append = "O_APPEND" in rest
        elif what == "F_SETFD":
            slot.cloexec = "FD_CLOEXEC" in rest
        elif what in ("FIOCLEX", "FIONCLEX"):
            slot.cloexec = what == "FIOCLEX"

    def read(self, task: Task, call: Call) -> None:
        """Read at the offset, or at a named one."""
        opened = self._opened(task, call.arguments[0])
        if opened is None:
            return
        moved, position = call.result or 0, position_of(call)
        self._read(opened, opened.offset if position is None else position, moved, requested(call))
        if position is None:
            opened.offset += moved

    def write(self, task: Task, call: Call) -> None:
        """Write at the offset, at a named one, or at the end."""
        opened = self._opened(task, call.arguments[0])
        if opened is None:
            return
        moved, position = call.result or 0, position_of(call)
        start = opened.offset if position is None else position
        if opened.append or "RWF_APPEND" in call.arguments[-1]:
            start = self._end(opened.file)
        self._write(opened, start, moved, requested(call))
        if position is None:
            opened.offset = start + moved
        self._name_thread(call, opened.file.path)

    def _name_thread(self, call: Call, path: str) -> None:
        """Follow pthread_setname_np, which writes another thread's name to a file."""
        found, name = _COMM_FILE.match(path), string(call.arguments[1])
        target = self.tasks.alive.get(int(found[1] or found[2])) if found else None
        if target is not None and name is not None:
            target.comm = path_text(name.rstrip(b"\n")[:COMM_LENGTH])

    def seek(self, task: Task, call: Call) -> None:
        """Move the offset."""
        opened = self._opened(task, call.arguments[0])
        if opened is None:
            return
        opened.offset = number(call.arguments[2]) if call.name == "_llseek" else call.result or 0
        if call.arguments[-1] == "SEEK_END" and not opened.file.is_known:
            self._learn(opened.file, max(0, opened.offset - number(call.arguments[1])))

    def status(self, task: Task, call: Call) -> None:
        """Learn a size."""
        found = _REGULAR.search(call.arguments[_STATUS[call.name]])
        by_descriptor = call.name in ("fstat", "fstat64") or call.arguments[1] == '""'
        path = None if found is None or by_descriptor else self._named(task, call)
        opened = self._opened(task, call.arguments[0]) if by_descriptor else None
        file = opened.file if opened else self._files.at(path) if path else None
        if found is None or file is None:
            return
        size = int(found[1])
        if not file.is_known:
            self._learn(file, size)
        elif size != file.size:
            self._changed(file, size)

    def truncate(self, task: Task, call: Call) -> None:
        """Set a size."""
        path = self._named(task, call) if call.name == "truncate" else None
        target = self._files.at(path) if path else self._opened(task, call.arguments[0])
        size = number(call.arguments[1])
        if target is not None and size >= 0:
            self._truncated(target, size)

    def _truncated(self, target: OpenFile | File, size: int) -> None:
        self._changed(target.file if isinstance(target, OpenFile) else target, size)
        self._row("truncate", target, 0, size)

    def allocate(self, task: Task, call: Call) -> None:
        """Let a file grow."""
        opened = self._opened(task, call.arguments[0])
        if opened is not None and call.arguments[1] == "0":
            opened.file.reach(min(number(call.arguments[2]) + number(call.arguments[3]), LARGEST))

    def rename(self, task: Task, call: Call) -> None:
        """Move or swap paths."""
        names = call.arguments
        if call.name == "rename":
            old, new = self._path(task, None, names[0]), self._path(task, None, names[1])
        else:
            old, new = self._path(task, names[0], names[1]), self._path(task, names[2], names[3])
        if old is None or new is None or old == new:
            return
        self._row("rename", self._files.at(old))
        if "RENAME_EXCHANGE" in names[-1]:
            self._files.exchange(old, new)
        else:
            self._files.remove(new)
            self._files.rename(old, new)

    def unlink(self, task: Task, call: Call) -> None:
        """Remove a path."""
        path = self._named(task, call)
        if path is not None and "AT_REMOVEDIR" not in call.arguments[-1]:
            self._row("unlink", self._files.at(path))
            self._files.remove(path)

    def change_folder(self, task: Task, call: Call) -> None:
        """Change the working directory, or ask for it."""
        if call.name in ("chdir", "getcwd"):
            task.folder.path = self._path(task, None, call.arguments[0])
        else:
            opened = self._opened(task, call.arguments[0])
            task.folder.path = opened.file.path if opened else None

    def set_up_ring(self, _task: Task, _call: Call) -> None:
        """See that somebody uses io_uring, whose reads and writes are no system calls."""
        self.has_rings = True

    def map(self, task: Task, call: Call) -> None:
        """See that a file is mapped: what is read through the map is no system call."""
        opened = self._opened(task, call.arguments[4])
        if opened is not None:
            self.mapped.add(opened.file.path)

    def list_folder(self, task: Task, call: Call) -> None:
        """See that a descriptor is of a directory."""
        opened = self._opened(task, call.arguments[0])
        if opened is not None:
            self.directories.add(opened.handle)

    def execute(self, task: Task, call: Call) -> None:
        """Become another program, without the descriptors marked for that."""
        name = string(call.arguments[1 if call.name == "execveat" else 0]) or b""
        if not name:  # through a descriptor: the kernel calls it /dev/fd/N
            name = str(descriptor(call.arguments[0])[0]).encode()
        task.comm = path_text(os.path.basename(name)[:COMM_LENGTH])  # noqa: PTH119 - bytes
        task.leader = None  # all other threads end
        self._unshare(task)
        for fd in [fd for fd, slot in task.table.slots.items() if slot.cloexec]:
            self._close(task, fd)

    def _unshare(self, task: Task) -> None:
        if task.table.users > 1:
            task.table.users -= 1
            task.table = task.table.copy()
            task.table.users = 1

    def unshare(self, task: Task, call: Call) -> None:
        """Stop sharing descriptors or the working directory."""
        if "CLONE_FILES" in call.arguments[0]:
            self._unshare(task)
        if "CLONE_FS" in call.arguments[0]:
            task.folder = Folder(task.folder.path)

    def call_oneself(self, task: Task, call: Call) -> None:
        """Follow prctl(PR_SET_NAME)."""
        name = string(call.arguments[1]) if call.arguments[0] == "PR_SET_NAME" else None
        if name is not None:
            task.comm = path_text(name[:COMM_LENGTH])

    def fork(self, task: Task, call: Call) -> None:
        """Make a thread or a process."""
        if call.result:
            self.tasks.clone(task, call.result, ",".join(call.arguments), call.entered)

    def identify(self, task: Task, call: Call) -> None:
        """Learn the id of the first thread."""
        if call.result and call.result <= _LARGEST_TID:
            self.tasks.identify(task, call.result)


_STATUS = dict.fromkeys(("fstat", "fstat64", "stat", "stat64", "lstat", "lstat64"), 1)
_STATUS |= {"newfstatat": 2, "fstatat64": 2, "statx": 4}  # which argument holds the answer
_NAMING = {"open", "openat", "openat2", *_STATUS}

FORKS = frozenset({"clone", "clone3", "fork", "vfork"})
"""The calls that make threads and processes."""

_FAMILIES: dict[Callable[[Replay, Task, Call], None], str] = {
    Replay.open: "open/2 openat/3 openat2/3 creat/2",
    Replay.close: "close/1",
    Replay.close_range: "close_range/3",
    Replay.duplicate: "dup/1 dup2/2 dup3/3",
    Replay.control: "fcntl/2 fcntl64/2 ioctl/2",
    Replay.read: "read/3 pread64/4 readv/3 preadv/4 preadv2/5",
    Replay.write: "write/3 pwrite64/4 writev/3 pwritev/4 pwritev2/5",
    Replay.seek: "lseek/3 _llseek/4",
    Replay.sendfile: "sendfile/4 sendfile64/4",
    Replay.copy: "splice/6 copy_file_range/6",
    Replay.submit: "io_submit/3",
    Replay.set_up_ring: "io_uring_setup/2",
    Replay.map: "mmap/6 mmap2/6",
    Replay.status: " ".join(f"{name}/{place + 1}" for name, place in _STATUS.items()),
    Replay.truncate: "truncate/2 ftruncate/2 truncate64/2 ftruncate64/2",
    Replay.allocate: "fallocate/4",
    Replay.rename: "rename/2 renameat/4 renameat2/5",
    Replay.unlink: "unlink/1 unlinkat/3",
    Replay.change_folder: "chdir/1 fchdir/1 getcwd/1",
    Replay.list_folder: "getdents/1 getdents64/1",
    Replay.execute: "execve/1 execveat/2",
    Replay.unshare: "unshare/1",
    Replay.call_oneself: "prctl/2",
    Replay.fork: " ".join(f"{name}/0" for name in FORKS),
    Replay.identify: "set_tid_address/1 gettid/0",
}
"""Who takes which calls, each with the number of arguments it needs: a line with fewer is damaged, and passed over."""

_METHODS = {
    name: (method, int(least))
    for method, names in _FAMILIES.items()
    for name, least in (one.split("/") for one in names.split())
}
WANTED = frozenset(_METHODS)
"""The calls that are replayed."""
