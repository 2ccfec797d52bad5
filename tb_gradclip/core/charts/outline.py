"""A long run in outline: those rows of the step table that a chart of the whole run is made of.

A chart a thousand pixels wide shows a few thousand of a million steps, and which ones is known when they are recorded.
So the writer keeps, beside the table, the rows that stand out in each stretch of it: where a column, or a line derived
from it, is smallest, largest, or not finite for the first time. Who opens the run reads these few, and the table only
where somebody looks closer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.charts.extremes import NONE, of_rows
from tb_gradclip.core.rates import trailing_sum, windowed_throttle
from tb_gradclip.core.rows import STEP_DTYPE, counted
from tb_gradclip.core.rules import Floats
from tb_gradclip.core.structured import concatenated, copied
from tb_gradclip.core.totals import Totals

STRETCH = 256
"""Rows of the table of which only those that stand out are recorded."""

ROWS_PER_OUTLINE = 64 * STRETCH

WINDOWS = (20, 100, 1000)
"""Windows of the clip rate that are kept, besides one as long as the run."""

THROTTLE_WINDOW = 100

LINES = (
    *(name for name in STEP_DTYPE.names or () if name not in ("step", "wall_time")),
    "throttle",
    *(f"clip_rate/{window}" for window in (*WINDOWS, "all")),
)
"""What charts may draw of a run, in the order of the bits of `stands_out`."""

EVERYWHERE = (1 << len(LINES)) - 1

OUTLINE_DTYPE = np.dtype(
    [
        *((name, STEP_DTYPE[name]) for name in STEP_DTYPE.names or ()),
        ("row", "<i8"),
        ("stands_out", "<u2"),
        ("latest_time", "<f8"),
        ("window_counted", "<i4", (len(WINDOWS) + 1,)),
        ("window_clipped", "<i4", (len(WINDOWS) + 1,)),
        ("throttle", "<f8"),
    ]
)
"""A row of the step table, and what is known there of the rows before it.

`row`: its place among all rows. `stands_out`: a bit for each of `LINES` in which it does. `latest_time`: the largest
`wall_time` up to there. `window_counted`, `window_clipped`: for each of `WINDOWS`, and last for all rows so far, how
many rows of the window that ends here count (see `rows.counted`), and how many of these were clipped. `throttle`: that
of the last `THROTTLE_WINDOW` rows.
"""


@dataclass(frozen=True)
class Outline:
    """What stands out in consecutive rows of one attempt.

    `first_row`: place of the first of them among the attempt's rows. `totals`: counts over all of them. `rows`: those
    that stand out, the first and the last included, of `OUTLINE_DTYPE`. `histogram_steps`: steps at which histograms
    were recorded meanwhile, in the order of their records. `own_seconds`, `elapsed_seconds`: sums over the `steps`
    records of these rows.
    """

    first_row: int
    totals: Totals
    rows: NDArray[np.void]
    histogram_steps: tuple[int, ...] = ()
    own_seconds: float = 0.0
    elapsed_seconds: float = 0.0

    @property
    def end_row(self) -> int:
        """Place of the row after the last."""
        return self.first_row + self.totals.rows

    @property
    def lookback_row(self) -> np.void:
        """One of `rows`: those from here on are what windows look back on that end in the row after the last, or more.

        Who has the outline and the table from this row on needs no other.
        """
        place = np.searchsorted(self.rows["row"], self.end_row - lookback(self.end_row), side="right") - 1
        row: np.void = self.rows[max(int(place), 0)]
        return row

    def coarser(self, stretch: int) -> Outline:
        """With what stands out in longer stretches, of so many rows of the table: `STRETCH` times a power of two."""
        return replace(self, rows=standing_out(self.rows, stretch))


class Outliner:
    """Makes outlines of an attempt's rows as they are recorded."""

    def __init__(self) -> None:
        self._earlier: NDArray[np.void] = np.empty(0, STEP_DTYPE)
        """Rows before the next outline that its windows look back on."""
        self._before, self._latest = Totals(), -np.inf
        self._rows: list[NDArray[np.void]] = []
        self._histogram_steps: list[int] = []
        self._own_seconds = self._elapsed_seconds = 0.0

    @property
    def waiting(self) -> int:
        """Rows that are in no outline yet."""
        return sum(map(len, self._rows))

    @property
    def end_row(self) -> int:
        """Place of the row after the last that was taken."""
        return self._before.rows + self.waiting

    def add(self, rows: NDArray[np.void], own_seconds: float | None, elapsed_seconds: float | None) -> None:
        """Take the rows of the next `steps` records, and what these say of time, if anything."""
        self._rows.append(rows)
        self._own_seconds += own_seconds or 0.0
        self._elapsed_seconds += elapsed_seconds or 0.0

    def add_histogram(self, step: int) -> None:
        """Take note of the next `histograms` record."""
        self._histogram_steps.append(step)

    def finish(self) -> Outline:
        """Outline of all rows that are waiting, one or more."""
        table = concatenated((self._earlier, *self._rows), STEP_DTYPE)
        rows = described(table, len(self._earlier), self._before, self._latest)
        totals = Totals().plus(table[len(self._earlier) :])
        outline = Outline(
            self._before.rows,
            totals,
            standing_out(rows),
            tuple(self._histogram_steps),
            self._own_seconds,
            self._elapsed_seconds,
        )
        before = self._before.joined(totals)
        # At once, whenever Ctrl-C comes: one call of a function in C.
        vars(self).update(
            _before=before,
            _latest=float(rows["latest_time"][-1]),
            _earlier=copied(table[len(table) - lookback(before.rows) :]),
            _rows=[],
            _histogram_steps=[],
            _own_seconds=0.0,
            _elapsed_seconds=0.0,
        )
        return outline


