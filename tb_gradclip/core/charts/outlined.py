"""What charts show of a long run whose outlines and newest rows are at hand, and whose other rows can be fetched."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tb_gradclip.core.charts.columns import Rows
from tb_gradclip.core.charts.lines import DERIVED, Before, Line, Lines, View
from tb_gradclip.core.charts.outline import (
    OUTLINE_DTYPE,
    STRETCH,
    WINDOWS,
    Outline,
    described,
    lookback,
    standing_out,
)
from tb_gradclip.core.charts.outline_lines import OutlineLines, kept_window
from tb_gradclip.core.charts.room import SHARED, Owner, Room
from tb_gradclip.core.growing import Growing
from tb_gradclip.core.structured import concatenated, copied
from tb_gradclip.core.totals import Totals


class Span(NamedTuple):
    """Rows of the table from one to another, both included, by their steps and by their places."""

    first: int
    last: int
    first_row: int
    last_row: int


Fetch = Callable[[Span], Rows]
"""Rows of the table, in order; more on either side do no harm."""

FetchOutlines = Callable[[int, int, int], Rows]
"""Rows of consecutive outlines from one step to another, or more on either side, in stretches of so many rows of the
table; none where an outline is missing."""

WIDEST_STRETCH = 2
"""Pixels that a stretch of an outline may take where it is drawn instead of its rows."""

REACH = 2
"""Stretches from one row that stands out to the next, at most: from the first row of one to the last of the next."""


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
      fetch_outlines: gets outlines again, in shorter stretches.
      room: keeps those looked at last.

    Methods take the newest rows as `Lines` takes a whole table: they may grow between calls but keep what they had.
    They reach back before the end of the last outline by as many rows as `WINDOWS` look back on.
    """

    def __init__(
        self,
        outlines: Sequence[Outline],
        fetch: Fetch,
        *,
        stretch: int = STRETCH,
        fetch_outlines: FetchOutlines,
        room: Room = SHARED,
    ) -> None:
        self._fetch, self._stretch, self._fetch_outlines = fetch, stretch, fetch_outlines
        self._lock = threading.Lock()
        self._known = Growing(OUTLINE_DTYPE, room=sum(len(outline.rows) for outline in outlines))
        self._room, self._own = room, Owner()
        self._totals = Totals()
        for outline in outlines:
            self._known.append(outline.rows)
            self._totals = self._totals.joined(outline.totals)
        self._lines = OutlineLines(float(self._known.values["wall_time"][0]))
        self._outlined = self._totals.rows  # from this row on what is known is in the shortest stretches

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
        end = bisect_right(known["step"], last) - 1
        if end < 0:
            return rows[:0]
        begin = max(bisect_right(known["row"], known["row"][end] - most) - 1, 0)
        first = int(np.ceil(max(first, float(known["step"][begin]))))
        last = int(np.floor(min(last, float(rows["step"][-1]))))
        return self._between(known, rows, first, last)[-most:] if first <= last else rows[:0]

    def line(self, rows: Rows, column: str, view: View, *, window: int, clips: bool = True) -> Line:
        """As `Lines.line`, of the rows where they are at hand or an outline is not fine enough, else of the outline.

        It is where a stretch is no wider than two buckets, which are a pixel each: to unpack twice as many rows takes
        twice as long, and shows no more than that. Every point is at its true place; what may be missing from a pixel
        is a lesser extreme than the one drawn within two pixels of it. Of an outline, `total` is exact for the whole
        run, and else to within `REACH` stretches at either end.
        """
        with self._lock:
            self._extend(rows)
            known, kept = self._known.values, kept_window(column, window, self._totals.rows)
        shown = self._lines.shown(known, view)
        total = int(shown["row"][-1] - shown["row"][0]) + 1
        at_hand = shown["step"][0] >= rows["step"][0]
        if not at_hand and (kept is not None or not clips):
            if _longest(total, view.points) >= self._stretch:
                return _outlined(self._lines.line(known, column, view, kept=kept, clips=clips), total)
            inner = shown["row"][1:-1]  # beyond these, rows may be out of view
            stretch = _longest(int(inner[-1] - inner[0]) + 1, view.points) if len(inner) else 0
            if stretch and (near := self._near_outline(known, shown, stretch)) is not None:
                outline, lines = near
                return _outlined(lines.line(outline, column, view, kept=kept, clips=clips), total)
        whole = kept == len(WINDOWS)  # such a window begins with the run, and counts from there on are known
        shared = window <= max(total, *WINDOWS)  # one piece serves all columns, unless it would be far longer for some
        looks_back = not whole and (shared or column in DERIVED)
        before, last = _around(known, shown, window - 1 if looks_back else 0)
        piece, near_lines = self._near_rows(known, rows, before, last, whole=whole)
        if not len(piece):  # the loader sampled these rows away
            return _outlined(self._lines.line(known, column, view, kept=kept, clips=clips), total)
        line = near_lines.line(piece, column, view, window=window, clips=clips)
        return line._replace(places=line.places + int(before["row"][-1]))

    def _near_outline(self, known: Rows, shown: Rows, stretch: int) -> tuple[Rows, OutlineLines] | None:
        """Rows of outlines around those shown, in shorter stretches, and lines over them; None if not all are there."""
        before, last = _around(known, shown, REACH * stretch, REACH * stretch)
        key = int(before["step"][-1]), int(last["step"]), stretch
        near: tuple[Rows, OutlineLines] | None = self._room.get(self._own, key)
        if near is None:
            outline = self._fetch_outlines(*key)
            if not len(outline) or outline["row"][0] > before["row"][-1] or outline["row"][-1] < self._reach(last):
                return None
            newest = known[bisect_right(known["row"], outline["row"][-1]) :]
            outline = concatenated((outline, newest.compress(newest["row"] <= last["row"])), OUTLINE_DTYPE)
            near = outline, OutlineLines(float(known["wall_time"][0]))
            self._room.put(self._own, key, near, 2 * outline.nbytes)  # lines take as much again at most
        return near

    def _reach(self, last: np.void) -> int:
        """The row up to which an outline has to be fetched so that one knows all up to the last."""
        return min(int(last["row"]), self._outlined - 1)

    def _near_rows(self, known: Rows, rows: Rows, before: Rows, last: np.void, *, whole: bool) -> tuple[Rows, Lines]:
        """Rows from the last of those `before` up to the one that is `last`, and lines over them.

        They are kept if they are all there: what could not be fetched now may be another time.
        """
        key = _Piece(int(before["step"][-1]), int(last["step"]), len(rows), whole)
        near: tuple[Rows, Lines] | None = self._room.get(self._own, key)
        if near is None:
            piece = copied(self._between(known, rows, key.first, key.last))  # what it is cut from may be far longer
            near = piece, _lines_of_piece(piece, before, whole=whole) if len(piece) else Lines()
            if len(piece) == last["row"] - before["row"][-1] + 1:
                self._room.put(self._own, key, near, 2 * piece.nbytes)  # lines take as much again at most
        return near

    def _extend(self, rows: Rows) -> None:
        """Take what stands out in the rows that are new."""
        start = bisect_right(rows["step"], self._known.values["step"][-1])
        if start < len(rows):
            earlier, latest = min(lookback(self._totals.rows), start), float(self._known.values["latest_time"][-1])
            new = described(rows[start - earlier :], earlier, self._totals, latest)
            self._known.append(standing_out(new))
            self._totals = self._totals.plus(rows[start:])

    def _between(self, known: Rows, rows: Rows, first: int, last: int) -> Rows:
        """Rows from one step to another, both included, fetched as far as they are not among the newest."""
        newest = int(rows["step"][0])
        if first >= newest:
            return _cut(rows, first, last)
        fetched = _cut(self._fetch(_span(known, rows, first, last)), first, min(last, newest - 1))
        return concatenated((fetched, _cut(rows, newest, last)), rows.dtype) if last >= newest else fetched


