"""The answer of the `what_if` route, and what is kept of it while a run only grows."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from tb_gradclip.core.charts.columns import Rows
from tb_gradclip.core.charts.lines import Lines
from tb_gradclip.core.charts.outlined import OutlinedLines
from tb_gradclip.core.charts.reduction import reduced
from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rows import counted
from tb_gradclip.core.rules import Floats
from tb_gradclip.core.what_if import RecordedNorms, recorded_norms
from tb_gradclip.core.zclip import ZClip
from tb_gradclip.storage.figures import number, rule_json
from tb_gradclip.storage.read import Run
from tb_gradclip.storage.source import Recorded

SHARES = (0.01, 0.1, 0.5)
"""Clip rates for which a threshold is suggested: spikes alone, now and then, every other step."""
PERCENTILES = (10.0, 50.0, 90.0)
"""Of AutoClip; 10 is its paper's example."""
MOST_ROWS = 1 << 19
"""Newest rows of a range that an answer is computed from: in a second, the first time."""
ZCLIP_POINTS = 500
MOST_KEPT = 2
"""Ranges of a run that are kept, those asked for last: 32 bytes a row each."""


class _Question(NamedTuple):
    """Steps from one to another, both included, and how many rows the run has: the answer depends on no more."""

    first: float
    last: float
    points: int
    rows: int


class _Answer(NamedTuple):
    norms: RecordedNorms
    json: dict[str, Any]


class WhatIfs:
    """Answers of the `what_if` route; safe to share between threads."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Lines | OutlinedLines, _Kept] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def answer(
        self, recorded: Recorded, bounds: tuple[float, float], points: int, threshold: float | None
    ) -> dict[str, Any]:
        """JSON as `http_api.md` describes it.

        Args:
          recorded: the run.
          bounds: steps, both included; infinite where there is none.
          points: most thresholds of the curve.
          threshold: one more to tell about, 0 or more.
        """
        with self._lock:
            kept = self._kept.setdefault(recorded.lines, _Kept())
        with kept.lock:
            norms, answer = kept.answer(recorded, _Question(*bounds, points, len(recorded.run.steps)))
        return {**answer, "at": None if threshold is None else _each(norms, np.array([threshold]))[0]}


class _Kept:
    """What is kept of one run: ZClip as far as it has come, and the newest answers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._zclip, self._steps, self._limits, self._after = _new_replay()
        self._answers: dict[_Question, _Answer] = {}

    def answer(self, recorded: Recorded, question: _Question) -> _Answer:
        """The answer, kept or new."""
        answer = self._answers.pop(question, None) or self._computed(recorded, question)
        self._answers[question] = answer
        if len(self._answers) > MOST_KEPT:
            del self._answers[next(iter(self._answers))]
        return answer

    def _computed(self, recorded: Recorded, question: _Question) -> _Answer:
        run = recorded.run
        rows = recorded.lines.between(run.steps, question.first, question.last, MOST_ROWS)
        norms = recorded_norms(rows, run.rule, run.framework)
        limits, after = self._replayed(run.steps, rows)
        grid = norms.grid(question.points)
        curve = norms.at(grid)
        suggested = norms.clipping(SHARES)
        json = {
            "run": run.name,
            "rule": rule_json(run.rule),
            "norm_type": run.rule.norm_type if np.isfinite(run.rule.norm_type) else str(run.rule.norm_type),
            "steps": norms.steps,
            "range": [int(rows["step"][0]), int(rows["step"][-1])] if len(rows) else None,
            "thresholds": grid.tolist(),
            "clip_rate": curve.clip_rate.tolist(),
            "throttle": curve.throttle.tolist(),
            "now": _now(run, rows),
            "suggestions": [
                {"share": share, **each} for share, each in zip(SHARES, _each(norms, suggested), strict=True) if each
            ],
            "autoclip": [
                {"percentile": p, **each}
                for p, each in zip(PERCENTILES, _each(norms, norms.autoclip(PERCENTILES)), strict=True)
                if each
            ],
            "zclip": _zclip(norms, rows, limits, after),
        }
        return _Answer(norms, json)

    def _replayed(self, known: Rows, rows: Rows) -> tuple[Floats, Floats]:
        """ZClip's limits and norms after it at these rows.

        It begins with the earliest row that a question without bounds was about, or that is at hand. Over rows from
        before those it is replayed afresh.
        """
        if len(rows) and self._begins_after(rows) and rows["step"][-1] == known["step"][-1]:
            self._zclip, self._steps, self._limits, self._after = _new_replay()
            self._extend(rows)
        self._extend(known[-MOST_ROWS:])
        if not len(rows) or self._begins_after(rows):
            return ZClip().replay(_norms(rows))
        first = int(np.searchsorted(self._steps.values, rows["step"][0]))
        part = slice(first, first + len(rows))
        return self._limits.values[part], self._after.values[part]

    def _begins_after(self, rows: Rows) -> bool:
        return not len(self._steps) or bool(self._steps.values[0] > rows["step"][0])

    def _extend(self, rows: Rows) -> None:
        """Take the rows that are new."""
        if len(self._steps):
            rows = rows[bisect_right(rows["step"], self._steps.values[-1]) :]
        limits, after = self._zclip.replay(_norms(rows))
        for column, values in ((self._steps, rows["step"]), (self._limits, limits), (self._after, after)):
            column.append(values)


