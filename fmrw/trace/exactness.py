"""Exactness: how exact the ranges of a recording are, and how large the requests behind them were; in the words that all use.

Tables, figures, exports and the explorer ask here, so that none says "byte-exact" over ranges of whole pages.

A row of a recording says what a program *asked* for, not what it looked at: who wants four bytes through a buffer of 4 KiB asks for
4 KiB. The smallest request tells how coarse that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.offsets import human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl  # the tables of mounts do without

BYTE, PAGE = "byte", "page"
NOTHING = "nothing was requested yet"
PAGES = "page-granular"
"""What a badge says that has no room for more."""

MARK = "(pages)"
"""What a table of files says behind the bytes that are whole pages."""

MAPPED = "also mapped: what was read through the map is in no log of strace"
"""What is said of a file of a log that a program mapped."""

_WORDS = {BYTE: "byte-exact", PAGE: f"{PAGES}: ranges are whole pages"}
_COARSE = 512  # bytes from which on a request hides what its program looked at


def fidelity(transfers: pl.DataFrame) -> str | None:
    """Give the fidelity of reads and writes together: `page` if one of them is, None if there are none or nothing is known."""
    if transfers.is_empty() or "fidelity" not in transfers.columns:
        return None
    return PAGE if (transfers["fidelity"] == PAGE).any() else BYTE


def smallest_request(transfers: pl.DataFrame) -> int | None:
    """Give the bytes of the smallest request to read; None if there is none, or its size was not recorded."""
    if not {"op", "requested"} <= set(transfers.columns):
        return None
    asked = transfers["requested"].filter((transfers["op"] == "read") & (transfers["requested"] > 0)).min()
    return None if asked is None else int(asked)  # type: ignore[arg-type] # a number


def is_mapped(facts: Mapping[str, Any], path: str) -> bool:
    """Tell whether a file was mapped where reads through maps are not recorded: in a log of strace (fact `mapped`)."""
    return path in (facts.get("mapped") or ())


def exactness_text(fidelity: str | None) -> str:
    """Say how exact ranges are; None means that there are none."""
    return NOTHING if fidelity is None else _WORDS[fidelity]


def joint(fidelities: Iterable[str | None]) -> str | None:
    """Give the fidelity of several together: the coarsest."""
    known = {each for each in fidelities if each is not None}
    return PAGE if PAGE in known else BYTE if known else None


def files_text(fidelities: Iterable[str | None]) -> str:
    """Say how exact a table of files is, of which those with whole pages bear `mark` if not all do."""
    known = set(fidelities) - {None}
    said = exactness_text(joint(known))
    return f"{MARK}: {said}" if len(known) > 1 else said


def mark(fidelity: str | None) -> str:
    """Give what stands behind the bytes of a file in a table, where they are whole pages; else nothing."""
    return f" {MARK}" if fidelity == PAGE else ""


def request_text(smallest: int | None) -> str:
    """Say how large the smallest request was, where that hides what was looked at; else nothing."""
    return f"smallest request {human_size(smallest)}" if smallest is not None and smallest >= _COARSE else ""
