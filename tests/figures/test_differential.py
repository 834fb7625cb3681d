"""The differential of programs and recordings: every byte in the class it belongs to, counted by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from fmrw.errors import FigureError
from fmrw.figures import render
from fmrw.figures.differential import differential, programs
from fmrw.figures.page import About
from fmrw.figures.programs import program_colours
from fmrw.figures.theme import LIGHT, PRESETS
from fmrw.trace.schema import empty

if TYPE_CHECKING:
    import altair as alt

Make = Callable[..., pl.DataFrame]
Words = Callable[[bytes], str]
ABOUT = About("sample.bin", 1000)


def spans(chart: alt.LayerChart) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows if "bytes" in row]


def bar(chart: alt.LayerChart) -> list[tuple[str, str]]:
    return [(row["kind"], row["bytes"]) for row in spans(chart) if row["y"] == 0]


def tracks(chart: alt.LayerChart) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in spans(chart):
        if row["y"] > 0:
            found.setdefault(row["kind"], []).append(row["bytes"])
    return found


@pytest.fixture
def two(events: Make) -> pl.DataFrame:
    return pl.concat(
        [
            events(("read", 0, 300), ("read", 600, 700), process="unzip", pid=1),
            events(("read", 200, 400), process="7z", pid=2),
        ]
    )


def test_two_programs_against_each_other(two: pl.DataFrame, words: Words) -> None:
    chart = differential(two, ABOUT)
    assert bar(chart) == [
        ("unzip [1]", "0x0-0xc8"),
        ("all of them", "0xc8-0x12c"),
        ("7z [2]", "0x12c-0x190"),
        ("nobody at all", "0x190-0x258"),
        ("unzip [1]", "0x258-0x2bc"),
        ("nobody at all", "0x2bc-0x3e8"),
    ]
    assert tracks(chart) == {
        "unzip [1]": ["0x0-0xc8", "0x258-0x2bc"],
        "7z [2]": ["0x12c-0x190"],
        "all of them": ["0xc8-0x12c"],
        "nobody at all": ["0x190-0x258", "0x2bc-0x3e8"],
    }
    text = re.sub(" +", " ", words(render.pdf(chart)))
    for piece in ("only unzip [1] 30.0%", "only 7z [2] 10.0%", "both 10.0%", "nobody 50.0%", "byte-exact"):
        assert piece in text


def test_programs_have_their_colours_and_nobody_the_darkest(two: pl.DataFrame) -> None:
    about = About("sample.bin", 1000, programs=("7z", "unzip", "bsdtar"))
    spec = str(differential(two, about).to_dict())
    colours = program_colours(about.programs)
    for colour in (colours["7z"], colours["unzip"], LIGHT.unread):
        assert colour in spec


@pytest.mark.parametrize("seed", range(8))
def test_any_number_of_programs_divides_the_file(events: Make, seed: int) -> None:
    chance = np.random.default_rng(seed)
    size, count = 400, int(chance.integers(1, 6))
    frames, held = [], np.zeros((count, size), bool)
    for number in range(count):
        for start in chance.integers(0, size - 40, 4).tolist():
            end = start + int(chance.integers(1, 40))
            held[number, start:end] = True
            frames.append(events(("read", start, end), process=f"p{number}", pid=number + 1, size=size))
    chart = differential(pl.concat(frames), About("a", size))
    found = np.zeros(size, object)
    for kind, span in bar(chart):
        start, end = (int(edge, 16) for edge in span.split("-"))
        assert (found[start:end] == 0).all()
        found[start:end] = kind
    for place in range(size):
        who = np.flatnonzero(held[:, place])
        kind = str(found[place])
        if len(who) == 0:
            assert kind == "nobody at all"
        elif len(who) == 1:
            assert kind == f"p{who[0]} [{who[0] + 1}]"
        elif len(who) == count:
            assert kind == "all of them"
        else:
            assert kind.startswith("some of them")
            if ":" in kind:
                assert kind == "some of them: " + ", ".join(f"p{n}" for n in who)


def test_processes_of_one_program_are_one(events: Make) -> None:
    frame = pl.concat(
        [events(("read", n, n + 9), process="cat", pid=n) for n in (1, 2)] + [events(("read", 0, 5))]
    )
    assert list(programs(frame)) == ["cat", "parser [42]"]


def test_who_requested_nothing_alone_has_no_track_among_many(events: Make, words: Words) -> None:
    frame = pl.concat([events(("read", 0, 50 * n), process=f"p{n}", pid=n) for n in range(1, 6)])
    chart = differential(frame, ABOUT)
    assert set(tracks(chart)) >= {"p5 [5]", "all of them", "nobody at all"}
    text = words(render.pdf(chart))
    assert "only p5" in text
    assert "only p1" not in text
    assert "4 of the programs requested nothing alone" in text


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [1, 12, 24])
def test_it_fits_every_page(events: Make, preset: str, count: int) -> None:
    frame = pl.concat(
        [events(("read", 40 * n, 40 * n + 70), process=f"\x1b[2Jparser {n}", pid=n + 1) for n in range(count)]
    )
    look = PRESETS[preset]
    spec = differential(frame, ABOUT, look=look).to_dict()
    assert spec["height"] > look.height * 0.25
    assert spec["width"] > look.width * 0.35
    with pytest.raises(FigureError, match="choose 1 to 24"):
        differential({str(n): empty() for n in range(25)}, ABOUT)


def test_very_many_pieces_make_few_marks_and_the_bar_shows_who_has_most() -> None:
    count = 50_000
    starts = np.arange(count) * 1000
    size = count * 1000
    one = pl.DataFrame({"start": starts, "end": starts + 900}).with_columns(op=pl.lit("read"))
    two = pl.DataFrame({"start": starts[: count // 2] + 950, "end": starts[: count // 2] + 960}).with_columns(
        op=pl.lit("read")
    )
    chart = differential({"one": one, "two": two}, About("big", size))
    assert len(spans(chart)) < 11_000
    assert {kind for kind, _ in bar(chart)} == {"one"}


@pytest.mark.parametrize("size", [2**53 + 4097, 2**63 - 1])
def test_the_bar_covers_files_larger_than_floats_are_exact(size: int) -> None:
    starts = np.arange(2_500) * 1000
    read = pl.DataFrame({"start": starts, "end": starts + 900}).with_columns(op=pl.lit("read"))
    shown = bar(differential({"one": read, "two": read.head(1)}, About("big", size)))
    ends = [int(end, 16) for _, where in shown for end in where.split("-")]
    assert (ends[0], ends[-1]) == (0, size)
    assert ends == sorted(ends)


def test_nothing_recorded_is_a_figure_too(words: Words) -> None:
    assert "nobody" in words(render.pdf(differential(empty(), About("a", 0))))
