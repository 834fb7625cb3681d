"""Agreement: how far parsers read the same bytes, part by part, so that memory does not grow with the survey.

All parsers' extents of a part are about the same files. Their borders, sorted, cut each file into segments that a parser read whole or not at
all; a matrix of segments by parsers then gives every count by a product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_MOST_BORDERS = 400_000


class Counts(NamedTuple):
    """What parsers have in common.

    Attributes
    ----------
    both : array of parsers by parsers
        Bytes that A and B read; on the diagonal, bytes that A read.
    files : frame
        For each file on whose bytes two parsers differ: `number` (in the part), `union`, `common` (bytes read by any, by all),
        `reader`, `other` (numbers of the two parsers that differ most), `only` (bytes that the first read and the second never did).
    """

    both: NDArray[np.int64]
    files: pl.DataFrame


FILES = pl.Schema(
    {"number": pl.Int64(), "union": pl.Int64(), "common": pl.Int64(), "reader": pl.Int64(), "other": pl.Int64(), "only": pl.Int64()}
)  # fmt: skip


def counts(extents: pl.DataFrame, parsers: int, ran: NDArray[np.bool_]) -> Counts:
    """Count what parsers have in common in the files of a part.

    Parameters
    ----------
    extents : frame
        `number` (of the file), `parser` (its number), `start`, `end`; disjoint for each file and parser.
    parsers : int
    ran : array of files by parsers
        Whether a parser was run on a file; who was not is not compared.
    """
    both = np.zeros((parsers, parsers), np.int64)
    found = [pl.DataFrame(schema=FILES)]
    for piece in _pieces(extents.sort("number")):
        numbers, lengths, member = _segments(piece, parsers)
        inside = member * lengths[:, None]
        both += member.T @ inside
        found.append(_by_file(numbers, lengths, member, ran))
    return Counts(both, pl.concat(found))


def _pieces(extents: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut a frame between files, so that each piece has few borders where it can."""
    if extents.height * 2 <= _MOST_BORDERS:
        yield extents
        return
    ends = np.flatnonzero(np.diff(extents["number"].to_numpy(), append=-1)) + 1
    begin = 0
    while begin < extents.height:
        fitting = ends[(ends > begin) & (ends <= begin + _MOST_BORDERS // 2)]
        end = int(fitting[-1] if fitting.size else ends[np.searchsorted(ends, begin, "right")])
        yield extents[begin:end]
        begin = end


def _segments(
    extents: pl.DataFrame, parsers: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the file, the length and the readers (0 or 1 for each parser) of every segment that somebody read."""
    number, parser = (np.tile(extents[name].to_numpy(), 2) for name in ("number", "parser"))
    place = np.concatenate([extents["start"].to_numpy(), extents["end"].to_numpy()])
    change = np.repeat(np.array([1, -1], np.int64), extents.height)
    order = np.lexsort((place, number))
    number, parser, place, change = number[order], parser[order], place[order], change[order]
    steps = np.zeros((number.size, parsers), np.int64)
    steps[np.arange(number.size), parser] = change
    member = np.cumsum(steps, axis=0)[:-1]
    lengths = np.diff(place)
    kept = (number[:-1] == number[1:]) & (lengths > 0) & member.any(axis=1)
    return number[:-1][kept], lengths[kept], member[kept]


def _by_file(
    numbers: NDArray[np.int64],
    lengths: NDArray[np.int64],
    member: NDArray[np.int64],
    ran: NDArray[np.bool_],
) -> pl.DataFrame:
    files, place = np.unique(numbers, return_inverse=True)
    who = ran[files]
    union = _sums(place, lengths, files.size)
    common = _sums(place, lengths * (member >= who[place]).all(axis=1), files.size)
    best = np.zeros((3, files.size), np.int64)
    for reader in range(member.shape[1]):
        for other in range(member.shape[1]):
            if reader != other:
                only = _sums(place, lengths * (member[:, reader] > member[:, other]), files.size)
                better = (only > best[2]) & who[:, reader] & who[:, other]
                best[:, better] = np.stack([np.full_like(only, reader), np.full_like(only, other), only])[
                    :, better
                ]
    columns: Sequence[NDArray[np.int64]] = (files, union, common, *best)
    frame = pl.DataFrame(dict(zip(FILES, columns, strict=True)), schema=FILES)
    return frame.filter(pl.col("only") > 0)


def _sums(place: NDArray[np.int64], lengths: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.bincount(place, lengths, count).astype(np.int64)
