"""Drawing context: what is drawn, how, and onto what; every part of a picture gets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fmrw.explorer.canvas import Canvas
    from fmrw.explorer.colouring import Colouring
    from fmrw.explorer.filters import Choice
    from fmrw.explorer.layout import PanelLayout
    from fmrw.explorer.recorded_file import RecordedFile
    from fmrw.explorer.state import State


@dataclass
class DrawingContext:
    """What is drawn, how, and onto what; the scene may choose a coarser layout."""

    recorded: RecordedFile
    state: State
    choice: Choice
    canvas: Canvas
    layout: PanelLayout
    ops: tuple[str, ...]
    colouring: Colouring
