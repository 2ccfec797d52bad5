"""The figures of a run: what the dashboard lists of it, and the command line reports."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tb_gradclip.core import rates
from tb_gradclip.core.rules import Floats, Rule
from tb_gradclip.core.totals import Totals
from tb_gradclip.storage.read import Run

RECENT = 100
"""Steps that the newest clip rate and throttle look back over."""

MOST_SEAMS = 1000
"""Seams of a run that are told, the newest."""

MOST_DTYPES = 32
"""Types of parameters that are told: there are no more that anybody trains in."""

LAST_LOSSES = 50
"""Losses at the end of a run that its last loss is the mean of."""


def number(value: float) -> float | None:
    """A float for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def rule_json(rule: Rule) -> dict[str, Any]:
    """A rule for people and programs."""
    bounds = {name: number(getattr(rule, name)) for name in ("threshold", "low", "high")}
    return {"kind": rule.kind, **bounds, "text": rule.text}


def figures(run: Run, totals: Totals | None = None, first: np.void | None = None) -> dict[str, Any]:
    """What the list of runs says of one, as `http_api.md` describes it, but for alerts and what is no figure.

    Args:
      run: one with a step at least.
      totals: counts over all rows, where `run.steps` are only the newest ones.
      first: the very first row, likewise.
    """
    rows = run.steps
    totals, first = totals or Totals().plus(rows), rows[0] if first is None else first
    clips, recent = run.rule.kind != "none", rows[-RECENT:]
    return {
        "name": run.name,
        "framework": run.framework,
        "rule": rule_json(run.rule),
        "parameters": [parameter.name for parameter in run.parameters],
        "dtypes": sorted({parameter.dtype for parameter in run.parameters} - {""})[:MOST_DTYPES],
        "replicas": run.replicas,
        "gradients": run.gradients,
        "imported": None if run.imported is None else {**vars(run.imported), "text": run.imported.text},
        "steps": totals.rows,
        "first_step": int(first["step"]),
        "last_step": int(rows["step"][-1]),
        "first_wall_time": float(first["wall_time"]),
        "last_wall_time": float(rows["wall_time"][-1]),
        "complete": run.complete,
        "seams": [
            {"step": int(row["step"]), "wall_time": float(row["wall_time"])}
            for row in rows[np.searchsorted(rows["step"], run.seams[-MOST_SEAMS:])]
        ],
        "clip_rate": clip_rate(totals) if clips else None,
        "recent_clip_rate": clip_rate(Totals().plus(recent)) if clips else None,
        "throttle": number(rates.windowed_throttle(recent, RECENT)[-1]) if clips else None,
        "overhead": None if run.overhead is None else number(run.overhead),
        "nonfinite_steps": totals.nonfinite,
        "skipped_steps": totals.skipped,
        "histogram_steps": len(run.histograms),
    }


def clip_rate(totals: Totals) -> dict[str, float] | None:
    """Clip rate of these rows with its 95 % interval; None where no step counts."""
    if not totals.counted:
        return None
    rate = rates.wilson(np.array([float(totals.clipped)]), np.array([float(totals.counted)]))
    return {
        "rate": float(rate.rate[0]),
        "low": float(rate.low[0]),
        "high": float(rate.high[0]),
        "steps": totals.counted,
    }


def last_losses(run: Run) -> Floats:
    """The finite ones of the last 50 losses of a run; empty if there are none."""
    losses = run.steps["loss"][-LAST_LOSSES:]
    return np.asarray(losses[np.isfinite(losses)])
