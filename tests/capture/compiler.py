"""The compiler of C programs that are watched."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
WIDTHS = (64, 32) if platform.machine() == "x86_64" else (64,)  # elsewhere no compiler makes both


def build(name: str, bits: int, program: Path) -> None:
    """Compile one of the programs beside this file for 64 or 32 bits."""
    width = [f"-m{bits}"] if platform.machine() == "x86_64" else []
    subprocess.run(["cc", "-O1", "-Wall", *width, HERE / f"{name}.c", "-o", program], check=True)
