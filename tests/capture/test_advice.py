"""What a program only says it will need is no read: readahead(2), posix_fadvise(2), madvise(2)."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import polars as pl
import pytest
from watching import python, watch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mount

ADVICE = """
    import ctypes, mmap
    f = os.open("big", os.O_RDONLY); libc = ctypes.CDLL(None, use_errno=True)
    def willneed(start, size): os.posix_fadvise(f, start, size, os.POSIX_FADV_WILLNEED)
    def readahead(start, size):
        libc.readahead.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_size_t]
        assert libc.readahead(f, start, size) == 0
    def mapped(start, size):
        with mmap.mmap(f, 1 << 20, mmap.MAP_PRIVATE, mmap.PROT_READ) as there:
            there.madvise(mmap.MADV_WILLNEED, start, size)
    """


@pytest.mark.parametrize("capture", ["exact", "paged"])
@pytest.mark.parametrize("call", ["willneed", "readahead", "mapped"])
def test_advice_is_no_read(call: str, capture: str, directory: Path) -> None:
    (directory / "big").write_bytes(bytes(1 << 20))
    program = textwrap.dedent(ADVICE) + f"{call}(8192, 40_000); {call}(200_704, 4096)"
    trace = watch(directory, python(program), capture=capture)
    moved = trace.events.filter(pl.col("op").is_in(["read", "write", "advise"]))
    assert set(moved["op"]) == {"advise"}
    assert moved["start"].min() == 8192
    assert moved["end"].max() == 204_800
    assert trace.coverage("big").is_empty()
    assert trace.gaps("big").rows()[0][:2] == (0, 1 << 20)
    facts = trace.files.row(0, named=True)
    assert (facts["reads"], facts["bytes_read"], facts["fidelity"]) == (
        0,
        0,
        None,
    )  # nothing was requested, so nothing is exact or not
    assert facts["advised"] == moved.height
    assert trace.facts["faults"] == 0


def test_what_is_read_after_advice_is_read(directory: Path) -> None:
    (directory / "big").write_bytes(bytes(1 << 20))
    program = textwrap.dedent(ADVICE) + "willneed(0, 1 << 20); os.pread(f, 10, 100)"
    trace = watch(directory, python(program))
    assert trace.coverage("big").rows() == [(100, 110)]
    assert trace.files["fidelity"].to_list() == ["byte"], "advice is pages, and says nothing about the reads"


@pytest.mark.parametrize("capture", ["exact", "paged"])
def test_what_is_touched_in_a_mapping_is_read(capture: str, directory: Path) -> None:
    (directory / "big").write_bytes(bytes(1 << 20))
    program = textwrap.dedent(ADVICE) + (
        "there = mmap.mmap(f, 1 << 20, mmap.MAP_PRIVATE, mmap.PROT_READ); there[5000]\n"
        "os.write(os.memfd_create('copy'), memoryview(there)[50_000:50_010])"
    )
    trace = watch(directory, python(program), capture=capture)
    assert trace.coverage("big").rows() == [(4096, 8192), (49_152, 53_248)]
    assert trace.files["fidelity"].to_list() == ["page"]
