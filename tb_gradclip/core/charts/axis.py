"""Where rows lie on a horizontal axis, without computing it for all of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.charts.extremes import BLOCK
from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rules import Floats


class Axis:
    """Positions of the rows of a step table that grows at its end.

    The position of row i is the largest value of the column among rows 0 to i, because clocks are set back now and
    then and an axis may not go backwards. Only the positions at which blocks start are kept.

    Args:
      column: the column of the table that it measures.
      origin: what positions are counted from; NaN for the first row's value.
      reached: value that was reached before the first row.
    """

    def __init__(self, column: str, *, origin: float = 0.0, reached: float = -np.inf) -> None:
        self._column, self._origin = column, origin
        self._starts = Growing("f8")
        self._end = -np.inf if np.isnan(origin) else reached - origin
        """Position of the last row of the last whole block."""

    def extend(self, rows: NDArray[np.void]) -> None:
        """Take the blocks that became whole."""
        done, whole = len(self._starts) * BLOCK, len(rows) - len(rows) % BLOCK
        if whole > done:
            positions = self._running(rows, done, whole, self._end)
            self._starts.append(positions[::BLOCK])
            self._end = positions[-1]

    def starts(self, start: int, stop: int) -> Floats:
        """Positions of the first rows of the blocks between two rows at the edges of whole blocks."""
        return self._starts.values[start // BLOCK : stop // BLOCK]

    def between(self, rows: NDArray[np.void], start: int, stop: int) -> Floats:
        """Positions of the rows from `start` up to `stop`."""
        block = min(start // BLOCK, len(self._starts))
        before = self._starts.values[block] if block < len(self._starts) else self._end
        return self._running(rows, block * BLOCK, stop, before)[start - block * BLOCK :]

    def find(self, rows: NDArray[np.void], bound: float, side: Literal["left", "right"]) -> int:
        """Rows before `bound`: those with a smaller position, and with `side` "right" those with an equal one too."""
        starts = self._starts.values[: len(rows) // BLOCK]
        block = max(int(np.searchsorted(starts, bound, side)) - 1, 0)
        first, stop = block * BLOCK, len(rows) if block + 1 >= len(starts) else (block + 1) * BLOCK
        return first + int(np.searchsorted(self.between(rows, first, stop), bound, side))

    def _running(self, rows: NDArray[np.void], start: int, stop: int, before: float) -> Floats:
        """Running maximum over the rows from `start` up to `stop`, from a position that was reached before."""
        values = rows[self._column][start:stop].astype(float)
        values -= float(rows[self._column][0]) if np.isnan(self._origin) else self._origin
        if len(values):
            values[0] = max(values[0], before)
        return np.maximum.accumulate(values)
