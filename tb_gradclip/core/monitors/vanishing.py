"""Gradients that vanish: those of some weights, next to the others', or all of them while the loss stays high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Floats

STEPS = 64
"""Steps in a row that make it: a batch may leave anything out."""

RATIO = 1e-6
"""Weights whose gradient is so much smaller than the largest learn nothing from it. In a deep network of sigmoids,
whose slope is a quarter at most, ten layers bring it there; layers of healthy networks differ by a thousand."""

MOST_NAMED = 8
MOST_IN_MESSAGE = 3

FALL = 1e-4
HALF = math.log(2)
"""The norm of all gradients vanished when it is a ten-thousandth of what it was while the loss is still more than half
of what it was: gradients that vanish because the loss does are no trouble."""

YOUNG = 16
RATE = 0.02
"""Steps after which the mean loss is what the run began with, and the weight of the newest in running means."""


class VanishingMonitor:
    """Finds weights whose gradient vanishes; O(P) a step for P parameters, 0.2 microseconds for 11 that are not small.

    With r_p = n_p / sqrt(size_p), the root mean square of the elements of a gradient of norm n_p: a weight of two or
    more dimensions vanishes when r_p < 1e-6 max_q r_q in 64 steps in a row, where it must not be 0 in all steps since
    the first (that is a weight that is not trained). Steps whose norms are not finite or are all 0 do not count. One
    alert names all that vanish; the first to blame is where it began, and of those that began together the last one
    listed, for gradients are computed from the last parameter to the first. It is over when for 64 steps in a row none
    vanished. Vectors are left out: the gradient of a bias before a normalisation, or of the keys of attention, is 0 but
    for rounding, and does no harm.

    Where it is wrong: layers that are frozen after they were trained, and experts that are not chosen for 64 steps.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._names = [parameter.name for parameter in parameters]
        sizes = np.array([max(1, math.prod(parameter.shape)) for parameter in parameters], float)
        self._scale = 1 / np.sqrt(sizes)
        self._weights = np.array([len(parameter.shape) >= 2 for parameter in parameters], bool)
        self._trained = np.zeros(len(sizes), bool)
        self._low = np.zeros(len(sizes), np.int64)  # steps in a row
        self._calm = 0
        self.alert: Alert | None = None

    def observe(self, measured: Measurements) -> dict[int, list[Alert]]:
        """Take the next T steps; alerts by place in them."""
        norms = measured.norms_before
        if not self._weights.any() or not len(norms):
            return {}
        rms = norms * self._scale
        largest = rms.max(axis=1)
        counts = np.isfinite(largest) & (largest > 0)  # NaN and infinity are the largest
        low = (rms < RATIO * np.where(counts, largest, 0.0)[:, None]) & self._weights
        if not low.any() and not self._low.any() and self.alert is None:
            self._trained |= norms[counts].any(axis=0)
            return {}
        found: dict[int, list[Alert]] = {}
        for t in np.flatnonzero(counts).tolist():
            if alerts := self._judge(measured.steps, t, low[t], norms[t]):
                found[t] = alerts
        return found

    def _judge(self, steps: NDArray[np.int64], t: int, low: NDArray[np.bool_], norms: Floats) -> list[Alert]:
        self._trained |= norms > 0
        self._low = np.where(low & self._trained, self._low + 1, 0)
        gone = self._low >= STEPS
        step = int(steps[t])
        if not gone.any():
            self._calm += 1
            if self.alert is None or self._calm < STEPS:
                return []
            over, self.alert = self.alert, None
            return [replace(over, end=step - STEPS + 1, recovered=True)]
        self._calm = 0
        if self.alert is not None:
            return []
        order = sorted(np.flatnonzero(gone).tolist(), key=lambda p: (-self._low[p], -p))
        departures = tuple((self._names[p], int(self._low[p]) - 1) for p in order)
        named = ", ".join(name for name, _ in departures[:MOST_IN_MESSAGE])
        more = f" and {len(order) - MOST_IN_MESSAGE} more" if len(order) > MOST_IN_MESSAGE else ""
        message = f"next to no gradient reached {named}{more} in {STEPS} steps"
        self.alert = Alert(
            *(step, "vanishing", "warning", message, departures[0][0]),
            departures=departures[:MOST_NAMED],
            start=step - departures[0][1],
        )
        return [self.alert]


@dataclass
class WholeVanishingMonitor:
    """Finds a run whose gradients all vanish while its loss stays high; O(1) a step, 0.6 microseconds.

    With running means of norm and log(loss), of rate max(0.02, 1 / n) and judged after 16 steps: the gradient vanished
    when its norm was below 1e-4 times the largest mean so far for 64 steps in a row, while the mean of log(loss) is at
    most log(2) below what it was after 16. It is over when the norm is back for as long. Steps whose norm or loss is
    not finite do not count; without losses, or where they are not positive, nothing is said.

    Where it is wrong: a loss that cannot become less than half of what it was, as in a game, and is at its best.
    """

    _seen: int = 0
    _first: float = 0.0
    _loss: float = 0.0
    _norm: float = 0.0
    _usual: float = 0.0
    _low: int = 0
    _calm: int = 0
    alert: Alert | None = None

    def observe(self, step: int, loss: float, norm: float) -> list[Alert]:
        """Take the loss and the joint norm of one step."""
        if not (loss > 0 and math.isfinite(loss) and math.isfinite(norm)):
            return []
        x = math.log(loss)
        self._seen += 1
        rate = max(RATE, 1 / self._seen)
        self._loss += rate * (x - self._loss)
        self._norm += rate * (norm - self._norm)
        if self._seen == YOUNG:
            self._first = self._loss
        if self._seen < YOUNG:
            return []
        self._usual = max(self._usual, self._norm)
        low = norm < FALL * self._usual and self._loss > self._first - HALF
        self._low, self._calm = (self._low + 1, 0) if low else (0, self._calm + 1)
        if self.alert is None and self._low >= STEPS:
            message = f"the gradient norm fell from {self._usual:.3g} to {norm:.3g} while the loss stayed at {loss:.3g}"
            self.alert = Alert(step, "vanishing", "warning", message, start=step - STEPS + 1)
            return [self.alert]
        if self.alert is not None and self._calm >= STEPS:
            over, self.alert = self.alert, None
            return [replace(over, end=step - STEPS + 1, recovered=True)]
        return []
