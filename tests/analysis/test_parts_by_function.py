"""Parts of a format by the functions that asked for them, against counting byte by byte."""

from __future__ import annotations

import random

import polars as pl
import pytest
from recordings import events

from fmrw.analysis.sites import parts

NAMED = {1: "a!read", 2: "a!parse", 3: "a!read"}


def structure(*named: tuple[int, int, str, int]) -> pl.DataFrame:
    return pl.DataFrame(named, schema=["start", "end", "name", "depth"], orient="row")


@pytest.mark.parametrize("seed", range(8))
def test_bytes_and_calls_of_each_part_are_those_of_its_reads(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    moved = [
        (chance.choice(["read", "read", "write"]), start, start + chance.randrange(20))
        for start in (chance.randrange(100) for _ in range(40))
    ]
    sites = [chance.choice([1, 2, 3, 4, None]) for _ in moved]
    recorded = events(*moved).with_columns(site=pl.Series(sites, dtype=pl.Int32))
    described = [
        (start, start + chance.randrange(1, 60), f"part {number}", 1)
        for number, start in enumerate(sorted(chance.randrange(110) for _ in range(12)))
    ]
    reads = [
        (start, end, NAMED.get(site, "?"))
        for (op, start, end), site in zip(moved, sites, strict=True)
        if op == "read" and end > start and site is not None
    ]
    expected = [
        (name, first, last, function, len(touched), calls)
        for first, last, name, _ in described
        for function in {*NAMED.values(), "?"}
        if (touched := {byte for a, b, who in reads if who == function for byte in range(max(a, first), min(b, last))})
        and (calls := sum(who == function and a < last and b > first for a, b, who in reads))
    ]  # fmt: skip
    found = parts.crosstab(structure((0, 200, "format", 0), *described), recorded, NAMED)
    assert found.schema == parts.PARTS
    assert sorted(found.rows()) == sorted(expected)
    assert found["start"].is_sorted()


@pytest.mark.parametrize(
    ("described", "called"), [([], NAMED), ([(50, 60, "unread", 1)], NAMED), ([(0, 4, "read", 1)], {})]
)
def test_what_nobody_asked_for_has_no_row(
    described: list[tuple[int, int, str, int]], called: dict[int, str]
) -> None:
    recorded = events(("read", 0, 10), ("write", 50, 60)).with_columns(site=pl.lit(1, pl.Int32))
    found = parts.crosstab(pl.concat([structure((0, 100, "x", 0)).clear(), *([structure(*described)] if described else [])]), recorded, called)  # fmt: skip
    assert found.rows() == ([("read", 0, 4, "?", 4, 1)] if not called else [])
    assert parts.crosstab(structure((0, 10, "x", 1)), recorded.clear(), called).schema == parts.PARTS
