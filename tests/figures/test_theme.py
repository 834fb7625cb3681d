"""Colours for everybody: computed as Machado et al. (2009) and CIEDE2000 (Sharma et al., 2005) say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from fmrw.errors import FigureError
from fmrw.figures.classes import Classes
from fmrw.figures.theme import DARK, LIGHT, PRESETS, Palette, preset

Colour = NDArray[np.float64]

SIGHT = {  # Machado, Oliveira, Fernandes (2009), severity 1.0, on linear RGB
    "all": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
TRITANOPIA = np.array(
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
)
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> Colour:
    channel = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colour) -> Colour:
    xyz = XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one: Colour, two: Colour) -> float:
    (l1, a1, b1), (l2, a2, b2) = one, two
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = (1 - np.sqrt(c7 / (c7 + 25**7))) / 2
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    turn = 0.0 if grey else (h2 - h1 + 180) % 360 - 180
    mean = h1 + h2 if grey else (h1 + turn / 2) % 360
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, c = (l1 + l2) / 2, (c1 + c2) / 2
    cos = [np.cos(np.radians(k * mean + shift)) for k, shift in ((1, -30), (2, 0), (3, 6), (4, -63))]
    t = 1 - 0.17 * cos[0] + 0.24 * cos[1] + 0.32 * cos[2] - 0.20 * cos[3]
    sl = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    sc, sh = 1 + 0.045 * c, 1 + 0.015 * c * t
    twist = -2 * np.sqrt(c**7 / (c**7 + 25**7)) * np.sin(np.radians(60 * np.exp(-(((mean - 275) / 25) ** 2))))
    parts = (dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + twist * (dc / sc) * (dh / sh)
    return float(np.sqrt(parts))


def apart(one: str, two: str) -> float:
    return min(ciede2000(lab(sight @ linear(one)), lab(sight @ linear(two))) for sight in SIGHT.values())


def apart_for_all(one: str, two: str) -> float:
    tritan = ciede2000(lab(TRITANOPIA @ linear(one)), lab(TRITANOPIA @ linear(two)))
    return min(apart(one, two), tritan)


def lightness(colour: str) -> float:
    return float(lab(linear(colour))[0])


@pytest.mark.parametrize(  # from the test data of Sharma, Wu, Dalal (2005)
    ("one", "two", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_is_that_of_the_paper(
    one: tuple[float, ...], two: tuple[float, ...], expected: float
) -> None:
    assert ciede2000(np.array(one), np.array(two)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_neighbouring_classes_can_be_told_apart_by_everybody(palette: Palette) -> None:
    for ramp in (palette.reads, palette.writes):
        for one, two in itertools.pairwise((palette.untouched, *ramp)):
            assert apart(one, two) >= 10, (one, two)
    for read, write in zip(palette.reads, palette.writes, strict=True):
        assert apart(read, write) >= 10, (read, write)
    for one, two in itertools.combinations(palette.classes, 2):
        assert apart(one, two) >= 10, (one, two)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_programs_can_be_told_apart_by_everybody(palette: Palette) -> None:
    for one, two in itertools.combinations(palette.programs[:8], 2):
        assert apart_for_all(one, two) >= 13, (one, two)
    for one, two in itertools.combinations(palette.programs, 2):
        assert apart_for_all(one, two) >= 10, (one, two)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_order_survives_greyscale_print(palette: Palette) -> None:
    for ramp in (palette.reads, palette.writes):
        steps = np.diff([lightness(colour) for colour in (palette.untouched, *ramp)])
        assert (np.sign(steps) == np.sign(steps[0])).all()
        assert (abs(steps) >= 8).all(), steps


def contrast(one: str, two: str, sight: Colour) -> float:
    """WCAG 2.2, "contrast ratio": (L1 + 0.05) / (L2 + 0.05), L the relative luminance of linear sRGB; 1.4.11 asks 3:1 of graphics."""
    low, high = sorted(
        float(np.clip(sight @ linear(colour), 0, 1) @ [0.2126, 0.7152, 0.0722]) for colour in (one, two)
    )
    return (high + 0.05) / (low + 0.05)


GREY = np.tile([0.2126, 0.7152, 0.0722], (3, 1))  # a print without colour


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sight", [*SIGHT.values(), TRITANOPIA, GREY], ids=[*SIGHT, "tritanopia", "grey"])
def test_whatever_was_read_stands_out_from_what_never_was(palette: Palette, sight: Colour) -> None:
    marks = (
        *palette.reads,
        *palette.writes,
        *palette.programs,
        palette.unread,
        palette.several,
        palette.accent,
    )
    for colour in marks:
        assert contrast(colour, palette.untouched, sight) >= 3, colour
    for most in (1, 2, 3, 4, 5, 1000):  # the classes as figures spread them
        for ramp in (palette.reads, palette.writes):
            for colour in Classes.of(most).colours(ramp):
                assert contrast(colour, palette.untouched, sight) >= 3


def test_the_contrast_is_that_of_wcag() -> None:
    """The extremes are 21:1; #767676 on white is the well-known 4.54:1."""
    assert contrast("#000000", "#ffffff", SIGHT["all"]) == pytest.approx(21)
    assert contrast("#767676", "#ffffff", SIGHT["all"]) == pytest.approx(4.54, abs=0.005)


