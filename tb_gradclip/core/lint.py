"""Clipping that is set up wrongly or does nothing: findings, each reported once a run, each with a remedy.

Strategy: what shows in the numbers of ordinary steps is found there, in whatever framework they were measured. What
does not (which parameters a call was given, whether they were scaled) an adapter reports by name. Nearly every batch
of steps is healthy, so a batch is first asked a few questions as a whole, and only a doubtful one is looked at closely.
What is found does not depend on how steps are cut into batches.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.histogram import INFINITY, NAN, SIGN
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Floats, Outcome

STEPS_TO_JUDGE = 1000
"""Steps a threshold has to be in force before it is called never or always reached. At a clip rate of 1 %, a thousand
steps in a row without any clipping have a probability of 0.00004."""

ZERO_CALLS = 10
"""Clip calls in a row that saw nothing but zeros: a single one may be a batch that has nothing to learn from."""

MOST_NAMES = 3
"""Parameters that a message names; it counts the others."""


class Finding(NamedTuple):
    """What there is to say: `message` is a template of details, `remedy` one sentence; both for people."""

    severity: str
    message: str
    remedy: str


FINDINGS: dict[str, Finding] = {
    "no_gradient": Finding(
        "warning",
        "the clip call found no gradient",
        "Clip after the gradients were computed (in PyTorch: after backward) and before the optimizer uses them.",
    ),
    "zero_gradients": Finding(
        "warning",
        "all gradients were 0 at {calls} clip calls in a row",
        "Clip after the gradients were computed and before they are reset; if you do, see whether the loss depends on "
        "the weights, and whether half precision needs a loss scale.",
    ),
    "scaled_gradients": Finding(
        "warning",
        "gradients were still multiplied by the loss scale at the clip call",
        "Unscale them first (in PyTorch: scaler.unscale_(optimizer)), or the threshold means something else each time "
        "the scale changes.",
    ),
    "not_covered": Finding(
        "warning",
        "parameters that have a gradient were given to no clip call: {names}",
        "Pass the clip call every parameter that the optimizer updates, unless these are left out on purpose.",
    ),
    "counted_twice": Finding(
        "warning",
        "the clip call was given parameters twice, which count twice in the norm and are scaled twice: {names}",
        "Pass every parameter once.",
    ),
    "threshold_zero": Finding(
        "warning",
        "the threshold is 0, so clipping turns every gradient into 0",
        "Pass a positive threshold, or do not clip.",
    ),
    "threshold_negative": Finding(
        "warning",
        "the threshold is {threshold:g}, and a negative one turns gradients around or into constants",
        "Pass a positive threshold.",
    ),
    "threshold_infinite": Finding(
        "info",
        "the threshold is infinite, so nothing is clipped, but clipping by a norm that is infinite too gives NaN",
        "To measure without clipping, leave the clip call out: the writer records norms all the same (in TensorFlow: "
        "observe).",
    ),
    "clipping_off": Finding(
        "warning",
        "{setting} is {value:g}, which means no clipping",
        "Pass a positive number, or leave it out.",
    ),
    "never_clipped": Finding(
        "warning",
        "the threshold ({rule}) was not reached in {steps} steps",
        "Lower it if clipping is to act; as a guard against rare spikes it may stay.",
    ),
    "always_clipped": Finding(
        "info",
        "the threshold ({rule}) was exceeded in each of {steps} steps, so clipping sets the size of every update",
        "Raise it if clipping is meant for outliers; if not, tune it together with the learning rate.",
    ),
    "step_without_clip": Finding(
        "warning",
        "the optimizer made a step without a clip call although earlier steps had one",
        "Clip before every step of the optimizer, the last one of an epoch included.",
    ),
    "norm_overflow": Finding(
        "warning",
        "{gradients} finite but too large for a norm: it overflowed, and clipping made them {result}",
        "Take norms in a wider type (unscaled float32 instead of float16), or find out what makes gradients so large.",
    ),
}
"""Every finding by its name, which is its label on screen too. `LintMonitor` says which ones it finds by itself."""


class LintMonitor:
    """Finds what is wrong with the clipping of a run.

    Takes 0.05 microseconds a step in batches of 128, 0.2 where the threshold moves with every step.

    With n the joint norm of a step and "counted" a step that was made (no loss scaler skipped it) and whose n is finite
    and not 0:

    - `zero_gradients`: n = 0 at 10 clip calls in a row;
    - `threshold_zero`, `threshold_negative`, `threshold_infinite`: at the first such step;
    - `never_clipped`: nothing was clipped in the first 1,000 counted steps under one threshold. `always_clipped`: in
      each of these everything was, that is every parameter with a norm above 0, under `value` in at least one element.
      Counting starts anew when the threshold or the kind of rule changes, so a schedule that moves with every step is
      never judged;
    - `step_without_clip`: the first step of rule `none` after one of any other rule;
    - `norm_overflow`: at a step that was made, n (rule `global_norm`) or a parameter's norm (rule `norm`) is infinite
      and no element is. That is certain where the norms n was computed from are finite, and where n was measured more
      precisely than the library does, whose factor is 0; otherwise the step's histogram must say so, and without one
      nothing is said.

    It is wrong about clipping that is meant to be idle but for rare accidents (`never_clipped`), and about a run that
    stops clipping on purpose. Several clip calls for one step count as rule `custom`, which has no threshold to judge.

    Args:
      parameters: their names, in the order of the norms.
    """

    def __init__(self, parameters: tuple[str, ...]) -> None:
        self._names = parameters
        self.reported: set[str] = set()
        self._noticed: deque[tuple[str, int, dict[str, object]]] = deque()
        self._clips = False
        self._zeros = 0
        self._in_force: tuple[object, ...] = ()
        self._counted = 0
        self._never = self._always = True

    def notice(self, name: str, step: int, **details: object) -> None:
        """Have a finding reported with the next steps, whose message asks for these details.

        From any thread, at every step if need be: it is reported once, and costs no more than a look from then on.
        """
        if name not in self.reported:
            self._noticed.append((name, step, details))

    def report(self, name: str, step: int, wall_time: float, **details: object) -> list[Alert]:
        """An alert of this finding if it is the first; details fill its message, lists of names are shortened."""
        if name in self.reported:
            return []
        severity, message, remedy = FINDINGS[name]
        texts = {key: _listed(value) if isinstance(value, (list, tuple)) else value for key, value in details.items()}
        self.reported.add(name)
        return [Alert(step, "lint", severity, message.format(**texts), None, wall_time, name, remedy)]

    def observe(
        self, measured: Measurements, outcome: Outcome, counts: Mapping[int, NDArray[np.int64]] | None = None
    ) -> list[Alert]:
        """Take the next T steps, what clipping did to them, and counts as `histogram.count` gives them by step."""
        found: list[Alert] = []
        while self._noticed:
            name, step, details = self._noticed.popleft()
            found += self.report(name, step, float(measured.wall_times[0]), **details)
        made = np.full(len(measured.steps), True) if measured.skipped is None else ~measured.skipped
        if measured.rule.kind == "none":
            return found + self._unclipped(measured, made)
        self._clips = True
        found += self._zero_gradients(measured)
        found += self._overflow(measured, outcome, made, counts or {})
        if measured.rule.kind in ("value", "norm", "global_norm"):
            found += self._thresholds(measured)
            for part in self._stretches(measured):
                found += self._reach(part, measured, outcome, made)
        return found

    def _report_at(self, t: int, measured: Measurements, name: str, **details: object) -> list[Alert]:
        return self.report(name, int(measured.steps[t]), float(measured.wall_times[t]), **details)

    def _unclipped(self, measured: Measurements, made: NDArray[np.bool_]) -> list[Alert]:
        if not self._clips or not made.any():
            return []
        return self._report_at(int(made.argmax()), measured, "step_without_clip")

    def _zero_gradients(self, measured: Measurements) -> list[Alert]:
        norms = measured.norm_before
        if norms.all():
            self._zeros = 0
            return []
        place = np.arange(len(norms))
        last_other = np.maximum.accumulate(np.where(norms == 0, -1 - self._zeros, place))
        in_a_row = place - last_other
        self._zeros = int(in_a_row[-1])
        # No gradient at all has a norm of 0, and was reported then.
        if in_a_row.max() < ZERO_CALLS or "no_gradient" in self.reported:
            return []
        t = int((in_a_row >= ZERO_CALLS).argmax())
        return self._report_at(t, measured, "zero_gradients", calls=ZERO_CALLS)

    def _overflow(
        self, measured: Measurements, outcome: Outcome, made: NDArray[np.bool_], counts: Mapping[int, NDArray[np.int64]]
    ) -> list[Alert]:
        rule, joint = measured.rule, measured.norm_before
        if rule.kind not in ("norm", "global_norm") or "norm_overflow" in self.reported:
            return []
        doubtful = np.isinf(joint)
        if measured.factors is not None:  # joint norms are more precise than the library's, which its factors tell of
            doubtful |= (measured.factors == 0) & (joint > 0) & (measured.thresholds > 0)
        if not doubtful.any():
            return []
        for t in np.flatnonzero(doubtful & made).tolist():
            norms = measured.norms_before[t]
            sound = np.isfinite(norms) | _elements_finite(counts.get(int(measured.steps[t])), len(norms))
            if rule.kind == "global_norm" and sound.all() and not outcome.coefficient[t] > 0:
                result = "0" if outcome.coefficient[t] == 0 else "NaN"
                return self._report_at(t, measured, "norm_overflow", gradients="all gradients are", result=result)
            over = sound & np.isinf(norms)
            if rule.kind == "norm" and over.any():
                names = _listed([self._names[p] for p in np.flatnonzero(over)])
                result = "0" if measured.thresholds[t] < math.inf else "NaN"
                which = f"elements of {names} are"
                return self._report_at(t, measured, "norm_overflow", gradients=which, result=result)
        return []

    def _thresholds(self, measured: Measurements) -> list[Alert]:
        limits = measured.thresholds
        if limits.min() > 0 and limits.max() < math.inf:
            return []
        found = []
        for name, wrong in (("zero", limits == 0), ("negative", limits < 0), ("infinite", limits == math.inf)):
            if wrong.any():
                t = int(wrong.argmax())
                found += self._report_at(t, measured, f"threshold_{name}", threshold=limits[t])
        return found

    def _stretches(self, measured: Measurements) -> list[slice]:
        """Stretches of steps under one threshold; those too short to be judged or to matter later are left out."""
        limits, end = measured.thresholds, len(measured.steps)
        if math.isnan(limits[0]):  # bounds of `value` that are not symmetric are the same in all steps
            return [slice(0, end)]
        edges = [0, *(np.flatnonzero(limits[1:] != limits[:-1]) + 1).tolist(), end]
        return [slice(a, b) for a, b in pairwise(edges) if a == 0 or b == end or b - a >= STEPS_TO_JUDGE]

    def _reach(self, part: slice, measured: Measurements, outcome: Outcome, made: NDArray[np.bool_]) -> list[Alert]:
        rule, threshold = measured.rule, float(measured.thresholds[part.start])
        bounds = (rule.low, rule.high) if math.isnan(threshold) else (threshold,)
        in_force = (rule.kind, rule.norm_type, *bounds)
        if in_force != self._in_force:
            self._in_force, self._counted = in_force, 0
            self._never = self._always = not (threshold <= 0 or threshold == math.inf)
        missing = STEPS_TO_JUDGE - self._counted
        if not missing or not (self._never or self._always):
            return []
        norms = measured.norm_before[part]
        places = part.start + np.flatnonzero(np.isfinite(norms) & (norms > 0) & made[part])[:missing]
        clipped = outcome.clipped[places]
        self._counted += len(places)
        self._never = self._never and not clipped.any()
        self._always = self._always and bool(_whole(clipped, places, measured.norms_before, outcome).all())
        if self._counted < STEPS_TO_JUDGE or not (self._never or self._always):
            return []
        name = "never_clipped" if self._never else "always_clipped"
        return self._report_at(places[-1], measured, name, rule=rule.at(threshold).text, steps=STEPS_TO_JUDGE)


def _whole(clipped: NDArray[np.bool_], places: NDArray[np.intp], norms: Floats, outcome: Outcome) -> NDArray[np.bool_]:
    """At which of these steps everything was clipped that has a gradient."""
    if not clipped.all():
        return clipped
    return (outcome.parameters_clipped[places] | (norms[places] == 0)).all(axis=1)


def _elements_finite(counts: NDArray[np.int64] | None, parameters: int) -> NDArray[np.bool_]:
    """Which parameters are known to have only finite elements."""
    if counts is None:
        return np.zeros(parameters, bool)
    return np.asarray(counts[:, [INFINITY, NAN, SIGN + INFINITY, SIGN + NAN]].sum(axis=1) == 0)


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
