from __future__ import annotations

from typing import TYPE_CHECKING

import compiler
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], str]:
    """Compile one of the programs beside this file for 64 or 32 bits, once; give its path."""
    folder = tmp_path_factory.mktemp("programs")

    def build(name: str, bits: int) -> str:
        program = folder / f"{name}{bits}"
        if not program.exists():
            compiler.build(name, bits, program)
        return str(program)

    return build
