"""Together: which bytes matter only when others are altered, too, or only for some values: found by altering all quiet ones at once.

Where that changes something, the bytes are halved, and what is harmless with all that was found harmless before is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.experiments import patches
from fmrw.experiments.spans import Span, in_two, merged, singles, size_of, without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fmrw.experiments.bench import Bench
    from fmrw.experiments.findings import Findings
    from fmrw.experiments.shared import Patch
    from fmrw.experiments.signature import Effect
    from fmrw.experiments.values import Values

_MOST_GROUPS = 8
_SAMPLE = 8


def _keyed_maker(key: int) -> Callable[[Span], Patch]:
    return lambda span: patches.keyed(*span, key)


def _fill_maker(value: int) -> Callable[[Span], Patch]:
    return lambda span: patches.fill(*span, value)


def effect_of(bench: Bench, spans: Sequence[Span], make: Callable[[Span], Patch]) -> Effect:
    """Alter spans at once."""
    return bench.effects([tuple(make(span) for span in merged(spans))])[0]


def compatible(
    bench: Bench,
    fixed: Sequence[Span],
    spans: Sequence[Span],
    make: Callable[[Span], Patch],
    alike: Callable[[int], Iterable[int]] = lambda _byte: (),
) -> tuple[list[Span], list[Span]]:
    """Divide spans into those that together change nothing, with what is fixed, and single bytes that do with them.

    Parameters
    ----------
    bench, fixed, spans, make
        What is tried, and how it is altered.
    alike : callable
        Byte → those in its place of other structures: they are suspects where it is one that changes something, and are tried one by one.
    """
    if not spans or not effect_of(bench, [*fixed, *spans], make):
        return list(spans), []
    kept: list[Span] = []
    culprits: list[Span] = []
    suspects: set[int] = set()
    waiting = list(reversed(in_two(spans)))
    while waiting:
        group = waiting.pop()
        if not effect_of(bench, [*fixed, *kept, *group], make):
            kept = merged([*kept, *group])
        elif size_of(group) == 1:
            culprits.append(group[0])
            new = set(alike(group[0][0])) & set(singles(merged(span for each in waiting for span in each)))
            suspects |= new
            waiting = [rest for each in waiting if (rest := without(each, new))]
        else:
            waiting += reversed(in_two(group))
    loud, harmless = _one_by_one(bench, [*fixed, *kept], sorted(suspects), make)
    more, others = compatible(bench, [*fixed, *kept], merged(harmless), make)
    return merged([*kept, *more]), [*culprits, *loud, *others]


def _one_by_one(
    bench: Bench, fixed: Sequence[Span], suspects: Sequence[int], make: Callable[[Span], Patch]
) -> tuple[list[Span], list[Span]]:
    """Divide single bytes into those that change something with what is fixed and others; where few of the first do, no more are tried."""
    spans = [(byte, byte + 1) for byte in suspects]
    sample = spans[:: len(spans) // _SAMPLE + 1]
    loud: list[Span] = []
    for part in (sample, [span for span in spans if span not in sample]):
        effects = bench.effects([tuple(map(make, merged([*fixed, span]))) for span in part])
        loud += [span for span, effect in zip(part, effects, strict=True) if effect]
        if len(loud) < len(part) / 2:
            break
    return loud, [span for span in spans if span not in loud]


class Together:
    """Look for what matters only together.

    Parameters
    ----------
    bench : Bench
    findings : Findings
    values : Values
        To settle what turns out to matter alone.
    alike : callable
        Byte → those in its place of structures of the same make.
    """

    def __init__(
        self, bench: Bench, findings: Findings, values: Values, alike: Callable[[int], Iterable[int]]
    ) -> None:
        self._bench = bench
        self._alike = alike
        self._findings = findings
        self._values = values

    def find_redundant(self, keys: Sequence[int]) -> None:
        """Alter all quiet bytes by each pattern."""
        for key in keys:
            self._find_redundant(key, _keyed_maker(key))

    def _find_redundant(self, key: int, make: Callable[[Span], Patch]) -> None:
        found = self._findings
        kept, culprits = compatible(self._bench, [], found.quiet, make, self._alike)
        alone = self._bench.effects([(make(span),) for span in culprits])
        loud = []
        for (byte, _), effect in zip(culprits, alone, strict=True):
            if effect:
                self._values.note_keyed(byte, key, effect)
                loud.append(byte)
        others = [span for span, effect in zip(culprits, alone, strict=True) if not effect]
        for group in merged(others)[:_MOST_GROUPS]:
            fixed = [group] if not effect_of(self._bench, [group], make) else [(group[0], group[0] + 1)]
            _, partners = compatible(self._bench, fixed, kept, make, self._alike)
            found.note_together([group], partners or kept)
            found.note_together(partners, [group])
        found.note_together(merged(others)[_MOST_GROUPS:], kept)
        redundant = [byte for start, end in others for byte in range(start, end)]
        found.quiet = without(found.quiet, [*loud, *redundant])
        self._values.settle(loud)

    def find_conditional(self) -> None:
        """Set all quiet bytes to each value."""
        found = self._findings
        if not found.quiet:
            return
        makers = [_fill_maker(value) for value in range(256)]
        effects = self._bench.effects([tuple(make(span) for span in found.quiet) for make in makers])
        for value in [value for value, effect in enumerate(effects) if effect]:
            _, culprits = compatible(self._bench, [], found.quiet, makers[value], self._alike)
            alone = self._bench.effects([(makers[value](span),) for span in culprits])
            for (byte, _), effect in zip(culprits, alone, strict=True):
                if effect:
                    found.values[byte] = {value: effect}
                else:
                    found.note_together([(byte, byte + 1)], without(found.quiet, [byte]))
            taken = [byte for byte, _ in culprits]
            found.quiet = without(found.quiet, taken)
            self._values.settle([byte for byte in taken if byte in found.values])
