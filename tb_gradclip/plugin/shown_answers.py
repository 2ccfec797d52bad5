"""Runs as the tab shows them, some with an ordinary scalar for their loss, to what routes send: beside `answers`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from tb_gradclip.core.charts.lines import View
from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin import answers
from tb_gradclip.plugin.answers import Series
from tb_gradclip.plugin.shown import Shown
from tb_gradclip.storage.figures import rule_json
from tb_gradclip.storage.scalars import Curve

logger = logging.getLogger(__name__)

FIELDS, BAND = ("step", "wall_time", "value"), ("low", "high")


def runs_json(runs: Mapping[str, Shown]) -> tuple[list[dict[str, Any]], list[tuple[str, tuple[str, ...]]]]:
    """What the list of runs says of each; and names of runs of which nothing can be said, with a sentence on why."""
    told: list[dict[str, Any]] = []
    problems: list[tuple[str, tuple[str, ...]]] = []
    for name, shown in runs.items():
        try:
            told.append(shown_json(shown, len(runs)))
        except Exception as error:
            logger.exception("gradclip could not sum up run %r", name)
            problems.append((name, (f"it could not be summed up, {type(error).__name__}: {error}"[:300],)))
    return told, problems


def shown_json(shown: Shown, among: int = 1) -> dict[str, Any]:
    """What the list of runs says of one `among` so many."""
    fields = _scalars_json(shown) if shown.recorded is None else answers.run_json(shown.recorded, among)
    own = [] if shown.recorded is None else shown.recorded.run.alerts
    computed = [] if shown.curve is None else shown.curve.alerts_beside(own)
    marks = {id(alert) for alert in computed}
    alerts = answers.newest(sorted([*own, *computed], key=lambda alert: alert.step), among)
    return {
        **fields,
        "recorded": shown.recorded is not None,
        "loss": {**_loss_json(shown.curve), "choices": list(shown.choices)},
        "alerts": [{**answers.alert_json(alert), "computed": id(alert) in marks} for alert in alerts],
    }


def _loss_json(curve: Curve | None) -> dict[str, Any]:
    """Where the loss comes from; nulls if it was recorded."""
    fields = ("tag", "points", "first_step", "last_step", "first_wall_time", "last_wall_time")
    return dict.fromkeys(fields) if curve is None else {"tag": curve.tag, **_extent_json(curve)}


def _extent_json(curve: Curve) -> dict[str, Any]:
    """How many points a curve has, and from where to where they reach."""
    step, time = curve.points["step"], curve.points["wall_time"]
    return {
        "points": len(step),
        "first_step": int(step[0]),
        "last_step": int(step[-1]),
        "first_wall_time": float(time[0]),
        "last_wall_time": float(time.max()),
    }


def _scalars_json(shown: Shown) -> dict[str, Any]:
    """A run without gradclip data: its steps are the points of its loss, and of gradients nothing is known."""
    assert shown.curve is not None
    extent = _extent_json(shown.curve)
    return {
        "name": shown.name,
        "framework": None,
        "rule": rule_json(Rule("none")),
        "parameters": [],
        "parameters_left_out": 0,
        "dtypes": [],
        "replicas": 1,
        "gradients": "whole",
        "imported": None,
        "steps": extent.pop("points"),
        **extent,
        "complete": False,
        "seams": [],
        **dict.fromkeys(("clip_rate", "recent_clip_rate", "throttle", "overhead")),
        "nonfinite_steps": int(np.count_nonzero(~np.isfinite(shown.curve.points["loss"]))),
        "skipped_steps": 0,
        "histogram_steps": 0,
    }


def shown_series(shown: Shown, column: str, view: View, window: int) -> Series:
    """Points of one column for a chart; derived columns look back over `window` rows.

    The loss may be that of a scalar. A run that has nothing else has no points of other columns.
    """
    if column == "loss" and shown.curve is not None:
        points = shown.curve.points
        line = shown.curve.lines(shown.origin).line(points, column, view, window=window)
        numbers = [line.rows["step"].astype(float), line.rows["wall_time"], *line.numbers]
        return Series(shown.name, column, FIELDS, numbers, line.total)
    if shown.recorded is not None:
        return answers.series(shown.recorded, column, view, window)
    fields = (*FIELDS, *BAND) if column == "clip_rate" else FIELDS
    return Series(shown.name, column, fields, [np.empty(0)] * len(fields), 0)
