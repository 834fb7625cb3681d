"""Journal names: numbered paths, processes, files and renames, read as they come.

A line says one thing. A line that is damaged, too long or says something that cannot be is left out with a warning, whoever
wrote it: numbers stay in the range of their columns, text becomes valid Unicode, what processes call themselves becomes visible, and
no line is held that is longer than `_LONGEST`, so that a file from a stranger costs no more memory than an honest one.
"""

from __future__ import annotations

import json
import os
import re
import stat
import warnings
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.errors import SessionError
from fmrw.text import visible
from fmrw.trace import schema
from fmrw.trace.foreign import DamagedWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST = 1 << 17  # a path of 4,096 and a command line of as many characters, each as `\\uNNNN`, with room
_CHUNK = 1 << 20
_SURROGATES = re.compile("[\ud800-\udfff]+")
_I32, _I64, _U64 = 2**31 - 1, 2**63 - 1, 2**64 - 1
_MOST_FRAMES, _MOST_SITES = 64 + 64, 2**16 - 1  # those of the interpreter beside those of the machine


class Names:
    """What has been named so far.

    Parameters
    ----------
    directory : int
        Descriptor of the journal's folder.

    Attributes
    ----------
    paths : dict of int to str
    processes : dict of int to dict
    files : dict of str to (size, mtime_ns)
    renames : list of (time_ns, old, new)
    rings : list of dict
        Who uses io_uring: pid, name, late, hidden (`fmrw.capture.recorder.rings`).
    sites : dict of int to list of (module, offset, quality, function, line)
        Call sites, the innermost frame first (`fmrw.capture.sites`).
    without : list of dict
        Programs whose rows have no site: pid, name, why.
    """

    def __init__(self, directory: int) -> None:
        self._fd = open_regular(directory, "names.jsonl")
        self._offset = 0
        self._rest = b""
        self._skipping = False
        self.paths: dict[int, str] = {}
        self.processes: dict[int, dict[str, Any]] = {}
        self.files: dict[str, tuple[int, int]] = {}
        self.renames: list[tuple[int, str, str]] = []
        self.rings: list[dict[str, Any]] = []
        self.modules: dict[int, tuple[str, str]] = {}
        self.sites: dict[int, list[tuple[int, int, str, str, str]]] = {}
        self.without: list[dict[str, Any]] = []
        self._kinds: dict[object, Callable[[Mapping[str, Any]], None]] = {
            "path": self._path,
            "process": self._process,
            "file": self._file,
            "rename": self._rename,
            "ring": self._ring,
            "module": self._module,
            "site": self._site,
            "no sites": self._no_sites,
        }

    def refresh(self) -> None:
        """Read the lines that have come; a line that is not whole yet waits."""
        while chunk := os.pread(self._fd, _CHUNK, self._offset):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if lines and self._skipping:
                self._skipping = False
                del lines[0]
            for line in lines:
                self._take(line)
            if len(self._rest) > _LONGEST:
                if not self._skipping:
                    _warn("it is too long")
                self._skipping, self._rest = True, b""

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            enter = self._kinds.get(entry["kind"])
            if enter is not None:  # a kind that a newer fmrw adds is passed over
                enter(entry)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            _warn(f"{type(error).__name__}: {error}")

    def _path(self, entry: Mapping[str, Any]) -> None:
        self.paths[int(entry["id"])] = _text(entry["text"])

    def _process(self, entry: Mapping[str, Any]) -> None:
        known: dict[str, Any] = {name: _number(entry[name], _I32) for name in ("pid", "tid", "ppid")}
        known |= {name: visible(_text(entry[name])) for name in ("name", "exe", "cmdline")}
        known["first_seen"] = _number(entry["first_seen_ns"], _I64) // 1000
        known["thread"] = visible(_text(entry.get("thread", entry["name"])))  # not told before version 2
        before = self.processes.get(int(entry["id"]))
        if before is not None:  # told again, when more could be looked at
            known["first_seen"] = before["first_seen"]
        self.processes[int(entry["id"])] = known

    def _file(self, entry: Mapping[str, Any]) -> None:
        path = self.paths[int(entry["path"])]
        self.files[path] = (_number(entry["size"], _I64), _number(entry["mtime_ns"], _I64, -_I64))

    def _rename(self, entry: Mapping[str, Any]) -> None:
        self.renames.append((_number(entry["time_ns"], _I64), _text(entry["old"]), _text(entry["new"])))

    def _ring(self, entry: Mapping[str, Any]) -> None:
        known = {"pid": _number(entry["pid"], _I32), "name": visible(_text(entry["name"]))}
        self.rings.append({**known, "late": entry["late"] is True, "hidden": entry["hidden"] is True})

    def _module(self, entry: Mapping[str, Any]) -> None:
        self.modules[int(entry["id"])] = _text(entry["path"]), _text(entry["build_id"])

    def _site(self, entry: Mapping[str, Any]) -> None:
        frames = entry["frames"][:_MOST_FRAMES]
        self.sites[_number(entry["id"], _MOST_SITES)] = [_frame(*frame) for frame in frames]

    def _no_sites(self, entry: Mapping[str, Any]) -> None:
        known = {"pid": _number(entry["pid"], _I32), "name": visible(_text(entry["name"]))}
        self.without.append({**known, "why": visible(_text(entry["why"]))})

    def sites_frame(self) -> pl.DataFrame:
        """Give the call sites as a frame of `schema.SITES`, still without names."""
        nothing = ("", "")
        rows = [
            (site, depth, *self.modules.get(module, nothing), offset, function, quality, line)
            for site, frames in list(self.sites.items())
            for depth, (module, offset, quality, function, line) in enumerate(frames)
        ]
        return pl.DataFrame(rows, schema=schema.SITES, orient="row").sort("site", "depth")

    def processes_frame(self) -> pl.DataFrame:
        """Give the processes as a frame of `schema.PROCESSES`."""
        rows = [entry for entry in self.processes.values() if entry["pid"]]
        frame = pl.DataFrame(rows, schema=schema.PROCESSES | {"first_seen": pl.Int64()})
        return frame.with_columns(pl.col("first_seen").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))

    def close(self) -> None:
        """Close the file of names."""
        os.close(self._fd)


