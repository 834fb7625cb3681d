"""Outputs: what IPython puts out below a cell, under a name by which it can be replaced."""

from __future__ import annotations

import uuid
from typing import Any

Still = tuple[dict[str, Any], dict[str, Any]]
"""What is put out, by MIME type, and its metadata."""


def publish(shown: Still, place: str = "") -> str:
    """Put something out, or in place of what stands at a place; give the place."""
    from IPython.display import publish_display_data  # noqa: PLC0415 - who displays has it

    name = place or f"fmrw-{uuid.uuid4().hex}"
    publish_display_data(*shown, transient={"display_id": name}, update=bool(place))  # type: ignore[no-untyped-call]
    return name


def cell() -> int:
    """Give the number of the cell that runs."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - as above

    return int(getattr(get_ipython(), "execution_count", 0))
