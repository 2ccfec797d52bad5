"""Fewer points that still show every extreme.

A chart a thousand pixels wide cannot show a million steps, but it must show the one step that spiked. The axis is cut
into equal buckets and every bucket keeps real rows: its smallest and its largest value and its first non-finite one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.charts.extremes import NONE, Extremes, of_rows
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
    return reduced_stretches(axis, of_rows(values), (0, n - 1), axis[-1], points)


def reduced_stretches(
    axis: Floats, stretches: Extremes, ends: tuple[int, int], last: float, points: int
) -> NDArray[np.int64]:
    """The same for rows of which only the extremes of k consecutive stretches are known.

    Args:
      axis: position of each stretch's first row, ascending, shape [k].
      stretches: their extremes. A stretch belongs to the bucket that its first row lies in.
      ends: the first and the last row.
      last: position of the last row.
      points: most rows to keep, 5 or more.
    """
    buckets = (points - 2) // (2 if (stretches.broken == NONE).all() else 3)
    edges = np.linspace(axis[0], last, buckets + 1)
    starts = _distinct(np.searchsorted(axis, edges[:-1]))
    found = stretches.joined(starts[starts < len(axis)])
    return _distinct(np.sort(np.concatenate((found.low, found.high, found.broken[found.broken != NONE], ends))))


def _distinct(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each number once, in a tenth of the time of `np.unique`, which cannot know that they ascend."""
    return ascending[np.flatnonzero(np.diff(ascending, prepend=-1))]


def stretches_suffice(rows: int, length: int, points: int) -> bool:
    """Whether stretches of `length` rows cut `rows` finely enough: a bucket holds four of them or more."""
    return rows >= 4 * length * (points // 2)
