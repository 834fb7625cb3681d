"""Filters in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fmrw.explorer.filters import Choice

if TYPE_CHECKING:
    from fmrw.explorer.explorer import Explorer


def test_a_picture_says_what_was_left_out(view: Explorer) -> None:
    assert view.choice.told() == ""
    assert "only" not in json.dumps(view.chart().to_dict())
    hostile = "\x1b[31m\u202eevil"
    view.processes = [view.recorded.processes[0]]
    pid, name = view.recorded.processes[0]
    assert f"only {name} [{pid}]" in json.dumps(view.chart().to_dict())
    choice = Choice(ops="read", processes=tuple((n, hostile) for n in range(5)), threads=(), handles=(7,))
    assert choice.told().count("evil") == 3
    assert choice.told().startswith("only reads, ")
    assert choice.told().endswith(" and 2 more, no thread, handle 7")
    assert not set("\x1b\u202e") & set(choice.told())
