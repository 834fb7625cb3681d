"""The table of files by its traits."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from recordings import events

from fmrw.errors import BadInput
from fmrw.explorer.browse import SORTS, Browser, browse
from fmrw.explorer.sparklines import BINS, touched
from fmrw.explorer.table_cells import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

HOSTILE = "<img src=x onerror=alert(1)>\x1b"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


@pytest.fixture
def many(trace: Callable[..., LiveTrace]) -> Browser:
    """45 files; file k has 1000 + k bytes and k + 1 reads of its first bytes; every ninth is written."""
    frames = [
        events(
            *[("read", 0, 10 * k + 10)] * (k + 1),
            *[("write", 0, 5)] * (k % 9 == 0),
            size=1000 + k,
            path=f"dir/File{k:02}.bin",
        )
        for k in range(45)
    ]
    return browse(trace(*frames))


def test_pages_hold_every_file_once(many: Browser) -> None:
    many.sort = "path"
    seen = []
    for page in range(many.pages):
        many.page = page
        seen += many.data()["path"].to_list()
    assert seen == [f"dir/File{k:02}.bin" for k in range(45)]
    assert many.pages == 3


def test_the_last_page_is_the_last(many: Browser) -> None:
    many.page = 99
    assert many.page == 2


@pytest.mark.parametrize(
    ("sort", "first"),
    [("path", 0), ("size", 44), ("coverage", 44), ("reads", 44), ("writes", 0), ("largest gap", 0)],
)
def test_sorting(many: Browser, sort: str, first: int) -> None:
    many.sort = "path" if sort != "path" else "size"
    many.page = 1
    many.sort = sort
    assert many.page == 0
    assert many.data()["path"][0] == f"dir/File{first:02}.bin"
    assert sort in SORTS


def test_a_click_on_a_head_sorts_and_another_turns_round(many: Browser) -> None:
    table = many.widget
    assert table is many.widget
    heads = many._table._sorting
    heads["size"].click()
    down = many.data()["size"].to_list()
    assert (many.sort, heads["size"].description, down) == ("size", "size ▼", sorted(down, reverse=True))
    assert many._table._by.value == "size"
    heads["size"].click()
    up = many.data()["size"].to_list()
    assert (heads["size"].description, up) == ("size ▲", sorted(up))
    heads["path"].click()
    assert (heads["path"].description, heads["size"].description) == ("path ▲", "size")
    assert many.data()["path"].is_sorted()
    assert many.problem == ""


def test_a_share_is_a_bar(many: Browser) -> None:
    (covered,) = many.data().head(1)["covered"]
    assert f"{100 * covered:.1f}%,transparent" in many.html()


def test_an_unknown_sort_is_refused(many: Browser) -> None:
    with pytest.raises(BadInput, match="largest gap"):
        many.sort = "colour"


def test_searching(many: Browser) -> None:
    many.search = "fILE1"
    assert many.found.height == 10
    assert many.pages == 1
    many.search = "(no pattern"
    assert many.found.is_empty()
    assert many.pages == 1


def test_a_click_opens_the_explorer(many: Browser) -> None:
    table = many.widget
    rows = table.children[1].children[1:]
    shown = [row for row in rows if row.layout.display != "none"]
    assert len(shown) == ROWS
    name = shown[3].children[0]
    assert name.description == many.data()["path"][3]
    name.click()
    assert many.view.recorded.path == many.data()["path"][3]
    assert table.children[-1].children == (many.view.widget,)
    first = many.view
    shown[4].children[0].click()
    assert many.view is not first
    assert first._display is None


def test_a_click_that_fails_says_so(many: Browser) -> None:
    table = many.widget
    name = table.children[1].children[1].children[0]
    name.path = HOSTILE
    name.click()
    assert "not in this session" in many.problem
    assert "<img" not in table.children[3].value


def test_a_short_page_hides_the_other_rows(many: Browser) -> None:
    table = many.widget
    many.search = "File07"
    shown = [row for row in table.children[1].children[1:] if row.layout.display != "none"]
    assert [row.children[0].description for row in shown] == ["dir/File07.bin"]
    assert "1 files" in table.children[0].children[3].value


def test_a_hostile_name_is_text(trace: Callable[..., LiveTrace]) -> None:
    made = browse(trace(events(("read", 0, 10), path=HOSTILE, process="<b>x")))
    cells = made.widget.children[1].children[1]
    assert "\x1b" not in cells.children[0].description
    assert Tags(made.html()).seen == Tags(cells.children[1].value).seen | {"div", "b"}
    assert Tags(cells.children[1].value).seen == {"span", "svg", "rect"}
    assert "\x1b" not in made.text()


PAGE_WORDS = "page-granular: ranges are whole pages"


@pytest.mark.parametrize(
    ("fidelities", "words"),
    [
        (["byte", "byte"], "byte-exact"),
        (["page", "page"], PAGE_WORDS),
        (["byte", "page"], f"(pages): {PAGE_WORDS}"),
    ],
)
def test_the_table_says_how_exact_it_is(
    trace: Callable[..., LiveTrace], fidelities: list[str], words: str
) -> None:
    """As the shell's does: in one line, with a mark behind the bytes that are whole pages."""
    frames = [
        events(("read", 0, 10), path=f"{number}.bin", fidelity=fidelity, requested=4096 * (number + 1))
        for number, fidelity in enumerate(fidelities)
    ]
    made = browse(trace(*frames))
    made.sort = "path"
    said = f"{words}; smallest request 4 KiB"
    assert made.exactness == said
    assert made.text().splitlines()[-1] == said
    assert said in made.html()
    table = made.widget
    assert said in table.children[2].value
    for number, fidelity in enumerate(fidelities):
        cells = table.children[1].children[1 + number].children[1].value
        assert ("1.0% (pages)" in cells) == (fidelity == "page")
        assert made.text().splitlines()[1 + number].endswith("(pages)") == (fidelity == "page")
    made.search = "0.bin"
    alone = made.exactness.split("; ")[0]
    assert alone == (PAGE_WORDS if fidelities[0] == "page" else "byte-exact")
    assert alone in table.children[2].value


