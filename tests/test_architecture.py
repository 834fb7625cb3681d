"""Imports point down only, and each dangerous thing is known in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fmrw"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "errors": 0,
    "offsets": 0,
    "text": 0,
    "capture": 1,
    "trace": 2,
    "analysis": 3,
    "formats": 3,
    "figures": 4,
    "session": 7,
    "recording": 7,
    "explorer": 6,
}
TOP = 9  # cli, __main__, __init__

CONFINED = {  # imported name → the only modules that may import it
    "vl_convert": {"figures/render.py"},
    "fuse": {"capture/fuse/adapter.py"},
}


def imports(module: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            pytest.fail(f"{module}: relative import; write the full name")
    return names


def layer(relative: Path) -> int:
    if relative == Path("magics/register.py"):  # a door, as cli is
        return TOP
    return LAYERS.get(relative.parts[0].removesuffix(".py"), TOP)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_imports_point_down_only(module: Path) -> None:
    own = layer(module.relative_to(PACKAGE))
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "fmrw" and len(parts) > 1 and parts[1] in LAYERS:
            assert LAYERS[parts[1]] <= own, f"{module.name} imports {name}, which lies above it"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_dangerous_imports_are_confined(module: Path) -> None:
    relative = str(module.relative_to(PACKAGE))
    for name in imports(module):
        allowed = CONFINED.get(name.split(".")[0])
        assert allowed is None or relative in allowed, f"{relative} imports {name}"


@pytest.mark.parametrize("module", sorted((PACKAGE / "capture").rglob("*.py")), ids=lambda m: m.name)
def test_capture_knows_no_tables_and_no_pictures(module: Path) -> None:
    heads = {name.split(".")[0] for name in imports(module)}
    assert not heads & {"polars", "altair", "numpy", "ipywidgets", "click", "rich"}


def test_proc_only_where_processes_are_known_and_fusermount_only_where_mounts_end() -> None:
    for module in MODULES:
        relative = str(module.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if text.startswith("/proc"):
                    assert relative in {
                        "capture/system/proc.py",
                        "capture/recorder/process.py",
                        "capture/mounts/holders.py",
                    }, f"{relative} names {text}"
                if text.startswith("fusermount"):
                    assert relative in {"capture/mounts/unmount.py", "recording/doctor.py"}, (
                        f"{relative} names {text}"
                    )
