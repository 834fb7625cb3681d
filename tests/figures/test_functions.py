"""Figures by function: each access in the colour of the function that asked, and its chain under the pointer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from fmrw.figures import render
from fmrw.figures.functions import OTHERS, SEVERAL, UNKNOWN, Functions
from fmrw.figures.page import About
from fmrw.figures.plots import access_order, timeline
from fmrw.figures.strip import lanes
from fmrw.figures.theme import LIGHT

if TYPE_CHECKING:
    from collections.abc import Callable

    import altair as alt

HOSTILE = "<img src=x>\x1b[31m\u202e" + "x" * 5000
ABOUT = About("sample.bin", 1000)


def rows(chart: alt.LayerChart) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def asked(events: Callable[..., pl.DataFrame], *extents: tuple[int, int, int | None]) -> pl.DataFrame:
    made = events(*(("read", start, end) for start, end, _ in extents))
    return made.with_columns(site=pl.Series([site for *_, site in extents], dtype=pl.Int32))


def test_functions_have_colours_by_the_bytes_they_asked_for_and_the_rest_is_grey(
    events: Callable[..., pl.DataFrame],
) -> None:
    called = {site: f"p!f{site}" for site in range(1, 15)} | {15: "p!f1"}
    extents = [(0, 20 - site, site) for site in range(1, 15)] + [(100, 101, 15), (200, 210, None), (0, 9, 99)]
    frame = asked(events, *extents)
    known = Functions(frame, called, {})
    colours, kinds = known.colours(LIGHT), frame.select(known.kind(LIGHT))["site"].to_list()
    assert kinds == [*(f"p!f{site}" if site <= 12 else OTHERS for site in range(1, 15)), "p!f1", UNKNOWN, UNKNOWN]  # fmt: skip
    assert [colours[f"p!f{site}"] for site in range(1, 13)] == list(LIGHT.programs)
    assert len({colours[grey] for grey in (OTHERS, UNKNOWN, SEVERAL)} | set(LIGHT.programs)) == 15


@pytest.mark.parametrize("draw", [timeline, access_order])
def test_each_access_has_its_function_and_its_chain(
    events: Callable[..., pl.DataFrame], draw: Callable[..., alt.LayerChart]
) -> None:
    frame = asked(events, (0, 10, 1), (50, 90, 2), (500, 510, None))
    known = Functions(frame, {1: "p!a", 2: "p!b"}, {1: "p!a ← p!main", 2: "p!b ← p!main"})
    chart = draw(frame, ABOUT, functions=known)
    shown = {row["bytes"]: (row["kind"], row["site"]) for row in rows(chart) if "site" in row and "bytes" in row}  # fmt: skip
    assert shown == {"0x0-0xa": ("p!a", 1), "0x32-0x5a": ("p!b", 2), "0x1f4-0x1fe": (UNKNOWN, None)}
    text = json.dumps(chart.to_dict(), ensure_ascii=False)
    assert "p!b ← p!main" in text
    assert render.svg(chart)
    assert "parser" not in {row.get("kind") for row in rows(chart)}


def test_joined_accesses_say_a_chain_only_where_all_have_the_same(
    events: Callable[..., pl.DataFrame],
) -> None:
    one = [(at, at + 1, 1 if at < 6_000 else 2) for at in range(12_000)]
    frame = asked(events, *one)
    known = Functions(frame, {1: "p!a", 2: "p!a"}, {1: "one", 2: "two"})
    (line,) = (row for row in rows(timeline(frame, About("x", 12_000), functions=known)) if "site" in row and "bytes" in row)  # fmt: skip
    assert line["site"] is None
    same = Functions(frame, {1: "p!a", 2: "p!b"}, {1: "one", 2: "two"})
    lines = [row for row in rows(timeline(frame, About("x", 12_000), functions=same)) if "site" in row and "bytes" in row]  # fmt: skip
    assert [(row["kind"], row["site"]) for row in lines] == [("p!a", 1), ("p!b", 2)]


def test_tiles_that_several_functions_touched_are_called_so(events: Callable[..., pl.DataFrame]) -> None:
    random = np.random.default_rng(3)
    starts = random.integers(0, 990, 12_000).tolist()
    frame = asked(events, *((start, start + 5, 1 + number % 2) for number, start in enumerate(starts)))
    chart = timeline(frame, ABOUT, functions=Functions(frame, {1: "p!a", 2: "p!b"}, {}))
    kinds = {row["kind"] for row in rows(chart) if "kind" in row}
    assert SEVERAL in kinds
    assert kinds <= {SEVERAL, "p!a", "p!b"}


def test_lanes_are_of_functions_and_what_one_alone_read_is_in_its_colour(
    events: Callable[..., pl.DataFrame],
) -> None:
    frame = asked(events, (0, 100, 1), (50, 200, 2), (150, 160, 3), (400, 410, None), (7, 7, 4))
    known = Functions(
        frame, {1: "p!a", 2: "p!b", 3: "p!b", 4: "p!end"}, {1: "p!a ← p!main", 2: "p!b", 3: "p!x ← p!b"}
    )
    chart = lanes(frame, ABOUT, functions=known)
    shown = {(row["kind"], row["bytes"]): row.get("said") for row in rows(chart) if "bytes" in row}
    assert shown["p!a", "0x0-0x64"] == shown["p!a", "0x0-0x32"] == "p!a ← p!main"
    assert shown["p!b", "0x32-0xc8"] == shown["p!b", "0x64-0xc8"] == "p!b; and 1 more"
    assert (UNKNOWN, "0x190-0x19a") in shown
    assert "p!end" not in json.dumps(chart.to_dict())  # it got no byte


def test_names_of_functions_are_bounded_harmless_and_still_told_apart(
    events: Callable[..., pl.DataFrame],
) -> None:
    frame = asked(events, (0, 10, 1), (20, 40, 2))
    called = {1: f"p!{HOSTILE}1{HOSTILE}", 2: f"p!{HOSTILE}2{HOSTILE}"}
    known = Functions(frame, called, {1: HOSTILE, 2: HOSTILE})
    for chart in (timeline(frame, ABOUT, functions=known), lanes(frame, ABOUT, functions=known)):
        text = json.dumps(chart.to_dict(), ensure_ascii=False)
        assert not {"\x1b", "\u202e"} & set(text)
        assert "x" * 500 not in text
        kinds = {row["kind"] for row in rows(chart) if "kind" in row and "img" in row["kind"]}
        assert len(kinds) == 2
        assert render.png(chart, scale=1)
