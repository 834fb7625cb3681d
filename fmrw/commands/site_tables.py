"""Tables about call sites: stacks as a tree, and which function asked for which part of a format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

from fmrw.analysis.sites import stacks
from fmrw.commands.table import Column, Table
from fmrw.offsets import human_size, range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from rich.console import Console, ConsoleOptions, RenderResult

    from fmrw.analysis.sites.stacks import Node
    from fmrw.commands.table import Cell

_FEW = 10  # ranges shown of each site
_LONG = 200
_HANGING = 2  # columns by which what is left of a line stands further to the right
_LEAST = 8  # columns of text in a line, however deep the tree is


def sites_tree(found: pl.DataFrame, root: Node, path: str | None) -> Tree:
    """Show the stacks of a report as a tree, the outermost frames first, with what was asked for below each."""
    whose = visible(path) if path is not None else "all files"
    calls, size = int(found["calls"].sum()), int(found["bytes"].sum())
    title = f"{whose}: {_counted(calls, 'call')} from {_counted(found.height, 'site')} asked for {human_size(size)}"
    ranges = {row["site"]: row for row in found.iter_rows(named=True)}
    tree = Tree(Text(title, "bold"), guide_style="dim")
    for node in _heaviest(root):
        _grow(tree, node, ranges)
    return tree


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _heaviest(node: Node) -> list[Node]:
    return sorted(node.below.values(), key=lambda each: (-each.bytes, -each.calls, each.sites))


def _grow(tree: Tree, node: Node, ranges: Mapping[int, Mapping[str, Any]]) -> None:
    """Add a frame; frames with a single one below stand under each other without a branch."""
    text = Text()
    while True:
        text.append(visible(node.frame.label) if node.frame else stacks.CUT, "bold" if node.sites else "")
        if len(node.below) != 1 or node.sites:
            break
        text.append("\n")
        node = next(iter(node.below.values()))
    text.append(f"  {human_size(node.bytes)} in {_counted(node.calls, 'call')}", "cyan")
    for site in node.sites:
        spans = _spans(ranges[site])
        text.append(f"\n  site {site}{f': {spans}' if spans else ''}", "dim")
    branch = tree.add(_Indented(text))
    for each in _heaviest(node):
        _grow(branch, each, ranges)


class _Indented:
    """Lines of which each keeps its indentation where it is folded, so that what is left of it is no line of its own."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the lines."""
        for line in self._text.split("\n"):
            if options.no_wrap or line.cell_len <= options.max_width:
                yield line
            else:
                yield from _folded(line, console, options.max_width)


def _folded(line: Text, console: Console, width: int) -> Iterator[Text]:
    own = len(line.plain) - len(line.plain.lstrip(" "))
    room = max(width - own - _HANGING, _LEAST)
    for number, part in enumerate(line[own:].wrap(console, room, overflow="fold")):
        part.rstrip()
        yield Text(" " * (own + (_HANGING if number else 0))) + part


def _spans(row: Mapping[str, Any]) -> str:
    places = zip(row["starts"][:_FEW], row["ends"][:_FEW], strict=True)
    shown = ", ".join(range_text(start, end) for start, end in places)
    left = len(row["starts"]) - _FEW
    return f"{shown} and {left:,} more" if left > 0 else shown


def functions_table(table: pl.DataFrame, path: str) -> Table:
    """Show which function asked for which part of a file's format."""
    columns = [
        Column("part"),
        Column("range"),
        Column("function"),
        Column("bytes", right=True),
        Column("calls", right=True),
    ]
    rows: list[Sequence[Cell]] = [
        [
            row["part"],
            range_text(row["start"], row["end"]),
            row["function"],
            f"{row['bytes']:,}",
            f"{row['calls']:,}",
        ]
        for row in table.head(_LONG).iter_rows(named=True)
    ]
    left = table.height - _LONG
    notes = [f"… and {left:,} more lines; --json lists them all"] if left > 0 else []
    if not rows:
        notes = ["no function asked for a part of the format"]
    return Table(
        columns,
        rows,
        title=f"{path}: the parts of its format, and the functions that asked for them",
        notes=notes,
    )
