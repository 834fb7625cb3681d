"""Classes of a probe in the explorer: each byte in the colour of its class, against brute force; offered only where the file was probed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from recordings import events

from fmrw.analysis.effects import CLASSES, UNSETTLED
from fmrw.errors import BadInput
from fmrw.explorer.byterows import block, look
from fmrw.explorer.explorer import explore
from fmrw.explorer.palette import PALETTES, colours
from fmrw.explorer.probed import KEYS, RANKED
from fmrw.explorer.widgets.appearance import appearance_panel
from fmrw.figures.effects import class_colours
from fmrw.figures.theme import Look
from fmrw.trace import effects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace

    from fmrw.explorer.explorer import Explorer

SIZE = 1000
COMMAND = "parser {}"
HOSTILE = "<img src=x>\x1b[31m {}"
MAP = ((0, 100, "unread"), (100, 110, "checked"), (110, 200, "ignored"), (200, 201, "steers"), (201, 300, None), (300, SIZE, "unread"))  # fmt: skip


def found(spans: tuple[tuple[int, int, str | None], ...] = MAP, command: str = COMMAND, path: str = "sample.bin") -> pl.DataFrame:  # fmt: skip
    ranges = [
        {
            "start": start, "end": end, "class": name, "field": None, "values": [1, 2, 3, 4, 255] if name == "checked" else [],
            "effect": f"so {name} \x1b[31m" if name else "",
        }
        for start, end, name in spans
    ]  # fmt: skip
    return effects.frame(path, command, ranges)


@pytest.fixture
def probed(trace: Callable[..., LiveTrace], tmp_path: Path) -> Callable[..., Explorer]:
    """Make a view of a file that was probed."""

    def make(*maps: pl.DataFrame, **state: object) -> Explorer:
        effects.write(pl.concat(maps), tmp_path)
        reads = events(("read", 0, 400), ("write", 500, 600), size=SIZE)
        return explore(trace(reads, folder=tmp_path), "sample.bin", **state)

    return make


def test_each_byte_has_the_colour_of_its_class(probed: Callable[..., Explorer]) -> None:
    view = probed(found(), colour="class")
    expected = [
        0 if name == "unread" else RANKED.index(name or UNSETTLED) + 1
        for start, end, name in MAP
        for _ in range(start, end)
    ]
    shown = block(view, 0, SIZE)
    assert list(shown.reads) == expected
    assert not any(shown.writes)
    painted = {row["k"] for row in view.scene.canvas.rects}
    assert {key for key, name in zip(KEYS, RANKED, strict=True) if name in {"checked", "ignored", "steers", UNSETTLED}} <= painted  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_a_bin_has_the_class_that_matters_most(probed: Callable[..., Explorer], seed: int) -> None:
    random = np.random.default_rng(seed)
    cuts = [0, *sorted(random.choice(np.arange(1, SIZE), 40, replace=False).tolist()), SIZE]
    names = [str(name) for name in random.choice(CLASSES, 41)]
    view = probed(found(tuple(zip(cuts[:-1], cuts[1:], names, strict=True))))
    of_byte = [name for start, end, name in zip(cuts[:-1], cuts[1:], names, strict=True) for _ in range(start, end)]  # fmt: skip
    edges = np.arange(0, SIZE + 1, 25)
    order = ["unread", *RANKED]
    expected = [max(order.index(name) for name in of_byte[start : start + 25]) for start in edges[:-1]]
    assert view.recorded.probed.numbers(edges).tolist() == expected


def test_colours_are_those_of_the_figures() -> None:
    for palette in PALETTES.values():
        known = colours(palette)
        drawn = class_colours(Look(palette=palette))
        assert {name: known[key] for key, name in zip(KEYS, RANKED, strict=True)} == {name: drawn[name] for name in RANKED}  # fmt: skip


def test_two_programs_have_a_row_each_and_the_bytes_what_matters_to_any(
    probed: Callable[..., Explorer],
) -> None:
    other = ((0, 100, "crash"), (100, SIZE, "unread"))
    view = probed(found(), found(other, HOSTILE), found(other, "elsewhere", "other.bin"), colour="class")
    assert view.recorded.probed.commands == (COMMAND, HOSTILE)
    assert block(view, 0, 1).reads[0] == RANKED.index("crash") + 1
    texts = [row["t"] for row in view.scene.canvas.texts]
    assert any(text.startswith("parser") for text in texts)
    assert "what altering does to 2 programs" in texts
    assert not any("\x1b" in text for text in texts)


def test_the_pointer_says_class_values_and_effect(probed: Callable[..., Explorer]) -> None:
    view = probed(found(), found(((0, SIZE, "hang"),), HOSTILE))
    said = view.tell_range(100, 101)
    assert "parser {}: checked by 01 02 03 04 …: so checked" in said
    assert "\x1b" not in said
    assert "hang: so hang" in said
    assert "bytes by class: steers 1, checked 5, ignored 90, not settled 4" in view.tell_range(105, 205)


def test_the_legend_explains_the_track_and_goes_with_it(probed: Callable[..., Explorer]) -> None:
    view = probed(found())
    texts = [row["t"] for row in view.scene.canvas.texts]
    assert {"what matters", "what altering does to parser {}", "checked"} <= set(texts)
    view.overlays = ("structure",)
    assert not {"what matters", "what altering does to parser {}"} & {row["t"] for row in view.scene.canvas.texts}  # fmt: skip
    view.colour = "class"
    assert ["", "what altering does to parser {}"] in look(view, PALETTES["light"])["legend"]


def test_nothing_is_offered_where_nothing_was_probed(view: Explorer) -> None:
    assert view.recorded.probed.commands == ()
    with pytest.raises(BadInput, match="was not probed"):
        view.colour = "class"
    assert view.colour == "count"
    assert not {"colour by class", "classes"} & offered(view)
    assert "what matters" not in {row["t"] for row in view.scene.canvas.texts}


def test_what_was_probed_is_offered(probed: Callable[..., Explorer]) -> None:
    assert {"colour by class", "classes"} <= offered(probed(found()))


def offered(view: Explorer) -> set[str]:
    choices, tracks = appearance_panel(view).children
    return {f"{choice.description} {value}" for choice in choices.children for value in choice.options} | {
        box.description for box in tracks.children[1:]
    }


def test_a_damaged_table_leaves_the_view_whole(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    for content in (b"PAR1 no table", None):
        if content is None:
            pl.DataFrame({"path": ["sample.bin"], "class": ["steers"]}).write_parquet(tmp_path / effects.FILE)
        else:
            (tmp_path / effects.FILE).write_bytes(content)
        view = explore(trace(events(("read", 0, 10)), folder=tmp_path), "sample.bin")
        assert view.recorded.probed.commands == ()
        with pytest.raises(BadInput, match=r"is damaged \(it is cut short|lacks the columns command"):
            view.colour = "class"
