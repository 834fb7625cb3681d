"""Real programs in several languages, under strace without a mount and under fmrw: both must tell the same calls.

Fifteen run always, all in the long set; `tests/run` installs what they need.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from compiler import WIDTHS
from witness import MOVED, Calls, told, under_fmrw, under_strace

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mount

QUICK = {
    "7z": ("7z", "l", "polyglot.pdf"),
    "unzip": ("unzip", "-l", "polyglot.png"),
    "zipfile": (sys.executable, "-m", "zipfile", "-l", "polyglot.pdf"),
    "file": ("file", "-k", "polyglot.png"),
    "tar": ("tar", "tzf", "notes.tar.gz"),
    "bsdtar-iso": ("bsdtar", "tf", "image.iso"),
    "dd": ("dd", "if=big", "of=copy", "bs=7777", "skip=3", "seek=2", "count=5"),
    "sort": ("sort", "-o", "sorted", "lines"),
    "sed": ("sed", "-i", "s/1/one/", "lines"),
    "zip": ("zip", "-q", "cavity.zip", "lines"),
    "perl": ("perl", "-ne", "print if eof", "lines", "big"),
    "pdftotext": ("pdftotext", "polyglot.pdf", "text"),
    "objdump": ("objdump", "-h", "program.o"),
    "pipeline": ("sh", "-c", "cat lines | head -c 10 > first; wc -c < lines >> first"),
    "gzip": ("gzip", "-k", "big"),
}
"""Programs as they are, in several languages."""

MORE = {
    "unzip-p": ("unzip", "-p", "cavity.zip"),
    "xxd": ("xxd", "-s", "1000", "-l", "345", "polyglot.pdf"),
    "head": ("head", "-c", "70000", "big"),
    "tail": ("tail", "-c", "100", "big"),
    "tac": ("tac", "lines"),
    "wc": ("wc", "lines", "big"),
    "cut": ("cut", "-c1-3", "lines"),
    "uniq": ("uniq", "lines", "copy"),
    "split": ("split", "-b", "100000", "big", "piece"),
    "cmp": ("sh", "-c", "cmp big lines; true"),
    "diff": ("sh", "-c", "diff lines polyglot.pdf > difference; true"),
    "comm": ("comm", "-12", "lines", "lines"),
    "od": ("od", "-j", "5000", "-N", "3000", "big"),
    "hexdump": ("hexdump", "-C", "-n", "4000", "big"),
    "base64": ("base64", "big"),
    "md5sum": ("md5sum", "big", "lines"),
    "sha256sum": ("sha256sum", "big"),
    "cksum": ("cksum", "big"),
    "openssl": ("openssl", "dgst", "-sha1", "big"),
    "grep": ("grep", "-c", "7", "lines"),
    "mawk": ("mawk", "{n += length($0)} END {print n}", "lines"),
    "patch": ("sh", "-c", "printf '1c1\n< line 0\n---\n> first\n' | patch -s lines -"),
    "bzip2": ("bzip2", "-k", "big"),
    "xz": ("xz", "-k", "-T1", "lines"),
    "zstd": ("zstd", "-q", "--single-thread", "lines"),
    "cpio": ("sh", "-c", "cpio -it < archive.cpio"),
    "readelf": ("readelf", "-S", "program.o"),
    "strings": ("strings", "program.o"),
    "nm": ("nm", "program.o"),
    "strip": ("strip", "-o", "stripped.o", "program.o"),
    "cc": ("cc", "-E", "program.c", "-o", "program.i"),
    "pdfinfo": ("pdfinfo", "polyglot.pdf"),
    "ffprobe": ("ffprobe", "-v", "quiet", "-show_format", "sound.wav"),
    "git": ("git", "hash-object", "lines"),
    "sqlite3": ("sqlite3", "-readonly", "base.db", "select count(*), sum(n) from t"),
    "jq": ("jq", ".a", "data.json"),
    "perl-unpack": ("perl", "-e", "open F, '<', 'big'; binmode F; seek F, 70000, 0; read F, $x, 9000; print unpack '%32C*', $x"),
    "tarfile": (sys.executable, "-m", "tarfile", "-l", "notes.tar.gz"),
    "wave": (sys.executable, "-c", "import wave; w = wave.open('sound.wav'); w.setpos(500); w.readframes(100)"),
    "node": ("node", "-e", "const fs = require('fs'); fs.readFileSync('lines'); const f = fs.openSync('big'); fs.readSync(f, Buffer.alloc(5000), 0, 5000, 12345)"),
    "java": ("jar", "tf", "cavity.zip"),
    "go": ("gron", "data.json"),
    "ripgrep": ("rg", "--no-mmap", "-c", "7", "lines"),
    "hexyl": ("hexyl", "-n", "3000", "big"),
    "php": ("php", "-r", "$f = fopen('big', 'rb'); fseek($f, 30000); fread($f, 5000); echo md5_file('lines');"),
    "ruby": ("ruby", "-e", "File.foreach('lines') {}; p IO.binread('big', 5000, 700)"),
    "lua": ("lua5.4", "-e", "local f = io.open('big', 'rb'); f:seek('set', 9999); f:read(20000); for l in io.lines('lines') do end"),
    "fio": ("fio", "--name=x", "--filename=big", "--rw=randread", "--bs=3k", "--ioengine=psync", "--size=300k", "--invalidate=0", "--allow_file_create=0", "--thread=0"),
}  # fmt: skip
"""And those of the long set."""


@pytest.fixture
def material(directory: Path) -> Path:
    """What the programs read."""
    (directory / "big").write_bytes(bytes(range(256)) * 12_000)
    (directory / "lines").write_text("".join(f"line {number}\n" for number in range(3000)))
    (directory / "data.json").write_text(json.dumps({"a": list(range(3000)), "b": {"c": "text" * 100}}))
    (directory / "program.c").write_text(
        '#include <stdio.h>\nint main(void) { return puts("a program") < 0; }\n'
    )
    subprocess.run(["cc", "-c", "program.c", "-o", "program.o"], cwd=directory, check=True)
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", directory / "image.iso", directory / "polyglot.pdf", directory / "cavity.zip"],
        check=True, capture_output=True,
    )  # fmt: skip
    with wave.open(str(directory / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(20_000))
    return directory


@pytest.fixture
def more(material: Path) -> Path:
    """What those of the long set read besides."""
    table = "create table t(n); with recursive c(n) as (select 1 union all select n + 1 from c where n < 2000) insert into t select n from c"
    subprocess.run(["sqlite3", "base.db", table], cwd=material, check=True)
    subprocess.run(
        ["cpio", "--quiet", "-o", "-O", "archive.cpio"], cwd=material, input=b"lines\nprogram.c\n", check=True
    )
    return material


def compare(command: tuple[str, ...], directory: Path, tmp_path: Path) -> None:
    twin = Path(shutil.copytree(directory, tmp_path / "twin", copy_function=shutil.copy2))
    plain = under_strace(command, twin)
    watched = under_fmrw(command, directory)
    assert told(plain), "the command touched nothing; it cannot witness"
    assert _settled(told(watched)) == _settled(told(plain))
    assert set(watched.filter(pl.col("op").is_in(MOVED))["fidelity"]) == {"byte"}
    for file in twin.iterdir():
        assert (directory / file.name).exists() or file.name.startswith(TEMPORARY)


TEMPORARY = ("sed", "zi", "lines.o")
"""How the names of temporary files begin, which have another name in each run."""


def _settled(calls: dict[str, Calls]) -> dict[str, Calls]:
    return {("temporary" if path.startswith(TEMPORARY) else path): rows for path, rows in calls.items()}


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("name", QUICK)
def test_programs(name: str, directory: Path, tmp_path: Path) -> None:
    compare(QUICK[name], directory, tmp_path)


@pytest.mark.soak
@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("name", MORE)
def test_more_programs(name: str, directory: Path, tmp_path: Path) -> None:
    compare(MORE[name], directory, tmp_path)


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("bits", WIDTHS)
def test_programs_of_both_widths(
    bits: int, built: Callable[[str, int], str], directory: Path, tmp_path: Path
) -> None:
    (directory / "big").write_bytes(bytes(range(256)) * 32_000)
    compare((built("calls", bits), "big"), directory, tmp_path)


_PLAIN = re.compile(r"aio_lio_opcode=IOCB_CMD_P(READ|WRITE), .*?aio_nbytes=(\d+), aio_offset=(\d+)")


def submitted(command: tuple[str, ...], folder: Path) -> list[tuple[str, int, int]]:
    """Give what a command asks libaio for, as strace tells it: (operation, offset, bytes)."""
    log = folder.parent / "aio.log"
    told = ["strace", "-f", "-y", "-e", "trace=io_submit", "-e", "abbrev=none", "-s", "0", "-o", str(log)]
    subprocess.run([*told, *command], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    found = _PLAIN.findall(log.read_text())
    return [(op.lower(), int(offset), int(size)) for op, size, offset in found]


AIO = {
    "read": ("aio-read", "big", "70000", "5"),
    "large-read": ("aio-read", "big", "1048576", "2"),
    "write": ("aio-write", "big", "300000", "4"),
}


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("name", AIO)
def test_libaio(
    name: str, bits: int, built: Callable[[str, int], str], directory: Path, tmp_path: Path
) -> None:
    twin = Path(shutil.copytree(directory, tmp_path / "twin"))
    command = (built("asynchronous", bits), *AIO[name])
    compare_submitted(submitted(command, twin), command, directory)


@pytest.mark.soak
@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("rw", ["read", "randread", "write"])
def test_fio_with_libaio(rw: str, directory: Path, tmp_path: Path) -> None:
    twin = Path(shutil.copytree(directory, tmp_path / "twin"))
    command = (
        "fio", "--name=x", "--filename=big", f"--rw={rw}", "--bs=3k", "--size=300k", "--ioengine=libaio", "--iodepth=8", "--thread",
        "--allow_file_create=0", "--invalidate=0", "--randseed=7", "--fallocate=none", "--end_fsync=0", "--create_on_open=0",
    )  # fmt: skip
    compare_submitted(submitted(command, twin), command, directory)


def compare_submitted(
    expected: list[tuple[str, int, int]], command: tuple[str, ...], directory: Path
) -> None:
    watched = under_fmrw(command, directory).filter(pl.col("op").is_in(MOVED), path="big")
    assert expected, "nothing was submitted; it cannot witness"
    assert watched.select("op", "start", "requested").rows() == expected
