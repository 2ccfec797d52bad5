"""Every recorded step of a range as CSV, a piece at a time: however long runs are, few rows are in memory at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tb_gradclip.core.charts import lines
from tb_gradclip.core.charts.columns import Rows
from tb_gradclip.core.charts.lines import View
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


def row_count(runs: Sequence[Recorded], wanted: Wanted) -> int:
    """How many rows the table of these runs has; of each long run to within a few hundred."""
    return sum(_count(run, *_steps(run, wanted)) for run in runs)


def csv_pieces(runs: Sequence[Recorded], wanted: Wanted) -> Iterator[bytes]:
    """The table as RFC 4180 has it, UTF-8: a row for each run and step, runs one after the other, steps ascending.

    Numbers have all their digits and are `nan`, `inf` and `-inf` where they are not finite.
    """
    yield _encoded([header(wanted.columns)])
    for run in runs:
        for first, last in _ranges(run, *_steps(run, wanted)):
            yield _encoded(zip(*_cells(run, wanted, first, last), strict=True))


def header(columns: Sequence[str]) -> list[str]:
    """Names of the table's columns. A clip rate comes with the bounds of its Wilson 95 % interval."""
    bounds = {"clip_rate": ("clip_rate_low", "clip_rate_high")}
    return ["run", "step", "wall_time", *(each for name in columns for each in (name, *bounds.get(name, ())))]


def _encoded(rows: Any) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode("utf-8", "replace")


def _cells(run: Recorded, wanted: Wanted, first: int, last: int) -> list[list[Any]]:
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
