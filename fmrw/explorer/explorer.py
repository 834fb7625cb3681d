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

from fmrw.explorer import mimebundle, summary
from fmrw.explorer.view import View
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    import os

    import ipywidgets  # type: ignore[import-untyped] # ships no types

    from fmrw.explorer.trace_protocol import Recording


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
    return Explorer(trace, path, **state)


class Explorer(View):
    """A view of one file in a notebook; see `View` and `State`."""

    @property
    def widget(self) -> ipywidgets.VBox:
        """The widget, for layouts of your own; made when first asked for."""
        return self._shown().box

    def _shown(self) -> Any:  # noqa: ANN401 - a `Panel`, whose module imports the widgets
        if self._display is None:
            from fmrw.explorer.widgets.panel import Panel  # noqa: PLC0415 - the extra `notebook` may be missing

            self._display = Panel(self)
        return self._display

    def _repr_mimebundle_(self, **options: Any) -> Any:  # noqa: ANN401 - as IPython has it
        """Give the widget, and beside it a picture and a summary for where no kernel runs."""
        return mimebundle.bundle(
            self.scene.canvas, self.text(), lambda: self.widget._repr_mimebundle_(**options)
        )

    def text(self) -> str:
        """Give a summary and a strip in text, for plain IPython."""
        return summary.strip(self.recorded, self.choice, self.window)

    def __repr__(self) -> str:
        """Say what is looked at."""
        return f"<fmrw.Explorer {visible(self.recorded.path)} {range_text(*self.window)}>"
