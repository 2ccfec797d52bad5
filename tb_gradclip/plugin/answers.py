"""Runs to what routes send: the JSON and the numbers of `http_api.md`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from tb_gradclip.core import rates, schema
from tb_gradclip.core.histogram import Distribution, GradientHistogram
from tb_gradclip.core.reduction import reduced
from tb_gradclip.core.rules import Floats, Rule
from tb_gradclip.storage.read import Run

RECENT = 100
MOST_ALERTS = 1000
RECORDED = ("loss", "threshold", "norm_before", "norm_after", "coefficient", "clipped", "nonfinite")
DERIVED = ("clip_rate", "throttle")
AXES = ("step", "relative", "wall_time")


def number(value: float) -> float | None:
    """A float for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def rule_json(rule: Rule) -> dict[str, Any]:
    """A rule for people and programs."""
    bounds = {name: number(getattr(rule, name)) for name in ("threshold", "low", "high")}
    return {"kind": rule.kind, **bounds, "text": rule.text}


def run_json(run: Run) -> dict[str, Any]:
    """What the list of runs says of one."""
    rows = run.steps
    recent = rows[-RECENT:]
    broken = ~np.isfinite(rows["norm_before"]) | (rows["nonfinite"] > 0)
    given = ~np.isnan(rows["loss"]).all()
    return {
        "name": run.name,
        "framework": run.framework,
        "rule": rule_json(run.rule),
        "parameters": [parameter.name for parameter in run.parameters],
        "steps": len(rows),
        "first_step": int(rows["step"][0]),
        "last_step": int(rows["step"][-1]),
        "first_wall_time": float(rows["wall_time"][0]),
        "last_wall_time": float(rows["wall_time"][-1]),
        "complete": run.complete,
        "clip_rate": _clip_rate(run, rows),
        "recent_clip_rate": _clip_rate(run, recent),
        "throttle": None if run.rule.kind == "none" else number(rates.windowed_throttle(recent, RECENT)[-1]),
        "nonfinite_steps": int((broken | (given & ~np.isfinite(rows["loss"]))).sum()),
        "histogram_steps": len(run.histograms),
        "alerts": [asdict(alert) for alert in run.alerts[-MOST_ALERTS:]],
    }


def _clip_rate(run: Run, rows: Any) -> dict[str, float] | None:
    rate = rates.windowed_clip_rate(rows, len(rows))
    if run.rule.kind == "none" or not rate.steps[-1]:
        return None
    return {"rate": rate.rate[-1], "low": rate.low[-1], "high": rate.high[-1], "steps": int(rate.steps[-1])}


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


def series(run: Run, column: str, axis: str, bounds: tuple[float, float], points: int, window: int) -> Series:
    """Points of one column between two bounds of an axis, reduced to at most `points`."""
    rows = run.steps
    position = _axis(run, axis)
    start = max(int(np.searchsorted(position, bounds[0], side="left")) - 1, 0)
    stop = min(int(np.searchsorted(position, bounds[1], side="right")) + 1, len(rows))
    values, *extra = _values(run, column, window)
    kept = start + reduced(position[start:stop], values[start:stop], points)
    fields = ("step", "wall_time", "value", "low", "high")[: 3 + len(extra)]
    numbers = [rows["step"][kept].astype(float), rows["wall_time"][kept], values[kept], *(e[kept] for e in extra)]
    return Series(run.name, column, fields, numbers, stop - start)


def _values(run: Run, column: str, window: int) -> list[Floats]:
    """A column at every step, and the bounds of its confidence interval if it has one."""
    if column in RECORDED:
        return [run.steps[column].astype(float)]
    values = [rates.windowed_throttle(run.steps, window)]
    if column == "clip_rate":
        values = list(rates.windowed_clip_rate(run.steps, window)[:3])
    return [np.full(len(v), np.nan) for v in values] if run.rule.kind == "none" else values


def _axis(run: Run, axis: str) -> Floats:
    if axis == "step":
        return run.steps["step"].astype(float)
    # Clocks are set back now and then; positions on an axis may not go backwards.
    wall_time = np.maximum.accumulate(run.steps["wall_time"])
    return wall_time - wall_time[0] if axis == "relative" else wall_time


def series_body(lines: Sequence[Series]) -> bytes:
    """The binary body of the `series` route."""
    header = [
        {"run": s.run, "column": s.column, "fields": list(s.fields), "rows": s.rows, "total": s.total} for s in lines
    ]
    numbers = b"".join(np.ascontiguousarray(block, "<f8").tobytes() for s in lines for block in s.numbers)
    return schema.pack({"series": header}, numbers)


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
