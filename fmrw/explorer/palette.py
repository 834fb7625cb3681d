"""Palette: the colours of the explorer, each with a key of one or two characters that the rows of a canvas carry."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fmrw.figures.programs import program_numbers
from fmrw.figures.theme import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from fmrw.figures.classes import Classes
    from fmrw.figures.theme import Palette

PALETTES = {"light": LIGHT, "dark": DARK}
SEVERAL = "m"
"""Key of what several programs touched."""

UNREAD = "u"
"""Key of what nobody touched, where that is said of it."""

_LIGHT = {
    "v": "rgba(255,255,255,0.62)",
    "n": "#8b949e",
    "h": "#c3cad2",
    "s": "#d5dae1",
    "S": "#b9c2cd",
    SEVERAL: "#7a5195",
}
_DARK = {
    "v": "rgba(20,23,28,0.62)",
    "n": "#6b7480",
    "h": "#454d57",
    "s": "#3a4452",
    "S": "#566479",
    SEVERAL: "#b48ad6",
}


def colours(palette: Palette) -> dict[str, str]:
    """Give the colour of each key: veil, ignored, unread and partly unread, two tints for parts, ramps, processes."""
    named = {"paper": palette.paper, "ink": palette.ink, "faint": palette.faint}
    named |= {
        UNREAD: palette.unread,
        SEVERAL: palette.several,
        "g": palette.untouched,
        "a": palette.accent,
        "i": palette.several,
        **(_DARK if palette == DARK else _LIGHT),
    }
    for op in ("read", "write"):
        named |= {f"{op[0]}{number}": colour for number, colour in enumerate(palette.ramp(op), 1)}
    return named | {f"p{number}": colour for number, colour in enumerate(palette.programs)}


def program_keys(names: Iterable[str]) -> dict[str, str]:
    """Give each program the key of its colour; `names` are all programs of the recording, as `fmrw.figures.programs` asks for."""
    return {name: f"p{number}" for name, number in program_numbers(names).items()}


def keys_of(classes: Classes, op: str) -> list[str]:
    """Give the keys of the colours of each class, spread over the ramp as figures do."""
    ramp = tuple(f"{op[0]}{number}" for number in range(1, 6))
    return list(classes.colours(ramp))


def spans(numbers: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Join neighbours of the same number: first, after the last, number; zero is left out."""
    cuts = np.r_[0, np.flatnonzero(np.diff(numbers)) + 1, len(numbers)].tolist()
    return [(a, b, int(numbers[a])) for a, b in pairwise(cuts) if b > a and numbers[a]]


def ink_on(colour: str) -> str:
    """Choose black or white on a colour `#rrggbb`, whichever has more contrast (WCAG 2: relative luminance)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]  # noqa: PLR2004 - sRGB
    luminance = sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def ink_key(named: Mapping[str, str], key: str) -> str:
    """Choose ink or paper for text on the colour of a key, whichever has more contrast."""
    wanted = ink_on(named[key])
    return next((each for each in ("ink", "paper") if ink_on(named[each]) != wanted), "ink")
