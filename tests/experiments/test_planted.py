"""A probe against a parser of which every byte's meaning is known: all of them must be found, whatever the size, twice."""

from __future__ import annotations

import functools
import itertools
import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmrw.experiments.bench import Budget
from fmrw.experiments.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.experiments.probe import Probe

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

HERE = Path(__file__).parent
TAIL = 100


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("planted") / "planted"
    subprocess.run(["cc", "-O1", HERE / "planted.c", "-o", program], check=True)
    return program


def made(payload: int) -> tuple[bytes, list[str]]:
    """Make a file, and the class of each of its bytes."""
    chance = random.Random(payload)  # noqa: S311 - the same every time
    data = bytes(chance.choices(range(256), k=payload))
    shown, summed, idle = (bytes(chance.choices(range(1, 256), k=size)) for size in (32, 16, 32))
    table = 64 + payload + 32 + 16 + 32
    head = bytearray(64)
    truth = ["ignored"] * 64

    def put(at: int, content: bytes, kind: str) -> None:
        head[at : at + len(content)] = content
        truth[at : at + len(content)] = [kind] * len(content)

    mixed = 0
    for byte in summed:
        mixed ^= byte
    put(0, b"PLNT", "checked")
    put(6, b"\x01", "conditional")
    put(7, b"A", "content")
    put(8, b"B", "ignored")
    put(9, b"\x0a", "conditional")
    put(10, b"\x04", "conditional")
    put(11, b"\x00", "crash")
    put(12, (16).to_bytes(4, "little"), "steers")
    put(16, (300).to_bytes(2, "big"), "steers")
    put(18, (table + 5).to_bytes(4, "little"), "steers")
    put(22, (table // 4 + 3).to_bytes(2, "big"), "steers")
    put(24, b"\x03", "steers")
    put(25, b"\x07", "crash")
    put(26, b"\x10", "hang")
    put(28, b"BACK", "redundant")
    put(32, (sum(data) & 0xFFFF).to_bytes(2, "little"), "checked")
    put(34, bytes([mixed]), "checked")
    put(35, b"hello\0", "content")
    put(44, b"\x2a\x2a\x2a", "redundant")
    put(48, payload.to_bytes(2, "little"), "checked")
    put(50, payload.to_bytes(2, "big"), "checked")
    put(60, b"BACK", "redundant")
    truth += ["checked"] * payload + ["content"] * 32 + ["checked"] * 16 + ["ignored"] * 32
    body = data + shown + summed + idle
    whole = bytes(head) + body + bytes(chance.choices(range(256), k=300 + TAIL))
    truth += ["ignored"] * 300 + ["unread"] * TAIL
    return whole, truth


def classes(found: Probe) -> list[str | None]:
    return [each.kind for each in found.map for _ in range(each.start, each.end)]


@pytest.fixture(scope="module")
def probed(parser: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Path, Probe]]:
    """Probe a file with so many bytes of data, once; give both."""

    @functools.cache
    def complete(payload: int) -> tuple[Path, Probe]:
        file = tmp_path_factory.mktemp("probed") / "planted.bin"
        file.write_bytes(made(payload)[0])
        return file, probe(file, [str(parser), "{}"], exact=payload < 100)

    return complete


@pytest.mark.parametrize("payload", [16, 120, 500])
def test_every_planted_byte_is_found(probed: Callable[[int], tuple[Path, Probe]], payload: int) -> None:
    content, truth = made(payload)
    file, found = probed(payload)
    wrong = {
        at: (said, meant)
        for at, (said, meant) in enumerate(zip(classes(found), truth, strict=True))
        if said != meant
    }
    assert wrong == {}
    assert found.complete
    assert found.unstable == []
    assert [(each.start, each.end) for each in found.map] == covering(found)
    fields = {tuple(each.field) for each in found.map if each.field}
    access = 5
    assert fields == {
        (12, 16, "length", access, "little", 1),
        (16, 18, "length", access + 1, "big", 1),
        (18, 22, "offset", access + 2, "little", 1),
        (22, 24, "offset", access + 3, "big", 4),
        (24, 25, "count", -1, None, 1),
    }
    assert file.read_bytes() == content


def covering(found: Probe) -> list[tuple[int, int]]:
    """Give the ranges as they are if each begins where the one before ends, from the beginning of the file to its end."""
    borders = [each.start for each in found.map] + [found.size]
    assert borders[0] == 0
    return list(itertools.pairwise(borders))


@pytest.fixture
def whole(probed: Callable[[int], tuple[Path, Probe]]) -> Probe:
    """A complete probe of a file with 120 bytes of data."""
    return probed(120)[1]


def test_two_passes_agree(parser: Path, whole: Probe, tmp_path: Path) -> None:
    content, _truth = made(120)
    file = tmp_path / "planted.bin"
    file.write_bytes(content)
    again = probe(file, [str(parser), "{}"])
    assert again.map == whole.map
    assert again.runs == whole.runs


def test_a_budget_ends_it_with_what_is_known(parser: Path, tmp_path: Path) -> None:
    content, truth = made(40)
    file = tmp_path / "planted.bin"
    file.write_bytes(content)
    found = probe(file, [str(parser), "{}"], budget=Budget(runs=100))
    assert not found.complete
    assert found.runs <= 101
    covering(found)
    unread = [at for at, kind in enumerate(truth) if kind == "unread"]
    assert [at for at, kind in enumerate(classes(found)) if kind == "unread"] == unread


@pytest.mark.parametrize("exact", [False, True])
def test_what_a_stopped_map_does_not_mark_is_so_in_the_complete_one(
    parser: Path, tmp_path: Path, *, exact: bool
) -> None:
    content, _truth = made(16)
    file = tmp_path / "planted.bin"
    file.write_bytes(content)
    command, output = [str(parser), "{}"], tmp_path / "out"
    maps: list[Probe] = []
    while not maps or not maps[-1].complete:
        budget = Budget(runs=50 if len(maps) < 8 else 250)
        maps.append(probe(file, command, output=output, resume=bool(maps), exact=exact, budget=budget))
    truth = classes(maps[-1])
    assert None not in truth
    for found in maps[:-1]:
        settled = [each for each in found.map if each.kind is not None and "; so far" not in each.effect]
        wrong = [each for each in settled if {*truth[each.start : each.end]} != {each.kind}]
        assert wrong == []
        covering(found)
    assert not any("so far" in each.effect for each in maps[-1].map)
    assert any(each.kind == "steers" and "; so far" not in each.effect for each in maps[-2].map)


def test_it_goes_on_where_it_was_stopped(parser: Path, whole: Probe, tmp_path: Path) -> None:
    content, _truth = made(120)
    file = tmp_path / "planted.bin"
    file.write_bytes(content)
    command, output = [str(parser), "{}"], tmp_path / "out"
    probe(file, command, output=output, budget=Budget(runs=300))
    with (output / "runs.jsonl").open("a") as journal:
        journal.write('["half a li')
    rest = probe(file, command, output=output, resume=True)
    assert rest.map == whole.map
    assert rest.runs < whole.runs - 200
