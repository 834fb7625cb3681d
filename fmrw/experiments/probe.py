"""Probe: which of the bytes that a program reads matter to it, with the program as it is and the file untouched.

    found = fmrw.probe("a.zip", ["unzip", "-l", "{}"])
    found.ranges          # the map, as a frame
    found.at(0x10)        # what one byte does

In a folder (`output`) lie a recording of one run, as `fmrw.run` makes it, `effects.parquet` with the map, `probe.json` with all of it, and
`runs.jsonl` with what each run gave, by which `resume` goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.errors import BadCommand, BadInput, SessionExists, UnknownPath
from fmrw.experiments.bench import Bench, Budget, budget_of
from fmrw.experiments.classes import Range, ranges
from fmrw.experiments.runs import Runs
from fmrw.experiments.search import Search
from fmrw.experiments.session import save
from fmrw.experiments.spans import merged
from fmrw.text import name_text, visible
from fmrw.trace import effects
from fmrw.trace import folder as session_folder
from fmrw.trace.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from fmrw.experiments.findings import Findings

FILE = "{}"
"""What stands for the file in a command."""
JOURNAL, RESULT = "runs.jsonl", session_folder.PROBE


@dataclass
class Probe:
    """What was found out about one file and one command.

    Attributes
    ----------
    path : str
    size : int
    command : list of str
        With `{}` in the place of the file.
    runs : int
        How many it took.
    seconds : float
    baseline : dict
        The run on the unaltered file: status, signal, accesses, bytes read, smallest request.
    unstable : list of str
        Channels that are not the same twice, and were left out.
    complete : bool
        False where it was stopped before all was known.
    map : list of Range
        The ranges of the file, in order, without overlap, from its beginning to its end. What was not tried or changed nothing
        so far, since it was stopped, has no class (None; null in JSON and frames): nobody knows whether it matters. Tables and pictures call it
        "not settled". Other classes that more runs may change have effects that end with "so far" and what they rest on.
    notes : list of str
        What should be known besides.
    """

    path: str
    size: int
    command: list[str]
    runs: int
    seconds: float
    baseline: dict[str, Any]
    unstable: list[str]
    complete: bool
    map: list[Range]
    notes: list[str] = field(default_factory=list)

    @property
    def ranges(self) -> pl.DataFrame:
        """The map as a frame, `fmrw.trace.effects.EFFECTS`."""
        return self.frame(name_text(self.path))

    def frame(self, path: str) -> pl.DataFrame:
        """Give the map as `fmrw.trace.effects.EFFECTS`, of a file by the name it has in a recording."""
        return effects.frame(path, name_text(" ".join(self.command)), [each.json() for each in self.map])

    def by_part(self) -> pl.DataFrame:
        """Count the bytes of each class in each part of the file's format (`fmrw.analysis.effects.by_part`); no rows where none is known."""
        from fmrw.analysis.effects import by_part  # noqa: PLC0415 - reads formats, which few need
        from fmrw.analysis.structure import structure  # noqa: PLC0415 - the same

        return by_part(structure(self.path), self.ranges)

    def at(self, offset: int) -> Range:
        """Give the range a byte lies in."""
        for each in self.map:
            if each.start <= offset < each.end:
                return each
        raise UnknownPath(
            f"offset {offset:#x} lies beyond the end of {visible(self.path)} ({self.size:,} bytes)."
        )

    def bytes_of(self, *classes: str | None) -> int:
        """Count the bytes of some classes; None: those that are not settled."""
        return sum(each.end - each.start for each in self.map if each.kind in classes)

    def json(self) -> dict[str, Any]:
        """Give all of it as JSON has it."""
        return {
            "path": name_text(self.path), "size": self.size, "command": [*map(name_text, self.command)], "runs": self.runs, "seconds": round(self.seconds, 3),
            "baseline": self.baseline, "unstable": self.unstable, "complete": self.complete,
            "ranges": [each.json() for each in self.map],
        }  # fmt: skip


def probe(
    path: str | os.PathLike[str],
    command: Sequence[str],
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    budget: Budget | int | str = Budget(),  # noqa: B008 - a constant
    exact: bool = False,
    slots: int = 0,
    grain: int = 1,
    any_status: bool = False,
    progress: Callable[[Probe, str], None] = lambda _found, _stage: None,
) -> Probe:
    """Find which bytes of a file matter to a command.

    Parameters
    ----------
    path : path
        The file; it is never changed.
    command : sequence of str
        `{}` in it stands for the file.
    output : path, optional
        A new folder for a recording, the map and what each run gave.
    resume : bool
        Go on with what lies in `output`.
    budget : Budget, int or str
        Most runs, most seconds; or a number of runs, or a time such as "30s".
    exact : bool
        Alter each byte alone that seems to be ignored, and go down to single bytes however many are read.
    slots : int
        Runs at the same time; 0: one per CPU.
    grain : int
        `st_blksize` reported: 1 makes programs with buffers of stdio ask in small pieces.
    any_status : bool
        Go on where the command fails on the unaltered file.
    progress : callable
        Called now and then with what is known so far, and the stage.

    Returns
    -------
    Probe
        Where it was stopped by the budget or by KeyboardInterrupt, with what is known, and `complete` False.

    Raises
    ------
    BadInput
        No such file, no `{}` in the command, or a command that cannot be probed; the message says why.
    """
    file = the_file(path, command)
    folder = None if output is None else Path(output)
    identity = _identity(file, command)
    words = filled(path, command)
    if folder is not None:
        _require_folder(folder, identity, resume=resume)
    begun = time.monotonic()
    bench: Bench | None = None
    with Runs(file.parent, slots=slots, grain=grain) as runs, file.open("rb") as content:
        read = reader(content.fileno())

        def found(findings: Findings, bench: Bench) -> Probe:
            present = {byte: read(byte, byte + 1)[0] for byte in findings.values}
            size = os.fstat(content.fileno()).st_size
            return Probe(
                os.fspath(path), size, list(command), bench.count, time.monotonic() - begun, baseline_of(bench),
                list(bench.reference.unstable), findings.complete, ranges(findings, bench.reference, size, present), notes_of(bench),
            )  # fmt: skip

        search: Search | None = None
        next_told = time.monotonic() + _TELL_S

        def tell(bench: Bench) -> None:
            nonlocal next_told
            now = time.monotonic()
            if search is not None and now > next_told:
                progress(found(search.findings, bench), search.findings.stage)
                taken = time.monotonic() - now
                next_told = now + max(_TELL_S, taken / _TELL_SHARE)

        bench = Bench(runs, file, words, budget=budget_of(budget), progress=tell, any_status=any_status)
        if folder is not None:
            if not resume:
                save(
                    folder,
                    bench.baseline[0],
                    bench.command,
                    directory=file.parent,
                    grain=grain,
                    facts=_facts(file, identity),
                )
            bench.keep_in(folder / JOURNAL)
        search = Search(bench, read, exact=exact)
        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(bench):
            search.run()
        result = found(search.findings, bench)
    if folder is not None:
        _write(result, folder, file)
    return result


