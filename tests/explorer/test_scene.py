"""The picture: few marks, exact offsets, round ticks."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import vl_convert
from PIL import Image
from recordings import BEGIN, events

from fmrw.explorer import raster, vega
from fmrw.explorer.byterows import look
from fmrw.explorer.canvas import Canvas
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.palette import PALETTES
from fmrw.explorer.tracks.content import packed
from fmrw.explorer.tracks.plane import MOST_POINTS
from fmrw.figures import render
from fmrw.figures.measure import text_width
from fmrw.figures.theme import PRESETS, Look
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace


def test_the_chart_has_few_marks_and_a_step_is_small(trace: Callable[..., LiveTrace]) -> None:
    random = np.random.default_rng(5)
    starts = random.integers(0, 1 << 30, 200_000)
    frame = events(("read", 0, 1), size=1 << 30)
    many = frame.select(pl.all().repeat_by(len(starts)).explode()).with_columns(
        seq=pl.int_range(len(starts), dtype=pl.Int64), start=pl.Series(starts), end=pl.Series(starts + 40),
        pid=pl.Series(starts % 9).cast(pl.Int32), time=pl.lit(BEGIN) + pl.duration(microseconds=pl.int_range(len(starts))),
    )  # fmt: skip
    view = explore(trace(many.cast(frame.schema)), "sample.bin", side=128)
    for window in (view.window, (1 << 29, (1 << 29) + (1 << 20)), (5, 9)):
        view.window = window
        assert view.problem == ""
        assert view.scene.canvas.marks <= 10_000
        assert len(view.scene.canvas.message) <= 300_000


@pytest.mark.parametrize("count", [30, 20_000])
def test_every_access_has_a_mark_in_the_plane_and_every_mark_an_access(
    trace: Callable[..., LiveTrace], count: int
) -> None:
    frame = spread(count, 1 << 20)
    view = explore(trace(frame), "sample.bin")
    box, keys = view.scene.layout.stack, view.recorded.program_keys
    planes = [row for row in view.scene.canvas.rects if row["k"] == "g" and row["x"] == round(box.left, 1)]
    top, bottom = max((row["y"], row["Y"]) for row in planes)  # the plane is the lowest of the tracks
    marks = [row for row in view.scene.canvas.rects if row["x"] >= box.left - 0.1 and row["y"] >= top and row["k"] in keys.values()]  # fmt: skip
    assert 0 < len(marks) <= MOST_POINTS
    assert len({tuple(row.values()) for row in marks}) == len(marks)
    pitch = min(
        b - a for a, b in pairwise(sorted({row["y"] for row in marks}))
    )  # coarser than a mark is high
    used = set()
    for number, (start, end, name) in enumerate(frame.select("start", "end", "process").iter_rows()):
        x, x2 = (box.left + at / (1 << 20) * box.width for at in (start, end))
        y = top + number / (count - 1) * (bottom - top - 1.6)
        own = [at for at, row in enumerate(marks) if row["k"] == keys[name] and row["x"] <= x + 0.1 and row["X"] >= x2 - 0.1 and row["y"] - 0.1 <= y <= row["y"] + pitch + 0.1]  # fmt: skip
        assert own
        used.update(own)
    assert len(used) == len(marks)


def spread(count: int, size: int) -> pl.DataFrame:
    """Make reads of two programs, in order of time, all over a file."""
    random = np.random.default_rng(count)
    start = random.integers(0, size - 400, count)
    columns = {
        "seq": np.arange(count), "start": start, "end": start + random.integers(1, 400, count),
        "process": np.where(random.random(count) < 0.2, "rare", "parser"),
    }  # fmt: skip
    frame = events(("read", 0, 1), size=size).drop(columns).join(pl.DataFrame(columns), how="cross")
    return frame.select(schema.EVENTS.names()).cast(schema.EVENTS)  # type: ignore[arg-type] # a schema


def test_rectangles_are_painted_in_the_order_they_were_added() -> None:
    canvas = Canvas(Look(), {"a": "#000000", "b": "#ffffff"})
    canvas.rect(1, 2, 3.04, 4, "b")
    two = np.array([5.0, 6.0])
    canvas.many((two, two, two + 1, two + 2), ["a", "b"], np.array([1, 0]))
    assert [row["k"] for row in canvas.rects] == ["b", "b", "a"]
    canvas.rect(0, 0, 9, 9, "a")
    assert [tuple(row.values()) for row in canvas.rects] == [(1, 2, 3, 4, "b"), (5, 5, 6, 7, "b"), (6, 6, 7, 8, "a"), (0, 0, 9, 9, "a")]  # fmt: skip
    assert json.loads(canvas.message)["data"]["rects"] == [list(row.values()) for row in canvas.rects]
    assert canvas.marks == 4


def test_offsets_of_64_bits(trace: Callable[..., LiveTrace]) -> None:
    size = 2**63 - 1
    view = explore(trace(events(("read", 2**62, 2**62 + 4096), size=size)), "sample.bin")
    assert view.next_extent()
    assert view.window == (2**62 - 1024, 2**62 + 5120)
    found = view.data().filter(pl.col("read_accesses") > 0)
    assert 0 <= 2**62 - found["start"].min() <= 1  # cells of one byte or two
    assert 0 <= found["end"].max() - (2**62 + 4096) <= 1
    assert found["read_distinct"].sum() == 4096
    spot = view.scene.layout.spot(view.scene.layout.stack.left, view.scene.layout.stack.top + 1)
    assert spot is not None
    assert spot.start == view.window[0]
    assert view.problem == ""


def test_offsets_on_the_axes_are_round(view: Explorer) -> None:
    view.window = (100, 900)
    texts = [row["t"] for row in view.scene.canvas.texts if row["t"].startswith("0x")]
    assert "0x3e8" in texts  # the end of the file
    assert {"0x100", "0x200", "0x300"} <= set(texts)
    assert all(int(text, 16) % 0x100 == 0 for text in texts if text != "0x3e8" and "-" not in text)


def test_processes_beyond_the_lanes_share_one(trace: Callable[..., LiveTrace]) -> None:
    many = [events(("read", 10 * k, 10 * k + 10), first=k, pid=k, process=f"p{k}") for k in range(20)]
    view = explore(trace(*many), "sample.bin")
    assert any(row["t"] == "14 more" for row in view.scene.canvas.texts)


def live(view: Explorer) -> bytes:
    """Draw what a browser draws, by the same Vega."""
    sent = json.loads(view.scene.canvas.message)
    spec = vega.specification(view.look, "x")
    signals = [
        each | {"value": sent["signals"].get(each["name"], each.get("value"))} for each in spec["signals"]
    ]
    data = [{"name": name, "values": rows} for name, rows in sent["data"].items()]
    drawn: bytes = vl_convert.vega_to_png({**spec, "signals": signals, "data": data}, scale=1)
    return drawn


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", [live, lambda view: render.png(view.chart(), scale=1)])
def test_the_picture_shows_what_the_charts_show(
    view: Explorer, draw: Callable[[Explorer], bytes], theme: str
) -> None:
    view.theme = theme
    view.window = (90, 400)
    mine = Image.open(io.BytesIO(raster.png(view.scene.canvas, 1))).convert("RGB")
    theirs = Image.open(io.BytesIO(draw(view))).convert("RGB")
    assert mine.size == theirs.size
    places = view.scene.layout
    for panel in ("overview", "grid", "stack"):
        box = getattr(places, panel)
        for number in range(40):
            x, y = (
                box.left + box.width * (number + 0.37) / 40,
                box.top + box.height * ((number * 7) % 40 + 0.4) / 40,
            )
            colours = [picture.getpixel((int(x), int(y))) for picture in (mine, theirs)]
            near = {theirs.getpixel((int(x) + dx, int(y) + dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
            flat = len(near) == 1
            assert not flat or max(abs(a - b) for a, b in zip(*colours, strict=True)) <= 12, (panel, x, y)


@pytest.mark.parametrize("width", [320, 580, 900, 1400])
@pytest.mark.parametrize("colour", ["count", "program", "compare"])
def test_no_text_is_written_over_another(
    trace: Callable[..., LiveTrace], tmp_path: Path, width: int, colour: str
) -> None:
    """Whatever the width: long names, many programs, marks and parts that lie over each other."""
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as made:
        for number in range(30):
            made.writestr(f"a rather long name of an entry {number}.txt", b"a" * 40)
    size = (tmp_path / "sample.zip").stat().st_size
    many = [
        events(
            ("read", 97 * k, 97 * k + 60),
            first=k,
            pid=k + 9,
            process=f"program-{k}",
            path="sample.zip",
            size=size,
        )
        for k in range(9)
    ]
    marks = [
        (0, 900, "a mark"),
        (100, 300, "another in it"),
        (200, 1200, "a third, over both"),
        (250, 260, "small"),
    ]
    view = explore(trace(*many), "sample.zip", annotations=marks, colour=colour)
    assert view.settle(600)
    view.width = width
    for window in (view.window, (50, 700)):
        view.window = window
        assert view.problem == ""
        boxes = sorted(boxed(row) for row in view.scene.canvas.texts)
        over = [
            (a[4], b[4])
            for a, b in combinations(boxes, 2)
            if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        ]
        assert over == []


@pytest.mark.parametrize("preset", PRESETS)
def test_a_legend_of_two_lines_is_not_written_over_what_a_cell_is(
    trace: Callable[..., LiveTrace], preset: str
) -> None:
    many = [events(("read", 97 * k, 97 * k + 60), first=k, pid=k + 9, process=f"a-program-{k}") for k in range(9)]  # fmt: skip
    view = explore(trace(*many), "sample.bin", colour="program")
    texts = view._drawn(PRESETS[preset]).canvas.texts
    legend = [boxed(row) for row in texts if row["t"] == "touched by"]
    told = [boxed(row) for row in texts if "cells of" in row["t"] or row["t"].endswith(("top left", "byte"))]
    assert legend
    assert told
    assert all(a[3] <= b[1] or a[2] <= b[0] for a in told for b in legend)


def boxed(row: dict[str, Any]) -> tuple[float, float, float, float, str]:
    """Give the rectangle of a text: left, top, right, bottom; letters are a little lower than their size."""
    wide = text_width(row["t"], row["s"], bold=row["b"] == "bold")
    left = row["x"] - {"left": 0, "center": wide / 2, "right": wide}[row["a"]]
    return left, row["y"] - row["s"] * 0.72, left + wide, row["y"] + row["s"] * 0.18, row["t"]


def test_parts_that_overlap_get_rows() -> None:
    random = np.random.default_rng(9)
    for _ in range(100):
        starts = random.uniform(0, 900, 40)
        bars = [
            (start, start + width, "x")
            for start, width in zip(starts.tolist(), random.uniform(1, 200, 40).tolist(), strict=True)
        ]
        rows = packed(bars)
        assert sorted(bar for row in rows for bar in row) == sorted(bars)
        assert all(a[1] <= b[0] + 1 for row in rows for a, b in pairwise(row))
        deepest = max(sum(a <= at < b - 1 for a, b, _ in bars) for at in starts)
        assert len(rows) <= deepest + 1


@pytest.mark.parametrize("rows", [[("read", 0, 100)], []])
def test_of_a_file_that_was_also_mapped_nothing_is_called_unread(
    trace: Callable[..., LiveTrace], rows: list[tuple[str, int, int]]
) -> None:
    """A log of strace does not have what was read through a map."""
    opened = [events(("open", 0, 0)), *([events(*rows)] if rows else [])]
    words = {"never read", "not accessed", "nobody"}
    for mapped in (["sample.bin"], ["another.bin"]):
        view = explore(trace(*opened, mapped=mapped), "sample.bin")
        said = {row["t"] for row in view.scene.canvas.texts}
        told = " ".join(said)
        said |= {str(label) for _, label in look(view, PALETTES["light"])["legend"]}  # type: ignore[attr-defined] # a list
        assert bool(words & said) == (mapped != ["sample.bin"])
        assert ("no log of strace" in told) == (mapped == ["sample.bin"])
        assert ("read by no call" in said) == (mapped == ["sample.bin"])
        assert view.recorded.about().mapped == (mapped == ["sample.bin"])
