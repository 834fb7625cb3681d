"""Grid: a file as the cells of a square; which cell is where, in which class, and the fewest rectangles that show it.

Cells are those of `tiles.square_edges`. A *run* is a row of cells side by side that hold consecutive bytes and look the same; it
becomes one mark. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fmrw.analysis.index.tiles import hilbert, row_major, square_edges
from fmrw.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fmrw.analysis.index.tiles import Index


Layout = Literal["row-major", "hilbert"]

LAYOUTS = {"row-major": row_major, "hilbert": hilbert}
SMALLEST, LARGEST = 16, 256
"""Sides a grid may have; a file of fewer bytes than cells gets a smaller one."""


@dataclass(frozen=True)
class Square:
    """The cells of a file of `size` bytes in a square of `side` by `side`.

    With `cell`, a power of two, every cell holds so many bytes (the last one what is left), and those behind the end of the file hold none.
    Without, all of the square is used, and cells differ by a byte.
    """

    size: int
    side: int
    layout: Layout
    cell: int = 0

    @classmethod
    def of(cls, size: int, side: int, layout: Layout) -> Square:
        """Make the grid asked for, or the smallest that holds every byte of a small file."""
        _check(side, layout)
        enough = max(1, int(np.ceil(np.sqrt(max(size, 1)))))
        if layout == "hilbert":
            enough = 1 << (enough - 1).bit_length()
        return cls(size, min(side, enough), layout)

    @classmethod
    def rounded(cls, size: int, side: int, layout: Layout) -> Square:
        """Make a grid whose cells hold a power of two of bytes, so that rows begin at offsets that can be read."""
        _check(side, layout)
        return cls._rounded(size, side, layout)

    @classmethod
    def _rounded(cls, size: int, side: int, layout: Layout) -> Square:
        cell = 1 << (-(-max(size, 1) // side**2) - 1).bit_length()
        if cell == 1:  # the smallest square that has a cell for each byte
            side = min(side, 1 << -(-(max(size, 1) - 1).bit_length() // 2))
        return cls(size, side, layout, cell)

    def halved(self) -> Square:
        """Give the same grid with half as many cells per side."""
        if not self.cell:
            return Square(self.size, self.side // 2, self.layout)
        return self._rounded(self.size, self.side // 2, self.layout)

    @property
    def count(self) -> int:
        """Number of cells, those beyond the end of the file included."""
        return self.side**2

    @property
    def used(self) -> int:
        """Number of cells that hold bytes."""
        return -(-self.size // self.cell) if self.cell else min(self.side**2, self.size)

    @property
    def edges(self) -> NDArray[np.int64]:
        """Offsets that cut the file into cells, one more than there are cells."""
        if not self.cell:
            return square_edges(self.size, self.side)
        starts = np.arange(self.used, dtype=np.int64) * self.cell
        return np.pad(starts, (0, self.count + 1 - self.used), constant_values=self.size)

    @property
    def order(self) -> NDArray[np.int64]:
        """Number of the cell at row y, column x."""
        cells = np.arange(self.count)
        x, y = LAYOUTS[self.layout](cells, self.side)
        grid = np.empty((self.side, self.side), np.int64)
        grid[y, x] = cells
        return grid

    def start_of(self, cell: int) -> int:
        """Give the first byte of a cell."""
        if self.cell:
            return min(cell * self.cell, self.size)
        return min(cell, self.size) if self.size < self.count else cell * self.size // self.count

    def repeats(self, index: Index, op: str | None) -> NDArray[np.int64]:
        """Say how often the byte of each cell that was touched most often was touched; None counts both operations."""
        return index.repeats(self.edges, op=op)

    def cells_of(self, start: int, end: int) -> NDArray[np.bool_]:
        """Say of each row and column whether its cell shares a byte with [start, end)."""
        edges = self.edges
        touched = (edges[:-1] < end) & (edges[1:] > start) & (edges[1:] > edges[:-1])
        return touched[self.order]


def _check(side: int, layout: Layout) -> None:
    if layout not in LAYOUTS:
        raise FigureError(f"'{layout}' is not a layout; take one of {', '.join(LAYOUTS)}")
    if not SMALLEST <= side <= LARGEST:
        raise FigureError(f"a grid of side {side} cannot be read; take {SMALLEST} to {LARGEST}")
    if layout == "hilbert" and side & (side - 1):
        raise FigureError(f"Hilbert's curve needs a power of two, not {side}; take 64 or 128")


def runs(square: Square, looks: NDArray[np.int64]) -> Iterator[tuple[int, int, int, int]]:
    """Join cells of one row that look the same and hold consecutive bytes.

    Parameters
    ----------
    square
        The grid.
    looks
        What each cell looks like, by number of the cell; 0 is left out.

    Yields
    ------
    row, first column, column after the last, look
    """
    yield from zip(*(each.tolist() for each in run_columns(square, looks)), strict=True)


def run_columns(square: Square, looks: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Give what `runs` gives, as four arrays."""
    picture = looks[square.order]
    rows, cuts = np.nonzero(_breaks(square, picture))  # the last of each row ends a run, and begins none
    look = np.append(picture, np.zeros((square.side, 1), np.int64), axis=1)[rows[:-1], cuts[:-1]]
    begun = np.flatnonzero(look)
    return rows[begun], cuts[begun], cuts[begun + 1], look[begun]


def count_runs(square: Square, looks: NDArray[np.int64]) -> int:
    """Count what `runs` gives."""
    picture = looks[square.order]
    return int(np.count_nonzero(_breaks(square, picture)[:, :-1] & (picture != 0)))


def _breaks(square: Square, picture: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each edge of the cells of a row whether a run begins or ends there."""
    breaks = np.ones((square.side, square.side + 1), bool)
    breaks[:, 1:-1] = (np.diff(picture) != 0) | (abs(np.diff(square.order)) != 1)
    return breaks


def bytes_of(square: Square, row: int, first: int, last: int, order: NDArray[np.int64]) -> tuple[int, int]:
    """Give the byte range of a run of cells."""
    ends = int(order[row, first]), int(order[row, last - 1])
    return square.start_of(min(ends)), square.start_of(max(ends) + 1)


def outline(cells: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Draw around a set of cells: x, y, x2, y2 of lines between a cell of it and one that is not."""
    framed = np.pad(cells, 1).astype(np.int8)
    across = [(x, y, x2, y) for y, x, x2 in stretches(np.diff(framed, axis=0)[:, 1:-1] != 0)]
    down = [(x, y, x, y2) for x, y, y2 in stretches((np.diff(framed, axis=1)[1:-1] != 0).T)]
    return across + down


def stretches(lines: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Find what is set without a break in each row: row, first, after the last."""
    edges = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges > 0)
    ends = np.nonzero(edges < 0)[1]
    yield from zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)
