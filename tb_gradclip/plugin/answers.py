"""Runs to what routes send: the JSON and the numbers of `http_api.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tb_gradclip.core import framing
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.charts.lines import View
from tb_gradclip.core.histogram import Distribution, GradientHistogram
from tb_gradclip.core.rules import Floats
from tb_gradclip.storage.figures import figures, number, rule_json
from tb_gradclip.storage.read import Run
from tb_gradclip.storage.source import Recorded

MOST_ALERTS = 1000
KINDS = ("run", "steps", "histograms", "alerts")
"""Kinds of record that are read when the tab is opened; `Recorded.details` are read when they are looked at."""


def run_json(recorded: Recorded) -> dict[str, Any]:
    """What the list of runs says of one."""
    run, rows = recorded.run, recorded.run.steps
    told = figures(run, recorded.lines.totals(rows), recorded.lines.first(rows))
    return {**told, "alerts": [vars(alert) for alert in newest(run.alerts)]}


def newest(alerts: list[Alert]) -> list[Alert]:
    """The newest alerts, and every finding: these come once, and mostly early."""
    older = [alert for alert in alerts[:-MOST_ALERTS] if alert.finding is not None]
    return older + alerts[-MOST_ALERTS:]


class Series(NamedTuple):
    """One line of a chart: what its numbers are, and the numbers."""

    run: str
    column: str
    fields: tuple[str, ...]
    numbers: Sequence[Floats]
    total: int

    @property
    def rows(self) -> int:
        """Number of points."""
        return len(self.numbers[0])


def series(recorded: Recorded, column: str, view: View, window: int) -> Series:
    """Points of one column for a chart; derived columns look back over `window` rows."""
    run = recorded.run
    line = recorded.lines.line(run.steps, column, view, window=window, clips=run.rule.kind != "none")
    fields = ("step", "wall_time", "value", "low", "high")[: 2 + len(line.numbers)]
    numbers = [line.rows["step"].astype(float), line.rows["wall_time"], *line.numbers]
    return Series(run.name, column, fields, numbers, line.total)


def series_body(lines: Sequence[Series]) -> bytes:
    """The binary body of the `series` route."""
    header = [
        {"run": s.run, "column": s.column, "fields": list(s.fields), "rows": s.rows, "total": s.total} for s in lines
    ]
    numbers = b"".join(np.ascontiguousarray(block, "<f8").tobytes() for s in lines for block in s.numbers)
    return framing.pack({"series": header}, numbers, align=8)


def histogram_json(run: Run, histogram: GradientHistogram, parameter: str | None) -> dict[str, Any]:
    """One step's distributions. `KeyError` for an unknown parameter."""
    before, after = histogram.before(parameter), histogram.after(parameter)
    steps = run.histograms.steps
    place = int(np.searchsorted(steps, histogram.step))
    rows = slice(None) if parameter is None else histogram.parameters.index(parameter)
    coefficient = None if histogram.coefficients is None else np.unique(histogram.coefficients[rows])
    return {
        "run": run.name,
        "step": histogram.step,
        "wall_time": histogram.wall_time,
        "parameter": parameter,
        "previous_step": int(steps[place - 1]) if place > 0 else None,
        "next_step": int(steps[place + 1]) if place + 1 < len(steps) else None,
        "rule": rule_json(histogram.rule),
        "coefficient": number(coefficient[0]) if coefficient is not None and len(coefficient) == 1 else None,
        "clipped": None if histogram.clipped is None else int(histogram.clipped[rows].sum()),
        "cosine": histogram.cosine,
        "before": _distribution_json(before),
        "after": _distribution_json(after),
    }


def _distribution_json(values: Distribution) -> dict[str, Any]:
    return {
        "low": values.low.tolist(),
        "high": values.high.tolist(),
        "counts": values.counts.tolist(),
        "size": values.size,
        "zero": values.zero,
        "nan": values.nan,
        "positive_infinity": values.positive_infinity,
        "negative_infinity": values.negative_infinity,
    }
