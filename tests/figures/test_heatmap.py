from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from fmrw.analysis.index.tiles import Index, hilbert
from fmrw.errors import BadRange, FigureError
from fmrw.figures import cells, render
from fmrw.figures.grid import Square, bytes_of, outline, runs
from fmrw.figures.heatmap import MOST_MARKS, heatmap, heatmap_pdf, sheet
from fmrw.figures.page import About
from fmrw.figures.theme import LIGHT, PRESETS, SCREEN
from fmrw.offsets import Annotation
from fmrw.trace.schema import empty

if TYPE_CHECKING:
    import altair as alt

    from fmrw.figures.grid import Layout

Make = Callable[..., pl.DataFrame]
Pixels = Callable[[bytes, int], np.ndarray]
Words = Callable[[bytes], str]


def box(chart: alt.LayerChart) -> tuple[float, float, float]:
    spec = chart.to_dict()
    return spec["padding"]["left"], spec["padding"]["top"], spec["width"]


def colour(pixel: np.ndarray) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in pixel)


def random_reads(make: Make, size: int, count: int, seed: int, longest: int = 100) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    starts = random.integers(0, size, count)
    ends = np.minimum(starts + random.integers(1, max(2, size // longest), count), size)
    return make(*(("read", int(a), int(b)) for a, b in zip(starts, ends, strict=True)), size=size)


@pytest.mark.parametrize("layout", ["row-major", "hilbert"])
def test_every_cell_has_the_colour_of_its_count(events: Make, pixels: Pixels, layout: str) -> None:
    size, side = 10_007, 16
    frame = random_reads(events, size, 40, seed=3, longest=5)
    chart = heatmap(frame, About("sample.bin", size), side=side, layout=layout)
    picture = pixels(render.pdf(chart), 3)
    left, top, width = box(chart)
    times = np.zeros(size, int)  # of each byte
    for start, end in frame.select("start", "end").iter_rows():
        times[start:end] += 1
    cell_bytes = 64  # the smallest power of two by which 256 cells hold them all
    edges = [min(cell * cell_bytes, size) for cell in range(side**2 + 1)]
    counts = np.array([times[low:high].max(initial=0) for low, high in pairwise(edges)])
    assert 1 in counts
    assert 0 in counts
    ramp = colours_of(counts.max())
    xs, ys = (np.arange(side**2) % side, np.arange(side**2) // side)
    if layout == "hilbert":
        xs, ys = hilbert(np.arange(side**2), side)
    for cell, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if edges[cell] == size:  # beyond the end
            continue
        place = (left + (x + 0.22) * width / side, top + (y + 0.78) * width / side)
        found = colour(picture[int(place[1] * 3), int(place[0] * 3)])
        if layout == "row-major" or found in {
            *LIGHT.reads,
            LIGHT.untouched,
        }:  # labels of the curve lie over some
            assert found == ramp(counts[cell]), (cell, counts[cell])


def classes_of(chart: alt.LayerChart) -> set[str]:
    return {row["class"] for rows in chart.to_dict()["datasets"].values() for row in rows if "class" in row}


def test_reads_that_only_meet_in_a_cell_read_no_byte_twice(events: Make, words: Words) -> None:
    size, step = 200_000, 1000  # 48 or 49 bytes per cell: consecutive reads meet inside of cells
    meeting = [("read", at, at + step) for at in range(0, size, step)]
    chart = heatmap(events(*meeting, size=size), About("sample.bin", size))
    assert classes_of(chart) == {"read 1"}
    assert "times a byte was read" in words(render.pdf(chart))
    again = heatmap(events(*meeting, ("read", 77, 78), size=size), About("sample.bin", size))
    assert classes_of(again) == {"read 1", "read 2"}


def test_writes_and_reads_are_told_apart_by_byte(events: Make) -> None:
    frame = events(("read", 0, 50), ("write", 50, 100), ("write", 60, 61), size=25_600)
    assert classes_of(heatmap(frame, About("sample.bin", 25_600), side=16)) == {"read 1", "write 2"}


def colours_of(most: int) -> Callable[[int], str]:
    """Classes written down by hand for the counts of these tests."""
    assert 5 < most < 4**4
    if most < 16:
        return lambda n: [LIGHT.untouched, LIGHT.reads[0], LIGHT.reads[2], LIGHT.reads[2], LIGHT.reads[4]][
            min(n, 4)
        ]
    raise AssertionError(most)


def test_none_and_one_access_differ_on_paper_and_in_grey(events: Make, pixels: Pixels) -> None:
    chart = heatmap(events(("read", 0, 1), size=256), About("sample.bin", 256), side=16)
    picture = pixels(render.pdf(chart), 3).astype(float)
    left, top, width = box(chart)
    inside = [picture[int((top + width / 32) * 3), int((left + (k + 0.5) * width / 16) * 3)] for k in (0, 1)]
    grey = [pixel @ [0.2126, 0.7152, 0.0722] for pixel in inside]
    assert abs(grey[0] - grey[1]) > 60


def test_a_gap_stands_where_it_is_within_a_pixel(events: Make, pixels: Pixels) -> None:
    size, side = 65_536, 64
    chart = heatmap(events(("read", 0, 0x4100), ("read", 0x4200, size), size=size), About("sample.bin", size))
    picture = pixels(render.pdf(chart), 3)
    left, top, width = box(chart)
    row = 0x4100 // 1024
    line = picture[int((top + (row + 0.5) * width / side) * 3)]
    ground = [int(value) for value in bytes.fromhex(LIGHT.untouched[1:])]
    gap = np.flatnonzero((line == ground).all(axis=1)) / 3
    cell = width / side
    assert abs(gap.min() - (left + 16 * cell)) < 1.0
    assert abs(gap.max() - (left + 32 * cell)) < 1.0


def test_writes_take_the_lower_half_of_a_cell(events: Make, pixels: Pixels) -> None:
    frame = events(("read", 0, 2), ("write", 1, 3), size=256)
    chart = heatmap(frame, About("sample.bin", 256), side=16)
    picture = pixels(render.pdf(chart), 3)
    left, top, width = box(chart)

    def at(column: float, row: float) -> str:
        return colour(picture[int((top + row * width / 16) * 3), int((left + column * width / 16) * 3)])

    read, write, none = LIGHT.reads[2], LIGHT.writes[2], LIGHT.untouched
    assert [at(0.5, 0.25), at(0.5, 0.75)] == [read, read]
    assert [at(1.5, 0.25), at(1.5, 0.75)] == [read, write]
    assert [at(2.5, 0.25), at(2.5, 0.75)] == [none, write]


def test_the_caption_says_what_the_cells_mean(events: Make, words: Words) -> None:
    about = About("dir/sample.bin", 65_536, capture="exact", command="parser sample.bin")
    text = words(heatmap_pdf(events(("read", 0, 100), size=65_536), about))
    for piece in (
        "dir/sample.bin",
        "64 × 64 cells",  # noqa: RUF001 - times
        "65,536 bytes (64 KiB)",
        "16 bytes per cell",
        "holds 16 bytes from",
        "parser [42]",
        "1 read, of 100 different bytes",
        "byte-exact",
        "capture exact",
        "0x2000",
        "+0x100",
        "command: parser sample.bin",
    ):
        assert piece in text, f"{piece!r} missing in {text}"
    assert "page-granular" not in text


def test_page_fidelity_is_said_on_the_face(events: Make, words: Words) -> None:
    assert (
        words(heatmap_pdf(events(("read", 0, 9), fidelity="page"), About("a", 1000))).count("page-granular")
        == 2
    )


def test_names_cannot_do_harm(events: Make, words: Words) -> None:
    for name in (
        "<script>alert(1)</script>.bin",
        "a\nb\x1b[31m\ufffe\x00.bin",
        "\u202etxt.שלום",
        "x" * 255,
        "😀.bin",
    ):
        text = words(heatmap_pdf(events(("read", 0, 9), process="\x07bell"), About(name, 1000)))
        assert "\\x07bell [42]" in text
        assert not re.search("[\x00-\x08\x0b\x0e-\x1f\u202e\ufffe]", text)


@pytest.mark.parametrize("size", [0, 1, 3, 4097, 8 * 2**40, 2**63 - 1])
def test_any_size_can_be_drawn(events: Make, words: Words, size: int) -> None:
    start = size // 2
    frame = events(("read", start, start + 1), size=size) if size else empty()
    text = words(heatmap_pdf(frame, About("sample.bin", size)))
    assert f"{size:,} byte" in text
    assert ("nothing was requested yet" in text) == (size == 0)


def test_beyond_the_end_there_is_no_ground(events: Make, pixels: Pixels) -> None:
    chart = heatmap(events(("read", 0, 1), size=3), About("sample.bin", 3))
    picture = pixels(render.pdf(chart), 2)
    left, top, width = box(chart)
    last = picture[
        int((top + width * 0.52) * 2) : int((top + width) * 2) - 3,
        int((left + width * 0.52) * 2) : int((left + width) * 2) - 3,
    ]
    shown = {colour(pixel) for pixel in last.reshape(-1, 3)}
    assert LIGHT.untouched not in shown
    assert len(shown) > 1, "the hatching is missing"


def test_an_index_gives_the_same_figure_as_its_events(events: Make) -> None:
    frame = random_reads(events, 5000, 50, seed=1)
    about = About("sample.bin", 5000, processes=("parser [42]",), page=False)
    assert heatmap_pdf(Index.build(frame), about) == heatmap_pdf(frame, about)


def test_few_marks_whatever_the_input(events: Make) -> None:
    size = 256 * 256 * 3
    frame = events(*(("read", k * 8, k * 8 + 1) for k in range(size // 8)), size=size)
    chart = heatmap(frame, About("sample.bin", size), side=256)
    spec = chart.to_dict()
    assert sum(len(rows) for rows in spec["datasets"].values()) < MOST_MARKS * 1.2
    texts = " ".join(row["text"] for rows in spec["datasets"].values() for row in rows if "text" in row)
    assert "as 256 × 256 would be too many marks" in texts  # noqa: RUF001 - times


@pytest.mark.parametrize("layout", ["row-major", "hilbert"])
@pytest.mark.parametrize("side", [16, 48, 64])
@pytest.mark.parametrize(
    "size", [0, 1, 3, 255, 256, 257, 300, 4095, 4096, 4097, 45_565, 10**6, 2**32 + 1, 2**63 - 1]
)
def test_cells_hold_a_power_of_two_and_every_byte_once(size: int, side: int, layout: Layout) -> None:
    if layout == "hilbert" and side == 48:
        return
    square = Square.rounded(size, side, layout)
    edges = square.edges.tolist()
    assert square.cell & (square.cell - 1) == 0
    assert len(edges) == square.count + 1
    assert edges[0] == 0
    assert edges[-1] == size
    assert all(high - low == square.cell for low, high in pairwise(edges) if high < size)
    assert edges == [square.start_of(cell) for cell in range(square.count + 1)]
    assert sorted(square.order.ravel().tolist()) == list(range(square.count))
    assert square.side <= side
    assert square.order.shape == (square.side, square.side)
    if square.cell > 1:  # no finer one would hold the file
        assert -(-size // (square.cell // 2)) > side**2
    elif square.side < side:  # nor a smaller one
        assert (square.side // 2) ** 2 < max(size, 1)
    if layout == "row-major" and square.cell > 1:
        assert square.start_of(square.side) == side * square.cell  # what a row begins with can be read


def test_rows_are_labelled_with_round_offsets(events: Make, words: Words) -> None:
    text = words(render.pdf(heatmap(events(("read", 0, 10), size=45_565), About("a", 45_565))))
    for piece in ("64 × 64 cells", "16 bytes per cell", "0x2000", "0x4000", "+0x100"):  # noqa: RUF001 - times
        assert piece in text
    assert "± 1" not in text
    assert "0xb1fd" not in text  # nor labels behind the end of the file


def test_numbers_of_marked_ranges_do_not_overprint(events: Make) -> None:
    marks = [Annotation(100, 100 + n, f"n{n}") for n in range(1, 40)]
    spec = heatmap(events(("read", 0, 10), size=4096), About("a", 4096), annotations=marks).to_dict()
    places = {
        (row["x"], row["y"])
        for rows in spec["datasets"].values()
        for row in rows
        if row.get("label", "").isdigit()
    }
    assert len(places) == 39


def test_equal_neighbours_are_one_mark(events: Make) -> None:
    spec = heatmap(events(("read", 0, 65_536), size=65_536), About("sample.bin", 65_536)).to_dict()
    kinds = [row for rows in spec["datasets"].values() for row in rows if "class" in row]
    assert len(kinds) == 64
    assert kinds[1]["bytes"] == "0x400-0x800"


def test_annotations_are_outlined_and_named(events: Make, words: Words) -> None:
    frame = events(("read", 0, 10))
    note = Annotation(100, 300, "cavity")
    assert "cavity 0x64-0x12c" in re.sub(
        " +", " ", words(heatmap_pdf(frame, About("a", 1000), annotations=[note]))
    )
    with pytest.raises(BadRange, match="it has 1,000 bytes"):
        heatmap(frame, About("a", 1000), annotations=[Annotation(900, 1001, "late")])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_pages_of_their_size_without_overlap(
    events: Make, pixels: Pixels, words: Words, name: str
) -> None:
    look = PRESETS[name]
    pdf = render.pdf(
        heatmap(random_reads(events, 99_999, 99, seed=2), About("sample.bin", 99_999), look=look)
    )
    assert pixels(pdf, 1).shape[:2] == (look.height, look.width)
    assert "99,999 bytes" in words(pdf)


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 8},
        {"side": 512},
        {"layout": "spiral"},
        {"layout": "hilbert", "side": 48},
        {"show": "all"},
        {"scale": "root"},
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_cure(wrong: dict[str, Any]) -> None:
    with pytest.raises(FigureError, match="take"):
        heatmap(empty(), About("a", 10), **wrong)


def test_runs_cover_the_cells_of_their_look_exactly_once() -> None:
    random = np.random.default_rng(5)
    for layout in ("row-major", "hilbert"):
        square = Square.of(10_000, 16, layout)
        looks = random.integers(0, 3, square.count)
        drawn = np.zeros((16, 16), int)
        for row, first, last, look in runs(square, looks):
            drawn[row, first:last] += look
        assert (drawn == looks[square.order]).all()


def test_a_run_of_hilberts_curve_may_go_from_right_to_left() -> None:
    square = Square.of(16, 16, "hilbert")
    assert square.order.tolist() == [[0, 1, 14, 15], [3, 2, 13, 12], [4, 7, 8, 11], [5, 6, 9, 10]]
    held = [
        (row, first, last, bytes_of(square, row, first, last, square.order))
        for row, first, last, _ in runs(square, np.ones(16, int))
    ]
    assert held == [
        (0, 0, 2, (0, 2)), (0, 2, 4, (14, 16)),
        (1, 0, 2, (2, 4)), (1, 2, 4, (12, 14)),
        (2, 0, 1, (4, 5)), (2, 1, 3, (7, 9)), (2, 3, 4, (11, 12)),
        (3, 0, 2, (5, 7)), (3, 2, 4, (9, 11)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "size"), [("hilbert", 200), ("hilbert", 256), ("row-major", 200), ("hilbert", 5000)]
)
def test_the_ground_is_as_large_as_the_cells_that_hold_bytes(layout: str, size: int) -> None:
    square = Square.of(size, 16, layout)
    painted = np.zeros((square.side, square.side), int)
    for row in cells.ground(square, SCREEN)["data"]["values"]:
        painted[row["y"] : row["y2"], row["x"] : row["x2"]] += 1
    assert (painted == (square.order < square.used)).all()


@pytest.mark.parametrize(("size", "layers"), [(60, 0), (64, 0), (200, 3), (5000, 3)])
def test_a_small_curve_has_no_guide(size: int, layers: int) -> None:
    """Its course in eight by eight blocks says nothing of fewer than sixteen by sixteen cells."""
    assert len(cells.curve(Square.of(size, 16, "hilbert"), SCREEN)) == layers
    assert cells.curve(Square.of(size, 16, "row-major"), SCREEN) == []


def test_an_outline_parts_inside_from_outside() -> None:
    random = np.random.default_rng(6)
    cells = random.random((7, 7)) < 0.5
    border = (
        np.abs(np.diff(np.pad(cells, 1).astype(int), axis=0)).sum()
        + np.abs(np.diff(np.pad(cells, 1).astype(int), axis=1)).sum()
    )
    assert sum(abs(x2 - x) + abs(y2 - y) for x, y, x2, y2 in outline(cells)) == border


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layout": "hilbert", "look": PRESETS["dark"]},
        {"annotations": [Annotation(0, 900, "header"), Annotation(5000, 5001, "a byte")]},
        {"structure": pl.DataFrame({"start": [0], "end": [4000], "name": ["part"], "depth": [1]})},
    ],
)
def test_a_heatmap_looks_the_same_whether_altair_makes_its_chart_or_not(
    events: Make, options: dict[str, Any]
) -> None:
    frame, about = events(("read", 0, 900), ("write", 4000, 9000), size=10_007), About("a.bin", 10_007)
    assert render.pdf(sheet(frame, about, **options)) == render.pdf(heatmap(frame, about, **options))


def test_the_chart_of_a_heatmap_can_be_changed(events: Make) -> None:
    """Its layers are altair's own objects, with encodings, marks and selections."""
    chart = heatmap(events(("read", 0, 900), size=10_007), About("a.bin", 10_007))
    cells_drawn = next(each for each in chart.layer if "class" in str(each.encoding.to_dict()))
    cells_drawn.encoding.color.legend = None
    spec = chart.properties(title="once more").to_dict()
    assert spec["title"] == "once more"
    assert "'legend': {'orient'" not in str(spec)
    assert {each["name"] for each in chart.to_dict()["params"]} == {"kind", "zoom"}
