"""Search: finds, with few runs, which of the bytes that are read matter, and by which values.

1. The ranges that were read are cut at the borders of accesses and halved, breadth first; each piece is altered by a keyed pattern. Where
   most of the first pieces matter, what is left is tried byte by byte.
2. Structures may repeat (`fmrw.experiments.repeats`). The first ones are halved down to bytes. In the others, all bytes that should be ignored
   are altered at once, and each of the rest by one value.
3. Each byte that matters is given more values until it is settled what it does (`fmrw.experiments.values`), unless it did what the byte in
   its place of an equal structure does.
4. All quiet bytes are altered at once, by two patterns (`fmrw.experiments.together`). What changes something then, and nothing alone, is redundant.
5. All quiet bytes are set to each of 256 values; what then changes something is conditional, and taken out as soon as it is found.
6. With `exact`, each byte is altered alone first; bytes of equal structures are expected to be alike in 3 only.
7. What a single run says is tried once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.experiments import patches
from fmrw.experiments.bench import OutOfBudget, Unsteady
from fmrw.experiments.classes import class_of
from fmrw.experiments.findings import Findings
from fmrw.experiments.repeats import families, in_waves
from fmrw.experiments.spans import Span, common, in_pieces, in_two, merged, pieces, singles, size_of, without
from fmrw.experiments.together import Together
from fmrw.experiments.values import FIRST, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fmrw.experiments.bench import Bench
    from fmrw.experiments.signature import Effect

    Group = tuple[Span, ...]
    _Loud = tuple[Group, Effect]

_SECOND, _THIRD = 2, 3  # keys
_SAMPLE, _DENSE = 64, 0.6
_MOST_LEAVES = 16_384
_SINGLY, _SMALL = 16, 1024
_COARSE, _PARTS = 64, 64
_NEAR = 16
_AT_ONCE = 256


class Search:
    """Look for what matters in one file.

    Parameters
    ----------
    bench : Bench
    read : callable
        (start, end) → the unaltered bytes.
    exact : bool
        Alter each byte alone, and go down to single bytes however many are read.
    """

    def __init__(self, bench: Bench, read: Callable[[int, int], bytes], *, exact: bool = False) -> None:
        self._bench = bench
        self._read = read
        self._exact = exact
        self._begin()

    def _begin(self) -> None:
        self.findings = Findings()
        self._values = Values(self._bench, self._read, self.findings, exact=self._exact)
        self._tried = self._mattered = 0
        self._before: dict[int, int] = {}
        self._families: dict[int, list[int]] = {}
        self._inferred: set[int] = set()
        self._unsettled: set[int] = set()

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
        self._find(pieces(self._bench.reference.requests))
        together = Together(self._bench, found, self._values, self._alike)
        found.stage = "all at once"
        together.find_redundant([FIRST, _SECOND])
        found.stage = "each value"
        together.find_conditional()
        if self._exact:
            found.stage = "each byte"
            self._try_alone()
        found.stage = "once more"
        self._values.confirm()
        self._bench.check_baseline()

    # 1. Pieces

    def _find(self, read: Sequence[Span]) -> None:
        """Find the bytes that matter, and settle what they do."""
        total = size_of(read)
        loud = self._matter([(span,) for span in read])
        if not self._exact and total <= _MOST_LEAVES:
            self._divide(loud, least=max(_COARSE, total // _PARTS))
            self._find_in_waves(sorted(self.findings.blocks))
        else:
            self._divide(loud, least=self._least(total), whole=total if total <= _SMALL else _SINGLY)
            self._settle_in_waves(read)
        self.findings.quiet = merged(self.findings.quiet)

    def _least(self, total: int) -> int:
        return 1 if self._exact else 1 << ((total - 1) // _MOST_LEAVES).bit_length()

    def _divide(self, loud: list[_Loud], *, least: int = 1, whole: int = 1) -> None:
        """Halve what matters down to `least` bytes; of `whole` bytes and fewer, or where most matters, each piece is tried at once."""
        self._tried = self._mattered = 0
        while loud:
            dense = self._tried >= _SAMPLE and self._mattered > _DENSE * self._tried
            singles: list[Group] = []
            pairs: list[tuple[Group, Group, Effect]] = []
            for group, effect in loud:
                size = size_of(group)
                if size == 1:
                    self._note_leaf(group[0][0], effect)
                elif size > least and (dense or size <= whole):
                    singles += [(piece,) for span in group for piece in in_pieces(*span, least)]
                elif size > least:
                    left, right = in_two(group)
                    pairs.append((tuple(left), tuple(right), effect))
            loud = [*self._matter(singles), *self._matter_of_pairs(pairs)]

    def _matter(self, groups: Sequence[Group]) -> list[_Loud]:
        """Try groups; note those that are quiet, give the others."""
        found = []
        for at in range(0, len(groups), _AT_ONCE):
            part = groups[at : at + _AT_ONCE]
            for group, effect in zip(part, self._keyed(part, FIRST), strict=True):
                self._note_group(group, effect)
                if effect:
                    found.append((group, effect))
                else:
                    self.findings.quiet += group
                    self.findings.alone |= {span[0] for span in group if size_of(group) == 1}
        self._tried += len(groups)
        self._mattered += len(found)
        return found

    def _matter_of_pairs(self, pairs: Sequence[tuple[Group, Group, Effect]]) -> list[_Loud]:
        """Try halves of groups that matter: where the left one is quiet, the right one need not be tried."""
        found = self._matter([left for left, _right, _effect in pairs])
        loud = {group for group, _effect in found}
        inferred = [(right, effect) for left, right, effect in pairs if left not in loud]
        for right, effect in inferred:
            self._note_group(right, effect)
        self._inferred |= {right[0][0] for right, _effect in inferred if size_of(right) == 1}
        return [*found, *inferred, *self._matter([right for left, right, _effect in pairs if left in loud])]

    def _note_group(self, group: Group, effect: Effect) -> None:
        for span in group:
            self.findings.forget_around(span)
            if effect:
                self.findings.blocks[span] = effect

    def _note_leaf(self, byte: int, effect: Effect) -> None:
        self._unsettled.add(byte)
        if byte not in self._inferred:
            self._values.note_keyed(byte, FIRST, effect)

    def _keyed(self, groups: Sequence[Group], key: int) -> list[Effect]:
        return self._bench.effects(
            [tuple(patches.keyed(start, end, key) for start, end in group) for group in groups]
        )

    def _settle(self) -> None:
        self.findings.stage = "values"
        self._values.settle(sorted(self._unsettled))
        self._unsettled.clear()
        self.findings.stage = "pieces"

    # 2. Structures that repeat

    def _settle_in_waves(self, read: Sequence[Span]) -> None:
        """Settle what bytes do that are known to matter, first in the first of equal structures."""
        loud = set(self._unsettled)
        near = merged((byte - _NEAR, byte + _NEAR) for byte in loud)
        for wave in self._waves(common(merged(read), near)):
            here = [byte for byte in wave if byte in loud]
            expected = {byte: self._class_of(self._before[byte]) for byte in here if byte in self._before}
            self._unsettled = {byte for byte in here if not expected.get(byte)}
            self._try_followers({byte: kind for byte, kind in expected.items() if kind})
            self._settle()

    def _waves(self, spans: Sequence[Span]) -> list[list[int]]:
        waves, self._before = in_waves(spans, b"".join(self._read(*span) for span in spans))
        self._families = families(self._before)
        return waves

    def _find_in_waves(self, spans: Sequence[Span]) -> None:
        """Find what matters in the first of equal structures, and then see whether the others are like it."""
        waves = self._waves(spans)
        first = set(waves[0])
        fresh = [tuple(merged((byte, byte + 1) for byte in range(*span) if byte in first)) for span in spans]
        self._divide(self._matter([group for group in fresh if group]))
        self._settle()
        for wave in waves[1:]:
            self._follow({byte: self._class_of(self._before[byte]) for byte in wave})
            self._settle()

    def _follow(self, expected: Mapping[int, str]) -> None:
        """Try bytes of which is expected what they do; an empty class: nothing."""
        quiet = tuple(merged((byte, byte + 1) for byte, kind in expected.items() if not kind))
        self._divide(self._matter([quiet] if quiet else []))
        self._try_followers({byte: kind for byte, kind in expected.items() if kind})

    def _try_followers(self, expected: Mapping[int, str]) -> None:
        self._unsettled.update(self._values.follow(expected))

    def _alike(self, byte: int) -> list[int]:
        """Give the bytes in the place of one in structures of the same make."""
        return self._families.get(byte, [])

    def _class_of(self, byte: int) -> str:
        """Give the class of a byte that is settled; nothing where it is quiet."""
        tried = self.findings.values.get(byte)
        return class_of(tried) if tried else ""

    # 6. Each byte

    def _try_alone(self) -> None:
        quiet = self.findings.quiet
        bytes_ = [byte for byte in singles(quiet) if byte not in self.findings.alone]
        for at in range(0, len(bytes_), _AT_ONCE):
            part = bytes_[at : at + _AT_ONCE]
            effects = self._keyed([((byte, byte + 1),) for byte in part], _THIRD)
            self.findings.alone.update(part)
            loud = [byte for byte, effect in zip(part, effects, strict=True) if effect]
            for byte, effect in zip(part, effects, strict=True):
                if effect:
                    self._values.note_keyed(byte, _THIRD, effect)
            self.findings.quiet = without(self.findings.quiet, loud)
            self._values.settle(loud)
