"""What charts show of a run that grows: points of any column, over any part of any axis, at the cost of what is new."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.charts.axis import Axis
from tb_gradclip.core.charts.columns import (
    Absent,
    ClipCounts,
    Column,
    Recorded,
    Rows,
    WindowedClipRate,
    WindowedThrottle,
)
from tb_gradclip.core.charts.extremes import BLOCK, Extremes, of_rows
from tb_gradclip.core.charts.reduction import reduced, reduced_stretches, stretches_suffice
from tb_gradclip.core.rules import Floats
from tb_gradclip.core.totals import Totals

AXES = ("step", "relative", "wall_time")
RECORDED = ("loss", "threshold", "norm_before", "norm_after", "coefficient", "clipped", "nonfinite")
DERIVED = ("clip_rate", "throttle")
MOST_WINDOWS = 4
"""Derived lines that are kept, those used last: 1 to 9 bytes a row each."""


class View(NamedTuple):
    """What a chart shows: rows between two positions on an axis, and the nearest row beyond either.

    `axis`: one of `AXES`. `bounds`: the positions, both included. `points`: most rows, 5 or more.
    """

    axis: str
    bounds: tuple[float, float]
    points: int


class Line(NamedTuple):
    """Rows that draw like all rows of a range, the numbers there, and how many rows the range has.

    `places`: where the rows are in the table. `numbers`: the values, and for a clip rate the lower and the upper bounds
    of its interval. All of one length.
    """

    places: NDArray[np.int64]
    rows: Rows
    numbers: tuple[Floats, ...]
    total: int


class Before(NamedTuple):
    """What came before a table: the first and the latest time, and counts of rows that every window covers too."""

    first_time: float = np.nan
    latest_time: float = -np.inf
    counted: int = 0
    clipped: int = 0


NOTHING = Before()


class Lines:
    """Lines over one step table, which may grow between calls but keeps the rows it had; safe to share by threads.

    Args:
      before: what came before the first row, if that is not the run's.
    """

    time = "wall_time"
    """The column that time axes measure."""

    def __init__(self, before: Before = NOTHING) -> None:
        self._before = before
        self._lock = threading.Lock()
        self._axes = {
            "step": Axis("step"),
            "relative": Axis(self.time, origin=before.first_time, reached=before.latest_time),
            "wall_time": Axis(self.time, reached=before.latest_time),
        }
        self._recorded = {name: Recorded(name) for name in RECORDED}
        self._derived: dict[tuple[str, int, bool], Column] = {}
        self._counts = ClipCounts()
        self._totals = Totals()

    def first(self, rows: Rows) -> np.void:
        """The first row."""
        row: np.void = rows[0]
        return row

    def totals(self, rows: Rows) -> Totals:
        """Counts over all rows."""
        with self._lock:
            if len(rows) < self._totals.rows:
                return Totals().plus(rows)
            self._totals = self._totals.plus(rows[self._totals.rows :])
            return self._totals

    def between(self, rows: Rows, first: float, last: float, most: int) -> Rows:
        """Rows from one step to another, both included; the newest `most` of them."""
        start, stop = bisect_left(rows["step"], first), bisect_right(rows["step"], last)
        return rows[start:stop][-most:]

    def line(self, rows: Rows, column: str, view: View, *, window: int, clips: bool = True) -> Line:
        """What a chart shows of one column.

        Args:
          rows: the step table.
          column: one of `RECORDED` or `DERIVED`.
          view: the part of it.
          window: rows that a derived column looks back over.
          clips: whether the run clips at all; derived columns of one that does not are NaN.
        """
        with self._lock:
            line, (start, stop) = self._column(column, window, clips), self._range(rows, view)
            line.extend(rows)
            places = _chosen(rows, self._axes[view.axis], line, start, stop, view.points)
            return Line(places, rows.take(places), line.at(rows, places), stop - start)

    def shown(self, rows: Rows, view: View) -> Rows:
        """All rows that a chart shows, whatever the column."""
        with self._lock:
            return rows[slice(*self._range(rows, view))]

    def _range(self, rows: Rows, view: View) -> tuple[int, int]:
        """The first row of a view, and the row after the last."""
        axis = self._axes[view.axis]
        axis.extend(rows)
        start, stop = axis.find(rows, view.bounds[0], "left"), axis.find(rows, view.bounds[1], "right")
        return max(start - 1, 0), min(stop + 1, len(rows))

    def _column(self, name: str, window: int, clips: bool) -> Column:
        if name in self._recorded:
            return self._recorded[name]
        key = (name, window, clips)
        column = self._derived.pop(key, None) or self._made(name, window, clips)
        self._derived[key] = column
        if len(self._derived) > MOST_WINDOWS:
            del self._derived[next(iter(self._derived))]
        return column

    def _made(self, name: str, window: int, clips: bool) -> Column:
        if not clips:
            return Absent(numbers=3 if name == "clip_rate" else 1)
        if name == "clip_rate":
            return WindowedClipRate(window, self._counts, (self._before.counted, self._before.clipped))
        return WindowedThrottle(window)


def _chosen(rows: Rows, axis: Axis, column: Column, start: int, stop: int, points: int) -> NDArray[np.int64]:
    """Rows from `start` up to `stop`, reduced: by blocks where a bucket holds several, else by single rows."""
    if not stretches_suffice(stop - start, BLOCK, points):
        return start + reduced(axis.between(rows, start, stop), column.values(rows, start, stop), points)
    ends = axis.between(rows, start, start + 1)[0], axis.between(rows, stop - 1, stop)[0]
    pieces = _pieces(rows, axis, start, stop, (ends[1] - ends[0]) / (points // 2))
    positions = [axis.starts(a, b) if whole else axis.between(rows, a, b) for a, b, whole in pieces]
    extremes = [column.blocks(rows, a, b) if whole else of_rows(column.values(rows, a, b), a) for a, b, whole in pieces]
    joined = Extremes(*map(np.concatenate, zip(*extremes, strict=True)))
    return reduced_stretches(np.concatenate(positions), joined, (start, stop - 1), ends[1], points)


def _pieces(rows: Rows, axis: Axis, start: int, stop: int, bucket: float) -> list[tuple[int, int, bool]]:
    """Cut the rows from `start` up to `stop` into those that are taken by the block and those that are not.

    Single rows are those at ragged ends, and those of blocks that reach further than a bucket of the axis: where
    training paused or slowed down. There are fewer such blocks than buckets.

    Returns:
      First row, the row after the last, and whether that is whole blocks; in order.
    """
    first, last = -(-start // BLOCK) * BLOCK, stop - stop % BLOCK
    after = axis.between(rows, stop - 1, stop) if last == stop else axis.between(rows, last, last + 1)
    fits = np.diff(axis.starts(first, last), append=after) <= bucket
    turns = first + BLOCK * (np.flatnonzero(np.diff(fits)) + 1)
    edges = [first, *turns.tolist(), last]
    kinds = fits[(np.array(edges[:-1]) - first) // BLOCK].tolist()
    return [(start, first, False), *zip(edges[:-1], edges[1:], kinds, strict=True), (last, stop, False)]
