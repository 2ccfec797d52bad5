"""Which steps' gradients are counted beside the schedule: those at which something happens.

Strategy: whether to count has to be decided while a step is made, where nothing may be waited for and a graph may be
running. So all that is asked there is whether the joint norm is above a limit, one number, which follows from the steps
that were recorded before. What was not counted at its own step, because nobody could look at its norm in time or only
the loss shows it, has the limit lowered below any norm as soon as it is recorded, so that the next step is counted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.loss import (
    MAD_TO_SIGMA,
    PRIOR_DEVIATION,
    PRIOR_STEPS,
    RATE,
    SMALLEST_SIGMA,
    SPIKE_RATIO,
    SPIKE_SIGMA,
    WINSOR,
)
from tb_gradclip.core.schedule import histogram_due

EVENTS = ("nonfinite", "divergence", "spike", "explosion")
"""Alerts whose gradients are worth a look. The others are about many steps, of which the schedule has some."""

SIGMAS, RATIO = 6.0, 4.0
"""A norm stands out if it is both 6 sigma above its running mean and 4 times as large: a sigma is small where norms
hardly vary, and large where they vary a lot. Of 100,000 steps whose logarithm is normal, with a deviation of 0.1 to 1,
none does; of those with a Student's t of 8 degrees of freedom a dozen do, with 4, where every thousandth step is nine
times as large as the others, a hundred."""

ENOUGH = 20
"""Norms to be seen before one can stand out; those that are not finite always do."""

GAP = 50
"""Steps between two that are counted beside the schedule, which is never denser by itself."""

FIRST, SCHEDULED_PER_EXTRA = 32, 4
"""A run has at most 32 histograms beside the schedule, and one more for every 4 that are on it: a log grows by a
quarter at most, however often something happens, and what happens late in a long run is still seen."""

NOTHING, NONFINITE, ANYTHING = math.inf, float(np.finfo(np.float32).max), -1.0
"""Limits above which there is no norm at all, only what is not finite (in float32), and every norm."""

LIMIT_TOLERANCE = 0.2
"""By what part a limit may be out of date on a device to which it has to be brought: it is a matter of factors."""

LOG_NONFINITE = math.log(NONFINITE)


def stands_out(value: float, limit: float) -> bool:
    """Whether a joint norm, or a loss, is above the limit, or NaN. Nothing is above the limit `NOTHING`."""
    return limit < NOTHING and not value <= limit


class Level:
    """Running mean and deviation of the logarithm of norms or losses, and the limit above which one stands out.

    With x the logarithm, m is its mean and d the mean of |x - m|, of residuals winsorised at 3 sigma, both weighted
    exponentially with the rate max(0.02, 1 / (n + 4)); d is 0.2 at first. sigma = 1.2533 d, at least 0.02, and the
    limit is exp(m + max(sigmas sigma, log ratio)). Before 20 were seen it is `NONFINITE`, and after one that is not
    finite `NOTHING`: what goes on does not stand out. What is not above 0 has no logarithm and is not learned from.

    Source: as `monitors.loss.LossMonitor`, in short.
    """

    def __init__(self, sigmas: float, ratio: float) -> None:
        self._factor, self._least = sigmas * MAD_TO_SIGMA, math.log(ratio)
        self._seen, self._mean, self._deviation = 0, 0.0, PRIOR_DEVIATION
        self._height = LOG_NONFINITE
        self._finite = True

    def learn(self, value: float) -> bool:
        """Take the next one; whether it stood out."""
        if not value <= NONFINITE:
            news, self._finite = self._finite, False
            return news
        self._finite = True
        if value <= 0:
            return False
        x = math.log(value)
        if not self._seen:
            self._mean = x
        self._seen += 1
        rate = max(RATE, 1.0 / (self._seen + PRIOR_STEPS))
        sigma = max(MAD_TO_SIGMA * self._deviation, SMALLEST_SIGMA)
        moved = min(max(x - self._mean, -WINSOR * sigma), WINSOR * sigma)
        above = x > self._height
        self._mean += rate * moved
        self._deviation += rate * (abs(moved) - self._deviation)
        if self._seen >= ENOUGH:
            self._height = self._mean + max(self._factor * self._deviation, self._least)
        return above

    @property
    def limit(self) -> float:
        """What the next one has to exceed to stand out."""
        if not self._finite:
            return NOTHING
        return math.exp(self._height) if self._height < LOG_NONFINITE else NONFINITE


class Standout:
    """Decides which steps' gradients are counted, from what is known of the steps before.

    A step is counted if it is on the schedule, or if its joint norm stands out from those before (see `Level`). If a
    step whose norm or loss stands out, or an event (of the kinds `EVENTS`, but for what a loss scaler skipped), was not
    counted, nor the step before it or one after it, the next step that may be is counted in its place: the very next
    where the training step can look at its norm, or was told its loss by `heed`; else the first one after that is
    recorded. Between two that are beside the schedule lie 50 steps at least, and there are no more than `FIRST` and a
    quarter of the schedule's; in so many steps as are made before the last ones are recorded it may be one or two more.

    `limit` may be read by any thread at any time. `due` and `heed` are for the thread that trains, `observe` for the
    one that records.

    Args:
      every: steps between histograms at first; with 0 there are none at all.
    """

    def __init__(self, every: int) -> None:
        self.limit = self._loss_limit = NONFINITE if every else NOTHING
        self._every = every
        self._norms, self._losses = Level(SIGMAS, RATIO), Level(SPIKE_SIGMA, SPIKE_RATIO)
        self._extra = self._scheduled = 0
        self._newest_counted, self._newest_out = -2, -GAP
        self._missed: int | None = None  # the step that the next one shall stand for
        self._made_up: int | None = None  # the same once the next one was counted, and is perhaps on its way
        self._next_extra, self._heeded = 0, -2

    def scheduled(self, step: int) -> bool:
        """Whether a step is on the schedule."""
        return histogram_due(step, self._every)

    def due(self, step: int, norm: float = 0.0) -> bool:
        """Whether to count a step that is not on the schedule; then it counts as done.

        Args:
          step: its number.
          norm: its joint norm before clipping; 0, which does not stand out, if nobody can know it yet.
        """
        limit, missed = self.limit, self._missed
        if norm <= limit and self._heeded < step - 1:
            return False
        if step < self._next_extra or limit == NOTHING or (limit < 0 and missed == self._made_up):
            return False
        self._next_extra, self._made_up = step + GAP, missed
        return True

    def heed(self, step: int, loss: float) -> None:
        """Have this step counted because of its loss if that stands out, or the next one if this one is over."""
        limit = self._loss_limit
        if loss <= limit or limit == NOTHING:
            return
        if not self.scheduled(step) and self._next_extra != step + GAP:
            self._heeded = step

    def observe(self, rows: NDArray[np.void], events: Sequence[Alert], counted: Collection[int]) -> None:
        """Take the next rows of the step table, what happened at steps up to now, and the steps that were counted."""
        if not self._every:
            return
        columns = (rows[name].tolist() for name in ("step", "norm_before", "loss", "skipped"))
        for step, norm, loss, skipped in zip(*columns, strict=True):
            if step in counted:
                self._count(step)
            if skipped:
                continue
            above = self._norms.learn(norm)
            if not math.isnan(loss):  # which says that there is none
                above |= self._losses.learn(loss)
            if above:
                if step - self._newest_out > GAP:
                    self._make_up_for(step)
                self._newest_out = step
        for event in events:
            if event.kind in EVENTS and not (event.kind == "nonfinite" and event.severity == "warning"):
                self._make_up_for(event.step if event.start is None else event.start)
        self._loss_limit = self._losses.limit
        if self._extra >= FIRST + self._scheduled // SCHEDULED_PER_EXTRA:
            self.limit = NOTHING
        else:
            self.limit = self._norms.limit if self._missed is None else ANYTHING

    def _count(self, step: int) -> None:
        self._newest_counted, self._missed = step, None
        if self.scheduled(step):
            self._scheduled += 1
        else:
            self._extra += 1

    def _make_up_for(self, step: int) -> None:
        """Have the next step counted, unless this one was, or one after it, or the one before it."""
        if self._newest_counted < step - 1:
            self._missed = step
