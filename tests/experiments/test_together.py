"""What changes something only together is found, and in equal structures without halving for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.experiments import patches
from fmrw.experiments.signature import Effect, Raw
from fmrw.experiments.together import compatible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.experiments.bench import Alteration
    from fmrw.experiments.spans import Span

RAW = Raw("", "", "", "", "", "", False, False, None, "", None, "", 0.0)  # noqa: FBT003 - of a tuple
SIZE, RECORDS = 64, 50
WHOLE = [(0, SIZE * RECORDS)]


class Pairs:
    """A bench for records of which something differs where the bytes 10 and 20 of one are altered both."""

    def __init__(self, *, in_records: int = RECORDS) -> None:
        self.runs = 0
        self._pairs = [(record * SIZE + 10, record * SIZE + 20) for record in range(in_records)]

    def effects(self, alterations: Sequence[Alteration]) -> list[Effect]:
        self.runs += len(alterations)
        return [Effect("content" if self._differs(each) else "", (), RAW) for each in alterations]

    def _differs(self, alteration: Alteration) -> bool:
        altered = {byte for patch in alteration for byte in range(patch.start, patch.end)}
        return any(altered.issuperset(pair) for pair in self._pairs)


def zero(span: Span) -> patches.Patch:
    return patches.fill(*span, 0)


def alike(byte: int) -> range:
    return range(byte % SIZE, SIZE * RECORDS, SIZE)


def test_one_of_each_pair_is_left() -> None:
    bench = Pairs()
    kept, culprits = compatible(bench, [], WHOLE, zero, alike)  # type: ignore[arg-type]
    assert sorted(start // SIZE for start, _end in culprits) == list(range(RECORDS))
    assert all(end == start + 1 and start % SIZE in {10, 20} for start, end in culprits)
    assert not bench.effects([tuple(map(zero, kept))])[0]
    assert sum(end - start for start, end in kept) == (SIZE - 1) * RECORDS
    assert bench.runs < 2 * RECORDS
    plain = Pairs()
    assert len(compatible(plain, [], WHOLE, zero)[1]) == RECORDS  # type: ignore[arg-type]
    assert plain.runs > 8 * RECORDS


def test_what_one_record_does_costs_little_for_the_others() -> None:
    bench = Pairs(in_records=1)
    _kept, culprits = compatible(bench, [], WHOLE, zero, alike)  # type: ignore[arg-type]
    assert len(culprits) == 1
    assert bench.runs < 50
