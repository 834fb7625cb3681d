"""Keyboard shortcuts: what each key does to the window; `HINT` tells them, and the pointer's gestures, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.state import State

SHORTCUTS: Mapping[str, Callable[[State], object]] = {
    "ArrowLeft": lambda state: state.pan(-0.5),
    "ArrowRight": lambda state: state.pan(0.5),
    "+": lambda state: state.zoom(0.5),
    "-": lambda state: state.zoom(2),
    "0": lambda state: state.whole(),
    "n": lambda state: state.next_gap(),
    "p": lambda state: state.previous_gap(),
    "e": lambda state: state.next_extent(),
    "Backspace": lambda state: state.back(),
}
"""Key, as `KeyboardEvent.key` names it → what it does."""

HINT = (
    "drag: show that range · click: closer · double click: back out · wheel: around the pointer · "
    "keys: ← → move, + - zoom, 0 whole, n p gaps, e extents, ⌫ back"
)
"""What pointer and keys do, in one line."""


def press(state: State, key: str | None) -> None:
    """Do what a key stands for; other keys do nothing."""
    if key is not None and key in SHORTCUTS:
        SHORTCUTS[key](state)
