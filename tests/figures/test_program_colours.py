"""A program has one colour: by its name, whatever else is shown, and apart from the others of its recording."""

from __future__ import annotations

import itertools
import random
import string

import pytest

from fmrw.figures.programs import COLOURS, program_colours, program_numbers
from fmrw.figures.theme import DARK, LIGHT
from fmrw.text import visible

HOSTILE = ["", "\x00", "\ud800", "<script>", "a" * 300, "sh [12]", "é", "é", "others"]


def names(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)  # noqa: S311 - names of programs, no secrets
    return ["".join(chance.choices(string.ascii_lowercase, k=8)) for _ in range(count)]


def test_the_colours_are_these_for_good() -> None:
    """Written down, so that figures made with the next version agree with those made with this one."""
    parsers = ["unzip", "pdftotext", "7z", "python3", "bsdtar", "file"]
    assert program_numbers(parsers) == {name: number for number, name in enumerate(parsers)}
    assert program_numbers(["my-parser"]) == {"my-parser": 7}
    assert program_colours(["unzip"]) == {"unzip": LIGHT.programs[0]}
    assert program_colours(["unzip"], DARK) == {"unzip": DARK.programs[0]}


@pytest.mark.parametrize("seed", range(30))
def test_up_to_twelve_programs_never_share_a_colour(seed: int) -> None:
    known = ["unzip", "7z", "cat", "sqlite3", "objdump"]
    for count in range(1, COLOURS + 1):
        some = [*names(seed, count), *known][:COLOURS]
        assert len(set(program_numbers(some).values())) == len(some)


@pytest.mark.parametrize("seed", range(30))
def test_colours_depend_on_the_set_alone(seed: int) -> None:
    some = names(seed, 9)
    shuffled = random.Random(seed).sample(some * 2, 18)  # noqa: S311 - an order
    assert program_numbers(shuffled) == program_numbers(some)
    assert list(program_numbers(some)) == some


@pytest.mark.parametrize("seed", range(30))
def test_whose_colour_nobody_else_wants_has_it_in_every_recording(seed: int) -> None:
    some = names(seed, 6)
    alone = {name: program_numbers([name])[name] for name in some}
    together = program_numbers(some)
    wanted = list(alone.values())
    for name in some:
        if wanted.count(alone[name]) == 1:
            assert together[name] == alone[name]
    kept = [alone[name] for name in some if together[name] == alone[name]]
    assert sorted(kept) == sorted(set(wanted))  # of several that want a colour, one has it


@pytest.mark.parametrize("seed", range(30))
def test_well_known_programs_give_way_to_nobody_else(seed: int) -> None:
    known = ["unzip", "pdftotext", "7z", "python3", "bsdtar", "file"]
    together = program_numbers([*names(seed, 6), *known])
    assert {name: together[name] for name in known} == program_numbers(known)


def test_strangers_get_one_of_the_eight_that_lie_furthest_apart() -> None:
    first = [program_numbers([name])[name] for name in names(1, 4000)]
    assert set(first) == set(range(8))
    assert all(380 < first.count(number) < 620 for number in range(8))  # no colour is hardly ever given


def test_any_name_has_a_colour() -> None:
    found = program_numbers(HOSTILE)
    assert list(found) == list(dict.fromkeys(HOSTILE))
    assert all(0 <= number < COLOURS for number in found.values())
    assert program_numbers([]) == {}
    many = program_numbers(names(3, 400))
    assert set(many.values()) == set(range(COLOURS))


def test_a_name_as_recorded_and_as_shown_is_one() -> None:
    for name in HOSTILE:
        both = program_numbers([name, visible(name), "unzip", "7z"])
        assert both[name] == both[visible(name)]
        assert both[name] == program_numbers(["7z", name, "unzip"])[name]


def test_both_palettes_have_a_colour_for_each_number() -> None:
    for palette in (LIGHT, DARK):
        assert len(palette.programs) == COLOURS
        assert all(one != two for one, two in itertools.combinations(palette.programs, 2))
