"""Plane of time: what was accessed when; offsets across, the order of accesses or the clock downwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmrw.explorer.tracks.stack import Stack
    from fmrw.figures.page import Box

MOST_POINTS = 800
"""Marks of the plane."""

_FIRST = 8  # times coarser than a point: the plane that is tried first, where there are many accesses
_LEAST = 5  # units of text the plane needs


def plane(stack: Stack) -> None:
    """Fill what room is left below the other tracks."""
    text = stack.text
    room = (stack.layout.stack.bottom - stack.y) / text
    if room < _LEAST:
        return
    box = stack.row("", room)
    stack.gutter(box.top + text * 0.8, "first access")
    rows, total = stack.sample
    if rows.is_empty():
        return
    axis = stack.recorded.time_axis(stack.state.time_axis)
    stack.gutter(box.bottom - text * 0.1, axis.length)
    _points(stack, box, axis.shares(rows))
    if rows.height < total:
        shown = "lanes, call borders and time" if "borders" in stack.state.overlays else "lanes and time"
        note = f"{shown}: {rows.height:,} of {total:,} accesses"
        stack.canvas.text(box.right, box.bottom + text * 1.3, note, "faint", size=0.85, align="right")


def _points(stack: Stack, box: Box, shares: NDArray[np.float64]) -> None:
    """Draw marks of offset and time: one per step of the plane, in steps fine enough for `MOST_POINTS`."""
    rows, (start, end) = stack.sample[0], stack.layout.window
    who, inks = stack.groups.colour, len(stack.groups.keys)
    scale = box.width / max(end - start, 1)
    x = np.clip((rows["start"].to_numpy() - start) * scale, 0, box.width)
    x2 = np.clip((rows["end"].to_numpy() - start) * scale, 0, box.width)
    y = shares * (box.height - 1.6)
    high, wide = int(box.height / 1.6) + 2, int(box.width) + 2
    left, right, down = x.astype(np.int64), np.ceil(x2).astype(np.int64), (y // 1.6).astype(np.int64)

    def marks(step: int) -> NDArray[np.int64]:
        """Give the distinct marks of a plane so many times as coarse."""
        return _distinct(((left // step * wide + -(-right // step)) * high + down // step) * inks + who)

    step = _FIRST if len(left) > _FIRST * MOST_POINTS else 1  # a coarse plane has fewer marks to put in order
    found = marks(step)
    while step > 1 and len(found) <= MOST_POINTS and len(finer := marks(step // 2)) <= MOST_POINTS:
        step, found = step // 2, finer
    while len(found) > MOST_POINTS and step <= box.width:
        step *= 2
        found = marks(step)
    rest, who = np.divmod(found, inks)
    rest, down = np.divmod(rest, high)
    left, right = np.divmod(rest, wide)
    top = box.top + np.minimum(down * 1.6 * step, box.height - 1.6)
    last = box.left + np.minimum(np.maximum(right, left + 1) * step, box.width)
    stack.canvas.many((box.left + left * step, top, last, top + 1.6), stack.groups.keys, who)


def _distinct(marks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each mark once, in order; `numpy.unique` takes several times as long."""
    ordered = np.sort(marks)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
