"""Theme: sizes, type and colours of figures; nothing here knows what is drawn.

A `Look` is a value. Presets are looks; `dataclasses.replace(look, width=…)` makes variants. Widths and heights are
of the whole figure in points (1/72 inch), so type keeps its size on paper whatever is drawn.

Colours. Reads are blue, writes orange: the pair that deuteranopes, protanopes and tritanopes all tell apart. Within
each, five classes step evenly in luminance, so that order survives greyscale print. Every class, and every program, stands out from the ground of
untouched bytes by 3:1, the contrast WCAG 2.2 asks of graphics (1.4.11), in colour, in grey and as colour-blind people see it. Where both meet, position tells them apart too (reads above, writes below), since two hues of one
luminance are one grey. Programs have twelve colours (`fmrw.figures.programs`), found by search: the least difference between any two is as large
as could be found for normal sight and all three deficiencies at once, the first eight lying further apart. A test
computes CIEDE2000 as Machado et al. (2009) simulate deficiencies: at least 10 everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fmrw.errors import BadChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

SANS = "Liberation Sans, Arial, Helvetica, DejaVu Sans, sans-serif"
_NOT_IN_NAMES = re.compile(r"[^\w .-]")
CLASSES = 5
"""Classes per ramp."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours of one background.

    `reads` and `writes` go from one access to the most. `unread` is what nobody read, where that has a mark of its own, `several` what more than
    one program read, `parts` two tints for neighbouring parts of a format. `programs` are twelve that lie apart; ask `fmrw.figures.programs` which is whose.
    """

    paper: str
    ink: str
    faint: str
    untouched: str
    accent: str
    unread: str
    several: str
    parts: tuple[str, str]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    classes: tuple[str, ...]
    programs: tuple[str, ...]

    def ramp(self, op: str) -> tuple[str, ...]:
        """Give the ramp of an operation, "read" or "write"."""
        return self.reads if op == "read" else self.writes


LIGHT = Palette(
    paper="#ffffff",
    ink="#1b1f24",
    faint="#626b76",
    untouched="#f3f5f8",
    accent="#b3005e",
    unread="#1b1f24",
    several="#868b93",
    parts=("#d5dae1", "#b9c2cd"),
    reads=("#2088d8", "#0068c8", "#0048a0", "#002078", "#001828"),
    writes=("#c07020", "#a85008", "#883000", "#482000", "#201000"),
    classes=("#0b5fa5", "#e69f00", "#111111", "#56b4e9", "#d55e00", "#009e73", "#cc79a7"),
    programs=(
        "#5a78ff", "#c34b78", "#00694b", "#8700d2", "#785a00", "#002d78", "#699600", "#5a1e0f",
        "#a5785a", "#9678b4", "#4b8787", "#5a3c5a",
    ),
)  # fmt: skip
DARK = Palette(
    paper="#14171c",
    ink="#f2f4f7",
    faint="#9aa4b1",
    untouched="#23272e",
    accent="#ff7ac0",
    unread="#f2f4f7",
    several="#8b929c",
    parts=("#3a4452", "#566479"),
    reads=("#0068f8", "#3890d0", "#48b0ff", "#a0d0ff", "#d8f0ff"),
    writes=("#b86820", "#e08008", "#f8a068", "#ffc830", "#ffe8d8"),
    classes=("#3d9be0", "#e69f00", "#f5f5f5", "#8fd3ff", "#d8480f", "#1fb58f", "#e39ac4"),
    programs=(
        "#5ab4ff", "#ff5a78", "#96fff0", "#5a69ff", "#5a871e", "#967896", "#c3ff00", "#ffe1b4",
        "#b4a500", "#d2d2ff", "#4ba587", "#f0b4c3",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Look:
    """Size, type and colours of a figure.

    Parameters
    ----------
    width, height
        The whole figure, in points.
    text
        Size of body text in points; title, axes and small type follow it.
    font
        Family, or several separated by commas; the first one at hand is used.
    title
        Instead of the file's name.
    caption
        Whether provenance stands in small type below the chart. It is in the metadata in any case.
    least
        Points of the smallest type on the face; slides have one, and no hash of the content.
    """

    width: float = 842
    height: float = 595
    text: float = 11
    font: str = SANS
    palette: Palette = field(default=LIGHT, repr=False)
    title: str | None = None
    caption: bool = True
    least: float = 0

    @property
    def fonts(self) -> str:
        """The font, quoted, with others behind it: text of a family that nobody has would not be drawn at all."""
        families = [_NOT_IN_NAMES.sub("", family).strip() for family in f"{self.font}, {SANS}".split(",")]
        names = [family for family in dict.fromkeys(families) if family]
        return ", ".join(name if name == "sans-serif" else f"'{name}'" for name in names)

    @property
    def small(self) -> float:
        """Size of small type."""
        return max(round(self.text * 0.76, 1), self.least)

    @property
    def label(self) -> float:
        """Size of labels: of axes, legends and what stands in a chart."""
        return max(round(self.text * 0.9, 1), self.least)

    @property
    def margin(self) -> float:
        """Paper left free on each side."""
        return round(self.text * 2, 1)

    @property
    def portrait(self) -> bool:
        """Whether explanations stand below the chart instead of beside it."""
        return self.height > self.width


SCREEN = Look()
"""A4 landscape: one page when printed, and the shape of a slide."""

SMALLEST, LARGEST = 144, 5000
"""Points of the shortest and the longest side of a figure: 5 cm, and more than A0."""

PRESETS: Mapping[str, Look] = {
    "page": SCREEN,
    "slide-16x9": Look(width=960, height=540, text=20, least=18, caption=False),
    "slide-4x3": Look(width=960, height=720, text=20, least=18, caption=False),
    "paper-column": Look(width=252, height=470, text=7.5),
    "paper-page": Look(width=510, height=360, text=8),
    "poster": Look(width=1684, height=1190, text=22),
    "dark": Look(width=960, height=540, text=20, least=18, caption=False, palette=DARK),
}
"""Looks by name."""


def preset(name: str, **changes: object) -> Look:
    """Give a look by name, with changes.

    Raises
    ------
    FigureError
        Unknown name; the message lists the known ones. Or a width or height that makes no readable figure.
    """
    if name not in PRESETS:
        raise BadChoice(f"'{name}' is not a preset; take one of {', '.join(PRESETS)}")
    look = replace(PRESETS[name], **changes)  # type: ignore[arg-type] # fields are checked by `replace`
    for side, points in (("width", look.width), ("height", look.height)):
        if not SMALLEST <= points <= LARGEST:  # nor is it a number that is none
            raise BadChoice(
                f"a figure of {side} {points:g} cannot be read; take {SMALLEST} to {LARGEST} points"
            )
    return look
