"""Stacks: what each call site asked for, how it is called, and whose it is.

A site is called by the innermost function that is the program's own, or, where all stacks of the program have the same innermost ones, by that in
which they part from each other: a parser often reads whatever it wants by one function. Frames of the C and C++ libraries are nobody's own; where
functions of Python run, only these are, and not what the interpreter or a library calls for them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from fmrw.analysis import ranges
from fmrw.capture.sites.python import PYTHON
from fmrw.capture.sites.unwind import MOST_FRAMES
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COMMON = re.compile(
    r"(?:libc|libpthread|libstdc\+\+|libc\+\+|libgcc_s|libm|libdl|ld-linux[\w-]*|ld-musl[\w-]*)[.-][\w.]*"
)
"""Files of the C and C++ libraries, by their names."""
UNKNOWN = "?"
CUT = f"(cut after {MOST_FRAMES} frames)"
_OUTERMOST = frozenset(("_start", "clone", "__clone", "clone3", "__clone3"))
REPORT = pl.Schema(
    {
        "site": pl.Int32(),
        "function": pl.String(),
        "calls": pl.Int64(),
        "bytes": pl.Int64(),
        "starts": pl.List(pl.Int64()),
        "ends": pl.List(pl.Int64()),
    }
)


class Frame(NamedTuple):
    """A frame as it is shown."""

    module: str
    offset: int
    function: str
    quality: str
    line: str

    @property
    def file(self) -> str:
        """The module's name without its folders."""
        return self.module.removesuffix(" (deleted)").rpartition("/")[2] or UNKNOWN

    @property
    def name(self) -> str:
        """The function, or the place where it has no name."""
        return self.function or f"0x{self.offset & (1 << 64) - 1:x}"

    @property
    def plain(self) -> str:
        """`module!function`."""
        return f"{self.file}!{self.name}"

    @property
    def label(self) -> str:
        """Module and function, `unzip!fn@0x13a10+0x47` where only its bounds are known; a guess has a question mark."""
        begin = self.function.removeprefix("fn@0x")
        behind = f"+0x{self.offset - int(begin, 16):x}" if begin != self.function else ""
        mark = UNKNOWN if self.quality == "scan" else ""
        return f"{self.file}!{self.name}{behind}{mark}"

    @property
    def is_common(self) -> bool:
        """Whether it is one of the C or C++ library."""
        return _COMMON.fullmatch(self.file) is not None

    @property
    def is_python(self) -> bool:
        """Whether it is a function of Python."""
        return self.quality == PYTHON


Chain = tuple[Frame, ...]
"""The frames of a site, the innermost first."""


def chains(sites: pl.DataFrame) -> dict[int, Chain]:
    """Give the frames of each site of a frame of `schema.SITES`, the innermost first."""
    found: dict[int, list[Frame]] = {}
    columns = sites.sort("site", "depth").select("site", "module", "offset", "function", "quality", "line")
    for site, *frame in columns.iter_rows():
        found.setdefault(site, []).append(Frame(*frame))
    return {site: tuple(frames) for site, frames in found.items()}


def is_cut(chain: Chain) -> bool:
    """Tell whether a stack was deeper than what is recorded of one: it has all frames that can be, and does not end where a thread begins."""
    compiled = sum(not frame.is_python for frame in chain)
    return compiled >= MOST_FRAMES and chain[-1].function not in _OUTERMOST


def shown(chain: Chain) -> Chain:
    """Leave out the frames of the C library at both ends, unless there are no others."""
    own = [number for number, frame in enumerate(chain) if not frame.is_common]
    return chain[own[0] : own[-1] + 1] if own else chain


def own(chain: Chain) -> Chain:
    """Give the frames that are the program's own: its functions of Python, or, where it has none, those that are not of the C library at both ends."""
    return tuple(frame for frame in chain if frame.is_python) or shown(chain)


def asking(chain: Chain) -> Chain:
    """Leave out also what Python's interpreter itself calls inside of the innermost function of Python."""
    functions = [number for number, frame in enumerate(chain) if frame.is_python]
    if not functions:
        return shown(chain)
    interpreter = next((frame.module for frame in chain[functions[0] :] if not frame.is_python), None)
    inside = chain[: functions[0]]
    libraries = [
        number for number, frame in enumerate(inside) if not frame.is_common and frame.module != interpreter
    ]
    return shown(chain[libraries[0] if libraries else functions[0] :])


