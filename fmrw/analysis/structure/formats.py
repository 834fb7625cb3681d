"""Formats: the table of those whose ranges are named, and the search for those a file has.

A format is looked for where programs look for it; `fmrw.analysis.structure` says where.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis.structure import (
    archives,
    boxes,
    chunks,
    elf,
    images,
    iso,
    macho,
    ole2,
    pcap,
    pdf,
    pe,
    pkzip,
    sqlite,
    tar,
    wasm,
)
from fmrw.analysis.structure.parts import SCHEMA, Source, collect
from fmrw.errors import BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection
    from os import PathLike

FORMATS = {
    "ZIP": (pkzip.is_zip, pkzip.zip_parts),
    "PNG": (chunks.is_png, chunks.png_parts),
    "PDF": (pdf.is_pdf, pdf.pdf_parts),
    "tar": (tar.is_tar, tar.tar_parts),
    "gzip": (archives.begins_gzip, archives.gzip_parts),
    "7z": (archives.is_7z, archives.seven_zip_parts),
    "ISO 9660": (iso.is_iso, iso.iso_parts),
    "ELF": (elf.is_elf, elf.elf_parts),
    "RIFF": (chunks.is_riff, chunks.riff_parts),
    "PE": (pe.is_pe, pe.pe_parts),
    "Mach-O": (macho.is_macho, macho.macho_parts),
    "WebAssembly": (wasm.is_wasm, wasm.wasm_parts),
    "MP4": (boxes.is_mp4, boxes.mp4_parts),
    "JPEG": (images.is_jpeg, images.jpeg_parts),
    "GIF": (images.is_gif, images.gif_parts),
    "BMP": (images.is_bmp, images.bmp_parts),
    "SQLite": (sqlite.is_sqlite, sqlite.sqlite_parts),
    "OLE2": (ole2.is_ole2, ole2.ole2_parts),
    "pcap": (pcap.is_pcap, pcap.pcap_parts),
    "pcapng": (pcap.is_pcapng, pcap.pcapng_parts),
}
"""Name → is the file one, and what are its parts."""

_SIGNATURES = {
    "PNG": (0, 8), "tar": (257, 263), "gzip": (0, 3), "7z": (0, 6), "ELF": (0, 4), "RIFF": (0, 4), "Mach-O": (0, 4), "WebAssembly": (0, 4), "MP4": (4, 8),
    "JPEG": (0, 3), "GIF": (0, 6), "SQLite": (0, 16), "OLE2": (0, 8), "pcap": (0, 4), "pcapng": (0, 4),
}  # fmt: skip
"""Where the bytes lie by which a file is certainly one, whatever its first record says."""


def structure(path: str | PathLike[str], formats: Collection[str] = tuple(FORMATS)) -> pl.DataFrame:
    """Name the ranges of a file by the formats it has.

    Parameters
    ----------
    path
        A file; only its headers and tables are read, and of one in which no format is found the first GiB, where a PDF may lie.
    formats
        Those to look for, out of `FORMATS`.

    Returns
    -------
    frame of `start`, `end`, `name`, `depth`
        Format after format: a row of depth 0 that brackets the format, then its parts by start, outer before inner. No rows
        for a file of another format. A damaged format says so in the name of its row of depth 0.

    Raises
    ------
    BadInput
        The file cannot be read, or `formats` names one unknown.
    """
    unknown = ", ".join(sorted(set(formats) - set(FORMATS)))
    if unknown:
        raise BadInput(f"no such format: {visible(unknown)}; choose from {', '.join(FORMATS)}")
    try:
        with Path(path).open("rb") as file:
            return structure_of(Source(file), formats)
    except OSError as error:
        raise BadInput(f"{visible(str(path))}: {error.strerror}; give a file that can be read") from None


def structure_of(source: Source, formats: Collection[str] = tuple(FORMATS)) -> pl.DataFrame:
    """Name the ranges of an open file; see `structure`."""
    found = [name for name, (is_one, _) in FORMATS.items() if name in formats and is_one(source)]
    if not found and "PDF" in formats and not any(is_one(source) for is_one, _ in FORMATS.values()):
        found = ["PDF"] if pdf.is_buried(source) else []
    frames = [collect(name, FORMATS[name][1], source, _SIGNATURES.get(name)) for name in found]
    return pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMA)
