"""Hex view: the bytes of a short window as HTML, coloured by how often they were read and written.

Each byte has a class: never read, read once, read more often, and written, which is a line below the byte and goes with any of the
three. Above each row of bytes stand the names the format gives to what begins in it. Everything that comes from the file or the recording
is escaped.
"""

from __future__ import annotations

import html
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from fmrw.figures.theme import DARK, LIGHT
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fmrw.figures.theme import Palette
    from fmrw.offsets import Annotation

WIDTH = 16
"""Bytes per row."""

MOST = 1024
"""Bytes shown at most; a larger window asks to zoom in."""

NEVER, ONCE, OFTEN = range(3)
_TIMES = 2  # from which on it is often
_NAMES = 4  # shown above one row
_ORDER = "noO"


def page(
    content: bytes,
    start: int,
    reads: NDArray[np.int64],
    writes: NDArray[np.int64],
    *,
    parts: Sequence[tuple[int, int, str]] = (),
    annotations: Sequence[Annotation] = (),
    theme: str = "light",
) -> str:
    """Write bytes as HTML.

    Parameters
    ----------
    content
        The bytes from offset `start` on.
    reads, writes
        How often each byte was read and written; one entry per byte.
    parts
        `start, end, name` of named ranges.
    annotations
        Marked ranges; the offsets of their bytes are in the accent colour.
    theme
        "light" or "dark".
    """
    looks = _looks(reads, writes)
    first = start - start % WIDTH
    rows = []
    for at in range(first, start + len(content), WIDTH):
        names = _named(parts, max(at, start), at + WIDTH, start)
        rows.append(_row(content, start, at, looks, names=names, annotations=annotations))
    return f"{style(theme)}<div class='fmrw-hex fmrw-{theme}'>{_legend()}<pre>{''.join(rows)}</pre></div>"


def message(text: str, theme: str = "light") -> str:
    """Say instead why there are no bytes."""
    return f"{style(theme)}<div class='fmrw-hex fmrw-{theme}'><p>{escaped(text)}</p></div>"


def distant(size: int, reason: str) -> str:
    """Say what to do to see bytes of a file of `size`, and why there will be none."""
    if not size and not reason:
        return "The file is empty; its bytes appear here once there are some."
    zoom = f"Zoom to {MOST:,} bytes or fewer to see them."
    return f"{zoom} There are none to see now: {reason}." if reason else zoom


def escaped(text: str) -> str:
    """Make any text harmless in HTML."""
    return html.escape(visible(text))


def _looks(reads: NDArray[np.int64], writes: NDArray[np.int64]) -> list[str]:
    """Give each byte its CSS classes."""
    often = np.where(reads >= _TIMES, OFTEN, np.where(reads > 0, ONCE, NEVER))
    return [
        _ORDER[look] + ("w" if write else "")
        for look, write in zip(often.tolist(), (writes > 0).tolist(), strict=True)
    ]


def _row(
    content: bytes,
    start: int,
    at: int,
    looks: Sequence[str],
    *,
    names: Sequence[str],
    annotations: Sequence[Annotation],
) -> str:
    """Write the bytes [at, at + 16), those before `start` left blank."""
    places = range(max(at, start), min(at + WIDTH, start + len(content)))
    blank = max(start - at, 0)
    marked = any(each.start < places.stop and each.end > places.start for each in annotations)
    shown = [(looks[place - start], content[place - start]) for place in places]
    offset = f"<span class='{'a' if marked else 'd'}'>{at:#010x}</span>"
    above = f"<span class='s'>{' ' * 12}{' · '.join(names)}</span>\n" if names else ""
    hexadecimal = "   " * blank + _coloured(shown, lambda byte: f"{byte:02x} ")
    width = 3 * WIDTH - 3 * (blank + len(shown))
    text = " " * blank + _coloured(shown, _character)
    return f"{above}{offset}  {hexadecimal}{' ' * width} {text}\n"


def _coloured(shown: Sequence[tuple[str, int]], write: Callable[[int], str]) -> str:
    """Join bytes of one look into one span."""
    made = []
    for look, group in groupby(shown, key=lambda each: each[0]):
        text = html.escape("".join(write(byte) for _, byte in group))
        made.append(f"<span class='{' '.join(look)}'>{text}</span>")
    return "".join(made)


def _character(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "·"  # noqa: PLR2004 - printable ASCII


def _named(parts: Sequence[tuple[int, int, str]], at: int, end: int, first: int) -> list[str]:
    """Name what begins within a row; the first row names also what began before."""
    begin = [name for low, high, name in parts if at <= low < end or (at == first and low < at < high)]
    more = [f"and {len(begin) - _NAMES} more"] if len(begin) > _NAMES else []
    return [escaped(name) for name in begin[-_NAMES:]] + more


def _legend() -> str:
    entries = (("n", "never read"), ("o", "read once"), ("O", "read more often"), ("n w", "written"))
    return (
        "<p>"
        + " ".join(f"<span class='{look}'>&nbsp;41&nbsp;</span> {label}" for look, label in entries)
        + "</p>"
    )


def style(theme: str) -> str:
    """Give the rules, for this theme only."""
    palette: Palette = DARK if theme == "dark" else LIGHT
    once, often = palette.reads[0], palette.reads[3]
    bright = "#ffffff" if theme == "light" else palette.paper
    scope = f".fmrw-hex.fmrw-{theme}"
    return (
        f"<style>{scope}{{background:{palette.paper};color:{palette.ink};padding:6px 12px;overflow-x:auto}}"
        f"{scope} pre{{font:12px/1.5 'DejaVu Sans Mono',Menlo,Consolas,monospace;margin:4px 0;background:none;color:inherit}}"
        f"{scope} p{{margin:2px 0;font-size:12px}}{scope} .n{{color:{palette.faint};background:{palette.untouched}}}"
        f"{scope} .o{{background:{once};color:{LIGHT.ink if theme == 'light' else DARK.ink}}}"
        f"{scope} .O{{background:{often};color:{bright}}}{scope} .w{{box-shadow:inset 0 -3px 0 {palette.writes[1]}}}"
        f"{scope} .d{{color:{palette.faint}}}{scope} .a{{color:{palette.accent};font-weight:bold}}"
        f"{scope} .s{{color:{palette.accent};font-size:11px}}</style>"
    )
