"""Chart: what a figure function returns; an altair chart that a notebook draws without a network, and keeps.

altair's own way to show a chart loads Vega from a server. A `NotebookChart` gives two things instead: its Vega-Lite, which JupyterLab, Notebook 7 and
VS Code draw with the Vega they bring along, also where the notebook is not trusted; and beside it a picture, for everything that
draws no Vega: nbconvert, and sites that show notebooks. Only figures of fmrw are shown so: altair's settings stay as they are, and a
renderer that the user has chosen with `alt.renderers.enable` is used.

Limits. JupyterLab 4 brings Vega-Lite 5, and the charts are written for 6. They use what both have; a test draws each in a real browser.
"""

from __future__ import annotations

import base64
from typing import Any

import altair as alt

from fmrw.figures.frontend import in_terminal

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
