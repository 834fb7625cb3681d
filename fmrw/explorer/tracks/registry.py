"""Track registry: which tracks there are, from top to bottom; see the room's docstring for how to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.explorer.tracks.compared import compared
from fmrw.explorer.tracks.content import borders, entropy, marked, structure
from fmrw.explorer.tracks.counts import offsets, strips
from fmrw.explorer.tracks.effects import classes
from fmrw.explorer.tracks.lanes import lanes
from fmrw.explorer.tracks.plane import plane
from fmrw.explorer.tracks.stack import NoRoomError, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.explorer.context import DrawingContext

TRACKS: tuple[tuple[str, Callable[[Stack], None]], ...] = (
    ("annotations", marked),
    ("structure", structure),
    ("classes", classes),
    ("entropy", entropy),
    ("", strips),
    ("", offsets),
    ("", compared),
    ("borders", borders),
    ("", lanes),
    ("", plane),
)
"""The overlay that switches a track on, "" for always, and what draws it."""


def draw_tracks(context: DrawingContext) -> None:
    """Draw all tracks of a view."""
    if not context.state.size:
        return
    stack = Stack(context)
    try:
        for overlay, draw in TRACKS:
            if not overlay or overlay in context.state.overlays:
                draw(stack)
    except NoRoomError:
        stack.gutter(context.layout.stack.bottom + stack.text * 1.1, "more does not fit")
