"""Report names: which names stand for virtual files, for which file each stands, where they are listed.

The rules are those of `fmrw.capture.reports.files`, which describes, makes and removes what has these names.
"""

# ruff: noqa: D102 - one method per operation of fuse(4)
from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.recorder.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fmrw.capture.recorder.journal import Journal

_FOLDER = b"/.fmrw"
_NAME_MAX = 255


class Report(NamedTuple):
    """A file that is not there: the real file it tells about, and which report."""

    base: bytes
    suffix: bytes


class ReportNames(Monitor):
    """A `Monitor` that knows the names of reports and lists them; the parameters are those of `ReportFiles`."""

    def __init__(
        self,
        root: int,
        journal: Journal,
        *,
        makers: Mapping[bytes, Callable[[str], int]],
        shown: str,
        code: Sequence[bytes] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(root, journal, **options)
        self._makers = makers if shown != "off" else {}
        self._suffixes = tuple(self._makers)
        self._beside = shown == "beside"
        self._aside = shown == "aside"
        self._code = tuple(folder.rstrip(b"/") + b"/" for folder in code)
        self._listings: dict[int, bytes] = {}
        self._removed: set[bytes] = set()

    # Which names are reports

    def _report(self, path: bytes) -> Report | None:
        """Give the report a path names; None for everything else, real files included."""
        if not path.endswith(self._suffixes) or not self._suffixes or path in self._removed:
            return None
        real = path
        if self._aside:
            if not path.startswith(_FOLDER + b"/") or self._exists(_FOLDER):
                return None
            real = path[len(_FOLDER) :]
        elif self._exists(path):
            return None
        suffix = next(s for s in self._suffixes if path.endswith(s))
        base = real[: -len(suffix)]
        if base.endswith(b"/") or not self._is(base, stat.S_IFREG) or self._helps():
            return None
        return Report(base, suffix)

    def _helps(self) -> bool:
        """Tell whether the caller is a process of ours: it would wait for itself."""
        return self._processes.helps(self.caller.context.pid)

    def _exists(self, path: bytes) -> bool:
        return self._mode(path) is not None

    def _is(self, path: bytes, kind: int) -> bool:
        mode = self._mode(path)
        return mode is not None and stat.S_IFMT(mode) == kind

    def _mode(self, path: bytes) -> int | None:
        try:
            with self.place(path) as (directory, name):
                return os.stat(name or b".", dir_fd=directory, follow_symlinks=False).st_mode
        except OSError:
            return None

    def _folder(self, path: bytes) -> bytes | None:
        """Give the real directory that a path under `/.fmrw` stands for."""
        if (
            not self._aside
            or (path != _FOLDER and not path.startswith(_FOLDER + b"/"))
            or self._exists(_FOLDER)
            or self._helps()
        ):
            return None
        real = path[len(_FOLDER) :] or b"/"
        return real if self._is(real, stat.S_IFDIR) else None

    def _stands_for(self, path: bytes) -> bytes | None:
        """Give the real file or directory that a report or a folder of reports tells about; None for what is real itself."""
        report = self._report(path)
        return self._folder(path) if report is None else report.base

    def _unreal(self, path: bytes) -> bool:
        return self._stands_for(path) is not None

    def _inode(self, base: int, suffix: bytes) -> int:
        """Make an inode number that no file system gives: the highest bit set."""
        return (1 << 63) | (base << 4) & ((1 << 63) - 1) | self._suffixes.index(suffix)

    # Listings

    def opendir(self, path: bytes) -> int:
        folder = self._folder(path)
        number = super().opendir(path if folder is None else folder)
        self._listings[number] = path
        return number

    def _lists_beside(self, path: bytes) -> bool:
        """Tell whether a directory lists the reports of its files; those of this Python's own code and those we look at do not."""
        return self._beside and not (path + b"/").startswith(self._code) and not self._helps()

    def releasedir(self, fh: int) -> None:
        self._listings.pop(fh, None)
        super().releasedir(fh)

    def listing(self, fh: int) -> tuple[int, int, int, bool] | None:
        path, plain = self._listings[fh], super().listing(fh)
        if plain is None or self._folder(path) is not None:
            return None
        return *plain[:3], self._lists_beside(path)

    def readdir(self, fh: int) -> Iterator[tuple[bytes, int, int]]:
        path = self._listings[fh]
        inside = self._folder(path) is not None
        if not inside and not self._lists_beside(path):
            yield from super().readdir(fh)
            return
        entries = list(super().readdir(fh))
        real = set() if inside else {name for name, _inode, _type in entries}
        head = path.rstrip(b"/") + b"/"
        for name, inode, kind in entries:
            if not inside or kind == stat.S_IFDIR:
                yield name, inode, kind
            if kind == stat.S_IFREG:
                yield from self._reports_of(head, name, inode, real)

    def _reports_of(
        self, head: bytes, base: bytes, inode: int, real: set[bytes]
    ) -> Iterator[tuple[bytes, int, int]]:
        for suffix in self._suffixes:
            name = base + suffix
            if name not in real and len(name) <= _NAME_MAX and head + name not in self._removed:
                yield name, self._inode(inode, suffix), stat.S_IFREG
