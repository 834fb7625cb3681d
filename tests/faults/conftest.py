from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.mounts import unmount as unmounting

pytest.register_assert_rewrite("processes")
from processes import Cast  # noqa: E402 - so that its assertions say what they saw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def cast(folder: Path) -> Iterator[Cast]:
    """Start things, in the order in which they end last."""
    with ExitStack() as stack:
        stack.callback(unmounting.detach, folder)
        yield Cast(stack)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory to watch, with one file."""
    made = tmp_path / "watched"
    made.mkdir()
    (made / "file").write_bytes(bytes(range(256)) * 64)
    return made


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> Callable[[float, float], float]:
    """Give moments that differ from run to run, and are told when a test fails."""
    import random  # noqa: PLC0415 - here only

    seed = random.randrange(1 << 30)  # noqa: S311 - moments, not secrets
    chance = random.Random(seed)  # noqa: S311
    request.node.user_properties.append(("seed", seed))
    return chance.uniform
