"""Rows of the frame, made from calls: find the open file, move bytes, learn a size, close.

`Recorder` holds the state of `stracestate` and turns steps into rows; `stracecalls` says which call takes which steps.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmrw.formats.strace.line import LARGEST, descriptor, string
from fmrw.formats.strace.state import File, Files, Folder, OpenFile, Slot, Table, Task, Tasks
from fmrw.text import path_text

if TYPE_CHECKING:
    from fmrw.formats.strace.line import Call


@dataclass(slots=True)
class Row:
    """An event in the making; `size` may be learned later."""

    time: int
    op: str
    path: str
    start: int
    end: int
    requested: int
    size: int
    handle: int
    pid: int
    tid: int
    process: str
    thread: str


class Recorder:
    """Keeps what calls leave.

    Attributes
    ----------
    rows : list of Row
        The events.
    directories : set of int
        Handles that turned out to be of directories.
    mapped : set of str
        Paths of mapped files.
    unnamed : int
        How many files were opened by names in a directory that the log does not tell.
    """

    def __init__(self, sizes: dict[str, int]) -> None:
        self.tasks = Tasks()
        self.rows: list[Row] = []
        self.directories: set[int] = set()
        self.mapped: set[str] = set()
        self.unnamed = 0
        self.unplaced: dict[str, None] = {}
        self._files = Files(sizes)
        self._handles = 0
        self._task = Task(0, 0, "", Table(), Folder())  # who and when, while a call is replayed
        self._time = 0

    # Rows

    def _row(
        self, op: str, target: OpenFile | File, start: int = 0, end: int = 0, requested: int = 0
    ) -> None:
        file, handle = (target.file, target.handle) if isinstance(target, OpenFile) else (target, 0)
        if not _is_stored(file.path):
            return
        if not file.is_known:
            file.unsized.append(len(self.rows))
        task = self._task
        self.rows.append(
            Row(
                self._time,
                op,
                file.path,
                start,
                end,
                requested,
                file.size,
                handle,
                task.pid,
                task.tid,
                (task.leader or task).comm,
                task.comm,
            )
        )

    def _learn(self, file: File, size: int) -> None:
        for row in file.unsized:
            self.rows[row].size = max(size, self.rows[row].size)
        file.unsized.clear()
        file.size, file.is_known = size, True

    def finish(self) -> None:
        """Take files the log says nothing about to end where the largest range did."""
        for file in self._files.all():
            if not file.is_known:
                self._learn(file, file.size)

    def _changed(self, file: File, size: int) -> None:
        """Set a new size; what was unknown before stays what it was taken for."""
        file.unsized.clear()
        file.size, file.is_known = size, True

    def _read(self, opened: OpenFile, start: int, moved: int, requested: int) -> None:
        place = _place(start, moved)
        if place is None:
            return
        file, (start, end) = opened.file, place
        file.reach(end)
        self._row("read", opened, start, end, requested)
        at_end = 0 < moved < requested or (moved == 0 < requested and start == file.size)
        if at_end and not file.is_known:
            self._learn(file, end)

    def _write(self, opened: OpenFile, start: int, moved: int, requested: int) -> None:
        place = _place(start, moved)
        if place is None:
            return
        file, (start, end) = opened.file, place
        if end > file.size and not file.is_known:
            file.unsized.clear()  # what the size was before it grew will not be learned from what it is now
        file.reach(end)
        self._row("write", opened, start, end, requested)

    def _end(self, file: File) -> int:
        """Give where an append goes."""
        if not file.is_known:
            self.unplaced[file.path] = None
        return file.size

    # Descriptors

    def _opened(self, task: Task, argument: str) -> OpenFile | None:
        """Give the open file of a descriptor; one the log has not shown before is taken as `-y` describes it, at offset 0."""
        fd, note = descriptor(argument)
        if fd is None:
            return None
        slot = task.table.slots.get(fd)
        if note is None:
            return slot.opened if slot else None
        path = path_text(note)
        if slot and slot.opened.file.path == path:
            return slot.opened
        self._close(task, fd, silently=True)
        if not path.startswith("/"):
            return None
        return self._install(task, fd, self._files.at(path)).opened

    def _install(self, task: Task, fd: int, file: File, flags: str = "") -> Slot:
        self._handles += 1
        opened = OpenFile(
            file,
            self._handles,
            append="O_APPEND" in flags,
            is_path="O_PATH" in flags or "O_DIRECTORY" in flags,
            users=1,
        )
        task.table.slots[fd] = Slot(opened, "O_CLOEXEC" in flags)
        return task.table.slots[fd]

    def _close(self, task: Task, fd: int, *, silently: bool = False) -> None:
        slot = task.table.slots.pop(fd, None)
        if slot is None:
            return
        slot.opened.users -= 1
        if slot.opened.users == 0 and not slot.opened.is_path and not silently:
            self._row("close", slot.opened)

    def _leave(self, task: Task) -> None:
        task.table.users -= 1
        if task.table.users == 0:
            for fd in list(task.table.slots):
                self._close(task, fd)

    def _path(self, task: Task, folder: str | None, argument: str) -> str | None:
        """Make a path argument absolute; links in it stay unresolved."""
        name = string(argument)
        if name is None:
            return None
        path = path_text(name)
        if path.startswith("/"):
            return os.path.normpath(path)
        base = task.folder.path
        if folder is not None:
            fd, note = descriptor(folder)
            slot = None if fd is None else task.table.slots.get(fd)
            base = (
                path_text(note)
                if note is not None
                else slot.opened.file.path
                if slot
                else base
                if fd is None
                else None
            )
        return None if base is None else os.path.normpath(f"{base}/{path}")

    def _named(self, task: Task, call: Call) -> str | None:
        """Give the path a call names first, with or without a directory before it."""
        if call.arguments[0].startswith(('"', "NULL")):
            return self._path(task, None, call.arguments[0])
        return self._path(task, call.arguments[0], call.arguments[1]) if len(call.arguments) > 1 else None


def _place(start: int, moved: int) -> tuple[int, int] | None:
    """Give where moved bytes lie, up to the largest offset there is; None where a damaged line says a place before the file."""
    return None if start < 0 else (min(start, LARGEST), min(start + moved, LARGEST))


def _is_stored(path: str) -> bool:
    return not path.startswith(_UNSTORED) or path.startswith(_STORED)


_UNSTORED, _STORED = "/dev/", "/dev/shm/"  # noqa: S108 - a name in a log
