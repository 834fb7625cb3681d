"""Table cells: the columns of the table of files as HTML; for the widget, and for what a saved notebook keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.explorer.markup import escaped
from fmrw.offsets import human_size
from fmrw.text import percent
from fmrw.trace import exactness

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS = 20
"""Files on a page."""

CELL = (
    "display:inline-block;box-sizing:border-box;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
    "vertical-align:middle;padding:0 5px;font-size:12px"
)
NAME = 190
"""Pixels of the column with the name."""

WIDTHS = {"size": 94, "coverage": 106, "reads": 62, "writes": 54, "largest gap": 94, "processes": 104}


def covered(share: float | None) -> str:
    """Write a share, which an empty file has none of."""
    return "" if share is None else percent(share)


def heads(widths: Mapping[str, int] = WIDTHS) -> str:
    """Name the columns, all or some of them."""
    heads = "".join(
        f"<span style='{_column(name, width)}'><b>{name}</b></span>" for name, width in widths.items()
    )
    return _line(f"{heads}<span style='{CELL}'><b>where</b></span>")


def said(exactly: str) -> str:
    """Say below the table how exact its ranges are."""
    return f"<div style='{CELL};width:auto'>{escaped(exactly)}</div>"


def _column(name: str, width: int) -> str:
    return f"{CELL};width:{width}px;text-align:{'left' if name == 'processes' else 'right'}"


def _bar(share: float | None) -> str:
    """Fill a cell from its left as far as a share goes."""
    filled = 100 * min(max(share or 0.0, 0.0), 1.0)
    return (
        f";background:linear-gradient(to right,rgba(91,141,184,.35) {filled:.1f}%,transparent {filled:.1f}%)"
    )


def _line(cells: str) -> str:
    return f"<span style='white-space:nowrap'>{cells}</span>"


def row(found: Mapping[str, Any], strips: Mapping[str, str]) -> str:
    """Write what is known of a file, its strip last."""
    gap = human_size(found["largest_gap"]) if found["largest_gap"] else ""
    texts = (
        human_size(found["size"]),
        covered(found["covered"]) + exactness.mark(found["fidelity"], mapped=found.get("mapped", False)),
        f"{found['reads']:,}",
        f"{found['writes']:,}",
        gap,
        found["processes"],
    )
    bars = {"coverage": _bar(found["covered"])}
    shown = "".join(
        f"<span style='{_column(*column)}{bars.get(column[0], '')}'>{escaped(text)}</span>"
        for text, column in zip(texts, WIDTHS.items(), strict=True)
    )
    return _line(f"{shown}<span style='{CELL}'>{strips.get(found['path'], '')}</span>")
