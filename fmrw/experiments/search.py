"""Search: finds, with few runs, which of the bytes that are read matter, and by which values.

1. The ranges that were read are cut at the borders of accesses and halved, breadth first; each piece is altered by a keyed pattern. Where
   most of the first pieces matter, what is left is tried byte by byte.
2. Each byte that matters is given five values more, and three near its own if it makes for other accesses in no proportion yet.
3. All quiet bytes are altered at once, by two patterns. What changes something then, and nothing alone, is redundant; it is found by halving.
4. All quiet bytes are set to each of 256 values; what then changes something is conditional, and taken out as soon as it is found.
5. With `exact`, each quiet byte is altered alone.
6. Each byte that matters is tried once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fmrw.experiments import patches
from fmrw.experiments.bench import OutOfBudget, Unsteady
from fmrw.experiments.patches import pattern
from fmrw.experiments.spans import Span, halves, in_pieces, in_two, merged, pieces, without
from fmrw.experiments.steering import move_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmrw.experiments.bench import Bench
    from fmrw.experiments.shared import Patch
    from fmrw.experiments.signature import Effect

_FIRST, _SECOND, _THIRD = 1, 2, 3  # keys
_SAMPLE, _DENSE = 64, 0.6
_MOST_LEAVES = 16_384
_CLOSE = (1, -1, 0x80, 2, -2, 3, -3, 4)
_CLOSER = (2, 3, -2, -3, 4)
_ENOUGH, _MORE = 5, 3
_MOST_GROUPS = 8


@dataclass
class Findings:
    """What is known so far.

    Attributes
    ----------
    values : dict
        Byte → value → what it changed.
    blocks : dict
        Pieces that are not looked at byte by byte, with what altering them changed.
    quiet : list of Span
        Pieces that matter under no pattern.
    together : dict
        Bytes that are harmless alone, with those that they matter with.
    alone : set of int
        Quiet bytes of which each was altered alone.
    stage : str
        What is being looked for.
    """

    values: dict[int, dict[int, Effect]] = field(default_factory=dict)
    blocks: dict[Span, Effect] = field(default_factory=dict)
    quiet: list[Span] = field(default_factory=list)
    together: dict[int, list[Span]] = field(default_factory=dict)
    alone: set[int] = field(default_factory=set)
    untried: list[Span] = field(default_factory=list)
    stage: str = "pieces"
    complete: bool = False


class Search:
    """Look for what matters in one file.

    Parameters
    ----------
    bench : Bench
    read : callable
        (start, end) → the unaltered bytes.
    exact : bool
        Alter each quiet byte alone, and go down to single bytes however many are read.
    """

    def __init__(self, bench: Bench, read: Callable[[int, int], bytes], *, exact: bool = False) -> None:
        self._bench = bench
        self._read = read
        self._exact = exact
        self.findings = Findings()
        self._begin()

    def _begin(self) -> None:
        self.findings = Findings()
        self._tried = self._mattered = 0
        self._inferred: set[int] = set()

    def run(self) -> Findings:
        """Search until all is known, or the budget is used up."""
        while True:
            try:
                self._steps()
            except Unsteady:  # conclude anew from what was seen, without the channel
                self._begin()
            except OutOfBudget:
                return self.findings
            else:
                self.findings.complete = True
                return self.findings

    def _steps(self) -> None:
        found = self.findings
        read = pieces(self._bench.reference.requests)
        total = sum(end - start for start, end in read)
        least = 1 if self._exact else max(1, 1 << max(0, (total - 1) // _MOST_LEAVES).bit_length())
        self._divide(read, least)
        found.stage = "values"
        self._try_values(sorted({*found.values, *self._inferred}))
        found.quiet = merged(found.quiet)
        found.stage = "all at once"
        self._find_redundant()
        found.stage = "each value"
        self._find_conditional()
        if self._exact:
            found.stage = "each byte"
            self._try_alone()
        found.stage = "once more"
        self._confirm()
        self._bench.check_baseline()

    # 1. Pieces

    def _divide(self, level: list[Span], least: int) -> None:
        found = self._matter(level)
        while found:
            dense = self._tried >= _SAMPLE and self._mattered > _DENSE * self._tried
            singles: list[Span] = []
            pairs: list[tuple[Span, Span, Effect]] = []
            for span, effect in found:
                size = span[1] - span[0]
                if size == 1:
                    self._note_leaf(span[0], effect)
                    continue
                self.findings.blocks[span] = effect
                if size > least and dense:
                    singles += in_pieces(*span, least)
                elif size > least:
                    left, right = halves(*span)
                    pairs.append((left, right, effect))
            found = [*self._matter(singles), *self._matter_of_pairs(pairs)]

    def _matter(self, level: list[Span]) -> list[tuple[Span, Effect]]:
        """Try pieces; note those that are quiet, give the others."""
        self.findings.untried = [*level]
        effects = self._keyed(level, _FIRST)
        self.findings.untried = []
        self._tried += len(level)
        found = []
        for span, effect in zip(level, effects, strict=True):
            self._forget_around(span)
            if effect:
                found.append((span, effect))
            else:
                self.findings.quiet.append(span)
        self._mattered += len(found)
        return found

    def _matter_of_pairs(self, pairs: list[tuple[Span, Span, Effect]]) -> list[tuple[Span, Effect]]:
        """Try halves of pieces that matter: where the left one is quiet, the right one need not be tried."""
        found = self._matter([left for left, _right, _effect in pairs])
        loud = {span for span, _effect in found}
        inferred = [(right, effect) for left, right, effect in pairs if left not in loud]
        for right, _effect in inferred:
            self._forget_around(right)
        self._inferred |= {span[0] for span, _effect in inferred if span[1] - span[0] == 1}
        return [*found, *inferred, *self._matter([right for left, right, _effect in pairs if left in loud])]

    def _note_leaf(self, byte: int, effect: Effect) -> None:
        if byte in self._inferred:
            self.findings.blocks[byte, byte + 1] = effect  # until its values are tried
        else:
            self._note_keyed(byte, _FIRST, effect)

    def _forget_around(self, span: Span) -> None:
        """Keep no larger piece in mind once its parts are known."""
        for block in [each for each in self.findings.blocks if each[0] <= span[0] and span[1] <= each[1]]:
            effect = self.findings.blocks.pop(block)
            for part in ((block[0], span[0]), (span[1], block[1])):
                if part[0] < part[1]:
                    self.findings.blocks[part] = effect

    def _keyed(self, spans: Sequence[Span], key: int) -> list[Effect]:
        return self._bench.effects([(patches.keyed(start, end, key),) for start, end in spans])

    def _note_keyed(self, byte: int, key: int, effect: Effect) -> None:
        value = self._read(byte, byte + 1)[0] ^ pattern(key, byte, byte + 1)[0]
        self.findings.values.setdefault(byte, {})[value] = effect

    # 2. Values

    def _try_values(self, bytes_: Sequence[int]) -> None:
        self._try([(byte, value) for byte in bytes_ for value in self._more_values(byte)])
        unclear = [byte for byte in bytes_ if self._may_steer(byte)]
        self._try([(byte, value) for byte in unclear for value in self._close_values(byte)])
        quiet = [byte for byte in bytes_ if not any(self.findings.values[byte].values())]
        for byte in quiet:  # one that seemed to matter, since its neighbour alone did not
            del self.findings.values[byte]
        self.findings.quiet = merged([*self.findings.quiet, *((byte, byte + 1) for byte in quiet)])

    def _may_steer(self, byte: int) -> bool:
        """Tell whether a byte makes for several courses of accesses, and it is not known in which proportion."""
        tried = self.findings.values[byte]
        courses = {effect.course for effect in tried.values() if effect.kind == "course"}
        return len(courses) > 1 and not move_of(self._read(byte, byte + 1)[0], tried)

    def _close_values(self, byte: int) -> list[int]:
        """Choose three more values near the present one: large ones lead a program out of its file."""
        present, known = self._read(byte, byte + 1)[0], self.findings.values[byte]
        return [value for value in ((present + step) % 256 for step in _CLOSER) if value not in known][:_MORE]

    def _try(self, wanted: Sequence[tuple[int, int]]) -> None:
        for at in range(0, len(wanted), 256):
            part = wanted[at : at + 256]
            effects = self._bench.effects([(patches.fill(byte, byte + 1, value),) for byte, value in part])
            for (byte, value), effect in zip(part, effects, strict=True):
                self.findings.values.setdefault(byte, {})[value] = effect
                self.findings.blocks.pop((byte, byte + 1), None)

    def _more_values(self, byte: int) -> list[int]:
        """Choose five values: the neighbours, the ends of the range, the other sign."""
        present = self._read(byte, byte + 1)[0]
        near = [(present + step) % 256 for step in _CLOSE]
        wanted = [near[0], near[1], 0x00, 0xFF, *near[2:]]
        known = {present, *self.findings.values.get(byte, {})}
        return [value for value in dict.fromkeys(wanted) if value not in known][:_ENOUGH]

    # 3. Redundant

    def _find_redundant(self) -> None:
        quiet = self.findings.quiet
        for key in (_FIRST, _SECOND):
            make = _keyed_maker(key)
            kept, culprits = self._compatible([], quiet, make)
            alone = self._bench.effects([(make(span),) for span in culprits])
            for (byte, _), effect in zip(culprits, alone, strict=True):
                if effect:
                    self._note_keyed(byte, key, effect)
            loud = [span[0] for span, effect in zip(culprits, alone, strict=True) if effect]
            quiet = without(quiet, loud)
            culprits = [span for span, effect in zip(culprits, alone, strict=True) if not effect]
            for group in merged(culprits)[:_MOST_GROUPS]:
                fixed = [group] if not self._effect([group], make) else [(group[0], group[0] + 1)]
                _, partners = self._compatible(fixed, kept, make)
                self._note_together([group], partners or kept)
                self._note_together(partners, [group])
            self._note_together(list(merged(culprits)[_MOST_GROUPS:]), kept)
            quiet = self.findings.quiet = without(
                quiet, [byte for start, end in culprits for byte in range(start, end)]
            )
            self._try_values(loud)
            quiet = self.findings.quiet

    def _note_together(self, spans: Sequence[Span], others: Sequence[Span]) -> None:
        for start, end in spans:
            for byte in range(start, end):
                self.findings.together.setdefault(byte, merged(others))

    def _effect(self, spans: Sequence[Span], make: Callable[[Span], Patch]) -> Effect:
        return self._bench.effects([tuple(make(span) for span in merged(spans))])[0]

    def _compatible(
        self, fixed: Sequence[Span], spans: Sequence[Span], make: Callable[[Span], Patch]
    ) -> tuple[list[Span], list[Span]]:
        """Divide spans into those that together change nothing, with what is fixed, and single bytes that do with them."""
        if not spans or not self._effect([*fixed, *spans], make):
            return list(spans), []
        kept: list[Span] = []
        culprits: list[Span] = []
        waiting = list(reversed(in_two(spans)))
        while waiting:
            group = waiting.pop()
            if not self._effect([*fixed, *kept, *group], make):
                kept = merged([*kept, *group])
            elif len(group) == 1 and group[0][1] - group[0][0] == 1:
                culprits.append(group[0])
            else:
                waiting += reversed(in_two(group))
        return kept, culprits

    # 4. Conditional

    def _find_conditional(self) -> None:
        quiet = self.findings.quiet
        if not quiet:
            return
        makers = [_fill_maker(value) for value in range(256)]
        effects = self._bench.effects([tuple(make(span) for span in quiet) for make in makers])
        for value in [value for value, effect in enumerate(effects) if effect]:
            _, culprits = self._compatible([], self.findings.quiet, makers[value])
            for byte, _ in culprits:
                effect = self._effect([(byte, byte + 1)], makers[value])
                if effect:
                    self.findings.values[byte] = {value: effect}
                else:
                    self._note_together([(byte, byte + 1)], without(self.findings.quiet, [byte]))
            taken = [byte for byte, _ in culprits]
            self.findings.quiet = without(self.findings.quiet, taken)
            self._try_values([byte for byte in taken if byte in self.findings.values])

    # 5. and 6.

    def _try_alone(self) -> None:
        bytes_ = [byte for start, end in self.findings.quiet for byte in range(start, end)]
        for at in range(0, len(bytes_), 256):
            part = bytes_[at : at + 256]
            loud = []
            for byte, effect in zip(
                part, self._keyed([(byte, byte + 1) for byte in part], _THIRD), strict=True
            ):
                self.findings.alone.add(byte)
                if effect:
                    loud.append(byte)
                    self._note_keyed(byte, _THIRD, effect)
            self.findings.quiet = without(self.findings.quiet, loud)
            self._try_values(loud)

    def _confirm(self) -> None:
        """Try one value of each byte that matters once more; what is not the same again makes the unaltered file be run again."""
        shown = [
            (byte, next((value for value, effect in tried.items() if effect), None))
            for byte, tried in self.findings.values.items()
        ]
        wanted = [(byte, value) for byte, value in shown if value is not None]
        for at in range(0, len(wanted), 256):
            part = wanted[at : at + 256]
            seen = self._bench.again([(patches.fill(byte, byte + 1, value),) for byte, value in part])
            for (byte, value), effect in zip(part, seen, strict=True):
                if effect.kind != self.findings.values[byte][value].kind:
                    for _ in range(_ENOUGH):
                        self._bench.check_baseline()
                    self.findings.values[byte][value] = effect


def _keyed_maker(key: int) -> Callable[[Span], Patch]:
    return lambda span: patches.keyed(*span, key)


def _fill_maker(value: int) -> Callable[[Span], Patch]:
    return lambda span: patches.fill(*span, value)
