"""Programs and recordings against each other, against brute force on sets of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ipywidgets import Text, Widget
from recordings import events

from fmrw.errors import BadInput, UnknownPath
from fmrw.explorer.comparison import classes, largest, sides
from fmrw.explorer.explorer import explore
from fmrw.explorer.widgets.compare import compare_panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

SIZE = 300


def frames(count: int, seed: int) -> tuple[list[object], list[set[int]]]:
    """Make random reads of some programs, and the bytes of each."""
    random = np.random.default_rng(seed)
    made, held, first = [], [], 0
    for program in range(count):
        starts = random.integers(0, SIZE - 40, 5).tolist()
        reads = [("read", start, start + int(random.integers(1, 40))) for start in starts]
        made.append(events(*reads, size=SIZE, first=first, pid=50 + program, process=f"p{program}"))
        first += len(reads)
        held.append({byte for _, start, end in reads for byte in range(start, end)})
    return made, held


def expected(held: list[set[int]], byte: int) -> str:
    own = [number for number, each in enumerate(held) if byte in each]
    if not own:
        return "nobody"
    if len(own) == 1:
        return f"only p{own[0]}"
    if len(own) == len(held):
        return "both" if len(held) == 2 else "all"
    return "several"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_byte_belongs_to_who_touched_it(trace: Callable[..., LiveTrace], count: int) -> None:
    for seed in range(10):
        made, held = frames(count, seed)
        view = explore(trace(*made), "sample.bin", colour="compare")
        found = classes(view.recorded, sides(view.recorded, None), "read")
        edges = np.arange(SIZE + 1)
        numbers = largest(found, edges)
        assert [found[number - 1].label for number in numbers] == [
            expected(held, byte) for byte in range(SIZE)
        ]
        assert sum(int((each.cover.ends - each.cover.starts).sum()) for each in found) == SIZE


def test_a_bin_has_the_colour_of_most_of_its_bytes(trace: Callable[..., LiveTrace]) -> None:
    made, held = frames(3, 4)
    view = explore(trace(*made), "sample.bin", compare=("p0", "p1", "p2"))
    found = classes(view.recorded, view.compare, "read")
    edges = np.arange(0, SIZE + 1, 20)
    for start, number in zip(edges[:-1].tolist(), largest(found, edges).tolist(), strict=True):
        names = [expected(held, byte) for byte in range(start, start + 20)]
        assert names.count(found[number - 1].label) == max(names.count(name) for name in set(names))


def test_the_picture_has_a_row_for_each_class(trace: Callable[..., LiveTrace]) -> None:
    made, _ = frames(2, 1)
    view = explore(trace(*made), "sample.bin")
    view.compare = ("p0", "p1")
    assert view.colour == "compare"
    texts = [row["t"] for row in view.scene.canvas.texts]
    assert all(
        texts.count(label) == 2 for label in ("only p0", "only p1", "nobody")
    )  # the row, and the legend
    view.compare = None
    assert view.colour == "count"
    assert view.problem == ""


def test_recordings_are_compared(trace: Callable[..., LiveTrace]) -> None:
    one = trace(events(("read", 0, 100)))
    other = trace(events(("read", 50, 200)))
    view = explore(one, "sample.bin", compare=(("mine", one), ("theirs", other)))
    found = {each.label: list(zip(each.cover.starts.tolist(), each.cover.ends.tolist(), strict=True))
             for each in classes(view.recorded, view.compare, "read")}  # fmt: skip
    assert found == {
        "only mine": [(0, 50)],
        "only theirs": [(100, 200)],
        "both": [(50, 100)],
        "nobody": [(200, 1000)],
    }
    assert len({each.key for each in classes(view.recorded, view.compare, "read")}) == 4


def test_two_processes_of_one_program_are_told_apart(trace: Callable[..., LiveTrace]) -> None:
    view = explore(
        trace(events(("read", 0, 10)), events(("read", 5, 20), first=1, pid=43)),
        "sample.bin",
        compare=(42, 43),
    )
    found = classes(view.recorded, view.compare, "read")
    assert [each.label for each in found] == ["only parser [42]", "only parser [43]", "both", "nobody"]
    assert len({each.key for each in found}) == 4


@pytest.mark.parametrize(
    ("wanted", "error"),
    [(("p0",), BadInput), ((), BadInput), (("p0", "p0"), BadInput), (("p0", "nobody"), UnknownPath)],
)
def test_what_cannot_be_compared(
    trace: Callable[..., LiveTrace], wanted: tuple[str, ...], error: type[Exception]
) -> None:
    view = explore(trace(*frames(2, 1)[0]), "sample.bin")
    with pytest.raises(error):
        view.compare = wanted


def test_of_writes_writes_are_compared_and_of_nobody_nothing(trace: Callable[..., LiveTrace]) -> None:
    made = trace(
        events(("write", 0, 10)), events(("write", 5, 20), ("read", 0, 99), first=1, pid=43, process="other")
    )
    view = explore(made, "sample.bin", ops="write", compare=("parser", "other"))
    found = {each.label: each.cover.starts.tolist() for each in classes(view.recorded, view.compare, "write")}
    assert found == {"only parser": [0], "only other": [10], "both": [5], "nobody": [20]}
    nobody = explore(trace(events(("open", 0, 0))), "sample.bin", colour="compare")
    assert nobody.problem == ""


def test_the_panel_leads_and_follows(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(*frames(3, 1)[0]), "sample.bin")
    tools, lists = compare_panel(view).children
    (names,) = lists.children
    assert [each["label"] for each in names.options] == ["p0", "p1", "p2"]
    names.chosen = ["p0"]
    assert view.colour == "count"
    names.chosen = ["p0", "p2"]
    assert [each.label for each in view.compare] == ["p0", "p2"]
    assert tools.children[0].value
    tools.children[0].value = False
    assert (view.compare, view.colour, names.chosen) == (None, "count", [])
    tools.children[0].value = True
    assert (view.compare, view.colour) == (None, "compare")


def boxes(panel: Widget) -> list[Text]:
    inside = [found for child in getattr(panel, "children", ()) for found in boxes(child)]
    return [panel, *inside] if isinstance(panel, Text) else inside


def test_the_panel_takes_in_other_recordings(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("read", 0, 100), size=SIZE)), "sample.bin")
    other = trace(events(("read", 50, 150), size=SIZE))
    (box,) = boxes(compare_panel(view))
    box.value = "runs/patched"
    assert view.compare is None
    assert "fmrw.view" in view.problem

    def opener(name: object, path: str) -> tuple[LiveTrace, str]:
        if name != "runs/patched":
            raise UnknownPath("no such recording")
        assert path == "sample.bin"
        return other, "the files differ"

    view.opener = opener
    box.value = "nowhere"
    assert (view.compare, view.problem, box.value) == (None, "no such recording", "nowhere")
    box.value = "runs/patched"
    assert [each.label for each in view.compare] == ["this recording", "patched"]
    assert (view.colour, view.problem, box.value) == ("compare", "the files differ", "")
    found = {each.label: list(zip(each.cover.starts, each.cover.ends, strict=True)) for each in classes(view.recorded, view.compare, "read")}  # fmt: skip
    assert found["only this recording"] == [(0, 50)]
    assert found["only patched"] == [(100, 150)]
    assert found["both"] == [(50, 100)]


def test_of_a_file_that_was_also_mapped_in_one_of_the_recordings_nobody_is_a_call(
    trace: Callable[..., LiveTrace],
) -> None:
    one, other = (trace(events(("read", 0, 9)), mapped=maps) for maps in ([], ["sample.bin"]))
    for first, second, name in ((one, one, "nobody"), (one, other, "no call"), (other, one, "no call")):
        view = explore(first, "sample.bin")
        found = classes(view.recorded, sides(view.recorded, (("a", first), ("b", second))), "read")
        assert [each.label for each in found] == ["only a", "only b", "both", name]
