"""What charts show of a long run whose outlines and newest rows are at hand, and whose other rows can be fetched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import rates
from tb_gradclip.core.charts.columns import Column, Recorded, Rows
from tb_gradclip.core.charts.lines import DERIVED, Before, Line, Lines, View
from tb_gradclip.core.charts.outline import (
    LINES,
    OUTLINE_DTYPE,
    STRETCH,
    THROTTLE_WINDOW,
    WINDOWS,
    Outline,
    clip_rate,
    described,
    lookback,
    standing_out,
)
from tb_gradclip.core.charts.room import SHARED, Room
from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rules import Floats
from tb_gradclip.core.totals import Totals

Fetch = Callable[[int, int], Rows]
"""Rows of the table from one step to another, both included, in order; more on either side do no harm."""

PLACE = ("step", "wall_time", "latest_time", "row")
"""Where a row is, on any axis and in the table."""

WIDEST_STRETCH = 2
"""Pixels that a stretch of an outline may take where it is drawn instead of its rows."""


class _Piece(NamedTuple):
    """Steps from one to another, both included, how many of the newest rows there were, and `Before.counted` or not."""

    first: int
    last: int
    newest: int
    whole: bool


class OutlinedLines:
    """Lines over the table of one attempt: its outlines and its newest rows are here, the others are fetched.

    Args:
      outlines: one or more, consecutive, from the attempt's first row on.
      fetch: gets rows that are not here.
      stretch: how many rows of the table a stretch of the outlines has.
      room: keeps those looked at last.

    Methods take the newest rows as `Lines` takes a whole table: they may grow between calls but keep what they had.
    They reach back before the end of the last outline by as many rows as `WINDOWS` look back on.
    """

    def __init__(
        self, outlines: Sequence[Outline], fetch: Fetch, *, stretch: int = STRETCH, room: Room = SHARED
    ) -> None:
        self._fetch, self._stretch = fetch, stretch
        self._lock = threading.Lock()
        self._known = Growing(OUTLINE_DTYPE, room=sum(len(outline.rows) for outline in outlines))
        self._standing_out: dict[str, _StandingOut] = {}
        self._room, self._own = room, object()
        self._totals = Totals()
        for outline in outlines:
            self._known.append(outline.rows)
            self._totals = self._totals.joined(outline.totals)

    def first(self, rows: Rows) -> np.void:
        """The first row of the table."""
        row: np.void = self._known.values[0]
        return row

    def totals(self, rows: Rows) -> Totals:
        """Counts over all rows."""
        with self._lock:
            self._extend(rows)
            return self._totals

    def between(self, rows: Rows, first: float, last: float, most: int) -> Rows:
        """As `Lines.between`; rows that are not here are fetched, not many more than `most`."""
        with self._lock:
            self._extend(rows)
            known = self._known.values
        end = int(np.searchsorted(known["step"], last, side="right")) - 1
        if end < 0:
            return rows[:0]
        begin = max(int(np.searchsorted(known["row"], known["row"][end] - most, side="right")) - 1, 0)
        first = int(np.ceil(max(first, float(known["step"][begin]))))
        last = int(np.floor(min(last, float(rows["step"][-1]))))
        return self._between(rows, first, last)[-most:] if first <= last else rows[:0]

    def line(self, rows: Rows, column: str, view: View, *, window: int, clips: bool = True) -> Line:
        """As `Lines.line`, of the rows where they are at hand or an outline is not fine enough, else of the outline.

        It is where a stretch is no wider than two buckets, which are a pixel each: to unpack twice as many rows takes
        twice as long, and shows no more than that. Every point is at its true place; what may be missing from a pixel
        is a lesser extreme than the one drawn within two pixels of it. Of an outline, `total` is
        exact for the whole run, and else to within a stretch at either end.
        """
        with self._lock:
            self._extend(rows)
            known, kept = self._known.values, _kept(column, window, self._totals.rows)
            name = f"clip_rate/{(*WINDOWS, 'all')[kept or 0]}" if column == "clip_rate" else column
            standing_out = self._standing_out.setdefault(name, _StandingOut(name))
            standing_out.extend(known)
        line = standing_out.line(column, view, window=kept or 0, clips=clips and kept is not None)
        first, last = line.rows[0], line.rows[-1]
        total = int(last["row"] - first["row"]) + 1
        fine = total == line.total or WIDEST_STRETCH * total >= self._stretch * (view.points // 2)
        at_hand = first["step"] >= rows["step"][0]
        if not fine or at_hand or (kept is None and clips):
            whole = kept == len(WINDOWS)  # such a window begins with the run, and counts from there on are known
            back = window - 1 if column in DERIVED and not whole else 0
            start = (int(first["row"]) - back) // self._stretch * self._stretch
            before = known[: max(int(np.searchsorted(known["row"], start, side="right")), 1)]
            end = int(np.searchsorted(known["row"], -(-int(last["row"]) // self._stretch) * self._stretch))
            piece, lines = self._near_lines(rows, before, known[: end + 1][-1], whole=whole)
            if len(piece):  # else the loader sampled these rows away
                line = lines.line(piece, column, view, window=window, clips=clips)
                return line._replace(places=line.places + int(before["row"][-1]))
        return Line(line.rows["row"], line.rows, line.numbers, total)

    def _near_lines(self, rows: Rows, before: Rows, last: np.void, *, whole: bool) -> tuple[Rows, Lines]:
        """Rows from the last of those `before` up to the one that is `last`, and lines over them.

        They begin and end with a stretch, so that columns of one view share them though others stand out in each. They
        are kept if they are all there: what could not be fetched now may be another time.
        """
        key = _Piece(int(before["step"][-1]), int(last["step"]), len(rows), whole)
        near: tuple[Rows, Lines] | None = self._room.get((self._own, key))
        if near is None:
            piece = self._between(rows, key.first, key.last).copy()  # what it is cut from may be many times as long
            near = piece, _lines_of_piece(piece, before, whole=whole) if len(piece) else Lines()
            if len(piece) == last["row"] - before["row"][-1] + 1:
                self._room.put((self._own, key), near, 2 * piece.nbytes)  # lines take as much again at most
        return near

    def _extend(self, rows: Rows) -> None:
        """Take what stands out in the rows that are new."""
        start = int(np.searchsorted(rows["step"], self._known.values["step"][-1], side="right"))
        if start < len(rows):
            earlier, latest = min(lookback(self._totals.rows), start), float(self._known.values["latest_time"][-1])
            new = described(rows[start - earlier :], earlier, self._totals, latest)
            self._known.append(standing_out(new))
            self._totals = self._totals.plus(rows[start:])

    def _between(self, rows: Rows, first: int, last: int) -> Rows:
        """Rows from one step to another, both included, fetched as far as they are not among the newest."""
        newest = int(rows["step"][0])
        pieces = [_cut(self._fetch(first, min(last, newest - 1)), first, newest - 1)] if first < newest else []
        if last >= newest:
            pieces.append(rows)
        return _cut(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), first, last)


class _StandingOut:
    """Rows that stand out in one line, with no more than it takes to draw it, and lines of them.

    Args:
      name: one of `LINES`.
    """

    def __init__(self, name: str) -> None:
        column = name.partition("/")[0]
        own = ("window_counted", "window_clipped") if column == "clip_rate" else (column,)
        self._bit = 1 << LINES.index(name)
        self._seen = 0
        self._dtype = np.dtype([(field, OUTLINE_DTYPE[field]) for field in (*PLACE, *own)])
        self._rows = Growing(self._dtype)
        self._lines = _KeptLines()

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


def _kept(column: str, window: int, rows: int) -> int | None:
    """Which of the windows of an outline this is, for a run of so many rows; None if it is none of them."""
    if column == "throttle":
        return 0 if window == THROTTLE_WINDOW else None
    if column == "clip_rate":
        return len(WINDOWS) if window >= rows else WINDOWS.index(window) if window in WINDOWS else None
    return 0


def _cut(rows: Rows, first: int, last: int) -> Rows:
    """Those of the rows from one step to another, both included."""
    return rows[np.searchsorted(rows["step"], first) : np.searchsorted(rows["step"], last, side="right")]


def _lines_of_piece(piece: Rows, before: Rows, *, whole: bool) -> Lines:
    """Lines of some rows out of a table; of what lies `before` some rows are known, the piece's first one included."""
    first = before[-1]
    counts = (0, 0)
    if whole:  # those of the first row's window, but for the row itself
        own = Totals().plus(piece[:1])
        counts = int(first["window_counted"][-1]) - own.counted, int(first["window_clipped"][-1]) - own.clipped
    return Lines(Before(float(before["wall_time"][0]), float(first["latest_time"]), *counts))
