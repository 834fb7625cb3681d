"""Charts and reports of a session: what each takes from it, and what is said of what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import LiveTrace, events, trace

from fmrw.figures.theme import preset
from fmrw.session import charts, questions, reports
from fmrw.trace import effects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["trace"]


def test_a_strip_shows_what_a_probe_found_of_this_file_and_no_other(
    trace: Callable[..., LiveTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = trace(events(("read", 0, 100)))
    row = {"start": 0, "end": 9, "class": "checked", "values": [], "effect": "refused", "field": None}
    for path, shown in (("sample.bin", True), ("other.bin", False)):
        found = effects.frame(path, "parser {}", [row])
        monkeypatch.setattr(LiveTrace, "effects", property(lambda _, found=found: found))
        made = charts.chart(recording, "sample.bin", "strip").to_dict()["datasets"].values()
        assert ("what matters" in {row.get("text") for rows in made for row in rows}) is shown


@pytest.mark.parametrize(("format_", "told"), [("csv", False), ("svg", True)])
def test_a_font_that_is_missing_is_told_of_figures_alone(
    trace: Callable[..., LiveTrace], tmp_path: Path, *, format_: str, told: bool
) -> None:
    notes: list[str] = []
    style = reports.Style(("heatmap",), preset("page", font="No Such Font At All"))
    recording = trace(events(("read", 0, 100)))
    written = reports.write(recording, tmp_path / "out", [format_], style=style, notes=notes)
    assert len(written) == 1
    assert any("No Such Font At All" in note for note in notes) is told


def test_each_process_is_called_by_its_own_command_line(
    trace: Callable[..., LiveTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = pl.DataFrame(
        {"name": ["a", "b", "c"], "pid": [1, 2, 3], "cmdline": ["/usr/bin/a -x /y/z", "", "/"]},
        schema={"name": pl.String(), "pid": pl.Int32(), "cmdline": pl.String()},
    )
    monkeypatch.setattr(LiveTrace, "processes", property(lambda _: known))
    assert charts.commands(trace()) == {"a [1]": "a -x /y/z", "c [3]": "/"}


def test_only_files_that_hold_something_were_opened_in_vain() -> None:
    def opened(path: str, size: int) -> pl.DataFrame:
        return events(("open", 0, 0), ("close", 0, 0), size=size, path=path)

    found = pl.concat([opened("empty", 0), opened("one", 1), opened("two", 2)])
    assert questions.unused_opens(found.lazy()) == ["one", "two"]
