"""Sessions: those that were kept without a folder of their own, as a frame."""

from __future__ import annotations

import shlex

import polars as pl

from fmrw.text import name_text, visible
from fmrw.trace import kept

SESSIONS = pl.Schema(
    {
        "name": pl.String(),
        "directory": pl.String(),
        "command": pl.String(),
        "started": pl.String(),
        "events": pl.Int64(),
        "bytes": pl.Int64(),
        "in_use": pl.Boolean(),
        "bounded": pl.Boolean(),
        "folder": pl.String(),
    }
)


def sessions() -> pl.DataFrame:
    """Give the kept sessions of this user, the newest first.

    Returns
    -------
    frame of `SESSIONS`
        `name` is what `fmrw.load` and every command take. `started` is ISO 8601, UTC. `events` is null while a session is not finished. `in_use` tells
        whether somebody records into it or has it loaded; `bounded` whether it goes when there are too many (`fmrw.trace.kept`).
    """
    rows = [
        {
            "name": name_text(each.name),
            "directory": visible(each.facts.get("root") or "") or None,
            "command": visible(shlex.join(each.facts.get("command") or [])),
            "started": each.facts.get("started"),
            "events": each.facts.get("events"),
            "bytes": each.size,
            "in_use": each.in_use,
            "bounded": each.facts.get(kept.BOUNDED) is True,
            "folder": name_text(each.folder),
        }
        for each in kept.sessions()
    ]
    return pl.DataFrame(rows, schema=SESSIONS)