def test_slides_have_large_type_and_their_provenance_in_the_metadata() -> None:
    for name in ("slide-16x9", "slide-4x3", "dark"):
        look = PRESETS[name]
        assert (look.least, look.caption) == (18, False)
        assert min(look.text, look.label, look.small) >= 18


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_the_contrast_wcag_asks_for(palette: Palette) -> None:
    def luminance(colour: str) -> float:
        return float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05

    for text in (palette.ink, palette.faint):
        low, high = sorted((luminance(text), luminance(palette.paper)))
        assert high / low >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_reads_are_blue_writes_orange_and_what_nobody_touched_grey(palette: Palette) -> None:
    """By the angle of the hue in CIELAB: 90° is yellow, 270° blue; what is grey has hardly any."""

    def hue(colour: str) -> float:
        return float(np.degrees(np.arctan2(*lab(linear(colour))[:0:-1])) % 360)

    assert all(240 < hue(colour) < 310 for colour in palette.reads)
    assert all(25 < hue(colour) < 100 for colour in palette.writes)
    assert np.hypot(*lab(linear(palette.untouched))[1:]) < 8


def test_the_sizes_of_pages() -> None:
    """In points: slides of PowerPoint's sizes, a column and a page of a journal, A2."""
    sizes = {name: (look.width, look.height) for name, look in PRESETS.items()}
    assert sizes == {
        "page": (842, 595), "slide-16x9": (960, 540), "slide-4x3": (960, 720), "paper-column": (252, 470),
        "paper-page": (510, 360), "poster": (1684, 1190), "dark": (960, 540),
    }  # fmt: skip


def test_an_unknown_preset_lists_the_known_ones() -> None:
    assert preset("poster", title="x").title == "x"
    with pytest.raises(FigureError, match=", ".join(PRESETS)):
        preset("slides")


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("most", [*range(1, 300), 1000, 12_345, 10**7, 10**15])
def test_classes_cover_every_count_once(most: int, scale: str) -> None:
    classes = Classes.of(most, scale)
    assert classes.lowest[0] == 1
    assert all(one < two for one, two in itertools.pairwise(classes.lowest))
    assert classes.lowest[-1] <= most
    numbers = classes.number(np.array([0, 1, *classes.lowest, most]))
    assert numbers[:2].tolist() == [0, 1]
    assert numbers[2:-1].tolist() == list(range(1, len(classes.lowest) + 1))
    assert numbers[-1] == len(classes.lowest)


def test_one_access_has_a_class_of_its_own() -> None:
    assert Classes.of(100_000).label(1) == "1"
