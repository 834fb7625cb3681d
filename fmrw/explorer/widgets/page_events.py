"""Page events: what the page around a container tells the kernel; keys pressed in it, its width, and the page's theme.

Keys. While the container has the focus, the notebook's own shortcuts rest. A focus that gets lost without the user's doing (a button that is
replaced, a menu that shuts) comes back: the explorer that was clicked last keeps the keys until something else is clicked or
focused, so that no key meant for it deletes a cell.

Wheel. It scrolls the page; with Ctrl it zooms the chart, and the browser does not zoom the page.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from fmrw.explorer.shortcuts import GO, KEYS

INSIDE = "fmrw-explorer"
"""CSS class of the widget whose keys are meant."""

_HERE = Path(__file__).parent


class PageEvents(anywidget.AnyWidget):
    """An invisible widget; put it anywhere inside a container of the class `INSIDE`.

    Attributes
    ----------
    pressed : dict
        `key`, and `at`, a number that differs each time.
    width : int
        Room for the container in pixels; 0 until a browser has shown it.
    theme : str
        "light" or "dark", as the page is; "" until a browser has shown it.
    """

    _esm = _HERE / "page_events.js"
    _css = _HERE / "explorer.css"
    inside = traitlets.Unicode(INSIDE).tag(sync=True)
    known = traitlets.List(traitlets.Unicode(), list(KEYS)).tag(sync=True)
    go = traitlets.Unicode(GO).tag(sync=True)
    pressed = traitlets.Dict().tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)
    theme = traitlets.Unicode("").tag(sync=True)


class Styles(anywidget.AnyWidget):
    """The style sheet, for what has no page events."""

    _esm = "export default { render() {} };"
    _css = _HERE / "explorer.css"
