"""Smallest, largest and broken values of stretches of rows, kept block by block as rows are added.

A chart of a million rows needs the extremes of a few hundred stretches. With those of every block of rows at hand, a
stretch costs its blocks and not its rows, wherever it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rules import Floats

BLOCK = 32
"""Rows in a block."""

NONE = np.int32(np.iinfo(np.int32).max)
"""A place behind every row: there is no such row."""

Places = NDArray[np.integer[Any]]
Values = Callable[[int, int], Floats]
"""Values of a column from one row up to another."""


class Extremes(NamedTuple):
    """What stands out in each of k consecutive stretches of rows, shape [k] each.

    `lowest`, `highest`: smallest and largest finite value; inf and -inf where no value is finite. `low`, `high`: the
    first row that has it; the stretch's first row where no value is finite. `broken`: the first row whose value is not
    finite, or `NONE`.
    """

    lowest: Floats
    highest: Floats
    low: Places
    high: Places
    broken: Places

    def joined(self, starts: Places) -> Extremes:
        """The extremes of longer stretches, the i-th of them from stretch `starts[i]` up to `starts[i + 1]`."""
        low = _first_extreme(self.lowest, starts, np.minimum)
        high = _first_extreme(self.highest, starts, np.maximum)
        broken = np.minimum.reduceat(self.broken, starts)
        return Extremes(self.lowest[low], self.highest[high], self.low[low], self.high[high], broken)


def of_rows(values: Floats, first: int = 0) -> Extremes:
    """Stretches of one row each, from row `first` on."""
    rows = np.arange(first, first + len(values), dtype=np.int32)
    lowest, highest, broken = _bounds(values)
    return Extremes(
        lowest, highest, rows, rows, np.full(len(rows), NONE) if broken is None else np.where(broken, rows, NONE)
    )


def of_blocks(values: Floats, first: int = 0) -> Extremes:
    """Stretches of `BLOCK` rows each, from row `first` on; the number of values is a multiple of `BLOCK`."""
    starts = np.arange(first, first + len(values), BLOCK, dtype=np.int32)
    low, high, broken = _bounds(values.reshape(-1, BLOCK))
    low_rows, high_rows = starts + low.argmin(axis=1), starts + high.argmax(axis=1)
    places = np.full(len(starts), NONE)
    if broken is not None:
        places = np.where(broken.any(axis=1), starts + broken.argmax(axis=1), NONE)
    return Extremes(low.ravel()[low_rows - first], high.ravel()[high_rows - first], low_rows, high_rows, places)


def _bounds(values: Floats) -> tuple[Floats, Floats, NDArray[np.bool_] | None]:
    """Values to look for the smallest and for the largest finite one in, and which are not finite; None for none."""
    finite = np.isfinite(values)
    if finite.all():
        return values, values, None
    return np.where(finite, values, np.inf), np.where(finite, values, -np.inf), ~finite


def _first_extreme(values: Floats, starts: Places, extreme: np.ufunc) -> Places:
    """Index of the first value in each stretch that is the stretch's extreme."""
    best = extreme.reduceat(values, starts)
    hits = np.flatnonzero(values == np.repeat(best, np.diff(starts, append=len(values))))
    return hits[np.searchsorted(hits, starts)]


class BlockExtremes:
    """Extremes of every whole block of a column that grows at its end."""

    def __init__(self) -> None:
        self._kept = tuple(Growing(dtype) for dtype in ("f8", "f8", "i4", "i4", "i4"))

    @property
    def rows(self) -> int:
        """Rows of the blocks that are whole."""
        return len(self._kept[0]) * BLOCK

    def extend(self, values: Values, rows: int) -> None:
        """Take the blocks that became whole, now that the column has this many rows."""
        done, whole = self.rows, rows - rows % BLOCK
        if whole > done:
            for kept, part in zip(self._kept, of_blocks(values(done, whole), done), strict=True):
                kept.append(part)

    def between(self, start: int, stop: int) -> Extremes:
        """Blocks from row `start` up to row `stop`, both at the edge of a block."""
        return Extremes(*(kept.values[start // BLOCK : stop // BLOCK] for kept in self._kept))
