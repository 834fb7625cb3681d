"""Source lines of addresses, by the DWARF of a file, where it is there. Read with pyelftools, after the recording and in bounded work.

Whole programs have tables of lines with millions of rows. So only the compilation units are read in which an address lies, as `.debug_aranges`
or their own ranges say it, and not more than `_MOST_UNITS` of them.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_UNITS = 200
_MOST_ROWS = 2_000_000
_MOST_UNFOLDED = 1 << 30


def of(fd: int, addresses: Sequence[int]) -> dict[int, str]:
    """Give `file:line` for those addresses of which the file tells it.

    Parameters
    ----------
    fd : int
        A program, a library or a debug file; it is not closed.
    addresses
        Sorted.
    """
    found: dict[int, str] = {}
    with open(os.dup(fd), "rb") as stream, contextlib.suppress(*_failures()):  # noqa: PTH123 - a descriptor
        _collect(stream, addresses, found)
    return found


def _failures() -> tuple[type[Exception], ...]:
    """Give what pyelftools raises where a file is damaged: its parser trusts what it reads."""
    from elftools.common.exceptions import DWARFError, ELFError  # noqa: PLC0415 - only where there are sites
    from elftools.construct import ConstructError  # noqa: PLC0415 - the same

    return (
        DWARFError, ELFError, ConstructError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OSError, OverflowError,
        RecursionError, MemoryError,
    )  # fmt: skip


def _collect(stream: Any, addresses: Sequence[int], found: dict[int, str]) -> None:  # noqa: ANN401 - pyelftools has no types
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - as above

    stream.seek(0)
    file = ELFFile(stream)
    if not _is_plausible(file, os.fstat(stream.fileno()).st_size):
        return
    dwarf = file.get_dwarf_info(follow_links=False)
    ranges = dwarf.get_aranges()
    if ranges is None:
        return
    units: dict[int, list[int]] = {}
    for address in addresses:
        unit = ranges.cu_offset_at_addr(address)
        if unit is not None:
            units.setdefault(unit, []).append(address)
    for offset in list(units)[:_MOST_UNITS]:
        with contextlib.suppress(*_failures()):
            _of_unit(dwarf, offset, units[offset], found)


def _is_plausible(file: Any, size: int) -> bool:  # noqa: ANN401
    """Tell whether there are lines, and no section claims more than the file holds or unfolds into: pyelftools allocates what they claim."""
    debug = [each for each in file.iter_sections() if each.name.startswith((".debug_", ".zdebug_"))]
    for each in debug:
        unfolded = each.data_size if each.compressed else 0
        if each["sh_type"] == "SHT_NOBITS" or each["sh_size"] > size or unfolded > _MOST_UNFOLDED:
            return False
    return any(each.name.endswith("debug_line") for each in debug)


def _of_unit(dwarf: Any, offset: int, addresses: Sequence[int], found: dict[int, str]) -> None:  # noqa: ANN401
    program = dwarf.line_program_for_CU(dwarf.get_CU_at(offset))
    if program is None:
        return
    header = program.header
    files = header["file_entry"]
    first = 0 if header["version"] >= 5 else 1  # noqa: PLR2004 - files are counted from 0 since DWARF 5
    wanted = iter(addresses)
    address = next(wanted, None)
    rows = sorted(_spans(program))
    for begin, end, number, line in rows:
        while address is not None and address < end:
            if address >= begin:
                name = files[number - first].name.decode("utf-8", "backslashreplace")
                found[address] = f"{name}:{line}"
            address = next(wanted, None)
        if address is None:
            return


def _spans(program: Any) -> Iterator[tuple[int, int, int, int]]:  # noqa: ANN401
    """Give the rows of a table of lines: [begin, end), the file's number, the line."""
    before = None
    for number, entry in enumerate(program.get_entries()):
        state = entry.state
        if number > _MOST_ROWS:
            return
        if state is None:
            continue
        if before is not None and state.address > before.address:
            yield before.address, state.address, before.file, before.line
        before = None if state.end_sequence else state
