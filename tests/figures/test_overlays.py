"""Parts of a format, marked ranges, names and command lines around the lanes of a figure: all there, none over another."""

from __future__ import annotations

import io
import itertools
import random
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from fmrw.figures import render
from fmrw.figures.entropy import entropy
from fmrw.figures.heatmap import heatmap
from fmrw.figures.overlays import packed
from fmrw.figures.page import About
from fmrw.figures.plots import access_order, timeline
from fmrw.figures.programs import program_colours
from fmrw.figures.runs import run_labels
from fmrw.figures.strip import lanes, strip
from fmrw.figures.theme import PRESETS
from fmrw.offsets import Annotation
from fmrw.trace import effects as table_of_effects

if TYPE_CHECKING:
    import altair as alt

Make = Callable[..., pl.DataFrame]
Words = Callable[[bytes], str]

ABOUT = About("sample.bin", 1000)
ZIP = pl.DataFrame(
    {
        "start": [0, 0, 400, 900],
        "end": [1000, 400, 900, 1000],
        "name": ["ZIP", "first entry", "second entry", "directory"],
        "depth": [0, 1, 1, 1],
    }
)
PDF = pl.DataFrame(
    {
        "start": [0, 0, 500],
        "end": [1000, 700, 1000],
        "name": ["PDF (damaged: cut)", "an object", "another one"],
        "depth": [0, 1, 1],
    }
)


def rows(chart: alt.LayerChart, *kinds: str) -> list[dict[str, Any]]:
    every = (row for rows in chart.to_dict()["datasets"].values() for row in rows)
    return [row for row in every if row.get("kind") in kinds]


