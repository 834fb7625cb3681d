"""Offered: by what the bytes of a recording can be coloured, and which tracks it has; what a recording does not hold is not offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.errors import BadInput
from fmrw.explorer.callsites import NO_SITES
from fmrw.explorer.state import COLOURS, OVERLAYS

if TYPE_CHECKING:
    from fmrw.explorer.recorded_file import RecordedFile


def colours(recorded: RecordedFile) -> tuple[str, ...]:
    """Give those of `COLOURS` that say something about this file."""
    there = {"class": bool(recorded.probed.commands), "function": recorded.has_sites}
    return tuple(name for name in COLOURS if there.get(name, True))


def overlays(recorded: RecordedFile) -> tuple[str, ...]:
    """Give those of `OVERLAYS` that show something of this file."""
    return tuple(name for name in OVERLAYS if name != "classes" or recorded.probed.commands)


def colour(recorded: RecordedFile, wanted: str) -> str:
    """Check by what a view is to be coloured.

    Raises
    ------
    BadInput
        The recording does not hold what that needs.
    """
    if wanted in colours(recorded):
        return wanted
    if wanted == "function":
        raise BadInput(NO_SITES)
    raise BadInput(recorded.probed.reason or "this file was not probed: `fmrw probe FILE -o OUT -- COMMAND {}` finds classes, and keeps them in OUT")  # fmt: skip
