"""Lines of a chart over a step table that grows at its end: what is computed is computed once, for new rows only.

Every method takes the table anew; it must begin with the rows that were there before. An older, shorter table may come
again: what was computed of its rows still holds.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import rates
from tb_gradclip.core.charts.extremes import BlockExtremes, Extremes
from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rows import counted
from tb_gradclip.core.rules import Floats

Rows = NDArray[np.void]


class Column(ABC):
    """A number at every row."""

    def __init__(self) -> None:
        self._blocks = BlockExtremes()

    @abstractmethod
    def values(self, rows: Rows, start: int, stop: int) -> Floats:
        """Values of the rows from `start` up to `stop`."""

    @abstractmethod
    def at(self, rows: Rows, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """Values of single rows; where there is a confidence interval, its lower and upper bounds too."""

    def extend(self, rows: Rows) -> None:  # noqa: B027 - most need nothing
        """Take the rows that are new."""

    def blocks(self, rows: Rows, start: int, stop: int) -> Extremes:
        """Extremes of the blocks from row `start` up to row `stop`, both at the edge of a whole block."""
        self._blocks.extend(functools.partial(self.values, rows), len(rows))
        return self._blocks.between(start, stop)


class Recorded(Column):
    """A column of the table itself."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def values(self, rows: Rows, start: int, stop: int) -> Floats:
        """A copy of the table's values."""
        return rows[self._name][start:stop].astype(float)

    def at(self, rows: Rows, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """The table's values there."""
        return (rows[self._name][places].astype(float),)


class Absent(Column):
    """A line of which nothing is known: NaN at every row, in as many numbers as the line would have."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self._numbers = numbers

    def values(self, rows: Rows, start: int, stop: int) -> Floats:
        """NaN."""
        return np.full(stop - start, np.nan)

    def at(self, rows: Rows, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """NaN, for every number of the line."""
        return (np.full(len(places), np.nan),) * self._numbers


class ClipCounts:
    """How many steps count before each row, and how many of those were clipped; the same for every window."""

    def __init__(self) -> None:
        self.steps, self.clipped = Growing("i4"), Growing("i4")
        for total in (self.steps, self.clipped):
            total.append(np.zeros(1, np.int32))

    def extend(self, rows: Rows) -> None:
        """Take the rows that are new."""
        new = rows[len(self.steps) - 1 :]
        if len(new):
            counts = counted(new)
            for total, more in ((self.steps, counts), (self.clipped, new["clipped"] & counts)):
                total.append(total.values[-1] + np.cumsum(more, dtype=np.int32))


class WindowedClipRate(Column):
    """Clip rate over the last `window` rows, with its Wilson interval: `rates.windowed_clip_rate`.

    Args:
      window: rows it looks back over.
      counts: of the table.
      before: rows before the table that every window covers too: how many of them count, how many were clipped.
    """

    def __init__(self, window: int, counts: ClipCounts, before: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self._window, self._counts, self._before = window, counts, before

    def values(self, rows: Rows, start: int, stop: int) -> Floats:
        """Shares of clipped steps; NaN where no step counts."""
        steps, clipped = (self._sums(total.values, start, stop) for total in (self._counts.steps, self._counts.clipped))
        with np.errstate(invalid="ignore"):
            return (clipped + self._before[1]) / (steps + self._before[0])

    def at(self, rows: Rows, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """Shares of clipped steps, and the bounds of their intervals."""
        ends, begins = places + 1, np.maximum(places + 1 - self._window, 0)
        steps, clipped = (
            (total.values[ends] - total.values[begins] + before).astype(float)
            for total, before in zip((self._counts.steps, self._counts.clipped), self._before, strict=True)
        )
        return tuple(rates.wilson(clipped, steps)[:3])

    def extend(self, rows: Rows) -> None:
        """Count the new rows."""
        self._counts.extend(rows)

    def _sums(self, total: NDArray[np.int32], start: int, stop: int) -> NDArray[np.int32]:
        """Counts among the last `window` rows, at the rows from `start` up to `stop`."""
        sums = total[start + 1 : stop + 1].copy()
        full = min(max(self._window - 1 - start, 0), len(sums))
        sums[full:] -= total[start + full + 1 - self._window : stop + 1 - self._window]
        return sums


class WindowedThrottle(Column):
    """Throttle over the last `window` rows: `rates.windowed_throttle`, to the last bit."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window, self._values = window, Growing("f8")

    def values(self, rows: Rows, start: int, stop: int) -> Floats:
        """Shares of gradient length removed; NaN where there is none."""
        return self._values.values[start:stop]

    def at(self, rows: Rows, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """The same at single rows."""
        return (self._values.values[places],)

    def extend(self, rows: Rows) -> None:
        """Compute the new rows, from up to two windows of rows before them."""
        done = len(self._values)
        if len(rows) > done:
            # Sums start afresh every `window` rows: from the same rows on, they round the same way.
            oldest = max(done - self._window + 1, 0)
            first = oldest - oldest % self._window
            self._values.append(rates.windowed_throttle(rows[first:], self._window)[done - first :])
