"""The tree of call sites in a narrow terminal: lines that are folded keep their indentation, and lose no word."""

from __future__ import annotations

import io

import polars as pl
import pytest
from rich.console import Console

from fmrw.analysis.sites import stacks
from fmrw.commands.site_tables import sites_tree

LONG = "parse_" + "entry_of_directory_" * 8
SPANS = [(0x10000 * number, 0x10000 * number + 0x1234) for number in range(40)]
SHOWN = ", ".join(f"{start:#x}-{end:#x}" for start, end in SPANS[:10])


def tree_lines(width: int, *, soft_wrap: bool = False) -> list[str]:
    """Show two sites of one program, each with many ranges."""
    chains = {
        site: tuple(stacks.Frame("/bin/parser", 0, name, "cfi", "") for name in (inner, "main"))
        for site, inner in ((1, "read_header"), (2, LONG))
    }
    starts, ends = zip(*SPANS, strict=True)
    rows = [(site, "parser!f", 40, 40 * 0x1234, list(starts), list(ends)) for site in chains]
    found = pl.DataFrame(rows, schema=stacks.REPORT, orient="row")
    told = io.StringIO()
    console = Console(file=told, width=width, color_system=None)
    console.print(sites_tree(found, stacks.tree(found, chains), "a.zip"), soft_wrap=soft_wrap)
    return [line.rstrip() for line in told.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_folded_lines_keep_their_indentation(width: int) -> None:
    lines = tree_lines(width)
    assert all(len(line) <= width for line in lines)
    first = next(number for number, line in enumerate(lines) if "site 1: " in line)
    second = next(number for number, line in enumerate(lines) if "site 2: " in line)
    begun = [number for number, line in enumerate(lines) if line.lstrip(" │").startswith(("├", "└"))]
    for place, until in ((first, begun[-1]), (second, len(lines))):
        beside = lines[place].index("site")
        folded = lines[place + 1 : until]
        assert folded
        assert all(not line[beside : beside + 2].strip() and line[beside + 2] != " " for line in folded)
        text = " ".join([lines[place][beside:], *(line[beside + 2 :] for line in folded)])
        assert text == f"site {1 if place == first else 2}: {SHOWN} and 30 more"
    guide = lines[begun[-1]].index("parser!")
    name = lines[begun[-1]][guide:] + "".join(line[guide + 2 :] for line in lines[begun[-1] + 1 : second])
    assert name.replace(" ", "").startswith(f"parser!{LONG}")


def test_in_a_file_nothing_is_folded() -> None:
    lines = tree_lines(4096, soft_wrap=True)
    assert [line.partition(": ")[2] for line in lines if "site " in line[1:20]] == [
        f"{SHOWN} and 30 more"
    ] * 2


@pytest.mark.parametrize(
    ("frames", "outermost", "cut"),
    [(64, "f", True), (63, "f", False), (64, "_start", False), (64, "clone3", False), (1, "", False)],
)
def test_a_stack_that_was_cut_says_so(frames: int, outermost: str, cut: bool) -> None:  # noqa: FBT001 - a table
    inner = [stacks.Frame("/bin/parser", number, "f", "cfi", "") for number in range(frames - 1)]
    python = [stacks.Frame("/a.py", 1, "<module>", "python", "a.py:1")] * 3
    chain = (*python, *inner, stacks.Frame("/bin/parser", 64, outermost, "cfi", ""))
    other = (stacks.Frame("/bin/parser", 0, "_start", "cfi", ""),)
    assert stacks.is_cut(chain) == cut
    rows = [(site, "parser!f", 1, 10 * site, [0], [10]) for site in (1, 2)]
    found = pl.DataFrame(rows, schema=stacks.REPORT, orient="row")
    told = io.StringIO()
    console = Console(file=told, width=100, color_system=None)
    console.print(sites_tree(found, stacks.tree(found, {1: chain, 2: other}), "a.zip"))
    lines = [line.strip(" ├└─│") for line in told.getvalue().splitlines()]
    assert [line for line in lines if "cut" in line] == ["(cut after 64 frames)"] * cut
    if cut:
        assert lines[lines.index("(cut after 64 frames)") + 1] == "parser!f"
