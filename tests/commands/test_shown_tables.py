"""Tables hold at every width: nothing is cut, nothing acts, and they look as they were looked at."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import golden
import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console

from fmrw.analysis.structure.crosstab import SAID
from fmrw.commands.effects import reduction_tables
from fmrw.commands.file_tables import crosstab_tables
from fmrw.commands.table import Coloured, Column, Share, Table

PARTS = golden.parts()


@pytest.mark.parametrize("width", golden.WIDTHS)
@pytest.mark.parametrize("name", PARTS)
def test_it_looks_as_it_was_looked_at(name: str, width: int) -> None:
    wanted = golden.FOLDER / f"{name}-{width}.txt"
    assert golden.text(PARTS[name], width) == wanted.read_text(), "python tests/commands/golden.py"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, 200])
@pytest.mark.parametrize("name", PARTS)
def test_no_line_is_longer_than_the_terminal(name: str, width: int) -> None:
    for part in PARTS[name]:
        if isinstance(part, Table):
            told = io.StringIO()
            Console(file=told, width=width, force_terminal=True, color_system=None).print(part)
            fits = width >= 60
            assert not fits or max(map(cell_len, told.getvalue().splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_verdict_is_there_to_its_last_word(width: int) -> None:
    told = " ".join(golden.text(PARTS["gaps"], width).split())
    assert golden.SENTENCE in told or width == max(golden.WIDTHS)
    assert all(word in told for word in golden.SENTENCE.split())


def test_ten_files_and_four_programs_take_few_lines() -> None:
    (table, *_) = PARTS["many-files"]
    lines = table.text(80).splitlines()
    assert len(lines) <= 10 + 4
    row = next(line for line in lines if "number-03" in line)
    assert row.split()[1:] == ["45,565", "100.0", "%", "8.8", "%", "8.8", "%", "8.8", "%"]


@pytest.mark.parametrize("width", [20, 80])
def test_a_remark_in_the_place_of_a_row_widens_no_column(width: int) -> None:
    columns = [Column("from"), Column("bytes", right=True)]
    rows = [["0x0", "12"], ["0x10", "7"]]
    remark = "… and 1,234,567 more; --json lists them all, and nothing is cut"
    *lines, last = Table(columns, rows).text(width).splitlines()
    said = Table(columns, [*rows, [remark]], notes=["below"]).text(width).splitlines()
    assert said[: len(lines) + 1] == [*lines, last]
    assert " ".join(said[len(lines) + 1 : -1]) == remark
    assert all(cell_len(line) <= width for line in said)
    assert said[-1] == "below"


def test_a_name_to_be_copied_is_whole_where_leaving_out_others_makes_room() -> None:
    name, place = "notebook-0123456789-20261129T091247", "/a/directory/with/a/long/name/below"
    columns = [Column("session", whole=True), Column("kept"), Column("directory", drop=1)]
    said = Table(columns, [[name, "while there is room", place]]).text(80).splitlines()
    assert said[1].split()[0] == name
    assert said[-1] == "left out for want of room: directory"


def test_ranges_that_are_left_out_of_a_crosstab_widen_no_column() -> None:
    spans = [(0x10 * number, 0x10 * number + 8) for number in range(300)]
    classes = pl.DataFrame(
        {"class": [*SAID], "bytes": [2400] * 4, "share": [0.25] * 4, "ranges": [300] * 4, "starts": [[start for start, _ in spans]] * 4,
         "ends": [[end for _, end in spans]] * 4, "names": [["part"] * 300] * 4, "format": ["ZIP"] * 4}
    )  # fmt: skip
    table = crosstab_tables(classes, golden.found())[-1]
    assert isinstance(table, Table)
    head, first, *_, last = table.text(80).splitlines()
    assert (head.index("to "), first.index("0x8")) == (head.index("from") + 6,) * 2
    assert re.fullmatch(rf"… and \d+ more {[*SAID.values()][-1]}; --json lists them all", last)


def test_ranges_that_are_left_out_of_a_map_widen_no_column() -> None:
    def shown(count: int) -> list[str]:
        found = SimpleNamespace(kept=[(at, at + 1) for at in range(count)], keep="status", unstable=[], reduced_size=9, size=9, output="o", nonzero=9, proof=1, command=["c"], runs=1, seconds=1.0)  # fmt: skip
        told = io.StringIO()
        console = Console(file=told, width=80, color_system=None)
        for part in reduction_tables(found):  # type: ignore[arg-type] # what it looks at
            console.print(part)
        return [line.rstrip() for line in told.getvalue().splitlines()]

    few, many = shown(60), shown(1060)
    assert many[:-1] == few
    assert many[-1] == "… and 1,000 more ranges; --json lists them all"


def test_a_greedy_program_hides_nobody() -> None:
    (table, *_) = PARTS["programs"]
    rows = [line for line in table.text(200).splitlines() if "%" in line]
    assert [line.split("■ ")[1].split(" ")[0] for line in rows] == ["pdftotext", "unzip", "7z", "7z"]
    assert [re.search(r"[\d.]+ %", line)[0] for line in rows] == ["39.9 %", "10.1 %", "100.0 %", "1.1 %"]  # type: ignore[index]


class Parsed(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ANN401 - pairs
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_hostile_names_are_text() -> None:
    for part in PARTS["hostile"]:
        if isinstance(part, Table):
            page = Parsed(part.html())
            assert page.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "span"}
            assert not set("\x1b\u202e") & set(part.html() + part.text(80))
    assert any("<script>alert(1)</script>" in piece for piece in Parsed(PARTS["hostile"][0].html()).text)


def test_a_colour_cannot_leave_its_attribute() -> None:
    page = Table([Column("a")], [[Coloured("x", "red'><script>")]]).html()
    assert "<script>" not in page


def test_html_and_text_hold_the_same_cells() -> None:
    for name, shown in PARTS.items():
        for part in shown:
            if isinstance(part, Table):
                words = set(" ".join(Parsed(part.html()).text).split())
                told = set(re.sub(r"[█▏▎▍▌▋▊▉■]", " ", part.text(2000)).split())
                assert told <= words | {"left", "out"}, name


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0.0 %"), (1, "100.0 %"), (0.9999, "> 99.9 %"), (1e-9, "< 0.1 %"), (0.5, "50.0 %"), (None, "")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float | None, said: str) -> None:
    assert Share(share).text == said
    assert len(Share(share).bar) == len(Share(1).bar)
    assert bool(Share(share).bar.strip()) is bool(share)


def test_a_notebook_gets_both() -> None:
    table = Table([Column("a")], [["1"]], title="<t>", notes=["<n>"])
    bundle = table._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "&lt;t&gt;" in bundle["text/html"]
    assert "<n>" in bundle["text/plain"]
