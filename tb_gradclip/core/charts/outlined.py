"""What charts show of a long run whose outlines and newest rows are at hand, and whose other rows can be fetched."""

from __future__ import annotations

import threading
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
from tb_gradclip.core.totals import Totals

Fetch = Callable[[int, int], Rows]
"""Rows of the table from one step to another, both included, in order; more on either side do no harm."""

FetchOutlines = Callable[[int, int, int], Rows]
"""Rows of consecutive outlines from one step to another, or more on either side, in stretches of so many rows of the
table; none where an outline is missing."""

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
            known, kept = self._known.values, kept_window(column, window, self._totals.rows)
        line = self._lines.line(known, column, view, kept=kept, clips=clips)
        total = int(line.rows["row"][-1] - line.rows["row"][0]) + 1
        at_hand = line.rows["step"][0] >= rows["step"][0]
        if not at_hand and (kept is not None or not clips):
            if total == line.total or _longest(total, view.points) >= self._stretch:
                return line._replace(places=line.rows["row"], total=total)
            stretch = _longest(total - 2 * self._stretch, view.points)  # at either end the line may reach out by one
            if stretch and (near := self._near_outline(known, line.rows, stretch)) is not None:
                outline, lines = near
                line = lines.line(outline, column, view, kept=kept, clips=clips)
                total = int(line.rows["row"][-1] - line.rows["row"][0]) + 1
                return line._replace(places=line.rows["row"], total=total)
        whole = kept == len(WINDOWS)  # such a window begins with the run, and counts from there on are known
        before, last = self._around(known, line.rows, window - 1 if column in DERIVED and not whole else 0)
        piece, near_lines = self._near_rows(rows, before, last, whole=whole)
        if not len(piece):  # the loader sampled these rows away
            return line._replace(places=line.rows["row"], total=total)
        line = near_lines.line(piece, column, view, window=window, clips=clips)
        return line._replace(places=line.places + int(before["row"][-1]))

    def _around(self, known: Rows, shown: Rows, back: int) -> tuple[Rows, np.void]:
        """Known rows up to where a stretch begins, so many rows `back` from those shown, and one where a stretch ends.

        So columns of one view share what is fetched for it, though others stand out in each.
        """
        start = (int(shown["row"][0]) - back) // self._stretch * self._stretch
        end = -(-int(shown["row"][-1]) // self._stretch) * self._stretch
        first, last = np.searchsorted(known["row"], start, side="right"), np.searchsorted(known["row"], end)
        return known[: max(int(first), 1)], known[: int(last) + 1][-1]

    def _near_outline(self, known: Rows, shown: Rows, stretch: int) -> tuple[Rows, OutlineLines] | None:
        """Rows of outlines around those shown, in shorter stretches, and lines over them; None if not all are there."""
        before, last = self._around(known, shown, 0)
        key = int(before["step"][-1]), int(last["step"]), stretch
        near: tuple[Rows, OutlineLines] | None = self._room.get(self._own, key)
        if near is None:
            outline = self._fetch_outlines(*key)
            if not len(outline) or outline["row"][0] > before["row"][-1] or outline["row"][-1] < self._reach(last):
                return None
            newest = known[np.searchsorted(known["row"], outline["row"][-1], side="right") :]
            outline = np.concatenate((outline, newest[newest["row"] <= last["row"]]))
            near = outline, OutlineLines(float(known["wall_time"][0]))
            self._room.put(self._own, key, near, 2 * outline.nbytes)  # lines take as much again at most
        return near

    def _reach(self, last: np.void) -> int:
        """The row up to which an outline has to be fetched so that one knows all up to the last."""
        return min(int(last["row"]), self._outlined - 1)

    def _near_rows(self, rows: Rows, before: Rows, last: np.void, *, whole: bool) -> tuple[Rows, Lines]:
        """Rows from the last of those `before` up to the one that is `last`, and lines over them.

        They are kept if they are all there: what could not be fetched now may be another time.
        """
        key = _Piece(int(before["step"][-1]), int(last["step"]), len(rows), whole)
        near: tuple[Rows, Lines] | None = self._room.get(self._own, key)
        if near is None:
            piece = self._between(rows, key.first, key.last).copy()  # what it is cut from may be many times as long
            near = piece, _lines_of_piece(piece, before, whole=whole) if len(piece) else Lines()
            if len(piece) == last["row"] - before["row"][-1] + 1:
                self._room.put(self._own, key, near, 2 * piece.nbytes)  # lines take as much again at most
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


def _longest(total: int, points: int) -> int:
    """The longest stretch of an outline, `STRETCH` times a power of two, that may stand for so many rows; 0 if none."""
    stretch = STRETCH
    while stretch * (points // 2) <= WIDEST_STRETCH * total:
        stretch *= 2
    return stretch // 2 if stretch > STRETCH else 0


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
