"""State of the traced processes, as the kernel kept it: threads, descriptor tables, open files with their offsets, files with their sizes.

Threads share a table, forked processes a copy of it; both share the open files in it, and with them the offset. A file's
size is known once the log tells it (a stat, a seek to the end, a read that ends short, a truncation), and holds back to
the file's last change; before that it is the largest end seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class File:
    """A file by its present path."""

    path: str
    size: int = 0
    is_known: bool = False
    unsized: list[int] = field(default_factory=list)  # rows that carry `size` until it is known

    def reach(self, end: int) -> None:
        """Take note that there are bytes up to `end`."""
        self.size = max(self.size, end)


@dataclass(eq=False)
class OpenFile:
    """What `open` makes: descriptors that were duplicated or inherited point to one of these."""

    file: File
    handle: int
    append: bool = False
    is_path: bool = False  # O_PATH or a directory: nothing is read from it
    offset: int = 0
    users: int = 0


@dataclass
class Slot:
    """One descriptor."""

    opened: OpenFile
    cloexec: bool = False


@dataclass(eq=False)
class Table:
    """Descriptors of a process, shared by its threads."""

    slots: dict[int, Slot] = field(default_factory=dict)
    users: int = 0

    def copy(self) -> Table:
        """Fork."""
        for slot in self.slots.values():
            slot.opened.users += 1
        return Table({number: Slot(slot.opened, slot.cloexec) for number, slot in self.slots.items()})


@dataclass(eq=False)
class Folder:
    """A working directory, shared where CLONE_FS says so."""

    path: str | None = None


@dataclass(eq=False)
class Task:
    """A thread."""

    tid: int
    pid: int
    comm: str
    table: Table
    folder: Folder
    cloned_on: int = -1  # the line on which the clone that made it began
    leader: Task | None = (
        None  # the first thread of its process, where that is another: a process is called as it is
    )


COMM_LENGTH = 15  # bytes, TASK_COMM_LEN without the NUL


class Files:
    """Files by their path, through renames and removals."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._by_path: dict[str, File] = {}
        self._sizes = sizes

    def at(self, path: str) -> File:
        """Give the file of a path; a size given beforehand holds when it is first met."""
        file = self._by_path.get(path)
        if file is None:
            known = self._sizes.pop(path, None)
            file = self._by_path[path] = File(path, known or 0, is_known=known is not None)
        return file

    def remove(self, path: str) -> None:
        """Forget the path; descriptors keep the file."""
        self._by_path.pop(path, None)
        self._sizes[path] = 0

    def rename(self, old: str, new: str) -> None:
        """Move a file, or a directory and all below it."""
        moved = {
            path: file for path, file in self._by_path.items() if path == old or path.startswith(f"{old}/")
        }
        for path, file in moved.items():
            del self._by_path[path]
            file.path = new + path[len(old) :]
        self._by_path.update({file.path: file for file in moved.values()})

    def exchange(self, one: str, other: str) -> None:
        """Swap two paths, as RENAME_EXCHANGE does."""
        aside = f"{one}\0"
        self.rename(one, aside)
        self.rename(other, one)
        self.rename(aside, other)

    def all(self) -> list[File]:
        """Give all that still have a path."""
        return list(self._by_path.values())


class Tasks:
    """Threads by their id, and who made whom.

    `children` tells for every thread made in the log the line and the thread on which its `clone` began: the new thread's first
    lines often stand before the end of that call.
    """

    def __init__(self) -> None:
        self.alive: dict[int, Task] = {}
        self.children: dict[int, list[tuple[int, int | None, str]]] = {}
        self.names: dict[int, int] = {}  # a first thread nobody named, by the id found later

    def at(self, tid: int | None, line: int) -> Task:
        """Give the thread a line is about.

        Without an id it is the only one alive. An id not seen before is a child of a clone that began earlier, or the first
        thread, which had no id while it was alone, or one that strace was attached to.
        """
        if tid is None:
            return self._only()
        task = self.alive.get(tid)
        if task is not None:
            return task
        births = [birth for birth in self.children.get(tid, ()) if birth[0] <= line]
        if births:
            begun, parent, flags = births[-1]
            return self.clone(self.at(parent, begun), tid, flags, begun)
        if 0 in self.alive:
            return self.identify(self.alive[0], tid)
        return self._add(tid)

    def _only(self) -> Task:
        if len(self.alive) == 1:
            return next(iter(self.alive.values()))
        first = self.names.get(0, 0)
        return self.alive.get(first) or self._add(0)

    def identify(self, task: Task, tid: int) -> Task:
        """Give the first thread its id, once it is known."""
        if task.tid == 0 and tid not in self.alive:
            del self.alive[0]
            self.names[0] = task.tid = tid
            task.pid = tid
            self.alive[tid] = task
        return task

    def _add(self, tid: int) -> Task:
        task = self.alive[tid] = Task(tid, tid, "?", Table(users=1), Folder())
        return task

    def clone(self, parent: Task, tid: int, flags: str, begun: int) -> Task:
        """Make a thread or process, unless this very clone made it already."""
        known = self.alive.get(tid)
        if known is not None and known.cloned_on == begun:
            return known
        table = parent.table if "CLONE_FILES" in flags else parent.table.copy()
        table.users += 1
        folder = parent.folder if "CLONE_FS" in flags else Folder(parent.folder.path)
        own = "CLONE_THREAD" not in flags
        pid, leader = (tid, None) if own else (parent.pid, parent.leader or parent)
        self.alive[tid] = Task(tid, pid, parent.comm, table, folder, begun, leader)
        return self.alive[tid]
