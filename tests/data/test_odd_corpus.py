"""The script that makes a corpus of odd ZIPs: the same bytes each time, and of each kind what its name says."""

from __future__ import annotations

import hashlib
import io
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "data" / "corpus.py"
KINDS = runpy.run_path(str(SCRIPT))["KINDS"]


def test_it_makes_so_many_files_and_the_same_again(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        done = subprocess.run(
            [sys.executable, SCRIPT, tmp_path / name, "70"], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("70 files in ")
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        assert len(files) == 70
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert len({path.parent.name for path in files}) == len(KINDS) == 32


@pytest.mark.parametrize(
    "kind",
    ["plain", "comment", "prefix", "prefix-counted", "gap-in-front", "gap-everywhere", "gap-before-directory", "zip64", "zip64-end-only", "descriptors"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_only_unusual_can_be_unpacked(kind: str) -> None:
    for number in range(6):
        with zipfile.ZipFile(io.BytesIO(KINDS[kind](f"{kind} {number}"))) as archive:
            assert archive.testzip() is None
            assert archive.namelist()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_kinds_are_what_they_are_called() -> None:
    def listed(kind: str) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(KINDS[kind](f"{kind} 1")))

    assert listed("comment-with-end").namelist() == [], (
        "zipfile takes the last signature, which lies in the comment"
    )
    assert KINDS["comment-with-end"]("x 1").count(b"PK\x01\x02") > 0
    assert listed("wrong-checksum").testzip() is not None
    assert listed("said-encrypted").infolist()[0].flag_bits & 1
    assert len({entry.filename for entry in listed("one-name-twice").infolist()}) == 1
    assert (
        KINDS["not-in-directory"]("x 1").count(b"PK\x03\x04")
        == KINDS["not-in-directory"]("x 1").count(b"PK\x01\x02") + 1
    )
    assert KINDS["doubled"]("x 1").count(b"PK\x05\x06") == 2
    assert b"PK\x06\x06" in KINDS["zip64"]("x 1")
    assert listed("unknown-method").infolist()[0].compress_type == 0x63
    assert listed("empty").namelist() == []
    assert KINDS["nothing"]("x 1") == b""
    with pytest.raises(zipfile.BadZipFile):
        listed("cut")
