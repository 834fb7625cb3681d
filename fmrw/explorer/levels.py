"""Levels: a window's bins in several widths, for a page that shows finer ones when it is zoomed.

Each level has `FINER` times as many bins as the one before, down to single bytes. Bins that look alike and meet are one run.

Limits. The finest level is the last that has at most `MOST_BINS` bins and `MOST_RUNS` runs: some 500 KB of JSON. `told` says which that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.palette import spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.explorer.scene import Scene

FIRST, FINER = 1024, 8
MOST_BINS, MOST_RUNS = 1 << 20, 30_000


def levels(scene: Scene) -> dict[str, Any]:
    """Give the bins of a scene's window, as JSON.

    Returns
    -------
    dict
        `start`, `length`: the window, text for `BigInt`. `rows`: the operations. `colours`, `ground`, `ink`: of the runs, of what is not touched, of text. `levels`, the coarsest first:
        `bins`, how many the window is cut into (edge i is `start + i * length // bins`), and for each operation `runs`, flat: first bin, bin
        after the last, place in `colours`. `told`: what the finest are.
    """
    start, length = scene.layout.window[0], scene.layout.length
    named, keys = scene.canvas.colours, [key for op in scene.ops for key in scene.colouring.keys(op)]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    made: list[dict[str, Any]] = []
    bins = min(FIRST, length)
    while length and not (made and made[-1]["bins"] == bins) and bins <= MOST_BINS:
        runs = _runs(scene, bins, places)
        if made and sum(map(len, runs)) > 3 * MOST_RUNS:
            break
        made.append({"bins": bins, "runs": runs})
        bins = min(bins * FINER, length)
    finest = -(-length // made[-1]["bins"]) if made else 0
    return {
        "start": str(start), "length": str(length), "rows": list(scene.ops), "levels": made,
        "colours": [named[key] for key in places], "ground": named["g"], "ink": named["ink"],
        "told": f"The finest bins in this page are {'single bytes' if finest == 1 else f'{finest:,} bytes'}.",
    }  # fmt: skip


def _runs(scene: Scene, bins: int, places: Mapping[str, int]) -> list[list[int]]:
    start, end = scene.layout.window
    edges = window_edges(start, end, bins)
    found = []
    for op in scene.ops:
        keys = scene.colouring.keys(op)
        runs = [
            (a, b, places[keys[number - 1]]) for a, b, number in spans(scene.colouring.numbers(edges, op))
        ]
        found.append(np.array(runs, np.int64).ravel().tolist())
    return found
