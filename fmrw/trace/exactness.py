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

MAPPED_MARK = "(mapped)"
"""What a table of files says behind the bytes of a file that may have been read through a map as well."""

MAPPED = "also mapped: what was read through the map is in no log of strace"
"""What is said of a file of a log that a program mapped."""

ONLY_MAPPED = "requested by no call, but mapped: what was read through the map is in no log of strace"
"""What is said of such a file where no call moved a byte of it."""

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


def maps(facts: Mapping[str, Any]) -> frozenset[str]:
    """Give all files of which `is_mapped` is true."""
    return frozenset(facts.get("mapped") or ())


def is_mapped(facts: Mapping[str, Any], path: str) -> bool:
    """Tell whether a file was mapped where reads through maps are not recorded: in a log of strace (fact `mapped`)."""
    return path in (facts.get("mapped") or ())


def capture_of(facts: Mapping[str, Any]) -> str | None:
    """Name what recorded: the capture mode of the mount, or `strace`; None where that is not known."""
    mode = (facts.get("options") or {}).get("capture")
    return "strace" if mode is None and "mapped" in facts and "sessions" not in facts else mode


def exactness_text(fidelity: str | None, *, mapped: bool = False) -> str:
    """Say how exact ranges are, and whether a map hides more of them (`is_mapped`); None means that there are none."""
    if mapped:
        return ONLY_MAPPED if fidelity is None else f"{_WORDS[fidelity]}, {MAPPED}"
    return NOTHING if fidelity is None else _WORDS[fidelity]


def badge(*, page: bool, mapped: bool) -> str:
    """Give the few words of warning that stand on a figure's face; "" where every request was seen to the byte."""
    return ", ".join(word for word, meant in ((PAGES, page), ("also mapped", mapped)) if meant)


def nothing_text(*, mapped: bool) -> str:
    """Say shortly that there is nothing to show."""
    return "requested by no call, but mapped" if mapped else NOTHING


def unread_text(*, mapped: bool) -> str:
    """Name what no call read: of a mapped file nobody knows whether it was."""
    return "read by no call" if mapped else "never read"


def untouched_text(*, mapped: bool) -> str:
    """Name what no call read or wrote."""
    return "accessed by no call" if mapped else "not accessed"


def nobody_text(*, mapped: bool) -> str:
    """Name who requested what was not requested."""
    return "no call" if mapped else "nobody"


def joint(fidelities: Iterable[str | None]) -> str | None:
    """Give the fidelity of several together: the coarsest."""
    known = {each for each in fidelities if each is not None}
    return PAGE if PAGE in known else BYTE if known else None


def files_text(fidelities: Iterable[str | None], *, mapped: bool = False) -> str:
    """Say how exact a table of files is, of which those with whole pages bear `mark` if not all do, and so do those that were `mapped`."""
    known = set(fidelities) - {None}
    said = exactness_text(joint(known))
    said = f"{MARK}: {said}" if len(known) > 1 else said
    return f"{said}; {MAPPED_MARK}: {MAPPED}" if mapped else said


def mark(fidelity: str | None, *, mapped: bool = False) -> str:
    """Give what stands behind the bytes of a file in a table, where they are whole pages, or a map may hide more; else nothing."""
    return (f" {MARK}" if fidelity == PAGE else "") + (f" {MAPPED_MARK}" if mapped else "")


def request_text(smallest: int | None) -> str:
    """Say how large the smallest request was, where that hides what was looked at; else nothing."""
    return f"smallest request {human_size(smallest)}" if smallest is not None and smallest >= _COARSE else ""
