"""What a notebook is given to show a chart."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import altair as alt
import pytest
from PIL import Image

from fmrw.figures import chart as notebook
from fmrw.figures.heatmap import heatmap
from fmrw.figures.page import About
from fmrw.figures.theme import Look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl


@pytest.fixture
def chart(events: Callable[..., pl.DataFrame]) -> alt.LayerChart:
    return heatmap(events(("read", 0, 500)), About("a.bin", 1000), side=16, look=Look(width=400, height=300))


@pytest.fixture
def renderer() -> Iterator[None]:
    """Choose a renderer as a user does, and take it back."""
    before = alt.renderers.active
    alt.renderers.register("mine", lambda spec, **_: {"text/mine": spec["description"]})
    alt.renderers.enable("mine")
    yield
    alt.renderers.enable(before)
    alt.renderers.register("mine", None)


def test_vega_and_a_picture_are_given_and_no_script(chart: alt.LayerChart) -> None:
    data, metadata = chart._repr_mimebundle_()
    assert set(data) == {notebook.MIME, "image/png", "text/plain"}
    assert data[notebook.MIME]["$schema"].endswith("/v5.json")
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
        assert picture.size == (600, 450)
    assert metadata["image/png"] == {"width": 400, "height": 300}


def test_what_the_user_makes_of_a_chart_is_shown_in_the_same_way(chart: alt.LayerChart) -> None:
    data, _ = chart.properties(title="mine")._repr_mimebundle_()
    assert data[notebook.MIME]["title"] == "mine"


def test_control_characters_that_the_user_adds_abort_nothing(chart: alt.LayerChart) -> None:
    data, _ = chart.properties(title="a\x00b\ufffe")._repr_mimebundle_()
    assert data[notebook.MIME]["title"] == "a\\x00b\\ufffe"


def test_other_charts_and_altairs_settings_stay_as_they_are(chart: alt.LayerChart) -> None:
    plain = alt.Chart({"values": [{"a": 1}]}).mark_point().encode(alt.X("a:Q"))
    before, active = plain._repr_mimebundle_(), alt.renderers.active
    chart._repr_mimebundle_()
    assert alt.renderers.active == active
    assert set(plain._repr_mimebundle_()) == set(before)
    assert type(plain).__name__ == "Chart"


@pytest.mark.usefixtures("renderer")
def test_a_renderer_that_the_user_chose_is_used(chart: alt.LayerChart) -> None:
    data, _ = chart._repr_mimebundle_()
    assert data["text/mine"] == chart.description
    assert notebook.MIME not in data
    assert data["image/png"]


def test_a_terminal_gets_a_line(chart: alt.LayerChart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "in_terminal", lambda: True)
    assert chart._repr_mimebundle_() == {"text/plain": f"<fmrw chart: {chart.description}>"}
