"""Values: which values a byte that matters is given, until it is settled what it does.

Six values: that of its piece's pattern; both ends of the range and the neighbours of the present value, by which a divisor, a length and a
threshold on either side show; and one that differs by the highest bit, by which any one flag does. After three it is seen whether the byte
ends the program, and is settled. Where a byte makes for other accesses in no proportion yet there are three more near its value.

A byte that does with one value (three if accesses differ) what the byte in its place of an equal structure does is given no more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fmrw.experiments import patches
from fmrw.experiments.classes import class_of
from fmrw.experiments.patches import pattern
from fmrw.experiments.spans import merged
from fmrw.experiments.steering import move_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fmrw.experiments.bench import Bench
    from fmrw.experiments.findings import Findings
    from fmrw.experiments.signature import Effect

KIND = {"content": "content", "checked": "checked", "decides": "course", "crash": "crash", "hang": "hang"}
"""Class → what of its values must have shown it."""
FIRST = 1
"""Key of the pattern by which pieces are altered."""
_COUNTS = (3, 6)
_MORE = 3
_LARGEST = 0xFF
_PROOF = 2  # runs
_BASELINES = 5
_STEPS = (1, -1, 0x80, 2, -2, 3, -3, 4)
_CLOSE = (2, 3, -2, -3, 4)
_AT_ONCE = 256


def settled(tried: Mapping[int, Effect]) -> bool:
    """Tell whether more values would teach nothing."""
    kinds = {effect.kind for effect in tried.values()}
    return bool(kinds & {"crash", "hang"}) or len(tried) >= _COUNTS[-1]


def _candidates(present: int) -> Iterator[int]:
    """Give values for a byte, those that tell most first."""
    yield from (0x00, _LARGEST)
    yield from ((present + step) % 256 for step in _STEPS)


def _does_always(kind: str, tried: Mapping[int, Effect]) -> bool:
    """Tell whether all values show a class."""
    return kind in KIND and class_of(tried) == kind and len({effect.kind for effect in tried.values()}) == 1


class Values:
    """Try values of single bytes.

    Parameters
    ----------
    bench : Bench
    read : callable
        (start, end) → the unaltered bytes.
    findings : Findings
        What is found goes there.
    exact : bool
        Give bytes of equal structures that are checked three values, too.
    """

    def __init__(
        self, bench: Bench, read: Callable[[int, int], bytes], findings: Findings, *, exact: bool = False
    ) -> None:
        self._bench = bench
        self._exact = exact
        self._read = read
        self._findings = findings

    def note_keyed(self, byte: int, key: int, effect: Effect) -> None:
        """Keep what a pattern changed in a single byte."""
        self._findings.note(byte, self._present(byte) ^ pattern(key, byte, byte + 1)[0], effect)

    def settle(self, bytes_: Sequence[int]) -> None:
        """Try values of bytes that matter until it is settled what they do; those that matter under none are quiet."""
        found, known = self._findings, self._findings.values
        open_ = list(bytes_)
        for count in _COUNTS:
            self._try([(byte, value) for byte in open_ for value in self._wanted(byte, count)])
            open_ = [byte for byte in open_ if not settled(known[byte])]
        unclear = [byte for byte in bytes_ if self._may_steer(byte)]
        found.settled |= {byte for byte in bytes_ if any(known[byte].values())}.difference(unclear)
        self._try([(byte, value) for byte in unclear for value in self._close(byte)])
        found.settled.update(unclear)
        quiet = [byte for byte in bytes_ if not any(known[byte].values())]
        for byte in quiet:  # one that seemed to matter, since its neighbour alone did not
            del known[byte]
        found.quiet = merged([*found.quiet, *((byte, byte + 1) for byte in quiet)])

    def follow(self, expected: Mapping[int, str]) -> list[int]:
        """Try few values of bytes of which the class is expected; give those that do something else."""
        self._try([(byte, value) for byte, kind in expected.items() for value in self._telling(byte, kind)])
        known = self._findings.values
        like = {byte for byte, kind in expected.items() if _does_always(kind, known[byte])}
        self._findings.like |= like
        return [byte for byte in expected if byte not in like]

    def _telling(self, byte: int, kind: str) -> list[int]:
        """Choose values: a large one where a number may be refused, or lead out of a file that ends soon; any one where the output differs."""
        present, known = self._present(byte), self._findings.values.get(byte, {})
        if kind == "content" or kind not in KIND:
            return [] if known else [present ^ pattern(FIRST, byte, byte + 1)[0]]
        count = _COUNTS[0] if kind == "decides" or self._exact else 1
        ends = [value for value in (_LARGEST, 0x00, (present + 1) % 256) if value != present]
        return [value for value in dict.fromkeys(ends) if value not in known][:count]

    def _present(self, byte: int) -> int:
        return self._read(byte, byte + 1)[0]

    def _wanted(self, byte: int, count: int) -> list[int]:
        """Choose values until that many are known."""
        known = self._findings.values.get(byte, {})
        present = self._present(byte)
        new = [value for value in dict.fromkeys(_candidates(present)) if value not in {present, *known}]
        return new[: max(0, count - len(known))]

    def _may_steer(self, byte: int) -> bool:
        """Tell whether a byte makes for several courses of accesses, and it is not known in which proportion."""
        tried = self._findings.values[byte]
        courses = {effect.course for effect in tried.values() if effect.kind == "course"}
        return len(courses) > 1 and not move_of(self._present(byte), tried)

    def _close(self, byte: int) -> list[int]:
        """Choose three more values near the present one: large ones lead a program out of its file."""
        present, known = self._present(byte), self._findings.values[byte]
        return [value for value in ((present + step) % 256 for step in _CLOSE) if value not in known][:_MORE]

    def _try(self, wanted: Sequence[tuple[int, int]]) -> None:
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            effects = self._bench.effects([(patches.fill(byte, byte + 1, value),) for byte, value in part])
            for (byte, value), effect in zip(part, effects, strict=True):
                self._findings.note(byte, value, effect)

    # Once more

    def confirm(self) -> None:
        """Try once more what a single run says; where that is not so again, look at the unaltered file, and try one value of each byte."""
        if not self._repeat(
            [byte for byte, tried in self._findings.values.items() if self._doubtful(byte, tried)]
        ):
            self._repeat(list(self._findings.values))

    def _doubtful(self, byte: int, tried: Mapping[int, Effect]) -> bool:
        found = class_of(tried)
        if found in KIND:
            return (
                byte not in self._findings.like
                and Counter(each.kind for each in tried.values())[KIND[found]] < _PROOF
            )
        return found == "conditional"

    def _repeat(self, bytes_: Sequence[int]) -> bool:
        known = self._findings.values
        shown = [(byte, self._shows(known[byte])) for byte in bytes_]
        wanted = [(byte, value) for byte, value in shown if value is not None]
        same = True
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            seen = self._bench.again([(patches.fill(byte, byte + 1, value),) for byte, value in part])
            for (byte, value), effect in zip(part, seen, strict=True):
                if effect.kind != known[byte][value].kind:
                    same = False
                    for _ in range(_BASELINES):
                        self._bench.check_baseline()
                    known[byte][value] = effect
        return same

    @staticmethod
    def _shows(tried: Mapping[int, Effect]) -> int | None:
        """Give a value that shows the class of a byte."""
        wanted = KIND.get(class_of(tried))
        return next(
            (value for value, effect in tried.items() if effect and wanted in {None, effect.kind}), None
        )
