"""Which bytes parsers have in common, compared with sets of bytes."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from fmrw.experiments.survey import agreement


def made(
    chance: random.Random, files: int, parsers: int
) -> tuple[pl.DataFrame, dict[tuple[int, int], set[int]]]:
    rows, sets = [], {}
    for number in range(files):
        for parser in range(parsers):
            borders = sorted(chance.sample(range(60), 2 * chance.randrange(4)))
            ranges = list(zip(borders[::2], borders[1::2], strict=True))
            rows += [(number, parser, start, end) for start, end in ranges]
            sets[number, parser] = {byte for start, end in ranges for byte in range(start, end)}
    chance.shuffle(rows)
    schema = dict.fromkeys(("number", "parser", "start", "end"), pl.Int64)
    return pl.DataFrame(rows, schema=schema, orient="row"), sets


@pytest.mark.parametrize("most", [400_000, 6])
def test_counts_are_those_of_sets(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(agreement, "_MOST_BORDERS", most)
    chance = random.Random(7)  # noqa: S311 - the same each time
    for _ in range(40):
        files, parsers = chance.randrange(1, 8), chance.randrange(2, 5)
        frame, sets = made(chance, files, parsers)
        found = agreement.counts(frame, parsers, np.ones((files, parsers), bool))
        for a in range(parsers):
            for b in range(parsers):
                assert found.both[a, b] == sum(len(sets[n, a] & sets[n, b]) for n in range(files))
        by_file = {row["number"]: row for row in found.files.iter_rows(named=True)}
        for number in range(files):
            own = [sets[number, parser] for parser in range(parsers)]
            most_only = max(len(a - b) for a in own for b in own)
            assert (number in by_file) == (most_only > 0)
            if most_only:
                row = by_file[number]
                assert row["only"] == most_only == len(own[row["reader"]] - own[row["other"]])
                assert (row["union"], row["common"]) == (len(set.union(*own)), len(set.intersection(*own)))


def test_who_was_not_run_is_not_compared() -> None:
    frame = pl.DataFrame({"number": [0, 0], "parser": [0, 1], "start": [0, 0], "end": [10, 8]})
    found = agreement.counts(frame, 3, np.array([[True, True, False]]))
    assert found.files.select("union", "common", "reader", "other", "only").rows() == [(10, 8, 0, 1, 2)]


def test_nothing_read_is_nothing() -> None:
    empty = pl.DataFrame(schema=dict.fromkeys(("number", "parser", "start", "end"), pl.Int64))
    found = agreement.counts(empty, 2, np.ones((3, 2), bool))
    assert found.files.is_empty()
    assert found.both.tolist() == [[0, 0], [0, 0]]
