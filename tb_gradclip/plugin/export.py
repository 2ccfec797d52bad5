"""Every recorded step of a range as CSV, a piece at a time: however long runs are, few rows are in memory at once.

Where the loss is an ordinary scalar, the table has a row for each of its points too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.charts import lines
from tb_gradclip.core.charts.columns import Rows
from tb_gradclip.core.charts.lines import View
from tb_gradclip.core.computed import POINT_DTYPE
from tb_gradclip.plugin.shown import Shown
from tb_gradclip.storage.source import Recorded

MOST_ROWS = 2_000_000
"""Rows of one answer: some 200 MB of text, and twice what the best-known spreadsheets take."""

ROWS_AT_ONCE = 1 << 16
"""Rows of a piece, about: 4 MB of them. A run keeps more than these after it has read them for one column."""

WHOLE = ("clipped", "nonfinite")
"""Columns of whole numbers."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes spreadsheets take a text for a formula. Source: OWASP, CSV Injection."""


class Wanted(NamedTuple):
    """What a table has: columns of the rows between two positions on an axis, both included.

    `columns`: names in `lines.RECORDED` and `lines.DERIVED`. `window`: rows that derived ones look back over.
    """

    columns: tuple[str, ...]
    axis: str
    bounds: tuple[float, float]
    window: int


