"""The command that lists, names and removes kept sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fmrw.commands.grammar import example, grammar, json_option, needing
from fmrw.commands.outcome import Outcome
from fmrw.text import visible
from fmrw.trace import kept

if TYPE_CHECKING:
    import polars as pl

    from fmrw.commands.table import Cell, Table


class _Size(click.ParamType):  # type: ignore[type-arg] # not generic where it runs
    """A number of bytes, with or without a unit."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from fmrw.errors import BadRange  # noqa: PLC0415 - only where one is given
        from fmrw.offsets import parse_offset  # noqa: PLC0415 - the same

        try:
            return value if isinstance(value, int) else parse_offset(str(value))
        except BadRange as error:
            self.fail(str(error), param, ctx)


@grammar.command(
    short_help="List, name and remove the sessions that were kept.", epilog=example("fmrw sessions", "fmrw sessions --name data-20261128T224900 polyglot", "fmrw gaps polyglot", "fmrw sessions --prune")
)  # fmt: skip
@click.option(
    "--name",
    "renamed",
    nargs=2,
    metavar="SESSION NAME",
    help="Give SESSION a name; then it stays until it is removed.",
)
@click.option("--remove", "removed", multiple=True, metavar="SESSION", help="Remove it; may be repeated.")
@click.option(
    "--prune",
    is_flag=True,
    help="Remove the oldest of those that notebooks recorded and nobody named, as every new one does.",
)
@click.option(
    "--most",
    type=click.IntRange(0),
    default=kept.MOST_SESSIONS,
    show_default=True,
    help="How many of them --prune leaves.",
)
@click.option(
    "--most-bytes",
    type=_Size(),
    default=kept.MOST_BYTES,
    show_default="1 GiB",
    metavar="SIZE",
    help="How much they may take.",
)
@json_option
def sessions(renamed: tuple[str, str] | None, removed: tuple[str, ...], **options: Any) -> Outcome:  # noqa: ANN401 - those above
    """List the sessions in ~/.local/state/fmrw: what notebooks recorded, and `fmrw mount` without -o.

    Every command takes them by name. None is removed that is in use, or that holds files which are not a session's.
    """
    needing("most", "prune")
    needing("most_bytes", "prune")
    notes = []
    if renamed:
        folder = kept.rename(*renamed)
        notes.append(
            f"{visible(renamed[0])} is {visible(folder.name)} now; it stays until `fmrw sessions --remove` takes it."
        )
    notes += [f"removed {visible(str(kept.remove(name)))}" for name in removed]
    if options["prune"]:
        notes += [
            f"removed {visible(str(folder))}" for folder in kept.prune(options["most"], options["most_bytes"])
        ] or ["there was nothing to remove."]
    from fmrw.recording.sessions import sessions as listed  # noqa: PLC0415 - polars

    found = listed()
    return Outcome([_table(found)], found.to_dicts(), value=found, notes=notes)


def _table(found: pl.DataFrame) -> Table:
    from fmrw.commands.table import Column, Table  # noqa: PLC0415 - rich
    from fmrw.offsets import human_size  # noqa: PLC0415 - with it

    columns = [
        Column("session", whole=True), Column("started (UTC)", drop=2), Column("events", right=True), Column("bytes", right=True, drop=3), Column("kept"),
        Column("directory", drop=1), Column("command", long=True),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            row["name"], (row["started"] or "")[:19].replace("T", " "), "" if row["events"] is None else f"{row['events']:,}", f"{row['bytes']:,}",
            "in use" if row["in_use"] else "while there is room" if row["bounded"] else "yes", row["directory"] or "", row["command"],
        ]
        for row in found.iter_rows(named=True)
    ]  # fmt: skip
    total = human_size(int(found["bytes"].sum()))
    note = f"{found.height:,} session{'' if found.height == 1 else 's'}, {total}, in {kept.state_folder()}"
    return Table(columns, rows or [["no session is kept"]], notes=[note])
