"""Keyboard shortcuts: what each key does; tooltips and the help panel take their words from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.state import State


class Shortcut(NamedTuple):
    """What a key does, in words and as a function."""

    told: str
    act: Callable[[State], object]


SHORTCUTS: Mapping[str, Shortcut] = {
    "ArrowLeft": Shortcut("move left", lambda state: state.pan(-0.5)),
    "ArrowRight": Shortcut("move right", lambda state: state.pan(0.5)),
    "+": Shortcut("zoom in", lambda state: state.zoom(0.5)),
    "-": Shortcut("zoom out", lambda state: state.zoom(2)),
    "0": Shortcut("the whole file", lambda state: state.whole()),
    "n": Shortcut("next gap: a range that nothing read", lambda state: state.next_gap()),
    "p": Shortcut("previous gap", lambda state: state.previous_gap()),
    "e": Shortcut("next extent: a range that was touched", lambda state: state.next_extent()),
    "E": Shortcut("previous extent", lambda state: state.previous_extent()),
    "Backspace": Shortcut("back to what was shown before", lambda state: state.back()),
    "Delete": Shortcut("forward again", lambda state: state.forward()),
}
"""Key, as `KeyboardEvent.key` names it → what it does to the window."""

MENUS: Mapping[str, str] = {
    "f": "filter",
    "c": "compare",
    "m": "mark",
    "x": "export",
    "l": "look",
    "?": "help",
    "Escape": "",
}
"""Key → the menu it opens or shuts; "" shuts all."""

GO, PLAY = "g", " "
"""Keys that lead to the box for an offset, and that play and pause."""

JUMPS = "npeE"
"""Keys that go to a gap or an extent."""

KEYS = (*SHORTCUTS, *MENUS, GO, PLAY)
"""All keys that do something."""

GESTURES: Mapping[str, str] = {
    "drag": "show that range",
    "click": "zoom in there",
    "double click": "zoom out; over the whole file: all of it",
    "Ctrl and wheel": "zoom around the pointer",
    "wheel": "scrolls the page",
    "move": "says below what lies there",
}
"""What the pointer does over the chart."""

HINT = "drag: show that range · click: closer · double click: back out · Ctrl+wheel: zoom · ? lists the keys"
"""What pointer and keys do, in one line."""

_NAMES = {
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "Backspace": "⌫",
    "Delete": "Del",
    "Escape": "Esc",
    PLAY: "space",
}


def shown(key: str) -> str:
    """Write a key as keyboards do."""
    return _NAMES.get(key, key)


def listed() -> list[tuple[str, str]]:
    """Give all keys and gestures with what they do, in the order of the help panel."""
    keys = [(shown(key), each.told) for key, each in SHORTCUTS.items()]
    menus = [(shown(key), f"menu: {name}" if name else "shut the menu") for key, name in MENUS.items()]
    return [*keys, (GO, "go to an offset"), (shown(PLAY), "play, pause"), *menus, *GESTURES.items()]