def text(value: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before one that begins with any of `FORMULA`."""
    return f"'{value}" if value.startswith(FORMULA) else value


Piece = list[list[Any]]
"""Rows of a table by column: run, step, wall time, and those that are wanted."""


def row_count(runs: Sequence[Shown], wanted: Wanted) -> int:
    """How many rows the table of these runs has; of each long run to within a few hundred.

    Where a recorded run has a scalar for its loss, rows at steps that have both count twice.
    """
    recorded = [shown.recorded for shown in runs if shown.recorded is not None]
    points = sum(len(_points(shown, wanted)) for shown in runs)
    return points + sum(_count(run, *_steps(run, wanted)) for run in recorded)


def csv_pieces(runs: Sequence[Shown], wanted: Wanted) -> Iterator[bytes]:
    """The table as RFC 4180 has it, UTF-8: a row for each run and step, runs one after the other, steps ascending.

    Steps are those recorded and, if the loss is wanted and is a scalar's, those of its points. What a step does not
    have is `nan`. Numbers have all their digits and are `nan`, `inf` and `-inf` where they are not finite.
    """
    yield _encoded([header(wanted.columns)])
    for shown in runs:
        pieces = _recorded(shown.recorded, wanted)
        for piece in pieces if shown.curve is None else _with_points(shown, pieces, wanted):
            yield _encoded(zip(*piece, strict=True))


def _recorded(run: Recorded | None, wanted: Wanted) -> Iterator[Piece]:
    """The steps of a run whose gradients were recorded; none of another."""
    if run is not None:
        for first, last in _ranges(run, *_steps(run, wanted)):
            yield _cells(run, wanted, first, last)


def _points(shown: Shown, wanted: Wanted) -> NDArray[np.void]:
    """Points of the scalar that is the loss, in the range; none where the loss is not wanted, or is not a scalar."""
    if shown.curve is None or "loss" not in wanted.columns:
        return np.empty(0, POINT_DTYPE)
    points = shown.curve.points
    at = points["step"] if wanted.axis == "step" else np.maximum.accumulate(points["wall_time"])
    at = at - shown.origin if wanted.axis == "relative" else at
    return points[(at >= wanted.bounds[0]) & (at <= wanted.bounds[1])]


def _with_points(shown: Shown, pieces: Iterator[Piece], wanted: Wanted) -> Iterator[Piece]:
    """The same with a scalar for the loss: its points, and rows of their own for those at no recorded step."""
    left = _points(shown, wanted)
    for piece in pieces:
        reached = int(np.searchsorted(left["step"], piece[1][-1] if piece[1] else -np.inf, side="right"))
        yield _merged(shown, piece, left[:reached], wanted)
        left = left[reached:]
    if len(left):
        yield _merged(shown, [[] for _ in header(wanted.columns)], left, wanted)


def _merged(shown: Shown, piece: Piece, points: NDArray[np.void], wanted: Wanted) -> Piece:
    """A piece with rows for these points between its own; its losses are those of the whole curve."""
    assert shown.curve is not None
    own = np.array(piece[1], np.int64)
    steps = np.union1d(own, points["step"])
    times = _placed(np.searchsorted(steps, points["step"]), points["wall_time"].tolist(), [np.nan] * len(steps))
    places = np.searchsorted(steps, own)
    named = zip(header(wanted.columns)[3:], piece[3:], strict=True)
    return [
        [text(shown.name)] * len(steps),
        steps.tolist(),
        _placed(places, piece[2], times),
        *(
            _losses(shown.curve.points, steps) if name == "loss" else _placed(places, column, [np.nan] * len(steps))
            for name, column in named
        ),
    ]


def _placed(places: NDArray[np.intp], values: list[Any], among: list[Any]) -> list[Any]:
    for place, value in zip(places.tolist(), values, strict=True):
        among[place] = value
    return among


def _losses(points: NDArray[np.void], steps: NDArray[np.int64]) -> list[float]:
    """The curve's value at each step; NaN where it has no point."""
    places = np.minimum(np.searchsorted(points["step"], steps), len(points) - 1)
    losses: list[float] = np.where(points["step"][places] == steps, points["loss"][places], np.nan).tolist()
    return losses


def header(columns: Sequence[str]) -> list[str]:
    """Names of the table's columns. A clip rate comes with the bounds of its Wilson 95 % interval."""
    bounds = {"clip_rate": ("clip_rate_low", "clip_rate_high")}
    return ["run", "step", "wall_time", *(each for name in columns for each in (name, *bounds.get(name, ())))]


def _encoded(rows: Any) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode("utf-8", "replace")


def _cells(run: Recorded, wanted: Wanted, first: int, last: int) -> Piece:
    """Columns of the table, between two steps."""
    view = View("step", (first, last), 4 * (last - first + 3))
    rows = _line(run, "loss", view, wanted.window).rows
    derived = {name: _line(run, name, view, wanted.window) for name in wanted.columns if name in lines.DERIVED}
    shown = (rows["step"] >= first) & (rows["step"] <= last)
    for line in derived.values():  # where a loader left rows out, lines have different ones
        shown &= np.isin(rows["step"], line.rows["step"])
    rows = rows[shown]
    columns: list[list[Any]] = [[text(run.run.name)] * len(rows), rows["step"].tolist(), rows["wall_time"].tolist()]
    for name in wanted.columns:
        if name in derived:
            own = np.isin(derived[name].rows["step"], rows["step"])
            columns += [numbers[own].tolist() for numbers in derived[name].numbers]
        else:
            columns.append(rows[name].astype(int if name in WHOLE else float).tolist())
    return columns


def _line(run: Recorded, column: str, view: View, window: int) -> lines.Line:
    return run.lines.line(run.run.steps, column, view, window=window, clips=run.run.rule.kind != "none")


def _steps(run: Recorded, wanted: Wanted) -> tuple[int, int]:
    """The first and the last step of the range: the second is below the first where the range has none.

    Positions on an axis never fall, so rows of a range follow each other; the row beyond either end is told by its own
    value, which is what its position rose or has not risen to.
    """
    first, last = run.lines.first(run.run.steps), run.run.steps[-1]
    column = "step" if wanted.axis == "step" else "wall_time"
    origin = float(first["wall_time"]) if wanted.axis == "relative" else 0.0
    low, high = (_around(run, wanted.axis, bound) for bound in wanted.bounds)
    start, stop = int(first["step"]), int(last["step"])
    if low is not None:
        start = int(low[0]["step"]) + (float(low[0][column]) - origin < wanted.bounds[0])
    if high is not None:
        stop = int(high[-1]["step"]) - (float(high[-1][column]) - origin > wanted.bounds[1])
    return start, stop


def _around(run: Recorded, axis: str, bound: float) -> Rows | None:
    """Rows at a position, after the one before it and before the one after it; None of an infinite position."""
    return _line(run, "loss", View(axis, (bound, bound), ROWS_AT_ONCE), 1).rows if np.isfinite(bound) else None


def _count(run: Recorded, first: int, last: int) -> int:
    """Rows between two steps, to within a few hundred in a long run. Few rows are read for it."""
    if last < first:
        return 0
    line = _line(run, "loss", View("step", (first, last), 10), 1)
    beyond = int(line.rows["step"][0] < first) + int(line.rows["step"][-1] > last)
    return line.total - beyond


def _ranges(run: Recorded, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The range of steps in ranges of few rows each."""
    if last < first:
        return
    if last - first < ROWS_AT_ONCE or _count(run, first, last) <= ROWS_AT_ONCE:
        yield first, last
        return
    middle = (first + last) // 2
    yield from _ranges(run, first, middle)
    yield from _ranges(run, middle + 1, last)
