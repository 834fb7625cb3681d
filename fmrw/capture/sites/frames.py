"""Frames: places in the code, and how they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fmrw.capture.sites.rules import Rule, Step
    from fmrw.capture.sites.space import Code

CFI, SCAN, FAULT = "cfi", "scan", "fault"
"""How a frame was found: by unwind tables, by a guess, or as the instruction of a page fault."""


class Frame(NamedTuple):
    """A place in the code.

    Attributes
    ----------
    code : Code or None
        Where it lies; None where no file is mapped.
    place : int
        Its address in the linked file, or in memory where there is none: where the function goes on.
    quality : str
    exact : bool
        Whether it is the instruction that comes next, and not one behind a call.
    """

    code: Code | None
    place: int
    quality: str
    exact: bool

    @property
    def entry(self) -> tuple[int, int, str]:
        """What a site is made of: the module's number, the distance from its beginning, how the frame was found."""
        if self.code is None:
            return -1, self.place, self.quality
        module = self.code.module
        return module.number, self.place - (module.elf.base if module.elf else 0), self.quality


class Met(NamedTuple):
    """A place in the code that was met before: its frame, and how to go on from it."""

    frame: Frame
    rule: Rule | None
    step: Step | None
