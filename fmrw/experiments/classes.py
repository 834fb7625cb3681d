"""Classes: what the bytes of a file do to a program, from what altering them changed.

| class | altering it |
|---|---|
| `unread` | was not tried: nobody reads it |
| `ignored` | changes nothing |
| `redundant` | changes nothing alone, but together with other such bytes |
| `conditional` | changes something for some of the values tried only |
| `content` | changes what is written, and nothing else |
| `checked` | makes the program refuse: its status or its errors differ, and it reads no further |
| `decides` | makes it take another course: its accesses differ |
| `steers` | makes it take at least three other courses: an offset, a length, a count |
| `crash` | ends it by a signal, for some value |
| `hang` | lets it run on, for some value |

In the map of a search that was stopped, bytes that changed nothing have no class until all was tried that may find that they matter; other
classes that more runs may change are given, and their effects end with "so far" and what they rest on.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.experiments.spans import merged, without
from fmrw.experiments.steering import Field, fields, move_of
from fmrw.offsets import range_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fmrw.experiments.findings import Findings
    from fmrw.experiments.signature import Effect, Reference
    from fmrw.experiments.spans import Span

CLASSES = (
    "unread", "ignored", "redundant", "conditional", "content", "checked", "decides", "steers", "crash", "hang",
)  # fmt: skip
_COURSES = 3
_MOST_VALUES = 16
_MOST_OTHERS = 4


class Range(NamedTuple):
    """A range of a file and what it does to the program.

    Attributes
    ----------
    start, end : int
        Half-open.
    kind : str or None
        One of `CLASSES`; None where it is not settled: not tried, or changed nothing in a search that was stopped.
    values : list of int
        Values that showed it.
    effect : str
        What altering it changed, in words.
    field : Field or None
        The number it is part of, where it steers.
    settled : bool
        Whether all was tried that may change its class, but for repeating what a single run said; so it is in a complete map.
    """

    start: int
    end: int
    kind: str | None
    values: list[int]
    effect: str
    field: Field | None = None
    settled: bool = True

    def json(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        field = None if self.field is None else self.field._asdict()
        return {
            "start": self.start, "end": self.end, "class": self.kind, "values": self.values, "effect": self.effect, "field": field,
        }  # fmt: skip


class _Verdict(NamedTuple):
    kind: str
    values: list[int]
    effect: str


def class_of(tried: Mapping[int, Effect]) -> str:
    """Give the class of a byte from what each value changed."""
    kinds = {effect.kind for effect in tried.values()}
    for worst in ("crash", "hang"):
        if worst in kinds:
            return worst
    courses = {effect.course for effect in tried.values() if effect.kind == "course"}
    if len(courses) >= _COURSES:
        return "steers"
    if "" in kinds:
        return "conditional" if len(kinds) > 1 else "ignored"
    return next(
        name
        for kind, name in (("course", "decides"), ("checked", "checked"), ("content", "content"))
        if kind in kinds
    )


def _verdict(tried: Mapping[int, Effect], words: Callable[[Effect], str]) -> _Verdict:
    kind = class_of(tried)
    wanted = {
        "crash": ("crash",),
        "hang": ("hang",),
        "steers": ("course",),
        "decides": ("course",),
        "checked": ("checked",),
    }.get(kind)
    shown = {
        value: effect
        for value, effect in tried.items()
        if effect and (wanted is None or effect.kind in wanted)
    }
    if not shown:
        return _Verdict("ignored", [], "nothing changes")
    said = Counter(words(effect) for effect in shown.values()).most_common(1)[0][0]
    return _Verdict(kind, sorted(shown), said)


def in_words(effect: Effect, reference: Reference) -> str:
    """Say what altering changed."""
    raw = effect.raw
    if effect.kind == "hang":
        return "runs on and on"
    if effect.kind == "crash":
        return f"ends by {raw.ending}"
    names = {
        "stdout": "standard output",
        "stderr": "errors",
        "written": "files written",
        "accesses": "accesses",
    }
    told = [f"{raw.ending} instead of {reference.raw_first.ending}"] if "ending" in effect.channels else []
    others = [names[name] for name in effect.channels if name != "ending"]
    told += [f"other {', '.join(others)}"] if others else []
    return "; ".join(told)


def ranges(findings: Findings, reference: Reference, size: int, present: Mapping[int, int]) -> list[Range]:
    """Give the map of a file: ranges in order, without overlap, from its beginning to its end.

    Parameters
    ----------
    findings : Findings
    reference : Reference
    size : int
        Of the file.
    present : mapping
        Byte → its unaltered value, of all bytes in `findings.values`.
    """
    verdicts = {
        byte: _verdict(tried, lambda effect: in_words(effect, reference))
        for byte, tried in findings.values.items()
    }
    moves = {
        byte: move
        for byte, tried in findings.values.items()
        if verdicts[byte].kind == "steers" and (move := move_of(present[byte], tried))
    }
    matter = {
        byte: present[byte]
        for byte, verdict in verdicts.items()
        if verdict.kind not in {"ignored", "conditional"}
    }
    known = fields(moves, matter)
    field_of = {byte: field for field in known for byte in range(field.start, field.end)}
    found = [
        *_of_bytes(findings, verdicts, field_of),
        *_of_blocks(findings, reference),
        *_of_others(findings),
    ]
    return list(_whole(sorted(found, key=lambda each: each.start), size, reference))


def _so_far(found: Range, by: str = "") -> Range:
    """Say that more runs may change a class, and by what it was found."""
    said = f"{found.effect}; so far{by and ', '}{by}"
    return found._replace(kind=None if found.kind == "ignored" else found.kind, effect=said, settled=False)


def _of_bytes(
    findings: Findings, verdicts: Mapping[int, _Verdict], field_of: Mapping[int, Field]
) -> Iterator[Range]:
    for byte, verdict in sorted(verdicts.items()):
        field = field_of.get(byte)
        effect = field.sentence if field is not None and verdict.kind == "steers" else verdict.effect
        found = Range(byte, byte + 1, verdict.kind, verdict.values, effect, field)
        count = len(findings.values[byte])
        yield found if findings.settles(byte) else _so_far(found, f"{count} value{'s' * (count > 1)}")


def _of_blocks(findings: Findings, reference: Reference) -> Iterator[Range]:
    for (start, end), effect in findings.blocks.items():
        kind = {"course": "decides"}.get(effect.kind, effect.kind) or "ignored"
        said = in_words(effect, reference)
        if findings.settled_blocks:
            yield Range(start, end, kind, [], f"as a block: {said}")
        else:
            yield _so_far(Range(start, end, kind, [], said), "as a block")


def _of_others(findings: Findings) -> Iterator[Range]:
    redundant = {byte: others for byte, others in findings.together.items() if byte not in findings.values}
    for start, end in without(findings.quiet, redundant):
        alone = (
            all(byte in findings.alone for byte in range(start, end))
            if end - start <= len(findings.alone)
            else False
        )
        if findings.settled_quiet:
            yield Range(
                start, end, "ignored", [], "nothing changes" if alone else "nothing changes, tried by blocks"
            )
        else:
            found = Range(start, end, "ignored", [], "nothing changes")
            yield _so_far(found, "byte by byte" if alone else "by blocks")
    for byte, others in redundant.items():
        found = Range(byte, byte + 1, "redundant", [], f"only together with {_spans(others)}")
        yield found if findings.settled_quiet else _so_far(found)


def _spans(spans: Sequence[Span]) -> str:
    shown = ", ".join(range_text(*span) for span in spans[:_MOST_OTHERS])
    return shown if len(spans) <= _MOST_OTHERS else f"{shown}, …"


def _whole(found: Iterable[Range], size: int, reference: Reference) -> Iterator[Range]:
    """Join what is alike, and fill what is between: never read, or not tried."""
    read = merged((start, end) for start, end, _ in reference.requests if end > start)
    at = 0
    before: Range | None = None
    for each in [*found, Range(size, size, "", [], "")]:
        for gap in _gaps(at, each.start, read):
            if before is not None:
                yield before
                before = None
            yield gap
        if each.start < at:
            continue
        at = each.end
        if before is not None and before.end == each.start and _alike(before, each):
            before = before._replace(
                end=each.end, values=sorted({*before.values, *each.values})[:_MOST_VALUES]
            )
            continue
        if before is not None:
            yield before
        before = each if each.kind != "" else None


def _alike(one: Range, other: Range) -> bool:
    return (one.kind, one.effect, one.field) == (other.kind, other.effect, other.field)


def _gaps(start: int, end: int, read: Sequence[Span]) -> Iterator[Range]:
    """Give what no finding covers."""
    at = start
    for first, last in read:
        if last <= at or first >= end:
            continue
        if first > at:
            yield Range(at, first, "unread", [], "never read")
        if max(first, at) < min(last, end):
            yield Range(max(first, at), min(last, end), None, [], "not tried", settled=False)
        at = min(last, end)
    if at < end:
        yield Range(at, end, "unread", [], "never read")
