"""The first values of a byte tell what any one flag, and a threshold on either side, would do."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from fmrw.experiments.findings import Findings
from fmrw.experiments.signature import Effect, Raw
from fmrw.experiments.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmrw.experiments.bench import Alteration

RAW = Raw("", "", "", "", "", "", False, False, None, "", None, "", 0.0)  # noqa: FBT003 - of a tuple


def effect(kind: str, course: str = "") -> Effect:
    return Effect(kind, ("stdout",) if kind else (), RAW, course)


class OneByte:
    """A bench for a file of one byte, with a program that is a function of it."""

    def __init__(self, program: Callable[[int], Effect]) -> None:
        self.program = program
        self.runs = 0

    def effects(self, alterations: Sequence[Alteration]) -> list[Effect]:
        self.runs += len(alterations)
        return [self.program(patch.value) for (patch,) in alterations]


def tried(present: int, first: int, program: Callable[[int], Effect]) -> tuple[dict[int, Effect], int]:
    """Settle a byte of which one value is known; give what was tried, and in how many runs."""
    findings, bench = Findings(), OneByte(program)
    findings.note(0, first, program(first))
    Values(bench, lambda _start, _end: bytes([present]), findings).settle([0])  # type: ignore[arg-type]
    return findings.values.get(0, {}), bench.runs


def test_any_flag_and_any_threshold_shows_as_a_condition() -> None:
    for present, first in itertools.product(range(256), range(3, 256, 23)):
        if first == present:
            continue
        programs = [
            lambda value, bit=bit: effect("content" if (value ^ present) >> bit & 1 else "")  # noqa: B023 - called here
            for bit in range(8)
        ]
        if 0 < present < 255:
            programs += [
                lambda value: effect("content" if value < present else ""),  # noqa: B023 - the same
                lambda value: effect("content" if value > present else ""),  # noqa: B023 - the same
            ]
        for program in programs:
            if program(first):
                found, _runs = tried(present, first, program)
                assert {each.kind for each in found.values()} == {"", "content"}, (present, first)


@pytest.mark.parametrize(
    ("kind", "runs"), [("content", 5), ("checked", 5), ("course", 5), ("crash", 2), ("hang", 2)]
)
def test_what_ends_the_program_costs_few_runs(kind: str, runs: int) -> None:
    assert tried(0x41, 0x93, lambda _value: effect(kind))[1] == runs


@pytest.mark.parametrize(
    ("expected", "kind", "runs"),
    [
        ("content", "content", 1),
        ("checked", "checked", 1),
        ("decides", "course", 3),
        ("conditional", "content", 1),
    ],
)
def test_what_does_as_expected_costs_fewer(expected: str, kind: str, runs: int) -> None:
    findings, bench = Findings(), OneByte(lambda _value: effect(kind))
    values = Values(bench, lambda _start, _end: b"A", findings)  # type: ignore[arg-type]
    rest = values.follow({0: expected})
    assert rest == ([0] if expected == "conditional" else [])
    assert bench.runs == runs
    assert values.follow({0: "steers"}) == [0]


def test_what_is_checked_is_given_both_ends_of_the_range() -> None:
    found, _runs = tried(0x14, 0x93, lambda value: effect("course" if value > 0xED else "checked"))
    assert {each.kind for each in found.values()} == {"course", "checked"}


def test_what_makes_for_several_courses_is_tried_near_its_value() -> None:
    found, runs = tried(100, 0x93, lambda value: effect("course", str(value)))
    assert runs == 8
    assert {99, 101, 102, 103} <= set(found)


def test_what_matters_under_no_value_is_quiet() -> None:
    findings = Findings()
    bench = OneByte(lambda _value: effect(""))
    Values(bench, lambda _start, _end: b"A", findings).settle([0])  # type: ignore[arg-type]
    assert findings.values == {}
    assert findings.quiet == [(0, 1)]