_TELL_S = 0.3
_TELL_SHARE = 0.05  # of the time, for telling what is known so far


def the_file(path: str | os.PathLike[str], command: Sequence[str]) -> Path:
    """Give the file as it is called in truth.

    Raises
    ------
    BadInput
        It cannot be probed, or the command does not name it.
    """
    file = Path(os.path.realpath(path))
    shown = visible(os.fspath(path))
    if not file.is_file():
        raise BadInput(f"{shown} is no file; name one that exists.")
    if not file.stat().st_size:
        raise BadInput(f"{shown} is empty; there is nothing to probe.")
    if not command or not any(FILE in word for word in command):
        raise BadCommand(
            "the command does not say where the file goes; write {} in its place: `-- unzip -l {}`."
        )
    return file


def filled(path: str | os.PathLike[str], command: Sequence[str]) -> list[str]:
    """Give a command with the file's path where it belongs."""
    return [word.replace(FILE, os.fspath(path)) for word in command]


def reader(fd: int) -> Callable[[int, int], bytes]:
    """Give a function that reads the bytes [start, end) of an open file."""
    return lambda start, end: os.pread(fd, end - start, start)


def _identity(file: Path, command: Sequence[str]) -> dict[str, Any]:
    status = file.stat()
    return {
        "path": str(file),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "command": list(command),
    }


def _facts(file: Path, identity: dict[str, Any]) -> dict[str, Any]:
    known = {name: identity[name] for name in ("size", "mtime_ns")}
    return {"probe": identity, "files": {name_text(file.name): known}}


def _require_folder(folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """See that a folder is free, or, to go on, about the same file and command."""
    occupied = folder.exists() and any(folder.iterdir())
    shown = visible(str(folder))
    if resume and not occupied:
        raise BadInput(f"{shown} holds no probe to go on with; leave --resume out.")
    if occupied and read_facts(folder).get("probe") != identity:
        raise SessionExists(
            f"{shown} is about another file or command, or the file has changed; choose another folder."
        )
    if occupied and not resume:
        raise SessionExists(
            f"{shown} holds a probe already; --resume goes on with it, or choose another folder."
        )


def baseline_of(bench: Bench) -> dict[str, Any]:
    """Say what the unaltered run did."""
    first, reference = bench.baseline[0], bench.reference
    read = merged((start, end) for start, end, _ in reference.requests if end > start)
    return {
        "status": first.status, "signal": first.signal, "seconds": round(first.seconds, 6), "cpu": round(first.cpu, 6),
        "accesses": len(reference.requests), "read_bytes": sum(end - start for start, end in read),
        "smallest_request": min((asked for _, _, asked in reference.requests), default=0),
    }  # fmt: skip


def notes_of(bench: Bench) -> list[str]:
    """Say what should be known besides."""
    first = bench.baseline[0]
    notes = []
    if bench.shim:
        notes.append(f"{bench.shim} is a shim; its program is run itself: {bench.command[0]}.")
    if bench.reference.unstable:
        names = ", ".join(bench.reference.unstable)
        notes.append(f"not the same twice on the unaltered file, and left out: {names}.")
    if not bench.reference.requests:
        notes.append("the command reads nothing of the file.")
    if any(access.page for access in first.accesses):
        notes.append("the file is mapped: its accesses are seen by the page, its content by the byte.")
    if first.left:
        notes.append(f"the command left {first.left} processes behind; they were ended.")
    below = os.fsencode(bench.path.parent) + b"/"
    if any(written.path.startswith(below) for each in bench.baseline for written in each.written):
        notes.append(
            "the command writes into the directory; it got an overlay, and what it wrote is compared."
        )
    if not first.ok:
        notes.append(f"the command ends with {first.ending} on the unaltered file.")
    return notes


def _write(result: Probe, folder: Path, file: Path) -> None:
    """Write the map beside the recording of one run."""
    (folder / RESULT).write_text(json.dumps(result.json(), indent=1) + "\n")
    effects.write(result.frame(name_text(file.name)), folder)