def test_a_table_of_nothing_claims_no_exactness(trace: Callable[..., LiveTrace]) -> None:
    assert browse(trace(events(("open", 0, 0)))).exactness == "nothing was requested yet"
    assert browse(trace()).exactness == "nothing was requested yet"


def test_strips_are_what_a_loop_finds() -> None:
    random = np.random.default_rng(4)
    for size in (1, 5, BINS, 1000, 1 << 40):
        starts = random.integers(0, size, 7)
        rows = pl.DataFrame({"start": starts, "end": np.minimum(starts + 1 + size // 9, size)})
        found = touched(rows, size)
        edges = [(size * number / BINS, size * (number + 1) / BINS) for number in range(BINS)]
        for column, (low, high) in enumerate(edges):
            if size >= BINS:
                assert found[column] == any(a < high and b - 1 >= low for a, b in rows.rows()), (size, column)
        assert found.any()


def test_an_empty_recording(trace: Callable[..., LiveTrace]) -> None:
    made = browse(trace())
    assert made.data().is_empty()
    assert made.pages == 1
    assert made.widget is not None


def test_a_file_that_was_only_opened(trace: Callable[..., LiveTrace]) -> None:
    made = browse(trace(events(("open", 0, 0), size=0)))
    assert made.data()["size"].to_list() == [0]
    assert "sample.bin" in made.html()


def test_refreshing_takes_in_what_came(trace: Callable[..., LiveTrace]) -> None:
    source = trace(events(("read", 0, 10)))
    made = browse(source)
    assert made.widget is not None
    source._source.add(events(("read", 0, 10), path="second.bin", first=1))
    made.refresh()
    assert made.files["path"].to_list() == ["sample.bin", "second.bin"]


def test_ten_thousand_files_take_no_more_widgets(trace: Callable[..., LiveTrace]) -> None:
    frame = events(("read", 0, 10))
    count = 10_000
    files = frame.select(pl.all().repeat_by(count).explode()).with_columns(
        path=pl.format("file{}.bin", pl.int_range(count)), seq=pl.int_range(count, dtype=pl.Int64)
    )
    made = browse(trace(files.cast(frame.schema)))
    assert len(made.widget.children[1].children) == ROWS + 1
    made.page = 321
    assert len(made.data()) == ROWS