def open_regular(directory: int, name: str | bytes, flags: int = os.O_RDONLY) -> int:
    """Open a file of a journal; links and pipes, which a folder from a stranger may hold, are refused.

    Raises
    ------
    SessionError
        It is missing, not a regular file, or not readable.
    """
    shown = visible(os.fsdecode(name))
    try:
        fd = os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError as error:
        raise SessionError(
            f"no journal here ({shown}: {error.strerror}); give the folder that fmrw recorded into."
        ) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise SessionError(
            f"{shown} in the journal is not a regular file; give the folder that fmrw recorded into."
        )
    return fd


def _number(value: object, most: int, least: int = 0) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"not a number from {least} to {most}")
    return value


def _frame(
    module: object, offset: object, quality: object, function: object = "", line: object = ""
) -> tuple[int, int, str, str, str]:
    """Give a frame of a call site; those of Python have their names already."""
    place = _signed(_number(offset, _U64))
    return (
        _number(module, _I32, -1),
        place,
        visible(_text(quality)),
        visible(_text(function)),
        visible(_text(line)),
    )


def _signed(value: int) -> int:
    """Give an address as a signed number of 64 bits, which frames hold."""
    return value - (1 << 64) if value > _I64 else value


def _text(value: object) -> str:
    """Give valid Unicode: a lone surrogate, which JSON can say and which stands for a byte, cannot enter a frame."""
    if not isinstance(value, str):
        raise TypeError("not text")
    return _SURROGATES.sub(lambda found: visible(found[0]), value)


def _warn(reason: str) -> None:
    warnings.warn(f"a line of names is damaged and left out ({reason})", DamagedWarning, stacklevel=4)
