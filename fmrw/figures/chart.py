"""Chart: what a figure function returns; an altair chart that a notebook draws without a network, and keeps.

altair's own way to show a chart loads Vega from a server. A `NotebookChart` gives two things instead: its Vega-Lite, which JupyterLab, Notebook 7 and
VS Code draw with the Vega they bring along, also where the notebook is not trusted; and beside it a picture, for everything that
draws no Vega: nbconvert, and sites that show notebooks. Only figures of fmrw are shown so: altair's settings stay as they are, and a
renderer that the user has chosen with `alt.renderers.enable` is used.

Limits. JupyterLab 4 brings Vega-Lite 5, and the charts are written for 6. They use what both have; a test draws each in a real browser.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import altair as alt

from fmrw.figures.frontend import in_terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.figures.marks import Layer

MIME = "application/vnd.vegalite.v5+json"
"""The newest type that JupyterLab 4, Notebook 7 and VS Code draw by themselves."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_ACTIONS = {"export": True, "source": False, "compiled": False, "editor": False}  # the editor is a web site
_SCALE = 1.5


class NotebookChart(alt.LayerChart):
    """A layered chart that a notebook shows without a network, and whose picture stays in the saved notebook."""

    def _repr_mimebundle_(self, *_args: Any, **_options: Any) -> Any:  # noqa: ANN401 - as IPython has it
        """Give Vega-Lite, a picture and a line of text; in a terminal the line alone."""
        if in_terminal():
            return {"text/plain": self._line()}
        from fmrw.figures import render  # noqa: PLC0415 - vl-convert takes its time, and a chart may never be shown

        spec = render.specification(self)
        picture = render.png(self, scale=_SCALE)
        width, height = render.pixels(picture)
        data: dict[str, Any] = {"image/png": base64.b64encode(picture).decode(), "text/plain": self._line()}
        metadata: dict[str, Any] = {
            "image/png": {"width": round(width / _SCALE), "height": round(height / _SCALE)}
        }
        chosen = None if alt.renderers.active == "default" else alt.renderers.get()
        if chosen is not None:
            return {**data, **_chosen(chosen(spec))}, metadata
        metadata[MIME] = {"embed_options": {"actions": _ACTIONS}}
        return {**data, MIME: {**spec, "$schema": _SCHEMA}}, metadata

    def _line(self) -> str:
        described = self.description if isinstance(self.description, str) else "chart"
        return f"<fmrw chart: {described}>"


def _chosen(shown: Any) -> dict[str, Any]:  # noqa: ANN401 - a renderer gives data, or data and metadata
    return dict(shown[0] if isinstance(shown, tuple) else shown)


_CHANNELS: dict[str, Any] = {
    "x": alt.X,
    "x2": alt.X2,
    "y": alt.Y,
    "y2": alt.Y2,
    "color": alt.Color,
    "opacity": alt.OpacityValue,
    "order": alt.Order,
    "text": alt.Text,
    "tooltip": alt.Tooltip,
}
_SELECTIONS = {"point": alt.selection_point, "interval": alt.selection_interval}


def layered(
    layers: Sequence[Layer | alt.Chart], page: Mapping[str, Any], config: Mapping[str, Any]
) -> NotebookChart:
    """Make one chart of layers, plain ones (`fmrw.figures.marks`) and altair's own, with properties and configuration as Vega-Lite has them."""
    chart = NotebookChart(layer=[_chart_of(each) if isinstance(each, dict) else each for each in layers])
    finished: NotebookChart = chart.properties(**page).configure(**config)
    return finished


def _chart_of(layer: Layer) -> alt.Chart:
    """Make altair's chart of a plain layer, with altair's classes: of texts and dictionaries it would compute hashes of each of its 600, 10 ms every time."""
    chart = alt.Chart(layer["data"], mark=alt.MarkDef(**layer["mark"]))
    if "encoding" in layer:
        chart = chart.encode(**{name: _channel(name, each) for name, each in layer["encoding"].items()})
    for transform in layer.get("transform", ()):
        chart = chart.transform_filter(transform["filter"])
    made: alt.Chart = chart.add_params(*map(_selection, layer.get("params", ())))
    return made


def _channel(name: str, given: Any) -> Any:  # noqa: ANN401 - JSON, and altair's channel
    if isinstance(given, list):
        return [_channel(name, each) for each in given]
    return _CHANNELS[name](**given)


def _selection(given: Mapping[str, Any]) -> alt.Parameter:
    select = dict(given["select"])
    return _SELECTIONS[select.pop("type")](name=given["name"], bind=given["bind"], **select)
