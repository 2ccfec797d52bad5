"""Lines over what outlines hold of a run, or of a part of it."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import rates
from tb_gradclip.core.charts.columns import Column, Recorded, Rows
from tb_gradclip.core.charts.lines import Before, Line, Lines, View
from tb_gradclip.core.charts.outline import LINES, OUTLINE_DTYPE, THROTTLE_WINDOW, WINDOWS, clip_rate
from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rules import Floats

PLACE = ("step", "wall_time", "latest_time", "row")
"""Where a row is, on any axis and in the table."""


class OutlineLines:
    """Lines over rows of consecutive outlines, which may grow between calls; safe to share by threads.

    Args:
      first_time: of the run.
    """

    def __init__(self, first_time: float) -> None:
        self._before = Before(first_time)
        self._lock = threading.Lock()
        self._standing_out: dict[str, _StandingOut] = {}
        self._all = _KeptLines(self._before)

    def shown(self, known: Rows, view: View) -> Rows:
        """All known rows that a chart shows, whatever the column."""
        return self._all.shown(known, view)

    def line(self, known: Rows, column: str, view: View, *, kept: int | None, clips: bool) -> Line:
        """What a chart shows of one column, of those of the rows that stand out in it; `places` are among these.

        Args:
          known: rows of `OUTLINE_DTYPE`.
          column: as in `Lines.line`.
          view: the part of it.
          kept: the window, as `kept_window` says; for None, what is derived over a window is NaN, at places of another.
          clips: whether the run clips at all.
        """
        name = f"clip_rate/{(*WINDOWS, 'all')[kept or 0]}" if column == "clip_rate" else column
        with self._lock:
            standing_out = self._standing_out.setdefault(name, _StandingOut(name, self._before))
            standing_out.extend(known)
        return standing_out.line(column, view, window=kept or 0, clips=clips and kept is not None)


def kept_window(column: str, window: int, rows: int) -> int | None:
    """Which of the windows of an outline this is, for a run of so many rows; None if it is none of them."""
    if column == "throttle":
        return 0 if window == THROTTLE_WINDOW else None
    if column == "clip_rate":
        return len(WINDOWS) if window >= rows else WINDOWS.index(window) if window in WINDOWS else None
    return 0


class _StandingOut:
    """Rows that stand out in one line, with no more than it takes to draw it, and lines of them.

    Args:
      name: one of `LINES`.
      before: what came before the first of them.
    """

    def __init__(self, name: str, before: Before) -> None:
        column = name.partition("/")[0]
        own = ("window_counted", "window_clipped") if column == "clip_rate" else (column,)
        self._bit = 1 << LINES.index(name)
        self._seen = 0
        self._dtype = np.dtype([(field, OUTLINE_DTYPE[field]) for field in (*PLACE, *own)])
        self._rows = Growing(self._dtype)
        self._lines = _KeptLines(before)

    def extend(self, known: Rows) -> None:
        """Take those of the known rows that are new."""
        new = known[self._seen :]
        places = np.flatnonzero(new["stands_out"] & self._bit)
        rows = np.empty(len(places), self._dtype)
        for field in self._dtype.names or ():
            rows[field] = new[field][places]
        self._rows.append(rows)
        self._seen += len(new)

    def line(self, column: str, view: View, *, window: int, clips: bool) -> Line:
        """As `Lines.line`."""
        return self._lines.line(self._rows.values, column, view, window=window, clips=clips)


class _KeptLines(Lines):
    """Lines over rows of an outline: what is derived from many rows was computed when they were recorded.

    `window` is the place of the window in `WINDOWS`, or their number for one as long as the run.
    """

    time = "latest_time"

    def _made(self, name: str, window: int, clips: bool) -> Column:
        if not clips:
            return super()._made(name, window, clips)
        return _KeptClipRate(window) if name == "clip_rate" else Recorded(name)


class _KeptClipRate(Column):
    """Clip rate from the counts in an outline."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window

    def values(self, rows: Rows, start: int, stop: int) -> Floats:
        """Shares of clipped steps; NaN where no step counts."""
        return clip_rate(rows[start:stop], self._window)

    def at(self, rows: Rows, places: NDArray[np.int64]) -> tuple[Floats, ...]:
        """Shares of clipped steps, and the bounds of their intervals."""
        clipped, steps = (rows[name][places, self._window] for name in ("window_clipped", "window_counted"))
        return tuple(rates.wilson(clipped.astype(float), steps.astype(float))[:3])
