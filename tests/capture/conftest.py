"""C programs that are watched."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
WIDTHS = (64, 32) if platform.machine() == "x86_64" else (64,)  # elsewhere no compiler makes both


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], str]:
    """Compile one of the programs beside this file for 64 or 32 bits, once; give its path."""
    folder = tmp_path_factory.mktemp("programs")

    def build(name: str, bits: int) -> str:
        program = folder / f"{name}{bits}"
        if not program.exists():
            width = [f"-m{bits}"] if platform.machine() == "x86_64" else []
            subprocess.run(["cc", "-O1", "-Wall", *width, HERE / f"{name}.c", "-o", program], check=True)
        return str(program)

    return build
