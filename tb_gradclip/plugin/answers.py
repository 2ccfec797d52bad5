"""Runs to what routes send: the JSON and the numbers of `http_api.md`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tb_gradclip.core import framing
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.charts.lines import View
from tb_gradclip.core.histogram import Distribution, GradientHistogram
from tb_gradclip.core.rules import Floats
from tb_gradclip.plugin import limits
from tb_gradclip.storage.figures import figures, number, rule_json
from tb_gradclip.storage.read import Run
from tb_gradclip.storage.source import Recorded

MOST_ALERTS = 1000
MOST_ALERTS_IN_ALL = 20_000
FEWEST_ALERTS = 50
"""Newest alerts of a run in the list of runs; where there are many runs fewer, so that all together stay in bounds."""

MOST_NAMES = 10_000
MOST_NAMES_IN_ALL = 100_000
FEWEST_NAMES = 100
"""Parameters of a run that the list of runs names, as with alerts."""

MOST_OF_NAMES_IN_ALL = 20_000_000
LEAST_OF_NAMES = 20_000
"""Characters of these names, of which one run alone may have `limits.MOST_OF_NAMES`."""

MOST_OF_ALERTS = 4_000_000
MOST_OF_ALERTS_IN_ALL = 40_000_000
LEAST_OF_ALERTS = 200_000
"""Characters of the texts of a run's alerts: more than a thousand have whose names are a hundred characters long."""

MOST_FINDINGS = 50
MOST_DEPARTURES = 32
MOST_TEXT = 2_000
"""Characters of a sentence. There are no more of any of these in what a recorder of ours writes."""

MOST_DEPARTED = 100_000
"""Characters of the names of an alert; where there are more, each name is cut as a sentence is."""

KINDS = ("run", "steps", "histograms", "alerts")
"""Kinds of record that are read when the tab is opened; `Recorded.details` are read when they are looked at."""


def run_json(recorded: Recorded, among: int = 1) -> dict[str, Any]:
    """What the list of runs says of one `among` so many."""
    run, rows = recorded.run, recorded.run.steps
    told = figures(run, recorded.lines.totals(rows), recorded.lines.first(rows))
    return {
        **told,
        "framework": _cut(run.framework),
        "dtypes": [_cut(dtype) for dtype in told["dtypes"]],
        "imported": told["imported"] and {name: _cut_text(value) for name, value in told["imported"].items()},
        **_parameters_json(run, among),
        "alerts": [alert_json(alert) for alert in newest(run.alerts, among)],
    }


def _share(among: int, most: int, in_all: int, fewest: int) -> int:
    """How many of something each of several runs may have."""
    return max(fewest, min(most, in_all // max(among, 1)))


def _parameters_json(run: Run, among: int) -> dict[str, Any]:
    most = _share(among, MOST_NAMES, MOST_NAMES_IN_ALL, FEWEST_NAMES)
    room = _share(among, limits.MOST_OF_NAMES, MOST_OF_NAMES_IN_ALL, LEAST_OF_NAMES)
    names = [parameter.name for parameter in run.parameters[:most]]
    names = [names[place] for place in limits.fitting(names, room)]
    return {"parameters": names, "parameters_left_out": len(run.parameters) - len(names)}


def newest(alerts: list[Alert], among: int = 1) -> list[Alert]:
    """The newest alerts, and every finding: these come once, and mostly early. `among`: how many runs have some.

    Where their texts are too long together, there are fewer of the newest.
    """
    most = _share(among, MOST_ALERTS, MOST_ALERTS_IN_ALL, FEWEST_ALERTS)
    older = [alert for alert in alerts[:-most] if alert.finding is not None][:MOST_FINDINGS]
    room = _share(among, MOST_OF_ALERTS, MOST_OF_ALERTS_IN_ALL, LEAST_OF_ALERTS)
    lengths = itertools.accumulate(_length(alert) for alert in [*older, *reversed(alerts[-most:])])
    fit = sum(1 for length in lengths if length <= room)
    return older[:fit] + alerts[len(alerts) - max(fit - len(older), 0) :]


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert; texts that are no sentences any more are cut."""
    texts = {name: _cut(getattr(alert, name)) for name in ("message", "remedy", "finding")}
    told = {**vars(alert), **texts, "departures": alert.departures[:MOST_DEPARTURES]}
    if sum(map(len, _names(alert))) <= MOST_DEPARTED:
        return told
    return {
        **told,
        "parameter": _cut(alert.parameter),
        "departures": [(_cut(n), lead) for n, lead in told["departures"]],
    }


def _names(alert: Alert) -> list[str]:
    """Names of parameters that an alert is sent with."""
    return [alert.parameter or "", *(name for name, _ in alert.departures[:MOST_DEPARTURES])]


def _length(alert: Alert) -> int:
    """Characters of all its texts as they are sent."""
    sentences = sum(min(len(text or ""), MOST_TEXT) for text in (alert.message, alert.remedy, alert.finding))
    names = [len(name) for name in _names(alert)]
    return sentences + (sum(names) if sum(names) <= MOST_DEPARTED else sum(min(n, MOST_TEXT) for n in names))


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def _cut_text(value: Any) -> Any:
    return _cut(value) if isinstance(value, str) else value


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
