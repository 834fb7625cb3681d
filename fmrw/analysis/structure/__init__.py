"""What the format says each byte is for, as a frame of named ranges, and how that compares with what was read.

`structure` reads the formats of the table `formats.FORMATS`; `structure_from` reads ranges a person or another program wrote down;
`crosstab` sets either against the ranges a program read. One module per family of formats turns bytes into
parts; `parts` holds what they share, and the limits.

Every format is read by its own records, with no parser of others: these give values, not offsets, or give up the whole
file where one record is odd. What the records say is compared in the tests with independent programs.

A format is looked for where programs look for it: PDF in the first 1,024 bytes (or its end in the last), ZIP from the end,
ISO 9660 in sector 16, tar at 257, the others at 0. A file that is several of these has them all, one after the other. A PNG
in the middle of a ZIP is not a format *of the file*; a PDF between junk is, where nothing else is known. Damaged files give the parts that can be told, and the row of depth 0 says what is wrong: `PDF (rebuilt: ...)` where all was found by search, `ZIP (damaged: ...)` else; a signature that leaves no doubt says the format also where the first record lies. Nothing is decompressed
but the reference streams of a PDF, and gzip, which says nowhere else where a member ends (512 MiB at most). A file that changes meanwhile gives each
offset as it was when it was read.
"""

from fmrw.analysis.structure.crosstab import crosstab
from fmrw.analysis.structure.formats import FORMATS, structure, structure_of
from fmrw.analysis.structure.written import structure_from

__all__ = ["FORMATS", "crosstab", "structure", "structure_from", "structure_of"]
