"""The samples are what the script makes, and are what they claim to be to the programs people use."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

DATA = Path(__file__).parents[2] / "data"
ZIPS = {
    "cavity.zip": ["first.txt", "second.bin"],
    "hidden-png.zip": ["first.txt", "second.bin"],
    "polyglot.pdf": ["hidden.txt", "noise.bin", "numbers.csv"],
    "polyglot.png": ["hidden.txt", "noise.bin"],
}


def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("fmrw_samples", DATA / "make.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


MAKE = script()


def output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    text = (done.stdout + done.stderr).decode("latin-1")
    assert done.returncode == 0, text
    return text


@pytest.mark.parametrize("name", MAKE.SAMPLES)
def test_the_script_makes_the_committed_bytes(name: str) -> None:
    assert MAKE.SAMPLES[name]() == (DATA / name).read_bytes()


def test_the_script_writes_every_sample_into_a_directory(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DATA / "make.py", tmp_path], check=True, capture_output=True)
    assert {path.name for path in tmp_path.iterdir()} == set(MAKE.SAMPLES)


def test_samples_are_small_and_each_is_explained() -> None:
    samples = {path.name for path in DATA.iterdir() if path.is_file()} - {"make.py", "corpus.py", "README.md"}
    assert samples == set(MAKE.SAMPLES)
    assert max((DATA / name).stat().st_size for name in samples) <= 64 * 1024
    explained = (DATA / "README.md").read_text()
    assert [name for name in samples if f"`{name}`" not in explained] == []


@pytest.mark.parametrize(("name", "entries"), ZIPS.items())
def test_python_reads_the_zips(name: str, entries: list[str]) -> None:
    with zipfile.ZipFile(DATA / name) as archive:
        assert archive.namelist() == entries
        assert archive.testzip() is None


@pytest.mark.parametrize("name", ZIPS)
def test_unzip_finds_no_error(name: str) -> None:
    assert "No errors detected" in output("unzip", "-t", DATA / name)


@pytest.mark.parametrize("name", ZIPS)
def test_seven_zip_finds_no_error(name: str) -> None:
    text = output("7z", "t", "-tzip", DATA / name)
    assert "Everything is Ok" in text
    assert "WARNING" not in text.upper()


def test_pdftotext_reads_three_pages_without_complaint() -> None:
    text = output("pdftotext", DATA / "polyglot.pdf", "-")
    assert text.count("\f") == 3
    assert "A PDF of three pages, and a ZIP" in text
    assert "Syntax" not in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("polyglot.pdf", "PDF document, version 1.4"),
        ("polyglot.png", "PNG image data, 96 x 96"),
        ("cavity.zip", "Zip archive data"),
        ("hidden-png.zip", "Zip archive data"),
        ("notes.tar.gz", "gzip compressed data"),
    ],
)
def test_file_names_the_first_format(name: str, says: str) -> None:
    assert says in output("file", DATA / name)


def test_the_picture_is_whole() -> None:
    content, at, pixels = (DATA / "polyglot.png").read_bytes(), 8, b""
    while at < len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + length]
        stated = int.from_bytes(content[at + 8 + length : at + 12 + length], "big")
        assert zlib.crc32(kind + body) == stated, kind
        pixels += body if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(pixels)) == 96 * 97


def test_the_hidden_picture_lies_where_the_readme_says() -> None:
    content = (DATA / "hidden-png.zip").read_bytes()
    assert content.find(b"\x89PNG\r\n\x1a\n") == 8640
    assert content.find(b"IEND", 8640) < 24576


def test_the_hidden_zip_lies_where_the_readme_says() -> None:
    assert (DATA / "polyglot.pdf").read_bytes().find(b"PK\x03\x04") == 17476
    assert (DATA / "polyglot.png").read_bytes().find(b"PK\x03\x04") == 9376


def test_the_cavity_is_empty() -> None:
    assert (DATA / "cavity.zip").read_bytes()[8192:24576] == bytes(16384)


def test_python_reads_the_tar() -> None:
    with tarfile.open(fileobj=io.BytesIO((DATA / "notes.tar.gz").read_bytes()), mode="r:gz") as archive:
        names = archive.getnames()
        last = archive.extractfile("notes/noise.bin")
        assert last is not None
        assert last.read() == MAKE.noise("tar", 8 * 1024)
    assert names == ["notes/letter.txt", "notes/numbers.csv", "notes/noise.bin"]
