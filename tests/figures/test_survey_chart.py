"""The chart of a survey: every strip to scale, every verdict in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fmrw.errors import FigureError
from fmrw.figures import render
from fmrw.figures.page import About
from fmrw.figures.survey import Cell, survey
from fmrw.figures.theme import LIGHT, PRESETS

if TYPE_CHECKING:
    import altair as alt

ABOUT = About("corpus: 2 of 9 files", 140, page=False, capture="exact")
CELLS = {
    "a.zip": {
        "unzip": Cell("accepted, 25.0%", accepted=True, strip="0009"),
        "7z": Cell("refused 2, 75.0%", accepted=False, strip="9990"),
    },
    "</script>\x1b[31m": {"7z": Cell("crashed 11", accepted=False, strip="")},
}


def rows(chart: alt.LayerChart) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_strips_are_to_scale_and_verdicts_in_words() -> None:
    found = rows(survey(CELLS, ["unzip", "7z"], ABOUT))
    drawn = [row for row in found if row.get("fill") == LIGHT.reads[3] and row["py2"] - row["py"] > 15]
    widths = sorted(round(row["px2"] - row["px"], 1) for row in drawn)
    assert len(widths) == 2
    assert widths[1] == pytest.approx(3 * widths[0], abs=0.3)
    texts = {row["text"]: row for row in found if "text" in row}
    assert {"a.zip", "accepted, 25.0%", "refused 2, 75.0%", "crashed 11", "unzip", "7z"} <= texts.keys()
    assert texts["crashed 11"]["colour"] == LIGHT.accent
    assert texts["accepted, 25.0%"]["colour"] == LIGHT.faint
    assert "\\x1b" in next(text for text in texts if "script" in text)
    assert any("byte-exact" in text for text in texts)


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_drawn_in_every_look(preset: str) -> None:
    assert render.svg(survey(CELLS, ["unzip", "7z"], ABOUT, look=PRESETS[preset]))


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(FigureError, match="0 files"):
        survey({}, ["unzip"], ABOUT)
    with pytest.raises(FigureError, match="41 files"):
        survey({str(number): {} for number in range(41)}, ["unzip"], ABOUT)
