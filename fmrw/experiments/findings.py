"""Findings: what a search knows so far; a map can be made of them at any moment (`fmrw.experiments.classes`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fmrw.experiments.spans import merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.experiments.signature import Effect
    from fmrw.experiments.spans import Span


@dataclass
class Findings:
    """What is known so far.

    Attributes
    ----------
    values : dict
        Byte → value → what it changed.
    blocks : dict
        Pieces that are not looked at byte by byte, with what altering them changed.
    quiet : list of Span
        Pieces that matter under no pattern.
    together : dict
        Bytes that are harmless alone, with those that they matter with.
    alone : set of int
        Quiet bytes of which each was altered alone.
    like : set of int
        Bytes that one value altered as it did the byte in their place of an equal structure, of which several are known.
    settled : set of int
        Bytes of `values` that got all the values they are given.
    stage : str
        What is being looked for.
    complete : bool
    """

    values: dict[int, dict[int, Effect]] = field(default_factory=dict)
    blocks: dict[Span, Effect] = field(default_factory=dict)
    quiet: list[Span] = field(default_factory=list)
    together: dict[int, list[Span]] = field(default_factory=dict)
    alone: set[int] = field(default_factory=set)
    like: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    stage: str = "pieces"
    complete: bool = False

    @property
    def settled_blocks(self) -> bool:
        """Whether what is left of `blocks` is not taken apart any more."""
        return self.complete or self.stage not in {"pieces", "values"}

    @property
    def settled_quiet(self) -> bool:
        """Whether all was tried that may find that quiet bytes matter, alone or together."""
        return self.complete or self.stage == "once more"

    def settles(self, byte: int) -> bool:
        """Tell whether a byte of `values` is given no more values."""
        return self.complete or byte in self.settled or byte in self.like

    def note(self, byte: int, value: int, effect: Effect) -> None:
        """Keep what a value of a byte changed."""
        if byte not in self.values:
            self.forget_around((byte, byte + 1))
        self.values.setdefault(byte, {})[value] = effect

    def note_together(self, spans: Sequence[Span], others: Sequence[Span]) -> None:
        """Keep that bytes matter together with others."""
        for start, end in spans:
            for byte in range(start, end):
                self.together.setdefault(byte, merged(others))

    def forget_around(self, span: Span) -> None:
        """Keep no larger piece in mind once its parts are known."""
        for block in [each for each in self.blocks if each[0] < span[1] and span[0] < each[1]]:
            effect = self.blocks.pop(block)
            for part in ((block[0], span[0]), (span[1], block[1])):
                if part[0] < part[1]:
                    self.blocks[part] = effect
