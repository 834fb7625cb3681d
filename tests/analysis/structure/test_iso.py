"""ISO 9660 images of two writers against `isoinfo -l`, and images that strict readers refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from found import Found

SECTOR = 2048
LISTED = re.compile(r"\s*[d-]\S*\s+\d+\s+\d+\s+\d+\s+(\d+) .*\[\s*(\d+) \w\w\]\s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "t"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "boot").mkdir()
    (top / "a.txt").write_text("hello\n")
    (top / "sub" / "deep" / "b.txt").write_text("b" * 9000)
    (top / "only.txt").write_text("in one tree only\n")
    (top / "boot" / "image.bin").write_bytes(b"\xeb\xfe" * 1024)
    for number in range(60):
        (top / "sub" / f"{number}-a-long-name-{'n' * 200}").write_text("x" * number)
    return top


def listed(path: Path, tool: Callable[..., str]) -> set[tuple[int, int]]:
    lines = [
        *tool("isoinfo", "-l", "-i", path).splitlines(),
        *tool("isoinfo", "-l", "-J", "-i", path, check=False).splitlines(),
    ]
    found = [(int(m[2]) * SECTOR, int(m[1])) for line in lines if (m := LISTED.match(line))]
    return {(at, at + size) for at, size in found if size}


def trees(found: Found) -> set[tuple[int, int]]:
    places = [*found.named("file ").values(), *found.named("directory ").values()]
    return {place for where in places for place in where}


IMAGES = {
    "plain": ["genisoimage", "-quiet", "-o", "i.iso", "t"],
    "Rock Ridge and Joliet": ["genisoimage", "-quiet", "-R", "-J", "-joliet-long", "-o", "i.iso", "t"],
    "level 4": ["genisoimage", "-quiet", "-iso-level", "4", "-R", "-o", "i.iso", "t"],
    "a file hidden from one tree": ["genisoimage", "-quiet", "-J", "-joliet-long", "-hide", "only.txt", "-o", "i.iso", "t"],
    "a file hidden from Joliet": ["genisoimage", "-quiet", "-J", "-joliet-long", "-hide-joliet", "only.txt", "-o", "i.iso", "t"],
    "xorriso": ["xorriso", "-as", "mkisofs", "-quiet", "-J", "-joliet-long", "-o", "i.iso", "t"],
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_trees_are_those_that_isoinfo_lists(
    name: str, folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool(*IMAGES[name])
    found = look(folder.parent / "i.iso")
    expected = listed(folder.parent / "i.iso", tool)
    assert len(expected) > 60
    assert trees(found) == expected
    assert found.formats == ["ISO 9660"]
    assert found.bytes_of("system area") == bytes(16 * SECTOR)


def test_an_unknown_rock_ridge_field_is_no_reason_to_lose_the_tree(
    folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool("xorriso", "-outdev", "i.iso", "-map", "t/sub/deep", "/", "-set_filter_r", "--zisofs", "/")
    found = look(folder.parent / "i.iso")
    assert b"ZF" in found.content
    assert trees(found) == listed(folder.parent / "i.iso", tool)
    assert found.formats == ["ISO 9660"]


def test_files_of_one_tree_are_named_by_it(
    folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool(*IMAGES["a file hidden from one tree"])
    found = look(folder.parent / "i.iso")
    assert found.bytes_of("file /only.txt (Joliet)") == b"in one tree only\n"
    assert found.bytes_of("file /A.TXT;1") == b"hello\n"
    assert {"directory /", "directory / (Joliet)"} <= found.named("directory /").keys()


def test_continuation_areas_of_rock_ridge(
    folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool(*IMAGES["Rock Ridge and Joliet"])
    found = look(folder.parent / "i.iso")
    areas = [place for where in found.named("continuation area of ").values() for place in where]
    assert len(areas) > 60
    for start, end in areas:  # fields of SUSP follow each other: two letters, a length, version 1
        at = start
        while at + 4 <= end:
            assert re.fullmatch(
                rb"[A-Z]{2}.\x01", found.content[at : at + 2] + b"." + found.content[at + 3 : at + 4]
            )
            at += found.content[at + 2]
    assert any(b"NM" in found.content[start:end] for start, end in areas)


@pytest.mark.parametrize("writer", ["genisoimage", "xorriso"])
def test_names_are_those_of_rock_ridge(
    writer: str, folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    (folder / "sub" / "Größe and spaces.tar.gz").write_text("long")
    command = (
        ["genisoimage", "-quiet"] if writer == "genisoimage" else ["xorriso", "-as", "mkisofs", "-quiet"]
    )
    tool(*command, "-R", "-o", "i.iso", "t")
    found = look(folder.parent / "i.iso")
    files = {
        f"file /{path.relative_to(folder)}"
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size
    }
    assert len(files) == 64
    assert found.named("file ").keys() == files
    assert found.bytes_of("file /sub/Größe and spaces.tar.gz") == b"long"
    folders = {f"directory /{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_dir()}
    assert found.named("directory ").keys() == folders | {"directory /"}
    assert found.bytes_of("directory /sub/deep")[33:34] == b"\0"  # a directory names itself first


def test_el_torito(folder: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    tool("genisoimage", "-quiet", "-b", "boot/image.bin", "-no-emul-boot", "-boot-load-size", "4", "-c", "boot/boot.cat", "-o", "i.iso", "t")  # fmt: skip
    found = look(folder.parent / "i.iso")
    assert found.bytes_of("boot image 0") == b"\xeb\xfe" * 1024
    assert found.span("boot catalog") == found.span("file /BOOT/BOOT.CAT;1")
    assert found.bytes_of("boot catalog")[30:32] == b"\x55\xaa"


def test_more_than_one_boot_image(folder: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    """The first is a floppy, whose length its kind says; the second stands behind a header of its own."""
    floppy = b"floppy".ljust(2880 * 512, b"f")
    (folder / "boot" / "floppy.img").write_bytes(floppy)
    tool("genisoimage", "-quiet", "-b", "boot/floppy.img", "-c", "boot/boot.cat", "-eltorito-alt-boot", "-b", "boot/image.bin", "-no-emul-boot", "-boot-load-size", "4", "-o", "i.iso", "t")  # fmt: skip
    found = look(folder.parent / "i.iso")
    assert found.bytes_of("boot image 0") == floppy
    assert found.bytes_of("boot image 1") == b"\xeb\xfe" * 1024
    assert list(found.named("boot image ")) == ["boot image 0", "boot image 1"]


def test_path_tables(folder: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    tool(*IMAGES["Rock Ridge and Joliet"])
    found = look(folder.parent / "i.iso")
    for volume in ("primary", "supplementary"):
        little = found.bytes_of(f"little-endian path table of the {volume} volume descriptor")
        big = found.bytes_of(f"big-endian path table of the {volume} volume descriptor")
        assert len(little) == len(big)
        assert little[2:6] == big[2:6][::-1]
        assert little[2:6] != big[2:6]


@pytest.mark.parametrize(
    ("at", "value"),
    [(7, b"\1"), (84, bytes(4)), (80, bytes(4)), (158, bytes(4)), (162, bytes(4)), (881, b"\7")],
    ids=[
        "unused byte",
        "big-endian size",
        "little-endian size",
        "root, little-endian",
        "root, big-endian",
        "version",
    ],
)
def test_what_a_strict_reader_refuses_keeps_its_tree(
    at: int, value: bytes, folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool(*IMAGES["plain"])
    content = bytearray((folder.parent / "i.iso").read_bytes())
    expected = listed(folder.parent / "i.iso", tool)
    content[16 * SECTOR + at : 16 * SECTOR + at + len(value)] = value
    found = look(bytes(content))
    assert trees(found) == expected
    assert found.formats == ["ISO 9660"]


def test_a_directory_that_holds_itself_ends(
    folder: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool(*IMAGES["plain"])
    content = bytearray((folder.parent / "i.iso").read_bytes())
    root = look(bytes(content)).span("directory /")[0]
    inner = content.index(b"\4BOOT", root) - 32
    content[inner + 2 : inner + 6] = (root // SECTOR).to_bytes(4, "little")
    found = look(bytes(content))
    assert found.named("directory /BOOT") == {}
    assert "file /A.TXT;1" in found.named("file ")
