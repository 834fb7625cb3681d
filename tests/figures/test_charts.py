from __future__ import annotations

import io
import os
import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from fmrw.analysis import bytestats
from fmrw.analysis.structure import crosstab as compare
from fmrw.errors import BadRange, FigureError
from fmrw.figures import render
from fmrw.figures.differential import differential
from fmrw.figures.effects import effects
from fmrw.figures.entropy import entropy
from fmrw.figures.functions import Functions
from fmrw.figures.page import About, process_text
from fmrw.figures.plots import access_order, timeline
from fmrw.figures.programs import program_colours
from fmrw.figures.strip import crosstab, lanes, strip
from fmrw.figures.theme import LIGHT, PRESETS
from fmrw.figures.wide import thinned
from fmrw.offsets import Annotation
from fmrw.trace import effects as table_of_effects
from fmrw.trace.schema import empty

if TYPE_CHECKING:
    import altair as alt

Make = Callable[..., pl.DataFrame]
Pixels = Callable[..., np.ndarray]
Words = Callable[[bytes], str]

ABOUT = About("sample.bin", 1000)
PARTS = pl.DataFrame(
    {
        "start": [0, 0, 400, 900],
        "end": [1000, 400, 900, 1000],
        "name": ["ZIP", "first entry", "second entry", "directory"],
        "depth": [0, 1, 1, 1],
    }
)


def rows(chart: alt.LayerChart) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def spans(chart: alt.LayerChart, kind: str) -> list[str]:
    return [row["bytes"] for row in rows(chart) if row.get("kind") == kind]


def line_at(chart: alt.LayerChart, picture: np.ndarray, track: int, scale: int) -> np.ndarray:
    """Pixels along the middle of a track, and of the chart's width only."""
    spec = chart.to_dict()
    layer = next(each for each in spec["layer"] if "axis" in each.get("encoding", {}).get("y", {}))
    centre = layer["encoding"]["y"]["axis"]["values"][track] / layer["encoding"]["y"]["scale"]["domain"][1]
    y = (spec["padding"]["top"] + centre * spec["height"]) * scale
    left = int(spec["padding"]["left"] * scale)
    return picture[int(y), left : left + int(spec["width"] * scale)]


def extent_of(line: np.ndarray, colour: str) -> tuple[float, float]:
    """First and last place of a colour, as parts of the line."""
    found = np.flatnonzero((line == [int(value) for value in bytes.fromhex(colour[1:])]).all(axis=1))
    return found.min() / len(line), (found.max() + 1) / len(line)


def test_strip_draws_gaps_where_they_are(events: Make, pixels: Pixels) -> None:
    chart = strip(events(("read", 0, 250), ("read", 600, 1000)), ABOUT)
    line = line_at(chart, pixels(render.pdf(chart), 3), 1, 3)
    pixel = 1 / len(line)
    assert extent_of(line, LIGHT.unread) == pytest.approx((0.25, 0.6), abs=2 * pixel)
    assert spans(chart, "never read") == ["0xfa-0x258"]


def test_what_is_only_written_is_never_read(events: Make) -> None:
    chart = strip(events(("read", 0, 250), ("write", 200, 700), ("write", 900, 1000)), ABOUT)
    assert spans(chart, "never read") == ["0xfa-0x3e8"]
    assert spans(chart, "write 1") == ["0xc8-0x2bc", "0x384-0x3e8"]


def kinds_of(chart: alt.LayerChart) -> set[str]:
    return {row["kind"] for row in rows(chart) if "kind" in row}


def test_reads_that_only_meet_are_one_class_of_a_strip(events: Make) -> None:
    meeting = events(*[("read", at, at + 7_000) for at in range(0, 700_000, 7_000)], size=700_000)
    about = About("sample.bin", 700_000)
    assert kinds_of(strip(meeting, about)) == {"read 1", "scale"}
    twice = pl.concat([meeting, events(("read", 8_000, 8_001), size=700_000)])
    assert kinds_of(strip(twice, about)) == {"read 1", "read 2", "scale"}


