"""Values: which values a byte that matters is given, until it is settled what it does.

Three values first: one far away, that of its piece's pattern; an end of the range; and one that differs by a single bit, which the two others
do not both turn. So a threshold on either side, any one flag and a divisor show. A byte by which the output differs with all three is settled; one that is checked or decides
is given the other end of the range, too. Where one value does something else than others there are six, and three more near the present one
if the byte makes for other accesses in no proportion yet.
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
_COUNTS = (3, 4, 6)
_LARGEST = 0xFF
_MORE = 3
_PROOF = 2  # runs
_BASELINES = 5
_STEPS = (1, -1, 0x80, 2, -2, 3, -3, 4)
_CLOSE = (2, 3, -2, -3, 4)
_AT_ONCE = 256


def settled(tried: Mapping[int, Effect]) -> bool:
    """Tell whether more values would teach nothing: all do the same, or one ends the program."""
    kinds = {effect.kind for effect in tried.values()}
    if kinds & {"crash", "hang"}:
        return True
    courses = {effect.course for effect in tried.values() if effect.kind == "course"}
    enough = _COUNTS[0] if kinds == {"content"} else _COUNTS[1]
    return len(tried) >= enough and len(kinds) == 1 and len(courses) <= 1


def _candidates(present: int, known: Mapping[int, object]) -> Iterator[int]:
    """Give values for a byte, those that tell most first."""
    end = 0x00 if present else 0xFF
    turned = (present ^ end) & (present ^ next(iter(known), end))
    free = [1 << bit for bit in range(8) if not turned >> bit & 1]
    yield end
    yield from (present ^ bit for bit in sorted(free, key=lambda bit: bool(present & bit))[:1])
    yield 0xFF ^ end
    yield from ((present + step) % 256 for step in _STEPS)


class Values:
    """Try values of single bytes.

    Parameters
    ----------
    bench : Bench
    read : callable
        (start, end) → the unaltered bytes.
    findings : Findings
        What is found goes there.
    """

    def __init__(self, bench: Bench, read: Callable[[int, int], bytes], findings: Findings) -> None:
        self._bench = bench
        self._read = read
        self._findings = findings

    def note_keyed(self, byte: int, key: int, effect: Effect) -> None:
        """Keep what a pattern changed in a single byte."""
        self._findings.note(byte, self._present(byte) ^ pattern(key, byte, byte + 1)[0], effect)

    def settle(self, bytes_: Sequence[int]) -> None:
        """Try values of bytes that matter until it is settled what they do; those that matter under none are quiet."""
        known = self._findings.values
        open_ = bytes_
        for count in _COUNTS:
            self._try([(byte, value) for byte in open_ for value in self._wanted(byte, count)])
            open_ = [byte for byte in open_ if not settled(known[byte])]
        unclear = [byte for byte in open_ if self._may_steer(byte)]
        self._try([(byte, value) for byte in unclear for value in self._close(byte)])
        quiet = [byte for byte in bytes_ if not any(known[byte].values())]
        for byte in quiet:  # one that seemed to matter, since its neighbour alone did not
            del known[byte]
        self._findings.quiet = merged([*self._findings.quiet, *((byte, byte + 1) for byte in quiet)])

    def follow(self, expected: Mapping[int, str]) -> list[int]:
        """Try one value of bytes of which the class is expected; give those that do something else."""
        wanted = {byte: self._telling(byte, kind) for byte, kind in expected.items()}
        self._try(list(wanted.items()))
        known = self._findings.values
        like = {byte for byte, kind in expected.items() if known[byte][wanted[byte]].kind == KIND.get(kind)}
        self._findings.like |= like
        return [byte for byte in expected if byte not in like]

    def _telling(self, byte: int, kind: str) -> int:
        """Choose a value: a large one where a number may be refused, or lead out of a file that ends soon."""
        present = self._present(byte)
        if kind in {"checked", "decides"} and present != _LARGEST:
            return _LARGEST
        return present ^ pattern(FIRST, byte, byte + 1)[0]

    def _present(self, byte: int) -> int:
        return self._read(byte, byte + 1)[0]

    def _wanted(self, byte: int, count: int) -> list[int]:
        """Choose values until that many are known."""
        known = self._findings.values.get(byte, {})
        present = self._present(byte)
        new = [
            value for value in dict.fromkeys(_candidates(present, known)) if value not in {present, *known}
        ]
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
