"""Commands about call sites: which code asked for the bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from fmrw.commands.grammar import example, exclusive, grammar, json_option, needing
from fmrw.commands.outcome import Outcome, line, located

if TYPE_CHECKING:
    import polars as pl

    from fmrw.session.trace import Trace


@grammar.command(
    short_help="Show which code asked for the bytes.",
    epilog=example(
        "fmrw run samples -o out --sites -- unzip -l samples/polyglot.pdf",
        "fmrw sites out polyglot.pdf",
        "fmrw sites out polyglot.pdf --structure",
        "fmrw sites out --folded > stacks.txt; flamegraph.pl stacks.txt > stacks.svg",
    ),
)
@click.argument("session")
@click.argument("path", required=False)
@click.option(
    "--function", metavar="NAME", help="Only stacks with this function: read_header, or unzip!fn@0x13a10."
)
@click.option("--folded", is_flag=True, help="A line for each stack, for flame graphs.")
@click.option("--speedscope", is_flag=True, help="A profile as JSON, for https://www.speedscope.app.")
@click.option(
    "--by",
    "weight",
    type=click.Choice(["bytes", "calls"]),
    default="bytes",
    show_default=True,
    help="What stacks weigh there.",
)
@click.option(
    "--structure",
    "described",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Set the parts of PATH's format against the functions that asked for them; FILE: ranges of your own, as for `fmrw gaps`.",
)  # fmt: skip
@json_option
def sites(session: str, path: str | None, **options: Any) -> Outcome:  # noqa: ANN401 - the options above
    """Show which code asked for the bytes of PATH, or of all files: stacks as a tree, with their calls, bytes and ranges.

    SESSION was recorded with --sites. A name such as fn@0x13a10 is a function of which only the place is known; a question mark follows a frame that
    is a guess. No more than 64 frames are recorded of a stack; one that was deeper is shown as cut.
    """
    from fmrw.commands.site_tables import functions_table, sites_tree  # noqa: PLC0415 - heavy
    from fmrw.session import sites as questions  # noqa: PLC0415 - the same

    exclusive("folded", "speedscope", "described")
    exclusive("function", "described")
    needing("weight", "folded", "speedscope")
    trace, chosen = located(session, path)
    function, weight = options["function"], options["weight"]
    chosen = None if chosen is None else trace.resolve(chosen)
    notes = [] if function else _missing(trace, questions.calls_without(trace, chosen))
    if options["folded"]:
        lines = questions.folded(trace, chosen, function, weight)
        return Outcome([line(text) for text in lines], lines, value=lines, notes=notes)
    if options["speedscope"]:
        profile = questions.speedscope(trace, chosen, function, weight)
        return Outcome([line(json.dumps(profile))], profile, value=profile, notes=notes)
    if options["described"] is not None:
        chosen = chosen if chosen is not None else trace.only_file()
        table = trace.functions_by_part(chosen, options["described"] or None)
        return Outcome(
            [functions_table(table, chosen)],
            {"path": chosen, "parts": table.to_dicts()},
            value=table,
            notes=notes,
        )
    shown, found = _tree(trace, chosen, function, sites_tree)
    return Outcome([shown], questions.told(trace, chosen, function), value=found, notes=notes)


def _tree(trace: Trace, path: str | None, function: str | None, draw: Any) -> tuple[Any, pl.DataFrame]:  # noqa: ANN401
    from fmrw.analysis.sites import stacks  # noqa: PLC0415 - heavy

    found, known = trace.site_report(path, function), stacks.chains(trace.sites)
    return draw(found, stacks.tree(found, known), path), found


def _missing(trace: Trace, calls: int) -> list[str]:
    """Say how many calls have no site, and why that is where it is known."""
    from fmrw.recording.remarks import unsited  # noqa: PLC0415 - heavy

    if not calls:
        return []
    said = "1 call has no site, and is" if calls == 1 else f"{calls:,} calls have no site, and are"
    return [f"{said} not counted here.", *unsited(trace.facts)]
