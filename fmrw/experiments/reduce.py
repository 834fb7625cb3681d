"""Reduce: a file with nothing in it but what a program needs to do the same.

Offsets are kept: what the program does not need becomes zero, in place. Pieces of what is read are zeroed as they are read, halved where
that changes something, and then all at once; what harms only together is found by halving, and stays. The result is proved by runs on
the very bytes that are then written.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fmrw.errors import BadInput
from fmrw.experiments import patches
from fmrw.experiments.bench import Bench, Budget, OutOfBudget, Unsteady, budget_of
from fmrw.experiments.probe import baseline_of, filled, notes_of, reader, the_file
from fmrw.experiments.runs import Runs
from fmrw.experiments.search import Search
from fmrw.experiments.spans import Span, merged, pieces
from fmrw.experiments.together import compatible
from fmrw.text import name_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fmrw.experiments.shared import Patch
    from fmrw.experiments.signature import Effect

Keep = Literal["accesses", "output", "status"]
_LEFT_OUT: dict[Keep, list[str]] = {
    "accesses": [],
    "output": ["accesses"],
    "status": ["accesses", "stdout", "stderr", "written"],
}
_PROOF = 5
_PIECE = 1 << 20


@dataclass
class Reduction:
    """What is left of a file.

    Attributes
    ----------
    path, output : str
    size : int
        Of the file as it was.
    reduced_size : int
        Of what was written; smaller only where its tail was cut.
    command : list of str
        With `{}` in the place of the file.
    keep : str
        What had to stay the same: `accesses` (and all else), `output` (and the status), `status`.
    kept : list of (start, end)
        Ranges that were not zeroed.
    nonzero : int
        Bytes in them that are not zero.
    runs : int
    proof : int
        Runs on the reduced bytes that were all the same as on the file.
    complete : bool
        False where the budget ended before all pieces were tried; it is proved all the same.
    seconds : float
    baseline : dict
    unstable : list of str
        Channels that are not the same twice, and were left out.
    """

    path: str
    output: str
    size: int
    reduced_size: int
    command: list[str]
    keep: str
    kept: list[Span]
    nonzero: int
    runs: int
    proof: int
    complete: bool
    seconds: float
    baseline: dict[str, Any]
    unstable: list[str]
    notes: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """Give all of it as JSON has it."""
        found = {name: value for name, value in vars(self).items() if name != "notes"}
        found |= {
            "path": name_text(self.path),
            "output": name_text(self.output),
            "command": [*map(name_text, self.command)],
        }
        return found | {"seconds": round(self.seconds, 3), "kept": [list(span) for span in self.kept]}


class _Zeroing(Search):
    """The search for pieces that may be zero."""

    def __init__(self, bench: Bench, read: Callable[[int, int], bytes]) -> None:
        super().__init__(bench, read)
        self._needed: set[int] = set()

    def run_steps(self, read: list[Span]) -> list[Span]:
        """Find the spans that may be zero all at once."""
        try:
            self._find(read)
            self.findings.complete = True
        finally:
            self.findings.quiet = merged(self.findings.quiet)
        return self.findings.quiet

    def together(self, spans: list[Span]) -> list[Span]:
        """Give those of the spans that may be zero at the same time."""
        return compatible(self._bench, [], spans, _zero, self._alike)[0]

    def _least(self, total: int) -> int:
        del total
        return 1

    def _keyed(self, groups: Sequence[tuple[Span, ...]], key: int) -> list[Effect]:
        del key
        return self._bench.effects([tuple(_zero(span) for span in group) for group in groups])

    def _note_leaf(self, byte: int, effect: Effect) -> None:
        del effect
        self._needed.add(byte)

    def _settle(self) -> None:
        """Try what was not tried, since its neighbour alone did not matter."""
        self._try_each(sorted(self._inferred))
        self._inferred.clear()

    def _try_followers(self, expected: Mapping[int, str]) -> None:
        self._try_each(list(expected))

    def _try_each(self, bytes_: Sequence[int]) -> None:
        for byte, effect in zip(
            bytes_, self._keyed([((byte, byte + 1),) for byte in bytes_], 0), strict=True
        ):
            if effect:
                self._needed.add(byte)
            else:
                self._needed.discard(byte)
                self.findings.quiet.append((byte, byte + 1))

    def _class_of(self, byte: int) -> str:
        return "needed" if byte in self._needed else ""


def _zero(span: Span) -> Patch:
    return patches.fill(*span, 0)


def reduce(
    path: str | os.PathLike[str],
    command: Sequence[str],
    output: str | os.PathLike[str],
    *,
    keep: Keep = "accesses",
    cut: bool = False,
    budget: Budget | int | str = Budget(),  # noqa: B008 - a constant
    slots: int = 0,
    grain: int = 1,
    any_status: bool = False,
    progress: Callable[[int, str], None] = lambda _runs, _stage: None,
) -> Reduction:
    """Write a file with zeros in the place of all that a command does not need to do the same.

    Parameters
    ----------
    path : path
        The file; it is never changed.
    command : sequence of str
        `{}` in it stands for the file.
    output : path
        Where to write; nothing may be there.
    keep : {"accesses", "output", "status"}
        What must stay the same: everything, the output and status, or the status alone.
    cut : bool
        Also drop the tail, where that changes nothing.
    budget, slots, grain, any_status
        As for `fmrw.probe`.
    progress : callable
        Called with the number of runs and the stage.

    Raises
    ------
    BadInput
        Something is at `output`, or the command cannot be probed; the message says why.
    """
    file, target, begun = the_file(path, command), Path(output), time.monotonic()
    if os.path.lexists(target):
        raise BadInput(f"{visible(str(target))} is there already; choose another name.")
    words = filled(path, command)
    with Runs(file.parent, slots=slots, grain=grain) as runs, file.open("rb") as content:
        size = os.fstat(content.fileno()).st_size
        read = reader(content.fileno())
        bench = Bench(
            runs,
            file,
            words,
            budget=budget_of(budget),
            any_status=any_status,
            progress=lambda bench: progress(bench.count, "zeros"),
        )
        notes, unstable = notes_of(bench), list(bench.reference.unstable)
        bench.reference.unstable += [name for name in _LEFT_OUT[keep] if name not in unstable]
        while True:
            try:
                kept, complete = _kept(bench, read, size)
                length = _cut(bench, kept, size) if cut else size
                _prove(bench, kept, length, size)
                break
            except Unsteady:  # once more from what was seen, without the channel
                unstable = [name for name in bench.reference.unstable if name not in _LEFT_OUT[keep]]
        nonzero = _write(target, file, kept, length, read)
        return Reduction(
            os.fspath(path), str(target), size, length, list(command), keep, kept, nonzero, bench.count, _PROOF, complete,
            time.monotonic() - begun, baseline_of(bench), unstable, notes,
        )  # fmt: skip


def _kept(bench: Bench, read: Callable[[int, int], bytes], size: int) -> tuple[list[Span], bool]:
    """Find what must not be zero."""
    search = _Zeroing(bench, read)
    spans = pieces(bench.reference.requests)
    unread = _complement(merged(spans), size)
    try:
        search.run_steps(spans)
    except OutOfBudget:
        bench.budget = Budget()  # what was found is to be proved all the same
    zeroed = search.together([*unread, *search.findings.quiet]) if unread or search.findings.quiet else []
    return _complement(merged(zeroed), size), search.findings.complete


def _complement(spans: Sequence[Span], size: int) -> list[Span]:
    borders = [0, *(border for span in spans for border in span), size]
    return [(start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if start < end]


def _zeros(kept: Sequence[Span], length: int) -> tuple[Patch, ...]:
    return tuple(_zero(span) for span in _complement([span for span in kept if span[0] < length], length))


def _cut(bench: Bench, kept: Sequence[Span], size: int) -> int:
    """Find how short the file may be: behind what is kept, or behind what is read, or not at all."""
    needed = kept[-1][1] if kept else 1
    read = max((end for _, end, _ in bench.reference.requests), default=size)
    for length in sorted({needed, max(needed, min(read, size))}):
        if length < size and not bench.effects([_zeros(kept, length)], length)[0]:
            return length
    return size


def _prove(bench: Bench, kept: Sequence[Span], length: int, size: int) -> None:
    """Run the reduced bytes several times; all must be the same as the file.

    Raises
    ------
    BadInput
        They are not, so that the command cannot be the same twice.
    """
    alteration = _zeros(kept, length)
    seen = bench.again([alteration] * _PROOF, length if length < size else -1)
    bench.check_baseline()
    if any(seen):
        raise BadInput(
            "the reduced file does not do the same every time; nothing was written. Is the command the same twice?"
        )


def _write(
    target: Path, file: Path, kept: Sequence[Span], length: int, read: Callable[[int, int], bytes]
) -> int:
    """Write what is kept, with holes between; give how many bytes of it are not zero."""
    nonzero = 0
    try:
        with target.open("xb") as made:
            made.truncate(length)
            for start, end in kept:
                for at in range(start, min(end, length), _PIECE):
                    piece = read(at, min(at + _PIECE, end, length))
                    nonzero += len(piece) - piece.count(0)
                    os.pwrite(made.fileno(), piece, at)
            os.fchmod(made.fileno(), file.stat().st_mode & 0o666)
    except OSError as error:
        raise BadInput(f"{visible(str(target))}: {error.strerror}; choose another name.") from error
    return nonzero
