"""Naming: functions and source lines for the frames of call sites, looked up once, after the recording.

A module is opened by its path, and counts only if its build-id is the one that was recorded: what was installed since has other functions at the
same places. Debug files are found by build-id where they are installed; `debuginfod` is asked only where DEBUGINFOD_URLS names a server.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fmrw.analysis.sites import lines
from fmrw.analysis.sites.symbols import Symbols, debug_file
from fmrw.capture.sites.elf import Damaged
from fmrw.text import path_bytes, visible
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_LONGEST = 400  # characters of a name
_MANGLED = re.compile(r"(?:_Z|_R|__Z)[A-Za-z0-9_.$]+")
_DEMANGLER, _FETCHER, _SERVERS = "c++filt", "debuginfod-find", "DEBUGINFOD_URLS"
_LIMIT_S, _FETCH_S = 10, 60
_WITHOUT = ("python", "gopclntab")  # named where they were found


class _Named(NamedTuple):
    """A frame's place: module, build-id, offset, and whether the instruction itself is meant and not the call before it."""

    module: str
    build_id: str
    offset: int
    exact: bool


def named(sites: pl.DataFrame, opened: Callable[[bytes], int] | None = None) -> pl.DataFrame:
    """Name the frames that have no name yet.

    Parameters
    ----------
    sites : frame of `schema.SITES`
    opened : callable, optional
        Opens a module by its path and gives a descriptor, or raises OSError.

    Returns
    -------
    frame of `schema.SITES`
        `function` is a symbol, `fn@0x…` (the place where it begins in its module) where only its bounds are known, and empty where nothing
        tells; `line` is `file:line` where debug information says it.
    """
    if not sites.filter(pl.col("function") == "").height:
        return sites
    exact = _exact(sites)
    rows = list(sites.iter_rows(named=True))
    places = [
        _Named(row["module"], row["build_id"], row["offset"], flag)
        for row, flag in zip(rows, exact, strict=True)
    ]
    unnamed = {place for place, row in zip(places, rows, strict=True) if not row["function"]}
    found = _found(unnamed, opened or open_module)
    plain = _demangled({name for name, _line in found.values()})
    names, said = [], []
    for place, row in zip(places, rows, strict=True):
        name, line = found.get(place, ("", ""))
        names.append(row["function"] or visible(plain.get(name, name))[:_LONGEST])
        said.append(row["line"] or visible(line)[:_LONGEST])
    return sites.with_columns(
        function=pl.Series(names, dtype=pl.String), line=pl.Series(said, dtype=pl.String)
    ).select(schema.SITES.names())


def _exact(sites: pl.DataFrame) -> list[bool]:
    """Tell which frames mean their own instruction: the innermost, and those that a signal interrupted (behind its trampoline)."""
    return [depth == 0 for depth in sites["depth"]]


def _found(places: Iterable[_Named], opened: Callable[[bytes], int]) -> dict[_Named, tuple[str, str]]:
    """Look places up, module by module."""
    by_module: dict[tuple[str, str], list[_Named]] = {}
    for place in places:
        by_module.setdefault((place.module, place.build_id), []).append(place)
    found: dict[_Named, tuple[str, str]] = {}
    fetching = _Fetching()
    for (module, build_id), wanted in by_module.items():
        if module.startswith("/"):
            with contextlib.suppress(OSError, Damaged):
                found.update(_of_module((module, build_id), wanted, opened, fetching))
    return found


def _of_module(
    named: tuple[str, str], wanted: Sequence[_Named], opened: Callable[[bytes], int], fetching: _Fetching
) -> dict[_Named, tuple[str, str]]:
    module, build_id = named
    fd = opened(path_bytes(module))
    debug = -1
    try:
        debug = debug_file(build_id)
        debug = debug if debug >= 0 else fetching.open(build_id)
        symbols = Symbols(fd, debug)
        if symbols.elf.build_id != build_id:
            return {}
        addresses = {place: place.offset + symbols.elf.base - (not place.exact) for place in wanted}
        functions = {place: symbols.function(address) for place, address in addresses.items()}
        told = lines.of(debug if debug >= 0 else fd, sorted(set(addresses.values())))
        return {
            place: (function.name if function else "", told.get(addresses[place], ""))
            for place, function in functions.items()
        }
    finally:
        os.close(fd)
        if debug >= 0:
            os.close(debug)


def open_module(path: bytes) -> int:
    """Open a regular file by its path."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise FileNotFoundError


class _Fetching:
    """Fetches debug files from the servers that the user's environment names, until one takes too long."""

    def __init__(self) -> None:
        self._program = shutil.which(_FETCHER) if os.environ.get(_SERVERS) else None

    def open(self, build_id: str) -> int:
        """Open the debug file of a build-id; -1 where there is none."""
        if not build_id or self._program is None:
            return -1
        try:
            done = subprocess.run(
                [self._program, "debuginfo", build_id], capture_output=True, check=True, timeout=_FETCH_S, stdin=subprocess.DEVNULL
            )  # fmt: skip
            return open_module(done.stdout.strip())
        except subprocess.TimeoutExpired:
            self._program = None
        except (OSError, ValueError, subprocess.SubprocessError):
            pass
        return -1


def _demangled(names: set[str]) -> dict[str, str]:
    """Give names of C++ and Rust as their sources have them, without parameters, where binutils is installed."""
    mangled = sorted(name for name in names if _MANGLED.fullmatch(name))
    program = shutil.which(_DEMANGLER)
    if not mangled or program is None:
        return {}
    try:
        done = subprocess.run(
            [program, "-p"], input="\n".join(mangled) + "\n", capture_output=True, text=True, check=True, timeout=_LIMIT_S
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    plain = done.stdout.splitlines()
    return dict(zip(mangled, plain, strict=True)) if len(plain) == len(mangled) else {}