def lookback(rows: int) -> int:
    """How many of so many rows to keep for the windows to come.

    Sums start afresh every `THROTTLE_WINDOW` rows: from such a row on, they round as sums over the whole table do.
    """
    start = max(rows - max(WINDOWS) + 1, 0)
    return rows - (start - start % THROTTLE_WINDOW)


def described(table: NDArray[np.void], earlier: int, before: Totals, latest: float) -> NDArray[np.void]:
    """Every row but the first, `earlier` ones, with what `OUTLINE_DTYPE` adds; that it stands out is not looked at.

    `before` and `latest` are the totals and the latest time of all rows that are not described.
    """
    counts = counted(table).astype(float)
    clipped = table["clipped"] * counts
    rows = np.zeros(len(table) - earlier, OUTLINE_DTYPE)
    for name in STEP_DTYPE.names or ():
        rows[name] = table[name][earlier:]
    rows["row"] = before.rows + np.arange(len(rows))
    rows["latest_time"] = np.maximum(np.maximum.accumulate(rows["wall_time"]), latest)
    for sums, flags, already in (
        (rows["window_counted"], counts, before.counted),
        (rows["window_clipped"], clipped, before.clipped),
    ):
        for i, window in enumerate(WINDOWS):
            sums[:, i] = trailing_sum(flags, window)[earlier:]
        sums[:, -1] = already + np.cumsum(flags[earlier:])
    rows["throttle"] = windowed_throttle(table, THROTTLE_WINDOW)[earlier:]
    return rows


def standing_out(rows: NDArray[np.void], stretch: int = STRETCH) -> NDArray[np.void]:
    """Those of one or more rows of `OUTLINE_DTYPE` that stand out, marked so.

    That is in a stretch of so many rows of the table, from the first of these on, of which all may be there, or those
    that stand out in shorter stretches. The first row and the last are the ends of every line.
    """
    bits = np.zeros(len(rows), OUTLINE_DTYPE["stands_out"])
    bits[[0, -1]] = EVERYWHERE
    starts = np.flatnonzero(np.diff((rows["row"] - rows["row"][0]) // stretch, prepend=-1))
    for bit, values in enumerate(_lines(rows)):
        extremes = of_rows(values).joined(starts)
        for places in (extremes.low, extremes.high, extremes.broken[extremes.broken != NONE]):
            bits[places] |= 1 << bit
    found = rows.compress(bits > 0)
    found["stands_out"] = bits[bits > 0]
    return found


def _lines(rows: NDArray[np.void]) -> Iterator[Floats]:
    """The values of `LINES` at these rows."""
    yield from (rows[name].astype(float) for name in LINES if name in (OUTLINE_DTYPE.names or ()))
    yield from (clip_rate(rows, i) for i in range(len(WINDOWS) + 1))


def clip_rate(rows: NDArray[np.void], window: int) -> Floats:
    """Clip rate over the i-th of `WINDOWS`, or with i = len(WINDOWS) over all rows so far; NaN where none counts."""
    with np.errstate(invalid="ignore"):
        return rows["window_clipped"][:, window] / rows["window_counted"][:, window]