def colours_in(spec: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Find the scales that give kinds their colours."""
    if isinstance(spec, list):
        for each in spec:
            yield from colours_in(each)
    elif isinstance(spec, dict):
        if isinstance(spec.get("range"), list):
            yield from zip(spec["domain"], spec["range"], strict=True)
        for each in spec.values():
            yield from colours_in(each)


def assert_apart(bars: list[dict[str, Any]], slack: float = 0) -> None:
    for one, two in itertools.combinations(bars, 2):
        above = one["y"] >= two["y2"] or two["y"] >= one["y2"]
        assert above or one["x"] >= two["x2"] - slack or two["x"] >= one["x2"] - slack, (one, two)


def test_lanes_are_called_by_their_command_lines_and_have_no_legend(events: Make, words: Words) -> None:
    frame = pl.concat([events(("read", 0, 300)), events(("read", 0, 10), process="7z", pid=7)])
    lines = {"parser [42]": "parser --all sample.bin", "7z [7]": "7z l sample.bin"}
    chart = lanes(frame, ABOUT, commands=lines)
    assert "labelLimit" not in str(chart.to_dict())  # what every legend has
    text = re.sub(" +", " ", words(render.pdf(chart)))
    assert "parser --all sample.bin 30.0%" in text
    assert "7z l sample.bin 1.0%" in text
    assert "[42]" not in text


def test_runs_of_one_command_line_keep_their_numbers() -> None:
    lines = dict.fromkeys(["cc [1]", "cc [2]"], "cc -c a.c")
    assert run_labels(["cc [1]", "cc [2]", "ld [3]"], lines) == {
        "cc [1]": "cc -c a.c [1]",
        "cc [2]": "cc -c a.c [2]",
        "ld [3]": "ld [3]",
    }


def test_a_program_has_its_colour_in_lanes_and_in_a_timeline_whoever_else_is_there(events: Make) -> None:
    frame = pl.concat([events(("read", 0, 300)), events(("read", 0, 10), process="7z", pid=7)])
    about = About("sample.bin", 1000, programs=("7z", "parser", "unzip", "zzz"))
    wanted = program_colours(about.programs)
    for some in (frame, frame.filter(process="7z")):
        for chart in (lanes(some, about), timeline(some, about)):
            known = dict(colours_in(chart.to_dict()))
            assert known["7z [7]"] == wanted["7z"]
            assert known.get("parser [42]", wanted["parser"]) == wanted["parser"]


@pytest.mark.parametrize("size", [1000, 4 << 30, 1 << 50])
def test_a_lane_shows_one_byte_two_points_wide(events: Make, size: int) -> None:
    chart = lanes(
        events(("read", size // 3, size // 3 + 1), ("read", size - 1, size), size=size), About("a", size)
    )
    width = chart.to_dict()["width"]
    drawn = rows(chart, "parser [42]")
    assert len(drawn) == 2
    assert all((row["x2"] - row["x"]) / size * width >= 1.999 for row in drawn)
    assert all(row["x2"] <= size * 1.0001 for row in drawn)


def test_only_one_is_explained_where_there_are_several(events: Make, words: Words) -> None:
    assert "only one" not in words(render.pdf(lanes(events(("read", 0, 9)), ABOUT)))
    two = pl.concat([events(("read", 0, 300)), events(("read", 0, 10), process="7z", pid=7)])
    text = re.sub(r"\s+", " ", words(render.pdf(lanes(two, ABOUT))))
    assert "only one of them 29.0%" in text
    assert "requested by a single program, in its colour" in text


@pytest.mark.parametrize("chart", [lanes, strip])
def test_formats_stand_in_tracks_of_their_own(
    events: Make, words: Words, chart: Callable[..., alt.LayerChart]
) -> None:
    made = chart(events(("read", 0, 9)), ABOUT, structure=pl.concat([ZIP, PDF]))
    text = words(render.pdf(made))
    for piece in ("ZIP", "PDF", "first entry", "an object", "another one"):
        assert piece in text
    assert "damaged" not in text  # which a crosstab tells
    parts = rows(made, "part", "next part")
    assert len(parts) == 5
    assert_apart(parts, slack=3)


def test_ranges_without_a_format_are_shown_too(events: Make, words: Words) -> None:
    own = ZIP.filter(pl.col("depth") > 0).with_columns(depth=pl.lit(0, pl.Int64))
    assert "second entry" in words(render.pdf(strip(events(("read", 0, 9)), ABOUT, structure=own)))


@pytest.mark.parametrize("preset", ["page", "slide-16x9", "paper-column"])
def test_marked_ranges_do_not_overprint(events: Make, words: Words, preset: str) -> None:
    marks = [Annotation(at, at + 300, f"m{at}") for at in range(0, 350, 50)]
    look = PRESETS[preset]
    chart = strip(events(("read", 0, 9)), ABOUT, annotations=marks, look=look)
    bars = rows(chart, "marked")
    assert len(bars) == 7
    assert_apart(bars)
    tiny = [Annotation(at, at + 2, f"tiny range {at}") for at in (10, 12, 500, 994)]
    few = strip(events(("read", 0, 9)), ABOUT, annotations=tiny, look=look)
    at = {row["bytes"]: row["y"] for row in rows(few, "marked")}
    assert at["0xa-0xc"] != at["0xc-0xe"]  # their labels need room as well
    text = words(render.pdf(few))
    assert all(name in text for _, _, name in tiny)


@pytest.mark.parametrize("seed", range(20))
def test_packing_keeps_what_overlaps_apart_and_wastes_no_row(seed: int) -> None:
    chance = np.random.default_rng(seed)
    low = chance.integers(0, 100, 12)
    extents = [(float(a), float(a + b)) for a, b in zip(low, chance.integers(1, 30, 12), strict=True)]
    found = packed(extents, 100)
    for one, two in itertools.combinations(range(12), 2):
        if found[one] == found[two]:
            (a, b), (c, d) = extents[one], extents[two]
            assert b <= c or d <= a
    deepest = max(sum(a <= place < b for a, b in extents) for place in range(130))
    assert max(found) + 1 == deepest  # as many rows as lie above each other anywhere
    assert max(packed(extents, 2)) <= 1
    assert packed([], 3) == []


def labels_of(chart: alt.LayerChart) -> dict[str, float]:
    """Where the names beside a plane stand, in points from its top; a name is moved by `shift`."""
    spec = chart.to_dict()
    axis = next(
        each["encoding"]["y"] for each in spec["layer"] if "scale" in each.get("encoding", {}).get("y", {})
    )
    unit = spec["height"] / axis["scale"]["domain"][1]
    every = (row for rows in spec["datasets"].values() for row in rows)
    return {row["label"]: row["at"] * unit + row["shift"] for row in every if "shift" in row}


@pytest.mark.parametrize("preset", ["page", "slide-16x9", "paper-page"])
@pytest.mark.parametrize("chart", [timeline, access_order])
def test_names_beside_a_plane_stand_apart_and_near_their_ranges(
    events: Make, chart: Callable[..., alt.LayerChart], preset: str
) -> None:
    look = PRESETS[preset]
    marked = [Annotation(500, 502 + n, f"n{n}") for n in range(6)] + [Annotation(998, 1000, "end")]
    made = chart(events(("read", 0, 9), ("read", 990, 1000)), ABOUT, annotations=marked, look=look)
    found = labels_of(made)
    assert set(found) == {name for _, _, name in marked}
    places = sorted(found.values())
    assert all(b - a >= look.label for a, b in itertools.pairwise(places))
    height = made.to_dict()["height"]
    assert all(0 <= place <= height for place in places)
    assert all(abs(found[f"n{n}"] - height / 2) <= 6 * look.label * 1.2 for n in range(6))


@pytest.mark.parametrize("chart", [timeline, access_order, heatmap])
def test_parts_stand_beside_what_goes_downwards(
    events: Make, words: Words, chart: Callable[..., alt.LayerChart]
) -> None:
    made = chart(events(("read", 0, 9)), ABOUT, structure=ZIP)
    bars = [row for rows in made.to_dict()["datasets"].values() for row in rows if "from" in row]
    assert len(bars) == 3
    text = words(render.pdf(made))
    assert "first entry" in text
    assert "second entry" in text


def test_bars_beside_a_heatmap_stand_at_their_rows(events: Make) -> None:
    made = heatmap(events(("read", 0, 9), size=4096), About("a", 4096), structure=ZIP)
    bars = [row for rows in made.to_dict()["datasets"].values() for row in rows if "from" in row]
    assert [(row["from"], row["to"]) for row in bars] == [(0, 6.25), (6.25, 900 / 64), (900 / 64, 1000 / 64)]
    curve = heatmap(events(("read", 0, 9), size=4096), About("a", 4096), structure=ZIP, layout="hilbert")
    assert "'from'" not in str(curve.to_dict())


def test_bars_are_drawn_where_the_scale_says(events: Make) -> None:
    made = timeline(events(("read", 0, 1000)), ABOUT, structure=ZIP)
    spec, scale = made.to_dict(), 2
    picture = np.asarray(render.picture(render.specification(made), scale)).astype(int)
    bars = [row for rows in spec["datasets"].values() for row in rows if "from" in row]
    for bar in bars:
        x = (spec["padding"]["left"] + (bar["left"] + bar["right"]) / 2) * scale
        y = (spec["padding"]["top"] + (bar["from"] + bar["to"]) / 2 / 1000 * spec["height"]) * scale
        assert picture[int(y), int(x)].tolist() == list(bytes.fromhex(bar["fill"][1:]))


@pytest.mark.parametrize("preset", PRESETS)
def test_parts_leave_room_for_the_explanations(events: Make, preset: str) -> None:
    look = PRESETS[preset]
    spec = heatmap(
        events(("read", 0, 9), size=45_565), About("a", 45_565), structure=ZIP, look=look
    ).to_dict()
    right = max(
        row["px"] for rows in spec["datasets"].values() for row in rows if row.get("text") == "not accessed"
    )
    assert spec["padding"]["left"] + right + 6 * look.text < look.width


def test_offsets_go_downwards_in_every_plane(events: Make) -> None:
    for chart in (timeline, access_order, heatmap):
        spec = chart(events(("read", 0, 9), ("read", 500, 509)), ABOUT).to_dict()
        scales = [
            each["encoding"]["y"]["scale"]
            for each in spec["layer"]
            if "scale" in each.get("encoding", {}).get("y", {})
        ]
        assert scales
        assert all(scale["reverse"] for scale in scales)


def test_entropy_has_ticks_and_one_area_without_seams(events: Make, words: Words) -> None:
    content = random.Random(3).randbytes(30_000)  # noqa: S311 - noise
    chart = entropy(io.BytesIO(content), events(("read", 0, 9), size=30_000), About("n", 30_000))
    bars = rows(chart, "entropy")
    steps = {row["x2"] - row["x"] for row in bars[:-2]}
    assert len(steps) == 1
    assert int(steps.pop()).bit_count() == 1
    assert all(one["x2"] == two["x"] for one, two in itertools.pairwise(bars[:-1]))
    assert "'interpolate': 'step-after'" in str(chart.to_dict())
    text = words(render.pdf(chart)).split()
    assert all(label in text for label in "02468")
    look = PRESETS["slide-16x9"]
    picture = np.asarray(
        render.picture(
            render.specification(
                entropy(
                    io.BytesIO(content), events(("read", 0, 9), size=30_000), About("n", 30_000), look=look
                )
            ),
            1,
        )
    )
    spec = entropy(
        io.BytesIO(content), events(("read", 0, 9), size=30_000), About("n", 30_000), look=look
    ).to_dict()
    left, width = int(spec["padding"]["left"]), int(spec["width"])
    low = int(spec["padding"]["top"] + spec["height"] * 0.25)  # inside of the bars, between two ticks
    assert len({tuple(pixel) for pixel in picture[low, left + 3 : left + width - 3]}) == 1


def test_of_very_many_parts_the_longest_are_shown_wherever_they_lie(events: Make) -> None:
    count = 6_000
    starts = np.arange(count) * 10
    parts = pl.DataFrame({"start": starts, "end": starts + 2, "name": [f"part {at}" for at in range(count)]})
    parts = parts.with_columns(depth=pl.lit(0, pl.Int64), end=pl.col("end") + (pl.col("start") % 50 == 0) * 6)
    chart = strip(events(("read", 0, 10)), About("a", 60_000), structure=parts)
    shown = {row["bytes"] for row in rows(chart, "part", "next part")}
    long = parts.filter(pl.col("end") - pl.col("start") == 8)
    assert {f"{start:#x}-{end:#x}" for start, end in long.select("start", "end").iter_rows()} <= shown
    assert len(shown) == 2_000


def test_of_very_many_effects_every_place_shows_the_class_that_matters_most(events: Make) -> None:
    size = 100_000
    found = [
        {"start": at, "end": at + 10, "class": "checked" if at % 20 else "ignored", "values": [], "effect": "", "field": None}
        for at in range(0, size - 20, 10)
    ]  # fmt: skip
    found.append({**found[0], "start": size - 20, "end": size, "class": "steers"})
    known = table_of_effects.frame("sample.bin", "parser {}", found)
    chart = strip(events(("read", 0, 10)), About("a", size), matters=known)
    drawn = [(row["kind"], *(int(end, 16) for end in row["bytes"].split("-"))) for row in rows(chart, "checked", "ignored", "steers")]  # fmt: skip
    assert [each for each in drawn if each[0] == "steers"] == [("steers", size - 50, size)]
    assert sum(end - start for _, start, end in drawn) == size
    assert "of each column, the class that matters most" in str(chart.to_dict())