def _longest(total: int, points: int) -> int:
    """The longest stretch of an outline, `STRETCH` times a power of two, that may stand for so many rows; 0 if none."""
    stretch = STRETCH
    while stretch * (points // 2) <= WIDEST_STRETCH * total:
        stretch *= 2
    return stretch // 2 if stretch > STRETCH else 0


def _around(known: Rows, shown: Rows, back: int, on: int = 0) -> tuple[Rows, np.void]:
    """Known rows up to one that lies so many rows before those shown, or more, and one that lies so many after them."""
    first = bisect_right(known["row"], shown["row"][0] - back)
    last = bisect_left(known["row"], shown["row"][-1] + on)
    return known[: max(first, 1)], known[: last + 1][-1]


def _outlined(line: Line, total: int) -> Line:
    """A line over rows of an outline, as one over so many rows of the table."""
    return line._replace(places=line.rows["row"], total=total)


def _span(known: Rows, rows: Rows, first: int, last: int) -> Span:
    """What has to be fetched to have all rows from one step to another: from one that is known to one that is.

    It ends before the newest rows, some of which are known.
    """
    begin = known[bisect_right(known["step"], first) - 1]
    end = known[bisect_left(known["step"], min(last, int(rows["step"][0])))]
    place = bisect_left(rows["step"], end["step"])
    if end["step"] < rows["step"][0]:
        return Span(int(begin["step"]), int(end["step"]), int(begin["row"]), int(end["row"]))
    return Span(int(begin["step"]), int(rows["step"][0]) - 1, int(begin["row"]), int(end["row"]) - place - 1)


def _cut(rows: Rows, first: int, last: int) -> Rows:
    """Those of the rows from one step to another, both included."""
    return rows[bisect_left(rows["step"], first) : bisect_right(rows["step"], last)]


def _lines_of_piece(piece: Rows, before: Rows, *, whole: bool) -> Lines:
    """Lines of some rows out of a table; of what lies `before` some rows are known, the piece's first one included."""
    first = before[-1]
    counts = (0, 0)
    if whole:  # those of the first row's window, but for the row itself
        own = Totals().plus(piece[:1])
        counts = int(first["window_counted"][-1]) - own.counted, int(first["window_clipped"][-1]) - own.clipped
    return Lines(Before(float(before["wall_time"][0]), float(first["latest_time"]), *counts))