def test_a_strip_can_mark_where_calls_begin_and_end(events: Make, words: Words) -> None:
    frame = events(("read", 0, 100), ("read", 100, 250), ("write", 900, 1000))
    assert "call border" not in kinds_of(strip(frame, ABOUT))
    chart = strip(frame, ABOUT, borders=True)
    assert spans(chart, "call border") == [
        f"{place}-{place}" for place in ("0x0", "0x64", "0xfa", "0x384", "0x3e8")
    ]
    drawn = [row for row in rows(chart) if row.get("kind") == "call border"]
    assert all(0 <= row["x"] < row["x2"] <= 1000.0001 for row in drawn)  # the last one is seen too
    assert "calls begin or end at 5 places" in words(render.pdf(chart))


def test_many_call_borders_are_columns(events: Make) -> None:
    size = 1 << 30
    first = [("read", at, at + 10) for at in range(0, 30_000, 10)]
    chart = strip(events(*first, ("read", size - 1, size), size=size), About("big", size), borders=True)
    marked = [row for row in rows(chart) if row.get("kind") == "call border"]
    assert [row["bytes"] for row in marked] == [
        f"0x0-0x{size // 842:x}",
        f"0x{size - size // 842 - 1:x}-0x{size:x}",
    ]


def test_strip_shows_parts_marks_and_a_scale(events: Make, words: Words) -> None:
    note = Annotation(0x1C0, 0x200, "cavity")
    text = words(
        render.pdf(
            strip(events(("read", 0, 9), ("write", 5, 20)), ABOUT, structure=PARTS, annotations=[note])
        )
    )
    for piece in (
        "first entry",
        "second entry",
        "cavity",
        "scale: 128 bytes",
        "0x200",
        "writes",
        "never read",
        "parser [42]",
    ):
        assert piece in text, f"{piece!r} missing in {text}"
    with pytest.raises(BadRange, match="1,000 bytes"):
        strip(empty(), ABOUT, annotations=[Annotation(1, 2000, "x")])