def names(known: Mapping[int, Chain]) -> dict[int, str]:
    """Call each site by the innermost of the program's own functions in which its stacks differ.

    Returns
    -------
    dict
        `module!function` by site.
    """
    programs: dict[str, list[tuple[int, Chain]]] = {}
    for site, chain in known.items():
        programs.setdefault(chain[-1].module, []).append((site, own(chain)))
    return {site: name for group in programs.values() for site, name in _parted(group)}


def _parted(group: Sequence[tuple[int, Chain]]) -> list[tuple[int, str]]:
    """Name the stacks of one program by the first frame, from inside, that is not the same in all; by the innermost where there is none."""
    least = min(len(chain) for _site, chain in group)
    parted = (depth for depth in range(least) if len({chain[depth].plain for _site, chain in group}) > 1)
    depth = next(parted, 0)
    return [(site, chain[depth].plain) for site, chain in group]


def ranked(moved: pl.DataFrame, called: Mapping[int, str]) -> list[str]:
    """Give what the sites of some reads and writes are called by, those that moved most bytes first."""
    sizes = moved.group_by("site").agg((pl.col("end") - pl.col("start")).sum().alias("bytes"))
    asked: dict[str, int] = {}
    for site, count in sizes.iter_rows():
        if site in called:
            asked[called[site]] = asked.get(called[site], 0) + int(count)
    return sorted(asked, key=lambda name: (-asked[name], name))


def report(events: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """Say what each call site asked for, the one with the most bytes first.

    Parameters
    ----------
    events : frame of `schema.EVENTS`
        Of one file, or of all; those without a site are left out.
    sites : frame of `schema.SITES`
        With names.

    Returns
    -------
    frame of `REPORT`
        `function` is what the site is called by (`names`), `calls` and `bytes` count every call, `starts` and `ends` are the merged ranges, where the
        events are of one file.
    """
    called = names(chains(sites))
    asked = schema.transfers(events).filter(pl.col("site").is_not_null())
    single = asked["path"].n_unique() <= 1
    rows = []
    for (site,), own in asked.group_by("site"):
        merged = ranges.merge(own) if single else own.head(0)
        rows.append(
            (
                site,
                called.get(int(str(site)), UNKNOWN),
                own["call"].n_unique(),
                int((own["end"] - own["start"]).sum()),
                merged["start"].to_list(),
                merged["end"].to_list(),
            )
        )
    return pl.DataFrame(rows, schema=REPORT, orient="row").sort(
        "bytes", "calls", "site", descending=[True, True, False]
    )


def having(sites: pl.DataFrame, function: str) -> list[int]:
    """Give the sites with a function anywhere on their stacks: by its name, with `module!` before it or not."""
    wanted = [
        site
        for site, chain in chains(sites).items()
        if any(function in (frame.name, frame.plain, frame.label) for frame in chain)
    ]
    return sorted(wanted)


class Node:
    """A frame of the tree of stacks, the outermost at the root, with what was asked for below it; without a frame what is above stacks that were cut."""

    def __init__(self, frame: Frame | None = None) -> None:
        self.frame = frame
        self.calls = self.bytes = 0
        self.sites: list[int] = []
        self.below: dict[str, Node] = {}


def tree(found: pl.DataFrame, known: Mapping[int, Chain]) -> Node:
    """Make a tree of the stacks of a report; frames of the C library at both ends are left out."""
    root = Node()
    for row in found.iter_rows(named=True):
        node = root
        _count(node, row)
        chain = known.get(row["site"], ())
        if is_cut(chain):
            node = node.below.setdefault(CUT, Node())
            _count(node, row)
        for frame in reversed(shown(chain)):
            node = node.below.setdefault(frame.label, Node(frame))
            _count(node, row)
        node.sites.append(row["site"])
    return root


def _count(node: Node, row: Mapping[str, Any]) -> None:
    node.calls += row["calls"]
    node.bytes += row["bytes"]
