"""Remarks: what to know about a recording, one line each, for `mount`, `run` and `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.capture.recorder.journal import Head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LACKING = {
    "shared_maps": "exact: a program that maps files shared (mmap) gets ENODEV on this kernel (before Linux 6.6); monitor with --capture paged if one needs it.",
    "async_direct": "exact: asynchronous reads over the end of a file give wrong bytes on this kernel (before Linux 3.9); monitor with --capture paged if a program needs them.",
}


def begun(session: Path, options: Mapping[str, Any]) -> list[str]:
    """Say what to know about a recording that has just begun; its journal is not read, which would take polars."""
    with (session / "journal" / "head").open("rb") as head:
        return lacking({"options": options, "lacks": Head(head.fileno(), writable=False).lacks()})


def lacking(facts: Mapping[str, Any]) -> list[str]:
    """Say what the capture mode of a recording lacks on the kernel it was made on.

    Parameters
    ----------
    facts
        Those of the session: `options` and `lacks`.
    """
    if (facts.get("options") or {}).get("capture") != "exact":
        return []
    return [_LACKING[name] for name in facts.get("lacks") or [] if name in _LACKING]
