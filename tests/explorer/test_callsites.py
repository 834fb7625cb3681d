"""Functions in the explorer: each byte in the colour of the function that asked for it, against brute force; offered only where sites were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from recordings import events, still

from fmrw.errors import BadInput, UnknownPath
from fmrw.explorer import offered
from fmrw.explorer.byterows import block, look
from fmrw.explorer.explorer import explore
from fmrw.explorer.palette import PALETTES, SEVERAL
from fmrw.explorer.widgets.filters import Lists, clear
from fmrw.session.trace import Trace
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

    from fmrw.explorer.explorer import Explorer

SIZE = 400
HOSTILE = "<img src=x>\x1b[31m"


def sites(*functions: str) -> pl.DataFrame:
    """Make call sites, numbered from 1 on, each a function called by `main`."""
    frames = [
        {"site": site, "depth": depth, "module": "/bin/parser", "build_id": "", "offset": 0, "function": name, "quality": "cfi", "line": ""}
        for site, function in enumerate(functions, 1)
        for depth, name in enumerate((function, "main"))
    ]  # fmt: skip
    return pl.DataFrame(frames, schema=schema.SITES)


def reads(*extents: tuple[int, int, int | None], first: int = 0, **columns: object) -> list[pl.DataFrame]:
    return [
        events(("read", start, end), size=SIZE, first=number, site=site, **columns)
        for number, (start, end, site) in enumerate(extents, first)
    ]


@pytest.fixture
def asked(trace: Callable[..., LiveTrace], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Explorer]:
    """Make a view of a recording with call sites."""

    def make(known: pl.DataFrame, *frames: pl.DataFrame, **state: object) -> Explorer:
        made = trace(*frames, options={"sites": True})
        monkeypatch.setattr(Trace, "sites", property(lambda _: known))
        return explore(made, "sample.bin", **state)

    return make


@pytest.mark.parametrize("seed", range(4))
def test_each_byte_has_the_colour_of_the_function_that_asked(
    asked: Callable[..., Explorer], seed: int
) -> None:
    random = np.random.default_rng(seed)
    functions = [f"f{number % 16}" for number in range(20)]  # some sites have one name
    starts = random.integers(0, SIZE - 30, 25).tolist()
    extents = [(start, start + int(random.integers(1, 30)), [None, *range(1, 21)][int(random.integers(0, 21))]) for start in starts]  # fmt: skip
    view = asked(sites(*functions), *reads(*extents), colour="function")
    size: dict[str, int] = {}
    for start, end, site in extents:
        if site is not None:
            name = f"parser!{functions[site - 1]}"
            size[name] = size.get(name, 0) + end - start
    order = sorted(size, key=lambda name: (-size[name], name))
    key = {name: f"p{at}" if at < 12 else "faint" for at, name in enumerate(order)}
    keys = view.scene.colouring.keys("read")
    for byte, number in enumerate(block(view, 0, SIZE).reads):
        whose = {"h" if site is None else key[f"parser!{functions[site - 1]}"] for start, end, site in extents if start <= byte < end}  # fmt: skip
        expected = SEVERAL if len(whose) > 1 else whose.pop() if whose else None
        assert (keys[number - 1] if number else None) == expected


def test_filters_leave_colours_as_they_are(asked: Callable[..., Explorer]) -> None:
    mine, others = reads((0, 10, 2)), reads((0, 100, 1), first=1, pid=43, process="other")
    view = asked(sites("large", "small"), *mine, *others, colour="function")
    keys = view.scene.colouring.keys("read")
    assert keys[block(view, 0, 1).reads[0] - 1] == SEVERAL
    view.processes = ("parser",)
    shown = block(view, 0, 20).reads
    assert view.scene.colouring.keys("read")[shown[0] - 1] == "p1"
    assert not any(shown[10:])
    assert [label for _, label in view.scene.colouring.entries()] == ["asked by", "parser!small"]


def test_the_pointer_says_the_chain_and_hostile_names_are_made_visible(
    asked: Callable[..., Explorer],
) -> None:
    view = asked(sites("inner", HOSTILE), *reads((0, 10, 1), (5, 20, 2)), colour="function")
    assert view.tell_range(0, 1).endswith("asked by parser!inner ← parser!main")
    said = view.tell_range(5, 6)
    assert "asked by parser!inner ← parser!main; and by parser!<img" in said
    legend = [label for _, label in look(view, PALETTES["light"])["legend"]]
    texts = [said, *legend, *(row["t"] for row in view.scene.canvas.texts)]
    assert any("<img" in text for text in legend)
    assert not any("\x1b" in text for text in texts)
    assert "asked by" not in view.tell_range(100, 101)


def test_functions_are_offered_only_where_sites_were_recorded(
    asked: Callable[..., Explorer], view: Explorer
) -> None:
    assert "function" not in offered.colours(view.recorded)
    with pytest.raises(BadInput, match="no call sites"):
        view.colour = "function"
    assert view.colour == "count"
    assert "site" not in view.recorded.rows.columns
    assert "function" not in offered.colours(asked(sites(), *reads((0, 10, None))).recorded)
    assert "function" in offered.colours(asked(sites("f"), *reads((0, 10, 1), (10, 20, None))).recorded)


def test_names_are_looked_up_when_they_are_needed(
    trace: Callable[..., LiveTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    monkeypatch.setattr(Trace, "sites", property(lambda _: looked.append(1) or sites("f")))
    shown = explore(trace(*reads((0, 10, 1)), options={"sites": True}), "sample.bin")
    assert not looked
    shown.colour = "function"
    assert looked


def test_sites_of_several_sessions_are_not_mixed_up(asked: Callable[..., Explorer]) -> None:
    known = sites("f").with_columns(session=pl.lit("one"))
    view = asked(known, *reads((0, 10, 1)), colour="function")
    assert view.scene.colouring.keys("read")[block(view, 0, 1).reads[0] - 1] == "h"
    assert "asked by" not in view.tell_range(0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_a_filter_by_functions_shows_what_they_and_those_they_called_asked_for(
    asked: Callable[..., Explorer], seed: int
) -> None:
    random = np.random.default_rng(seed)
    known = pl.concat([sites("a", "b", "c"), sites("a", "d").with_columns(site=pl.col("site") + 3)])
    known = known.with_columns(
        function=pl.when(pl.col("site") == 5, pl.col("depth") == 1).then(pl.lit("b")).otherwise("function")
    )
    of = {
        "parser!a": {1, 4},
        "parser!b": {2, 5},
        "parser!c": {3},
        "parser!d": {5},
        "parser!main": {1, 2, 3, 4},
    }
    extents = [(start, start + 20, [None, 1, 2, 3, 4, 5][number % 6]) for number, start in enumerate(random.integers(0, 380, 24).tolist())]  # fmt: skip
    view = asked(known, *reads(*extents))
    assert {name: set(found) for name, (found, _) in view.recorded.call_sites.functions.items()} == of
    for chosen in ("parser!a", ("parser!b",), ("parser!a", "parser!d"), "parser!main"):
        view.functions = chosen
        mine = set().union(*(of[name] for name in ([chosen] if isinstance(chosen, str) else chosen)))
        shown = [(start, end) for start, end, site in extents if site in mine]
        touched = {byte for start, end in shown for byte in range(start, end)}
        assert view.events().select("start", "end").rows() == shown
        assert {byte for byte, number in enumerate(block(view, 0, SIZE).reads) if number} == touched
        gaps = view.recorded.gaps(view.choice)
        assert int((gaps["end"] - gaps["start"]).sum()) == SIZE - len(touched)
    view.functions = None
    assert view.events().height == len(extents)


def test_a_function_that_is_not_there_is_named_and_the_filter_stays(
    asked: Callable[..., Explorer], view: Explorer
) -> None:
    shown = asked(sites("f", HOSTILE * 100), *reads((0, 10, 1), (20, 30, 2)))
    shown.functions = "parser!f"
    with pytest.raises(UnknownPath, match="no function f asked for bytes of this file: choose from") as told:
        shown.functions = ("f",)
    assert "\x1b" not in str(told.value)
    assert len(str(told.value)) < 300
    assert shown.functions == ("parser!f",)
    assert "only parser!f" in shown.choice.told()
    with pytest.raises(BadInput, match="no call sites were recorded of this file: record with"):
        view.functions = "parser!f"


def test_the_menu_offers_functions_those_that_asked_first_and_new_ones_as_they_come(
    asked: Callable[..., Explorer], trace: Callable[..., LiveTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trace(*reads((0, 10, 1)), live=True, options={"sites": True})
    known = [sites("f"), sites("f", HOSTILE)]
    monkeypatch.setattr(Trace, "sites", property(lambda _: known[0]))
    view = still(explore(made, "sample.bin"))
    listed = Lists(view).lists["functions"]
    assert [(each["label"], each["detail"]) for each in listed.options] == [
        ("f", "10 bytes · parser"), ("main", "10 bytes · parser"),
    ]  # fmt: skip
    listed.chosen = ["parser!main"]
    assert view.functions == ("parser!main",)
    del known[0]
    made._source.add(*reads((20, 50, 2), first=1))
    view.follow()
    assert [each["detail"].partition(" ·")[0] for each in listed.options] == [
        "30 bytes",
        "10 bytes",
        "40 bytes",
    ]
    assert listed.options[0]["label"].startswith("<img")
    assert "\x1b" not in listed.options[0]["label"]
    assert listed.chosen == ["parser!main"]
    assert view.events().height == 2
    clear(view)
    assert view.functions is None
    assert not listed.chosen
    assert "functions" not in Lists(asked(sites(), *reads((0, 10, None)))).lists


def test_lanes_and_the_plane_of_time_are_of_functions_where_bytes_are_coloured_by_them(
    asked: Callable[..., Explorer],
) -> None:
    names = [f"f{number}" for number in range(14)]
    extents = [(10 * at, 10 * at + 10, at + 1) for at in range(14) for _ in range(14 - at)]  # f0 most often
    view = asked(sites(*names), *reads(*extents, (300, 310, None)), colour="function")
    texts = [row["t"] for row in view.scene.canvas.texts]
    assert texts[texts.index("f0") :][:7] == ["f0", "f1", "f2", "f3", "f4", "f5", "9 more"]
    stack = view.scene.layout.stack
    below = max(row["y"] for row in view.scene.canvas.texts if row["t"] == "9 more")
    marks = [row for row in view.scene.canvas.rects if row["x"] > stack.left - 1 and below < row["y"] < stack.bottom and row["k"] != "g"]  # fmt: skip
    middles = [((row["x"] + row["X"]) / 2 - stack.left) / stack.width * SIZE for row in marks]
    found = {int(at // 10): row["k"] for at, row in zip(middles, marks, strict=True)}
    assert found == {**{at: f"p{at}" if at < 12 else "faint" for at in range(14)}, 30: "h"}
    view.colour = "program"
    shown = {row["t"] for row in view.scene.canvas.texts}
    assert "parser [42]" in shown
    assert not {"f0", "9 more"} & shown
