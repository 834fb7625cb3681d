"""Imports go down only, nothing goes in circles, and each dangerous thing is known in one place.

Every import counts: inside functions and under TYPE_CHECKING too, since a reader follows them all.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = Path(__file__).parents[1] / "fmrw"
FLOORS = [
    {"errors", "text", "offsets"},
    {"capture"},
    {"trace"},
    {"formats", "analysis"},
    {"figures"},
    {"explorer"},
    {"session"},
    {"recording"},
    {"experiments"},
    {"commands"},
    {"cli", "magics"},
    {"__init__", "__main__"},
]
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
GROUND = FLOORS[0]
MOST_LINES = 40  # of code in a room's `__init__`

CONFINED = {  # imported name → the only modules that may import it
    "vl_convert": {"figures/render.py"},
    "fuse": {"capture/fuse/adapter.py"},
}
NOT_IN_CAPTURE = {"polars", "altair", "numpy", "ipywidgets", "click", "rich"}


class Modules:
    """A package as its source says: modules by dotted name, and which module imports which."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.files = {self.name(file): file for file in sorted(package.rglob("*.py"))}
        self.imported = {name: list(self._imports(file)) for name, file in self.files.items()}
        self.edges = {
            name: {self.owner(target) for target in targets if self.owner(target)} - {name}
            for name, targets in self.imported.items()
        }

    def name(self, file: Path) -> str:
        parts = file.relative_to(self.package.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def owner(self, target: str) -> str:
        """Give the module that a dotted name is, or lies in; empty for names of others."""
        while target and target not in self.files:
            target = target.rpartition(".")[0]
        return target

    @staticmethod
    def _imports(file: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import; write the full name"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def room(self, module: str) -> str:
        """Give the room a module lies in: the folder below the package, or a module of the package itself."""
        parts = module.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


def climbs(modules: Modules) -> list[str]:
    """Name the imports that do not go down or stay in their room."""
    found = []
    for module, targets in modules.edges.items():
        for target in sorted(targets):
            own, other = modules.room(module), modules.room(target)
            stays = own == other or {own, other} <= GROUND
            if not stays and FLOOR[other] >= FLOOR[own]:
                found.append(f"{module} imports {target}")
    return found


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Give the strongly connected groups of more than one node (Tarjan 1972), each sorted."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in edges.get(node, ()):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in edges:
        if node not in order:
            visit(node)
    return found


def circles_of_folders(modules: Modules) -> list[list[str]]:
    """Give the circles among what lies side by side in each folder, where a folder counts as one."""
    found = []
    for folder in {name for name, file in modules.files.items() if file.name == "__init__.py"}:
        depth = folder.count(".") + 2
        edges: dict[str, set[str]] = defaultdict(set)
        for module, targets in modules.edges.items():
            if module.startswith(f"{folder}."):
                own = ".".join(module.split(".")[:depth])
                inside = {t for t in targets if t.startswith(f"{folder}.")}
                edges[own] |= {".".join(t.split(".")[:depth]) for t in inside} - {own}
        found += circles(dict(edges))
    return found


OURS = Modules(PACKAGE)


def test_imports_go_down_or_stay_in_their_room() -> None:
    assert climbs(OURS) == []


def test_nothing_goes_in_circles() -> None:
    assert circles(OURS.edges) == []
    assert circles_of_folders(OURS) == []


def test_every_module_lies_in_a_room() -> None:
    beside = {file.stem for file in PACKAGE.glob("*.py")} | {
        folder.parent.name for folder in PACKAGE.glob("*/__init__.py")
    }
    assert beside <= set(FLOOR)
    assert {file.stem for file in PACKAGE.glob("*.py")} == {"__init__", "__main__", *GROUND}
    assert all(
        (folder / "__init__.py").exists() for folder in {file.parent for file in PACKAGE.rglob("*.py")}
    )


@pytest.mark.parametrize("module", [n for n, f in OURS.files.items() if f.name == "__init__.py"])
def test_a_room_says_what_lives_there(module: str) -> None:
    text = OURS.files[module].read_text()
    tree = ast.parse(text)
    said = ast.get_docstring(tree) or ""
    assert said
    if module.count(".") == 1:
        assert re.search(r"^Threads[:.]", said, re.MULTILINE)
        assert re.search(r"^Limits[:.]", said, re.MULTILINE)
    first = tree.body[1].lineno if len(tree.body) > 1 else len(text.splitlines()) + 1
    code = [
        line for line in text.splitlines()[first - 1 :] if line.strip() and not line.lstrip().startswith("#")
    ]
    assert module == "fmrw" or len(code) <= MOST_LINES


@pytest.mark.parametrize("module", OURS.files)
def test_dangerous_imports_are_confined(module: str) -> None:
    relative = str(OURS.files[module].relative_to(PACKAGE))
    for name in OURS.imported[module]:
        allowed = CONFINED.get(name.split(".")[0])
        assert allowed is None or relative in allowed, f"{relative} imports {name}"


@pytest.mark.parametrize("module", [name for name in OURS.files if name.startswith("fmrw.capture")])
def test_capture_knows_no_tables_and_no_pictures(module: str) -> None:
    assert not {name.split(".")[0] for name in OURS.imported[module]} & NOT_IN_CAPTURE


def test_proc_only_where_processes_are_known_and_fusermount_only_where_mounts_end() -> None:
    proc = {"capture/system/proc.py", "capture/recorder/process.py", "capture/mounts/holders.py"}
    fusermount = {"capture/mounts/unmount.py", "recording/doctor.py"}
    for file in OURS.files.values():
        relative = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                assert not text.startswith("/proc") or relative in proc, f"{relative} names {text}"
                assert not text.startswith("fusermount") or relative in fusermount, f"{relative} names {text}"


# The test itself


def package(folder: Path, **modules: str) -> Modules:
    for name, text in modules.items():
        file = folder / "fmrw" / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        for inside in [parent for parent in file.parents if folder in parent.parents]:
            (inside / "__init__.py").touch()
        file.write_text(text)
    return Modules(folder / "fmrw")


@pytest.mark.parametrize(
    "text",
    [
        "import fmrw.session.trace",
        "from fmrw.session import trace",
        "def f():\n    from fmrw.session.trace import Trace",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fmrw.session.trace import Trace",
        "import fmrw",
        "from fmrw import Trace",
    ],
)
def test_a_climb_is_seen_wherever_it_stands(tmp_path: Path, text: str) -> None:
    made = package(tmp_path, trace__store=text, session__trace="class Trace: ...")
    assert len(climbs(made)) == 1


def test_rooms_on_one_floor_do_not_know_each_other(tmp_path: Path) -> None:
    made = package(tmp_path, cli__main="import fmrw.magics.door", magics__door="")
    assert climbs(made) == ["fmrw.cli.main imports fmrw.magics.door"]


def test_circles_are_seen_between_modules_and_between_folders(tmp_path: Path) -> None:
    made = package(
        tmp_path,
        capture__fuse__loop="from fmrw.capture.mirror import names",
        capture__mirror__names="",
        capture__mirror__stat="def f():\n    import fmrw.capture.fuse.adapter",
        capture__fuse__adapter="",
    )
    assert circles(made.edges) == []
    assert circles_of_folders(made) == [["fmrw.capture.fuse", "fmrw.capture.mirror"]]
    round_about = package(
        tmp_path,
        trace__a="import fmrw.trace.b",
        trace__b="import fmrw.trace.c",
        trace__c="import fmrw.trace.a",
    )
    assert circles(round_about.edges) == [["fmrw.trace.a", "fmrw.trace.b", "fmrw.trace.c"]]


TESTS = [path for path in Path(__file__).parent.rglob("*.py") if path.name != "conftest.py"]


def test_no_two_modules_of_tests_have_one_name() -> None:
    """Folders of tests share one interpreter: `pytest tests/faults tests/posix` imports all modules under bare names."""
    names = Counter(path.stem for path in TESTS)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_of_tests_imports_from_a_conftest() -> None:
    """Every folder may have one, and the name is that of the folder pytest looked at last."""
    importing = {
        path.name
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "conftest"
    }
    assert importing == set(), "let a module of its own hold what they share"