def _new_replay() -> tuple[ZClip, Growing, Growing, Growing]:
    """ZClip before its first norm; and steps, its limits and norms after it at these steps."""
    return ZClip(), Growing("i8"), Growing("f8"), Growing("f8")


def _norms(rows: Rows) -> Floats:
    return np.where(counted(rows), rows["norm_before"], np.nan)


def _each(norms: RecordedNorms, thresholds: Floats) -> list[dict[str, float | None] | None]:
    """A threshold, its clip rate and its throttle; None for a threshold that is no positive number."""
    usable = np.isfinite(thresholds) & (thresholds > 0)
    answer = norms.at(np.where(usable, thresholds, 0.0))
    numbers = zip(answer.threshold, answer.clip_rate, answer.throttle, strict=True)
    found = [{"threshold": number(c), "clip_rate": number(rate), "throttle": number(t)} for c, rate, t in numbers]
    return [one if good else None for one, good in zip(found, usable.tolist(), strict=True)]


def _now(run: Run, rows: Rows) -> dict[str, Any] | None:
    """What the run's own clipping did at these rows; None if it does not clip or none counts."""
    rows = rows.compress(counted(rows))
    if run.rule.kind == "none" or not len(rows):
        return None
    known = np.isfinite(rows["norm_after"])
    thresholds = rows["threshold"][np.isfinite(rows["threshold"])]
    return {
        "threshold": number(thresholds[-1]) if len(thresholds) else None,
        "constant": bool((thresholds == thresholds[:1]).all()),
        "clip_rate": number(rows["clipped"].mean()),
        "throttle": _throttle(rows["norm_before"][known], rows["norm_after"][known]),
    }


def _zclip(norms: RecordedNorms, rows: Rows, limits: Floats, after: Floats) -> dict[str, Any]:
    """ZClip's limits, drawn with few points, and what it would have done."""
    finite = np.flatnonzero(np.isfinite(limits))
    steps, thresholds = rows["step"][finite].astype(float), limits[finite]
    drawn = reduced(steps, thresholds, ZCLIP_POINTS)
    count = np.isfinite(after)
    before = rows["norm_before"][count]
    return {
        "steps": steps[drawn].astype(int).tolist(),
        "thresholds": thresholds[drawn].tolist(),
        "clip_rate": number((after[count] < before).mean()) if len(before) else None,
        "throttle": _throttle(before, after[count]),
        "last": _each(norms, thresholds[-1:])[0] if len(thresholds) else None,
    }


def _throttle(before: Floats, after: Floats) -> float | None:
    """1 - Σ after / Σ before; None where that is no number."""
    unit = before.max(initial=0.0)
    if unit == 0:
        return None
    return number(1 - float((after / unit).sum()) / float((before / unit).sum()))
