"""Export panel: write what is shown to a file beside the notebook, and link to it.

Limits. A file of up to 4 MiB is part of the link itself, so that a browser on another machine can fetch it; of a larger one there is the path.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.markup import escaped
from fmrw.figures.theme import PRESETS

if TYPE_CHECKING:
    from pathlib import Path

    from fmrw.explorer.view import View

_LINKED = 4 << 20  # bytes of a file offered as a link in the page
_TYPES = {
    "pdf": "application/pdf",
    "svg": "image/svg+xml",
    "png": "image/png",
    "html": "text/html",
    "csv": "text/csv",
}


def export_panel(view: View) -> w.Widget:
    """Make what writes the picture to a file beside the notebook, with a link to fetch it."""
    kind = w.Dropdown(options=list(_TYPES), value="pdf", layout=w.Layout(width="90px"))
    look = w.Dropdown(options=list(PRESETS), value="slide-16x9", layout=w.Layout(width="140px"))
    name = w.Text(placeholder="file name, made from the window if empty", layout=w.Layout(width="300px"))
    write = w.Button(description="export what I see", icon="download", layout=w.Layout(width="auto"))
    said = w.HTML()

    def written(_: w.Button) -> None:
        said.value = "writing…"
        view.attempt(lambda: setattr(said, "value", link(view.export(named(), preset=look.value))))
        if view.problem:
            said.value = ""

    def named() -> str:
        given = name.value.strip()
        return given if "." in given else f"{given}.{kind.value}" if given else view.export_name(kind.value)

    write.on_click(written)
    return w.VBox([w.HBox([kind, look, name, write]), said])


def link(path: Path) -> str:
    """Say where a file is, and offer it for download unless it is large."""
    content = path.read_bytes()
    shown = f"{escaped(str(path.resolve()))}, {len(content):,} bytes"
    if len(content) > _LINKED:
        return shown
    data = base64.b64encode(content).decode()
    kind = _TYPES.get(path.suffix[1:].lower(), "application/octet-stream")
    return f'{shown} · <a download="{escaped(path.name)}" href="data:{kind};base64,{data}">download</a>'
