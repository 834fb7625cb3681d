"""What zero timeouts cost on metadata: `ls -lR` and `git status` on a tree of 10,000 files.

    python tests/bench/metadata.py                    # plain directory, C passthrough, fmrw; and reports beside files against none
    python tests/bench/metadata.py --reference-only

Seconds as medians over alternating rounds, on one CPU. The C passthrough has the same timeouts (0), so the ratio
is the cost of Python, not of freshness.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import rig

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDERS, FILES_EACH = 100, 100
FLAT = 5000
COMMANDS = {
    "ls -lR": ["ls", "-lR"],
    "git status": ["git", "status", "--porcelain", "--untracked-files=all"],
}
QUIET = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",  # status would rewrite the index and make the next round cheaper
    **{
        f"GIT_{who}_{what}": "bench@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def grow(tree: Path) -> None:
    """Make a repository of 10,000 committed files."""
    for folder in range(FOLDERS):
        (tree / f"{folder:03}").mkdir(parents=True)
        for file in range(FILES_EACH):
            (tree / f"{folder:03}" / f"{file:03}.txt").write_text(f"{folder} {file}\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tree"]):
        subprocess.run(["git", *words], cwd=tree, env=QUIET, check=True)


def seconds(command: list[str], tree: Path) -> float:
    begun = time.monotonic()
    subprocess.run(command, cwd=tree, env=QUIET, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    reference, _ = rig.build(folder)
    trees = {name: folder / name for name in ("plain", "reference", "fmrw")}
    if arguments.reference_only:
        del trees["fmrw"]
    for tree in trees.values():
        grow(tree)
    with ExitStack() as stack:
        pids: tuple[int, ...] = ()
        stack.enter_context(rig.reference_mount(reference, trees["reference"]))
        if "fmrw" in trees:
            import fmrw  # noqa: PLC0415 - the yardstick alone runs without fmrw

            pids = (stack.enter_context(fmrw.mount(trees["fmrw"], reports="hidden")).worker_pid,)
        for label, command in COMMANDS.items():
            measures: dict[str, Callable[[], float]] = {
                name: (lambda tree=tree, command=command: seconds(command, tree) * 1000)
                for name, tree in trees.items()
            }
            print(rig.row(label, rig.alternate(arguments.rounds, measures, pids), "ms"), flush=True)


def measure_beside(folder: Path, rounds: int) -> None:
    """Measure what an entry costs where reports are listed: two names more for every file."""
    import fmrw  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        measures: dict[str, Callable[[], float]] = {}
        pids: tuple[int, ...] = ()
        for shown, names in (("off", 1), ("beside", 3)):
            tree = folder / f"reports-{shown}"
            tree.mkdir()
            for file in range(FLAT):
                (tree / f"{file:05}").write_bytes(b"x")
            pids += (stack.enter_context(fmrw.mount(tree, reports=shown)).worker_pid,)  # type: ignore[arg-type]
            measures[shown] = lambda tree=tree, count=FLAT * names: seconds(["ls", "-l"], tree) * 1e6 / count  # type: ignore[misc]
        print(rig.row("ls -l, an entry", rig.alternate(rounds, measures, pids), "µs", against="off"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--reference-only", action="store_true")
    arguments = parser.parse_args()
    rig.require("cc", "pkg-config", "fusermount", "git")
    print(rig.heading(arguments.cpu, arguments.rounds), flush=True)
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as folder:
        measure(Path(folder), arguments)
        if not arguments.reference_only:
            measure_beside(Path(folder), arguments.rounds)


if __name__ == "__main__":
    main()