def test_one_byte_shows_in_a_huge_file(events: Make, pixels: Pixels) -> None:
    size = 8 * 2**40
    chart = lanes({"one": events(("read", size // 2, size // 2 + 1), size=size)}, About("sparse", size))
    line = line_at(chart, pixels(render.pdf(chart), 3), 0, 3)
    assert extent_of(line, program_colours(["one"])["one"])[0] == pytest.approx(0.5, abs=0.002)


def test_lanes_tell_what_only_one_read_and_what_nobody_read(events: Make, words: Words) -> None:
    chart = lanes(
        {"file": events(("read", 0, 300)), "7z": events(("read", 200, 600)), "empty": empty()}, ABOUT
    )
    only = [row for row in rows(chart) if "bytes" in row]
    counted = {
        kind: [row["bytes"] for row in only if row["kind"] == kind]
        for kind in ("file", "7z", "empty", "nobody at all")
    }
    assert counted == {
        "file": ["0x0-0x12c", "0x0-0xc8"],
        "7z": ["0xc8-0x258", "0x12c-0x258"],
        "empty": [],
        "nobody at all": ["0x258-0x3e8"],
    }
    text = words(render.pdf(chart))
    for piece in ("file 30.0%", "7z 40.0%", "empty 0.0%", "only one of them", "nobody 40.0%"):
        assert piece in re.sub(" +", " ", text)


def test_lanes_of_one_recording_are_its_processes(events: Make) -> None:
    frame = pl.concat([events(("read", 0, 10)), events(("read", 5, 20), process="other", pid=7)])
    kinds = {row["kind"] for row in rows(lanes(frame, ABOUT)) if "kind" in row}
    assert {"parser [42]", "other [7]", "nobody at all"} <= kinds
    with pytest.raises(FigureError, match="choose 1 to 24"):
        lanes({str(n): empty() for n in range(25)}, ABOUT)


def test_crosstab_shows_each_class_with_its_share(events: Make, words: Words) -> None:
    table = compare(PARTS.filter(pl.col("depth") == 1).head(2), events(("read", 300, 950)), 1000)
    chart = crosstab(table, ABOUT)
    assert spans(chart, "undescribed & requested")[-1] == "0x384-0x3b6"
    text = words(render.pdf(chart))
    for piece in ("60.0% · 600 bytes", "30.0% · 300 bytes", "described, not requested"):
        assert piece in text


def test_entropy_bars_are_as_high_as_the_entropy(events: Make, words: Words) -> None:
    content = bytes(8192) + b"ab" * 4096 + os.urandom(16384)
    chart = entropy(
        io.BytesIO(content), events(("read", 0, 100), size=len(content)), About("sample.bin", len(content))
    )
    bars = [row for row in rows(chart) if row.get("kind") == "entropy"]
    top = {row["x"]: round((2.6 - row["y"]) / 2.6 * 8, 2) for row in bars}
    assert top[0] == 0
    assert next(value for x, value in top.items() if x > 9000) == 1
    classes = [
        row["kind"] for row in rows(chart) if row.get("kind") in {"zero", "text", "mixed", "random-like"}
    ]
    assert classes[:2] == ["zero", "text"]
    text = words(render.pdf(chart))
    assert "entropy 0 to 8 bits" in text
    assert "0xFF" not in text


def test_timeline_stands_where_and_when(events: Make, pixels: Pixels) -> None:
    chart = timeline(
        events(*(("read", k * 100, k * 100 + 100) for k in range(11)), size=1100), About("a", 1100)
    )
    spec = chart.to_dict()
    picture = pixels(render.pdf(chart), 3)
    marks = [row for row in rows(chart) if "bytes" in row]
    assert [(row["x"], row["y"], row["y2"]) for row in marks[:2]] == [(0, 0, 100), (0.001, 100, 200)]
    inside = 12
    for row in marks[1:-1]:
        x = spec["padding"]["left"] + 6 + row["x"] / 0.01 * (spec["width"] - inside)
        y = spec["padding"]["top"] + (row["y"] + row["y2"]) / 2 / 1100 * spec["height"]
        around = picture[int(y * 3), int(x * 3) - 3 : int(x * 3) + 4]
        assert (
            (around == [int(v) for v in bytes.fromhex(program_colours(["parser"])["parser"][1:])])
            .all(axis=1)
            .any()
        )


def test_reads_and_writes_have_a_half_each(events: Make, words: Words) -> None:
    chart = timeline(events(("read", 0, 10), ("write", 0, 10), ("write", 20, 30)), ABOUT)
    heights = {row["op"]: row["y"] for row in rows(chart) if "bytes" in row and row["bytes"] == "0x0-0xa"}
    assert heights["read"] == 0
    assert heights["write"] > 1000  # below the reads, with a line of text between
    scale = next(
        e["encoding"]["y"]["scale"]
        for e in chart.to_dict()["layer"]
        if "scale" in e.get("encoding", {}).get("y", {})
    )
    assert scale["domain"] == [0, heights["write"] + 1000]
    text = words(render.pdf(chart))
    assert "reads" in text
    assert "writes" in text


def test_access_order_draws_seeks(events: Make, words: Words) -> None:
    chart = access_order(events(("read", 0, 10), ("read", 10, 20), ("read", 500, 510), ("read", 0, 5)), ABOUT)
    seeks = [row for row in rows(chart) if set(row) == {"x", "y", "x2", "y2"} and row["x"] != 0]
    assert [(row["y"], row["y2"]) for row in seeks] == [(20, 500), (510, 0)]
    assert "grey lines are seeks" in words(render.pdf(chart))


def test_page_marks_are_marked(events: Make, words: Words) -> None:
    mixed = pl.concat([events(("read", 0, 10)), events(("read", 20, 30), fidelity="page")])
    for chart in (timeline(mixed, ABOUT), strip(mixed, ABOUT), lanes(mixed, ABOUT)):
        assert words(render.pdf(chart)).count("page-granular") >= 2


@pytest.mark.parametrize("pattern", ["everywhere", "sequential", "tiny"])
@pytest.mark.parametrize("chart", [strip, lanes, timeline, access_order])
def test_any_number_of_events_makes_few_marks(chart: Callable[..., alt.LayerChart], pattern: str) -> None:
    count, size = 200_000, 10**9
    random = np.random.default_rng(8)
    starts = {
        "everywhere": random.integers(0, size - 70_000, count),
        "sequential": np.arange(count) * 512,
        "tiny": np.sort(random.integers(0, size - 70_000, count)),
    }[pattern]
    lengths = {
        "everywhere": random.integers(1, 65_536, count),
        "sequential": np.full(count, 512),
        "tiny": np.ones(count, int),
    }[pattern]
    frame = pl.DataFrame(
        {
            "seq": np.arange(count),
            "time": np.arange(count) * 10,
            "op": np.where(np.arange(count) % 7 == 0, "write", "read"),
            "start": starts,
            "end": starts + lengths,
            "fidelity": "byte",
            "handle": np.arange(count) % 3,
            "pid": 1,
            "tid": 1,
            "process": "p",
        }
    ).cast(
        {
            column: kind
            for column, kind in empty().schema.items()
            if column in {"time", "op", "fidelity", "pid", "tid", "seq", "start", "end", "handle", "process"}
        }
    )
    drawn = chart(frame, About("big", size))
    assert 0 < len(rows(drawn)) < 11_000


def test_thinning_joins_and_never_drops() -> None:
    random = np.random.default_rng(9)
    starts = np.sort(random.choice(10**6, 5000, replace=False)) * 10
    ranges = pl.DataFrame({"start": starts, "end": starts + 3})
    few, width = thinned(ranges, 10**7, 300)
    assert few.height <= 300
    assert width > 0
    covered = few.join_where(
        ranges, pl.col("start") <= pl.col("start_right"), pl.col("end") >= pl.col("end_right")
    )
    assert covered.height == ranges.height
    assert thinned(ranges.head(5), 10**7, 300)[1] == 0


@pytest.mark.parametrize("preset", ["page", "paper-column"])
@pytest.mark.parametrize("chart", [strip, lanes, timeline, access_order])
def test_nothing_recorded_is_a_figure_on_any_page(
    chart: Callable[..., alt.LayerChart], preset: str, words: Words
) -> None:
    pdf = render.pdf(chart(empty(), About("a\x00<b>\u202e", 0), look=PRESETS[preset]))
    assert "a\\x00<b>\\u202e" in words(pdf)


def test_hostile_processes_are_shown_harmless(events: Make, words: Words) -> None:
    frame = events(("read", 0, 10), process="\x1b[2J\ufffe</script>")
    for chart in (timeline(frame, ABOUT), lanes(frame, ABOUT), strip(frame, ABOUT)):
        assert "\\x1b[2J" in words(render.pdf(chart))


@pytest.mark.parametrize("preset", ["page", "paper-column", "slide-16x9"])
def test_a_legend_of_many_rows_stands_above_the_chart(events: Make, preset: str) -> None:
    look = PRESETS[preset]
    frames = [events(("read", n, n + 9), process=f"parser number {n}", pid=n) for n in range(6)]
    spec = timeline(pl.concat(frames), ABOUT, look=look).to_dict()
    layer = next(each for each in spec["layer"] if each.get("encoding", {}).get("color", {}).get("legend"))
    legend = layer["encoding"]["color"]["legend"]
    rows_needed = -(-6 // legend["columns"])
    assert -legend["legendY"] >= rows_needed * look.text * 1.3
    assert spec["padding"]["top"] + legend["legendY"] > look.margin + look.text * 2


def test_every_lane_has_its_name_however_many_there_are(events: Make, words: Words) -> None:
    frames = {f"run{n}": events(("read", n, n + 9)) for n in range(24)}
    shown = words(render.pdf(lanes(frames, ABOUT, look=PRESETS["slide-16x9"])))
    assert all(f"run{n}" in shown.split() for n in range(24))
    assert {"nobody", "only"} <= set(shown.replace("\n", " ").split())


def test_crosstab_says_which_format_and_what_is_wrong_with_it(events: Make, words: Words) -> None:
    broken = PARTS.with_columns(
        name=pl.when(pl.col("depth") == 0).then(pl.lit("ZIP (damaged: cut)")).otherwise("name")
    )
    assert "ZIP (damaged: cut)" in words(
        render.pdf(crosstab(compare(broken, events(("read", 0, 9)), 1000), ABOUT))
    )
    nothing = compare(PARTS.clear(), events(("read", 0, 9)), 1000)
    assert "format: no format recognised" in words(render.pdf(crosstab(nothing, ABOUT)))


def test_noise_in_a_small_file_is_random_like_in_every_column(events: Make) -> None:
    content = random.Random(7).randbytes(20_000)  # noqa: S311 - columns of 64 bytes, of which nobody could tell alone
    chart = entropy(
        io.BytesIO(content), events(("read", 0, 100), size=len(content)), About("n", len(content))
    )
    kinds = {row["kind"] for row in rows(chart) if row.get("kind") in bytestats.CLASSES}
    assert kinds == {"random-like"}
    assert bytestats.byte_class(bytestats.histogram([content])) == "random-like"


def test_a_few_accesses_are_numbered_one_by_one(events: Make) -> None:
    def axis(chart: alt.LayerChart) -> dict[str, Any]:
        encodings = (layer.get("encoding", {}) for layer in chart.to_dict()["layer"])
        found = [each["x"]["axis"] for each in encodings if "tooltip" in each]
        assert len(found) == 1
        return found[0]

    for count in (1, 3):
        drawn = axis(access_order(events(*[("read", 0, 9)] * count), ABOUT))
        assert (drawn["values"][:2], drawn["values"][-1], drawn["format"]) == ([0, 1], max(count - 1, 1), "d")
    assert "values" not in axis(access_order(events(*[("read", 0, 9)] * 500), ABOUT))
    assert "values" not in axis(timeline(events(("read", 0, 9)), ABOUT))


def test_one_byte_is_not_bytes_and_no_number_is_cut(events: Make) -> None:
    def said(chart: alt.LayerChart) -> set[str]:
        return {row["label"] for row in rows(chart) if "label" in row}

    one = About("one", 1)
    assert "100.0% · 1 byte" in said(crosstab(compare(PARTS.clear(), events(("read", 0, 1)), 1), one))
    frame = events(("read", 0, 1), size=1)
    notes = {row.get("text") for row in rows(entropy(io.BytesIO(b"a"), frame, one))}
    assert "columns of 1 byte" in notes
    table = compare(PARTS.clear(), events(("read", 0, 940)), 1000)
    written = said(crosstab(table, ABOUT))
    assert "94.0% · 940 bytes" in written
    assert [text for text in written if "…" in text] == []


def test_functions_of_a_file_that_nobody_read_have_a_lane() -> None:
    functions = Functions(empty(), {}, {})
    names = {row.get("text") for row in rows(lanes(empty(), ABOUT, functions=functions))}
    assert {"no request yet", "nobody"} <= names


def test_of_an_empty_file_nothing_was_altered() -> None:
    drawn = effects(table_of_effects.frame("x", "parser {}", []), About("x", 0))
    assert "nothing was altered" in {row.get("text") for row in rows(drawn)}


def test_a_label_is_written_where_its_range_has_room_for_it(events: Make) -> None:
    """A text that is cut to little, or stands over its neighbours, tells less than none."""
    parts = PARTS.clear().vstack(
        pl.DataFrame(
            {"start": [0, 20], "end": [20, 1000], "name": ["n" * 60, "wide enough"], "depth": [0, 0]}
        )
    )
    drawn = strip(events(("read", 0, 9)), ABOUT, structure=parts).to_dict()
    texts = {
        row["label"]
        for layer in drawn["layer"]
        if "label" in str(layer.get("encoding", {}).get("text"))
        for row in drawn["datasets"][layer["data"]["name"]]
    }
    assert "wide enough" in texts
    assert not any(text.startswith("n") for text in texts)


def test_a_few_processes_and_ranges_are_told_as_they_are(events: Make) -> None:
    for count, told in ((6, "p1, p2, p3, p4, p5, p6"), (7, "p1, p2, p3, p4, p5, p6 and 1 more")):
        shown = About("x", 9, processes=tuple(f"p{n}" for n in range(1, count + 1)))
        assert process_text(shown) == told
    said = {row.get("text") for row in rows(differential({"a": events(("read", 0, 9))}, ABOUT))}
    assert not any("drawn as one" in str(text) for text in said)


def test_offsets_are_never_cut_and_a_mark_is_named_on_the_side_that_has_room(events: Make) -> None:
    marks = [Annotation(0, 9, "first mark"), Annotation(990, 999, "last mark")]
    drawn = strip(events(("read", 0, 900)), ABOUT, annotations=marks).to_dict()
    written = {
        row["label"]: layer["mark"].get("align")
        for layer in drawn["layer"]
        if "label" in str(layer.get("encoding", {}).get("text"))
        for row in drawn["datasets"][layer["data"]["name"]]
    }
    assert (written["first mark"], written["last mark"]) == ("left", "right")
    assert not any("…" in text for text in written)
