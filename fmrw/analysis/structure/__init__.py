"""What the format says each byte is for, as a frame of named ranges, and how that compares with what was read.

`structure` reads ZIP, PNG, PDF, tar, gzip, ISO 9660, ELF and RIFF; `structure_from` reads ranges a person wrote down;
`crosstab` sets either against the ranges a program read. One module per family of formats turns bytes into
parts; `parts` holds what they share.

A format is looked for where programs look for it: PDF in the first 1,024 bytes, ZIP from the end, ISO 9660 in sector 16,
the others at 0. A file that is several of these has them all, one after the other. A PNG in the middle of a ZIP is not a
format *of the file*; it shows as bytes nothing describes. Damaged files give the parts that can be told, and the
row of depth 0 says what is wrong. Nothing is decompressed but the reference streams of a PDF (pypdf stops at 75 MB of
output). A file that changes meanwhile gives each offset as it was when it was read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis.structure import archives, chunks, elf, iso, pdf
from fmrw.analysis.structure.crosstab import crosstab
from fmrw.analysis.structure.parts import Part, Source, collect
from fmrw.analysis.structure.written import SCHEMA, structure_from
from fmrw.errors import BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection
    from os import PathLike

__all__ = ["FORMATS", "crosstab", "structure", "structure_from"]

FORMATS = {
    "ZIP": (archives.is_zip, archives.zip_parts),
    "PNG": (chunks.is_png, chunks.png_parts),
    "PDF": (pdf.is_pdf, pdf.pdf_parts),
    "tar": (archives.is_tar, archives.tar_parts),
    "gzip": (archives.is_gzip, archives.gzip_parts),
    "ISO 9660": (iso.is_iso, iso.iso_parts),
    "ELF": (elf.is_elf, elf.elf_parts),
    "RIFF": (chunks.is_riff, chunks.riff_parts),
}
"""Name → is the file one, and what are its parts."""


def structure(path: str | PathLike[str], formats: Collection[str] = tuple(FORMATS)) -> pl.DataFrame:
    """Name the ranges of a file by the formats it has.

    Parameters
    ----------
    path
        A file; only its headers and tables are read.
    formats
        Those to look for, out of `FORMATS`. PDF, ISO 9660 and ELF need the packages of `fmrw[structure]`.

    Returns
    -------
    frame of `start`, `end`, `name`, `depth`
        Format after format: a row of depth 0 that brackets the format, then its parts by start, outer before inner. No rows
        for a file of another format. A damaged format says so in the name of its row of depth 0.

    Raises
    ------
    BadInput
        The file cannot be read, or `formats` names one unknown.
    FmrwError
        The file has a format whose parser is not installed.
    """
    unknown = ", ".join(sorted(set(formats) - set(FORMATS)))
    if unknown:
        raise BadInput(f"no such format: {visible(unknown)}; choose from {', '.join(FORMATS)}")
    try:
        with Path(path).open("rb") as file:
            rows = _all_parts(Source(file), formats)
    except OSError as error:
        raise BadInput(f"{visible(str(path))}: {error.strerror}; give a file that can be read") from None
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _all_parts(source: Source, formats: Collection[str]) -> list[Part]:
    found = [name for name, (is_one, _) in FORMATS.items() if name in formats and is_one(source)]
    return [part for name in found for part in collect(name, FORMATS[name][1], source)]
