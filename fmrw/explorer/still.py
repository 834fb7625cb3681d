"""What is seen of an explorer where nothing runs: one line on hovering, a strip in text, a picture in a saved notebook."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer import pixels
from fmrw.explorer.recorded import OPS
from fmrw.figures.page import size_text
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import polars as pl

    from fmrw.explorer.explorer import Explorer
    from fmrw.explorer.recorded import Choice, Recorded

_COLUMNS = 72
_SHADES = " ░▒▓█"
_NAMED = 4
_SAMPLE = 20_000  # accesses looked at for who they were
_SCALE = 1.5
INSTALL = "The explorer needs the notebook's widgets: pip install 'fmrw[notebook]'"
TERMINAL = "A terminal shows text only; for the explorer: pip install 'fmrw[notebook]', then `jupyter lab`"


def tell(recorded: Recorded, choice: Choice, start: int, end: int) -> str:
    """Say in one line what happened to the bytes [start, end): how often, who, when, and what they are."""
    rows, total = recorded.sample(choice, (start, end), _SAMPLE)
    parts = [range_text(start, end), f"{end - start:,} byte{'s' if end - start > 1 else ''}"]
    edges = np.array((start, end), np.int64)
    counts = {op: int(recorded.bins(edges, op, choice)["accesses"].item()) for op in OPS[choice.ops]}
    parts += [f"{count:,} {op}{'s' if count > 1 else ''}" for op, count in counts.items() if count] or [
        "not touched"
    ]
    if rows.height:
        parts.append(_who(rows) + (" and perhaps others" if total > rows.height else ""))
        first: datetime = rows["time"][0]
        last: datetime = rows["time"][-1]
        parts.append(f"{first:%H:%M:%S.%f}" + (f" to {last:%H:%M:%S.%f}" if last != first else ""))
    named = recorded.file.parts(start, end).sort("depth", "start")
    if named.height:
        parts.append(" › ".join(visible(name) for name in named["name"].head(_NAMED)))  # noqa: RUF001 - a pointer
    return " · ".join(parts)


def _who(rows: pl.DataFrame) -> str:
    pairs = rows.lazy().select("process", "pid").unique(maintain_order=True).collect()
    shown = ", ".join(f"{visible(name)} [{pid}]" for name, pid in pairs.head(_NAMED).iter_rows())
    more = pairs.height - _NAMED
    return shown + (f" and {more} more" if more > 0 else "")


def strip(recorded: Recorded, choice: Choice, window: tuple[int, int]) -> str:
    """Draw a window as lines of text: a summary, and a character per column, darker where more was touched."""
    start, end = window
    lines = [f"{visible(recorded.path)}: {size_text(recorded.size)}, {range_text(start, end)} shown"]
    if end <= start:
        return f"{lines[0]}; nothing recorded yet"
    edges = window_edges(start, end, min(_COLUMNS, end - start))
    for op in OPS[choice.ops]:
        if op == "write" and not recorded.present(op):
            continue
        bins = recorded.bins(edges, op, choice)
        share = bins["distinct"].to_numpy() / (bins["end"] - bins["start"]).to_numpy()
        shades = np.ceil(np.clip(share, 0, 1) * (len(_SHADES) - 1)).astype(int)
        touched = bins["distinct"].sum() / (end - start)
        count = recorded.bins(np.array(window, np.int64), op, choice)["accesses"].item()
        picture = "".join(_SHADES[shade] for shade in shades)
        lines.append(
            f"{op:>5} │{picture}│ {count:,} {op}{'s' if count != 1 else ''}, {touched:.1%} of the bytes"
        )
    return "\n".join(lines)


def bundle(view: Explorer, text: str, widget: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Give the widget, a picture and the text; in a terminal the text alone."""
    if in_terminal():
        return {"text/plain": f"{text}\n{TERMINAL}"}
    picture = base64.b64encode(pixels.png(view.scene.canvas, _SCALE)).decode()
    return {**beside(text, widget), "image/png": picture}


def beside(text: str, widget: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Give a widget and its text; without the widgets' packages the text, and what to install."""
    try:
        return {**widget(), "text/plain": text}
    except ImportError:
        return {"text/plain": f"{text}\n{INSTALL}"}


def in_terminal() -> bool:
    """Tell whether IPython runs, and in a terminal, which shows text only."""
    try:
        from IPython.core.getipython import get_ipython  # noqa: PLC0415 - may be missing
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is None
