"""Corpus: which files there are, as they are found before the first run."""

from __future__ import annotations

import fnmatch
import os
import random
import stat
from collections import Counter
from itertools import islice
from typing import IO, TYPE_CHECKING, NamedTuple

from fmrw.text import path_bytes, path_text

if TYPE_CHECKING:
    from collections.abc import Iterator


class File(NamedTuple):
    """A file of a corpus.

    Attributes
    ----------
    file : str
        Its path relative to the corpus, as `fmrw.text.path_text` writes it.
    size : int
        Bytes.
    mtime_ns : int
        When it was changed last, nanoseconds since 1970.
    """

    file: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> bytes:
        """The path as the file system has it."""
        return path_bytes(self.file)


class Listing:
    """The files below a directory, sorted by their names as text.

    Links are not followed, whether they lead out of the corpus or not: what they lead to inside is found by itself.

    Parameters
    ----------
    root : str
        The corpus.
    pattern : str
        Of names, as `fnmatch` has it; of paths relative to the corpus where it has a slash, and `*` also stands for slashes. "": all.
    leave_out : set of (int, int)
        Device and inode of folders that are no part of the corpus.

    Attributes
    ----------
    skipped : Counter
        How many were left out, by why: "link", "not a regular file", "not readable".
    """

    def __init__(
        self, root: str, pattern: str = "", leave_out: frozenset[tuple[int, int]] = frozenset()
    ) -> None:
        self._root = os.fsencode(root)
        self._pattern = pattern
        self._leave_out = leave_out
        self.skipped: Counter[str] = Counter()

    def __iter__(self) -> Iterator[File]:
        """Give them one after the other; a folder's names are held at a time, and those of the folders above."""
        waiting = [self._entries(b"")]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(self._entries(self._relative(entry) + b"/"))
            elif (found := self._file(entry)) is not None:
                yield found

    def _entries(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        try:
            with os.scandir(self._root.rstrip(b"/") + b"/" + folder) as entries:
                found = sorted(entries, key=_order)
        except OSError:
            self.skipped["not readable"] += 1
            return iter(())
        return iter(found) if not self._leave_out else (each for each in found if not self._is_left_out(each))

    def _is_left_out(self, entry: os.DirEntry[bytes]) -> bool:
        if not entry.is_dir(follow_symlinks=False):
            return False
        status = entry.stat(follow_symlinks=False)
        return (status.st_dev, status.st_ino) in self._leave_out

    def _relative(self, entry: os.DirEntry[bytes]) -> bytes:
        return entry.path[len(self._root.rstrip(b"/")) + 1 :]

    def _file(self, entry: os.DirEntry[bytes]) -> File | None:
        path = self._relative(entry)
        if not self._wanted(path):
            return None
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            self.skipped["link" if stat.S_ISLNK(status.st_mode) else "not a regular file"] += 1
            return None
        return File(path_text(path), status.st_size, status.st_mtime_ns)

    def _wanted(self, path: bytes) -> bool:
        if not self._pattern:
            return True
        text = os.fsdecode(path)
        return fnmatch.fnmatchcase(text if "/" in self._pattern else text.rpartition("/")[2], self._pattern)


def _order(entry: os.DirEntry[bytes]) -> str:
    """Sort a folder as if its slash were there, so that whole paths come sorted."""
    return path_text(entry.name) + ("/" if entry.is_dir(follow_symlinks=False) else "")


def write_lines(files: Iterator[File], to: IO[str]) -> int:
    """Write files as lines, since their names have no control characters; give how many."""
    count = 0
    for file in files:
        to.write(f"{file.size}\t{file.mtime_ns}\t{file.file}\n")
        count += 1
    return count


def read_lines(lines: Iterator[str], count: int, sample: int = 0) -> Iterator[File]:
    """Read what `write_lines` wrote; of `count` files `sample` chosen at random, the same ones each time (0: all)."""
    chosen = None if not 0 < sample < count else set(random.Random(0).sample(range(count), sample))  # noqa: S311
    for number, line in enumerate(lines):
        if chosen is None or number in chosen:
            size, mtime_ns, file = line.rstrip("\n").split("\t", 2)
            yield File(file, int(size), int(mtime_ns))


def batches(files: Iterator[File], size: int) -> Iterator[list[File]]:
    """Cut files into lists of `size`."""
    while batch := list(islice(files, size)):
        yield batch
