"""What every figure says on its face: how exact its ranges are, in the same words, whatever its size."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from fmrw.analysis.structure import crosstab as compare
from fmrw.analysis.structure.written import SCHEMA
from fmrw.figures import render
from fmrw.figures.differential import differential
from fmrw.figures.effects import effects
from fmrw.figures.entropy import entropy
from fmrw.figures.heatmap import heatmap
from fmrw.figures.measure import text_width
from fmrw.figures.page import About
from fmrw.figures.playback import playback
from fmrw.figures.plots import access_order, timeline
from fmrw.figures.strip import crosstab, lanes, strip
from fmrw.figures.theme import PRESETS
from fmrw.trace import effects as table
from fmrw.trace.schema import empty

if TYPE_CHECKING:
    import altair as alt

    from fmrw.figures.theme import Look

Make = Callable[..., pl.DataFrame]
BYTE, PAGE = "byte-exact", "page-granular: ranges are whole pages"
NOTHING = "nothing was requested yet"
MAPPED = "also mapped: what was read through the map is in no log of strace"
ONLY_MAPPED = "requested by no call, but mapped: what was read through the map is in no log of strace"
ABOUT = About("sample.bin", 1000, capture="exact", command="parser sample.bin", sha256="ab" * 32)


def _entropy(events: pl.DataFrame, about: About, look: Look) -> alt.LayerChart:
    return entropy(io.BytesIO(bytes(1000)), events, about, look=look)


def _crosstab(events: pl.DataFrame, about: About, look: Look) -> alt.LayerChart:
    parts = pl.DataFrame([(0, 9, "head", 0)], schema=SCHEMA, orient="row")
    return crosstab(compare(parts, events.filter(op="read"), 1000), about.seen_in(events), look=look)


def _effects(events: pl.DataFrame, about: About, look: Look) -> alt.LayerChart:
    ranges = [
        (0, 3, "checked"),
        (3, 9, None),
        (9, 400, "ignored"),
        (400, 600, "steers"),
        (600, 1000, "unread"),
    ]
    found = [
        {"start": a, "end": b, "class": kind, "values": [], "effect": "other output", "field": None}
        for a, b, kind in ranges
    ]
    return effects(table.frame("sample.bin", "parser {}", found), about.seen_in(events), look=look)


CHARTS: dict[str, Callable[..., alt.LayerChart]] = {
    "heatmap": heatmap, "strip": strip, "lanes": lanes, "timeline": timeline, "order": access_order,
    "entropy": _entropy, "crosstab": _crosstab, "playback": playback, "differential": differential, "effects": _effects,
}  # fmt: skip


def face(chart: alt.LayerChart) -> str:
    rows = (row for rows in chart.to_dict()["datasets"].values() for row in rows)
    return " ".join(row["text"] for row in rows if "text" in row)


def texts(chart: alt.LayerChart) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows if "text" in row]


@pytest.mark.parametrize("preset", ["slide-16x9", "slide-4x3", "dark"])
@pytest.mark.parametrize("name", CHARTS)
def test_no_type_on_a_slide_is_smaller_than_18_points_and_no_hash_stands_there(
    events: Make, name: str, preset: str
) -> None:
    chart = CHARTS[name](events(("read", 0, 600), ("write", 3, 9)), ABOUT, look=PRESETS[preset])
    assert min(row["size"] for row in texts(chart)) >= 18
    spec = chart.to_dict()
    sizes = re.findall(r"'(?:fontSize|labelFontSize|titleFontSize)': ([0-9.]+)", str(spec))
    assert min(map(float, sizes)) >= 18
    assert ABOUT.sha256 not in face(chart)
    assert spec["usermeta"]["fmrw"]["sha256"] == ABOUT.sha256
    assert ABOUT.sha256 in face(CHARTS[name](events(("read", 0, 600)), ABOUT, look=PRESETS["page"]))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("title", ["a name of words " * 9, "n" * 255, "/a/b" * 500, "名" * 85])
def test_a_title_wraps_or_shrinks_and_is_never_cut(events: Make, preset: str, title: str) -> None:
    look = PRESETS[preset]
    chart = strip(events(("read", 0, 9)), About(title, 1000), look=look)
    lines = [row for row in texts(chart) if row["weight"] == "bold" and row["text"] != "page-granular"]
    assert "".join(row["text"] for row in lines).replace(" ", "") == title.replace(" ", "")
    spec = chart.to_dict()
    assert spec["height"] > look.height * 0.2  # there is a chart left
    right = max(row["px"] + text_width(row["text"], row["size"], bold=True) for row in lines)
    assert right + spec["padding"]["left"] <= look.width - look.margin * 0.5


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", CHARTS)
def test_every_figure_says_how_exact_it_is(events: Make, name: str, preset: str) -> None:
    draw, look = CHARTS[name], PRESETS[preset]
    exact, page = events(("read", 0, 600)), events(("read", 600, 900), fidelity="page")
    for frame, words in ((exact, BYTE), (page, PAGE), (pl.concat([exact, page]), PAGE), (empty(), NOTHING)):
        said = face(draw(frame, ABOUT, look=look))
        assert words in said
        assert [other for other in (BYTE, PAGE, NOTHING) if other in said] == [words]
        assert ("page-granular" in said.replace(PAGE, "")) == (words == PAGE)  # a badge


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", CHARTS)
def test_every_figure_of_a_file_that_was_also_mapped_says_so(events: Make, name: str, preset: str) -> None:
    """A log of strace does not have what was read through a map, so nothing may be called unread."""
    about = replace(ABOUT, mapped=True, capture="strace")
    for frame, words in ((events(("read", 0, 600)), f"{BYTE}, {MAPPED}"), (empty(), ONLY_MAPPED)):
        rows = texts(CHARTS[name](frame, about, look=PRESETS[preset]))
        said = " ".join(row["text"] for row in rows)
        assert words in said
        assert "also mapped" in [row["text"] for row in rows]  # a badge
        assert not {"never read", "nobody", "not accessed", NOTHING} & {row["text"] for row in rows}
    both = texts(CHARTS[name](events(("read", 0, 600), fidelity="page"), about, look=PRESETS[preset]))
    assert "page-granular, also mapped" in [row["text"] for row in both]
    assert "mapped" not in face(CHARTS[name](events(("read", 0, 600)), ABOUT, look=PRESETS[preset]))


def test_one_run_of_pages_makes_all_lanes_page_granular(events: Make) -> None:
    exact, page = events(("read", 0, 600)), events(("read", 600, 900), fidelity="page")
    for runs in ({"a": exact, "b": page}, {"b": page, "a": exact}):
        said = face(lanes(runs, ABOUT))
        assert PAGE in said
        assert BYTE not in said


def test_the_smallest_request_is_told_where_it_hides_what_was_looked_at(events: Make) -> None:
    asked = events(("read", 0, 4), ("read", 4, 600)).with_columns(requested=pl.Series([4096, 8192]))
    for draw in CHARTS.values():
        assert "smallest request 4 KiB" in face(draw(asked, ABOUT, look=PRESETS["page"]))
    small = events(("read", 0, 4))
    assert "smallest request" not in face(heatmap(small, ABOUT))


@pytest.mark.parametrize("name", ["entropy", "crosstab", "lanes"])
def test_what_was_asked_for_is_called_so(events: Make, name: str) -> None:
    said = face(CHARTS[name](events(("read", 0, 600)), ABOUT, look=PRESETS["page"]))
    assert "requested" in said.replace("nothing was requested", "")
    assert "was read" not in said
    assert "read by" not in said


def test_a_picture_shows_it_too(events: Make, words: Callable[[bytes], str]) -> None:
    assert BYTE in words(render.pdf(strip(events(("read", 0, 9)), ABOUT)))
    assert PAGE in words(render.pdf(heatmap(events(("read", 0, 9), fidelity="page"), ABOUT)))
