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

_MOST_BORDERS = 40_000  # of a piece, whose matrices stay in the processor's cache


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
        shared, differing = _by_file(*_segments(piece, parsers), ran)
        both += shared
        found.append(differing)
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
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Give the file, the length and the readers of every segment that somebody read."""
    number, parser = (np.tile(extents[name].to_numpy(), 2) for name in ("number", "parser"))
    place = np.concatenate([extents["start"].to_numpy(), extents["end"].to_numpy()])
    change = np.repeat(np.array([1, -1], np.int8), extents.height)
    order = np.lexsort((place, number))
    number, parser, place, change = number[order], parser[order], place[order], change[order]
    steps = np.zeros((number.size, parsers), np.int8)
    steps[np.arange(number.size), parser] = change
    member = np.cumsum(steps, axis=0, dtype=np.int8)[:-1].astype(np.bool_)
    lengths = np.diff(place)
    kept = (number[:-1] == number[1:]) & (lengths > 0) & member.any(axis=1)
    return number[:-1][kept], lengths[kept], member[kept]


def _by_file(
    numbers: NDArray[np.int64], lengths: NDArray[np.int64], member: NDArray[np.bool_], ran: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], pl.DataFrame]:
    """Sum the segments up: what each pair read of all files together, and the files on which two parsers differ."""
    begins = np.flatnonzero(np.diff(numbers, prepend=-1))
    files, parsers = numbers[begins], member.shape[1]
    if not files.size:
        return np.zeros((parsers, parsers), np.int64), pl.DataFrame(schema=FILES)
    who = ran[files]
    inside = member * lengths[:, None]
    whole = (member | np.repeat(~who, np.diff(begins, append=numbers.size), axis=0)).all(axis=1)
    both = np.stack(
        [np.add.reduceat(inside * member[:, [reader]], begins, axis=0) for reader in range(parsers)], axis=1
    )
    only = np.diagonal(both, axis1=1, axis2=2)[:, :, None] - both
    only[~(who[:, :, None] & who[:, None, :])] = 0
    pairs = only.reshape(files.size, -1)
    best = pairs.argmax(axis=1)
    columns: Sequence[NDArray[np.int64]] = (
        files, np.add.reduceat(lengths, begins), np.add.reduceat(lengths * whole, begins),
        *divmod(best, parsers), pairs[np.arange(files.size), best],
    )  # fmt: skip
    frame = pl.DataFrame(dict(zip(FILES, columns, strict=True)), schema=FILES)
    return both.sum(axis=0), frame.filter(pl.col("only") > 0)
