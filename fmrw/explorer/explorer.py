"""Explorer (`explore`): one file of a recording, from the whole down to its bytes, live.

    view = explore(trace, "debian.iso")
    view.window = (0x100, 0x900)        # or drag, click, double click, wheel, keys, buttons
    view.data()                         # what is shown, as a frame
    view.export("slide.pdf", preset="slide-16x9")

`Explorer` is a `View` that a notebook can show: it makes the widgets when they are first asked for. Everything else works without
them, and without a browser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.explorer import mimebundle, summary
from fmrw.explorer.kept import Kept
from fmrw.explorer.view import View
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import ipywidgets  # type: ignore[import-untyped] # ships no types

    from fmrw.explorer.outputs import Still
    from fmrw.explorer.trace_protocol import Recording

LARGE = 1_000_000
"""Events from which on it is said that they are being counted."""

_FORMAT_S = 2  # that a picture waits for the format of the file


def explore(trace: Recording, path: str | os.PathLike[str], **state: Any) -> Explorer:  # noqa: ANN401 - traits of `State`
    """Show a file of a recording in a notebook.

    Parameters
    ----------
    trace
        A `fmrw.Trace`; while its mount is live, the view follows.
    path
        As `Trace.files` shows it, or absolute below the recorded directory.
    state
        First values of the traits of `State`, such as `window="0x0-0x200"`.

    Raises
    ------
    UnknownPath
        Nothing is recorded under that name.
    """
    total = trace.lazy.select(pl.len()).collect().item()
    waiting = mimebundle.Waiting.begin(f"counting {total:,} events…") if total >= LARGE else None
    made = None
    try:
        made = Explorer(trace, path, **state)
        made.waiting = waiting
    finally:
        if waiting is not None:
            waiting.end(repr(made) if made else "")
    return made


class Explorer(View):
    """A view of one file in a notebook; see `View` and `State`."""

    def __init__(self, trace: Recording, path: str | os.PathLike[str], **state: Any) -> None:  # noqa: ANN401 - traits
        self._kept = Kept(self)
        self.waiting: mimebundle.Waiting | None = None
        super().__init__(trace, path, **state)

    @property
    def widget(self) -> ipywidgets.VBox:
        """The widget, for layouts of your own; made when first asked for."""
        return self._shown().box

    def _shown(self) -> Any:  # noqa: ANN401 - a `Panel`, whose module imports the widgets
        if self._display is None:
            from fmrw.explorer.widgets.panel import Panel  # noqa: PLC0415 - the extra `notebook` may be missing

            self._display = Panel(self, self.waiting and self.waiting.chart)
        return self._display

    def _ipython_display_(self) -> None:
        """Put out the widget, and behind it the picture that stays in the notebook."""
        mimebundle.display(repr(self), self.text, self._bundle, [self._kept], waiting=self.waiting)
        self.waiting = None

    def _bundle(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.widget._repr_mimebundle_()
        return found

    def _repr_mimebundle_(self, **_options: Any) -> Any:  # noqa: ANN401 - as IPython has it
        """Give the widget, a picture and a text at once, for whoever asks for a bundle."""
        return {
            **mimebundle.still(self.scene.canvas, self.text())[0],
            **mimebundle.beside(self.text(), self._bundle),
        }

    def still(self) -> Still:
        """Give what a saved notebook keeps: the picture that was seen last, with the format where it is known by now."""
        self.settle(_FORMAT_S)
        return mimebundle.still(self.scene.canvas, self.text())

    def _show(self) -> None:
        super()._show()
        self._kept.changed()

    def close(self) -> None:
        """Take the widgets away; the picture of what was seen last stays."""
        super().close()
        self._kept.close()

    def text(self) -> str:
        """Give a summary and a strip in text, for plain IPython."""
        return summary.strip(self.recorded, self.choice, self.window)

    def __repr__(self) -> str:
        """Say what is looked at."""
        return f"<fmrw.Explorer {visible(self.recorded.path)} {range_text(*self.window)}>"
