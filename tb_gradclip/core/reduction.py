"""Fewer points that still show every extreme.

A chart a thousand pixels wide cannot show a million steps, but it must show the one step that spiked. The axis is cut
into equal buckets and every bucket keeps real rows: its smallest and its largest value and its first non-finite one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rules import Floats


def reduced(axis: Floats, values: Floats, points: int) -> NDArray[np.int64]:
    """Indices of at most `points` rows, ascending, that draw like all of them.

    Args:
      axis: position of each row, ascending, shape [n].
      values: what is drawn there, shape [n]; may hold NaN and infinities.
      points: most rows to keep, 5 or more.

    Returns:
      All rows if there are no more than `points`. Otherwise the first and the last row, and from each of many equal
      parts of the axis the rows of the smallest and the largest finite value and the first non-finite one. Ties go to
      the earliest row.
    """
    n = len(axis)
    if n <= points:
        return np.arange(n)
    finite = np.isfinite(values)
    buckets = (points - 2) // (2 if finite.all() else 3)
    edges = np.linspace(axis[0], axis[-1], buckets + 1)
    starts = np.unique(np.searchsorted(axis, edges[:-1]))
    low = _first_extreme(np.where(finite, values, np.inf), starts, np.minimum)
    high = _first_extreme(np.where(finite, values, -np.inf), starts, np.maximum)
    broken = np.flatnonzero(~finite)
    broken = broken[np.unique(np.searchsorted(starts, broken, side="right"), return_index=True)[1]]
    return np.unique(np.concatenate((low, high, broken, [0, n - 1])))


def _first_extreme(values: Floats, starts: NDArray[np.int64], extreme: np.ufunc) -> NDArray[np.int64]:
    """Index of the first row in each bucket that has the bucket's extreme value."""
    best = extreme.reduceat(values, starts)
    sizes = np.diff(starts, append=len(values))
    hits = np.flatnonzero(values == np.repeat(best, sizes))
    return hits[np.searchsorted(hits, starts)]
