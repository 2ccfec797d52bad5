"""From a stream of losses to alerts: divergence, spikes.

Strategy: the loss of a healthy run, on a logarithmic axis, wanders slowly around an exponentially weighted mean with
a scale that is learned along the way. A capped CUSUM of the standardised residual asks whether the last few losses
are jointly too high. The cap is what makes it work: one bad batch adds less than 4 to the sum, so only a jump that
lasts crosses the limit, however large a single outlier was. From the first step at which the sum rises until it is
back at zero is one episode, with one alert.

Constants without another source were tuned with tests/benchmarks/divergence.py on its tuning families on 2026-11-29;
tests/benchmarks/RESULTS.md has what they do on families and trainings that played no part in it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.episode import QUIET, Episode

SLACK = 1.15
CAP = 5.0
LIMIT = 12.0
"""CUSUM constants, in standard deviations: S <- max(0, S + min(r, CAP) - SLACK), too high when S > LIMIT."""

FALL_LIMIT = 20.0
"""The same sum of -r: a level is new once it is clearly lower, as after 6 steps at -5 sigma, and no mere downswing."""

RISE = 0.18
"""Least height of a divergence, in log(loss): 20 % for two steps. Losses that drift come back from less."""

RATE = 0.02
PRIOR_STEPS = 4
SCALE_PRIOR_STEPS = 16
"""Weight of the newest loss in running means once 46 have been seen; before, 1 / (n + 4) in that of the losses and
1 / (n + 16) in those that make the scale."""

START_STEPS = 12
"""In so many losses the mean does not rise: from the first one on, a learning rate may be too high."""

PRIOR_DEVIATION = 0.2
"""Mean absolute deviation assumed at first, in log(loss): the first losses are judged generously, rather than never.
On the linear axis it is this share of the first loss, or of the way down to the first one below zero."""

WINSOR = 3.0
"""Residuals beyond this many standard deviations update mean and scale as if they were this large (Huber)."""

MAD_TO_SIGMA = 1.2533141373155003
"""Standard deviation of a normal variable over its mean absolute deviation, sqrt(pi / 2)."""

LAG = 8
"""Losses so many steps apart differ by noise and hardly by trend, and their noise is hardly correlated."""

SMALLEST_SIGMA = 0.02
SMALLEST_SIGMA_LINEAR = 0.005
"""A loss that hardly moves must not turn numerical noise into an alert: 2 % of a loss counts as one sigma, and of a
loss that can be negative 0.5 % of its mean."""

SPIKE_SIGMA = 8.0
SPIKE_RATIO = 2.0
"""A spike is a loss both 8 sigma and twice above its running mean; on the linear axis, 16 sigma."""

CALM_SIGMA = 4.0
CALM_STEPS = 5
"""A spike is over after so many losses in a row that were less than so many sigma high, half of what makes one."""

PLATEAU = 500
"""A loss that stayed high for so many steps is the new normal: the episode ends without recovery."""

SQRT_HALF = math.sqrt(0.5)

SMALLEST_LOSS, LARGEST_LOSS = 1e-12, 1e100
"""What a loss of 0 counts as on the logarithmic axis; and a bound for the linear one, whose sums could overflow."""


class LossMonitor:
    """Streaming detector of divergence and spikes in the loss; O(1) time and memory, 2 microseconds a step.

    With x = log(loss), or the loss itself once one was negative, and all means exponentially weighted with the rate
    max(0.02, 1 / (n + 4)), or 1 / (n + 16) for d, e and e1:

    - m is the mean of x and d the mean of |x - m|, of residuals winsorised at 3 sigma. Both d and e are 0.2 at first,
      and in the first 12 losses m falls but does not rise. The linear axis goes on from the level exp(m) with 0.2 times
      the distance to the first negative loss; where that is the first of all, from it with 0.2 times its size.
    - e is the mean of |x(t) - x(t - 8)| / sqrt(2), bounded by 6 sigma: the scale of the noise, whatever the trend. With
      e1, that of neighbours (as is e, while there are fewer than 8), phi = max(0, 1 - (e1 / e)^2) is the correlation of
      the noise from step to step. An x more than 3 sigma below m counts as 3 sigma in d, e, e1 and S.
    - sigma = 1.2533 min(d, e), at least 0.02 (linear: 0.005 |m|), r = (x - m) / sigma and k = 1.15 (1 + phi).
    - divergence: S <- max(0, S + min(r, 5) - k) exceeds 12, so at least four steps of jump, while this x and the last
      are 0.18 above m (linear: without that). k is that of when S rose from 0.
    - spike: r > 8 and loss > 2 exp(m) (linear: r > 16), reported when S is back at 0 or five steps in a row had r < 4,
      unless a divergence came of it first.
    - fall: the same sum of -r, for the higher of x and the last, exceeds 20; then m becomes the mean of those since the
      sum began. So a drop of the learning rate, or a new epoch, is the new normal within ten steps.

    While a divergence lasts nothing is learned, so the loss has come back when it is where it was: when S, held at 12,
    reaches 0. One that rises again within 50 steps was not back: the episode goes on without another alert. After 500
    steps everything is learned anew. `episode` is the newest divergence or spike.

    Non-finite losses are skipped: they are `NonfiniteMonitor`'s. Where it is wrong: a change of task or data that
    raises the loss for good looks like divergence. So does noise that is several sigma high for ten steps, every
    100,000 steps or so where its correlation is 0.8 to 0.9, and sometimes every epoch where the loss swings by a third
    within each. So does what follows a first loss that was low by chance: in one run of 16 where losses differ by a
    third to a half from step to step, as of batches of one to four, hardly ever in others. A rise of less than 20 % is
    not seen, nor one so slow that the mean keeps up (one sigma in 50 steps), nor one right after the first loss by less
    than about twice. Losses often near zero have so large a scale on the logarithmic axis that little stands out.

    Source: Page's CUSUM (Biometrika 41, 1954) with Huber's winsorised updates; the cap, the scale from differences and
    the bounds are this module's.
    """

    def __init__(self) -> None:
        self.episode: Episode | None = None
        self._linear = False
        self._seen = 0
        self._mean = 0.0
        self._since_alert = QUIET

    def observe(self, step: int, loss: float) -> list[Alert]:
        """Take the loss of one step; returns the alerts it gives rise to, mostly none."""
        if not math.isfinite(loss):
            return []
        if loss < 0 and not self._linear:
            self._leave_logarithm(max(loss, -LARGEST_LOSS))
            return []
        x = self._on_axis(loss)
        if not self._seen:
            self._begin(x, PRIOR_DEVIATION)
            return []
        sigma = self._sigma()
        residual = (x - self._mean) / sigma
        if self._diverging:
            self._follow(step, loss, x, max(residual, -WINSOR))
            return []
        alerts = self._judge(step, loss, x, residual)
        if not self._diverging:
            self._learn(x, residual, sigma)
        return alerts

    def _on_axis(self, loss: float) -> float:
        return max(-LARGEST_LOSS, min(loss, LARGEST_LOSS)) if self._linear else math.log(max(loss, SMALLEST_LOSS))

    def _leave_logarithm(self, loss: float) -> None:
        """Go on with losses as they are: the first negative one is low by choice, so the level is that before it."""
        level = min(math.exp(self._mean), LARGEST_LOSS) if self._seen else loss
        self._linear = True
        self._begin(loss, PRIOR_DEVIATION * (level - loss if self._seen else -loss))
        self._mean = level

    def _begin(self, x: float, deviation: float) -> None:
        """Learn from here on, with this loss as the mean and with this scale."""
        self._seen = 1
        self._mean, self._deviation = x, deviation
        self._near = self._far = deviation
        self._recent = deque([x], LAG)
        self._last = x
        self._sum = self._fall = 0.0
        self._fallen_to, self._falling = 0.0, 0
        self._jumped: int | None = None
        self._calm = 0
        self._diverging = False

    def _sigma(self) -> float:
        floor = SMALLEST_SIGMA_LINEAR * abs(self._mean) + SMALLEST_LOSS if self._linear else SMALLEST_SIGMA
        return max(MAD_TO_SIGMA * min(self._deviation, self._far), floor)

    def _slack(self) -> float:
        """Correlated noise stays high for longer."""
        ratio = self._near / self._far if self._far else 1.0
        return SLACK * (1.0 + max(0.0, 1.0 - ratio * ratio))

    def _learn(self, x: float, residual: float, sigma: float) -> None:
        self._seen += 1
        mean, recent = self._mean, self._recent
        low = residual < -WINSOR
        kept = mean - WINSOR * sigma if low else x
        moved = (-WINSOR if low else min(residual, WINSOR)) * sigma
        if moved < 0 or self._seen > START_STEPS:
            self._mean += max(RATE, 1.0 / (self._seen + PRIOR_STEPS)) * moved
        rate = max(RATE, 1.0 / (self._seen + SCALE_PRIOR_STEPS))
        self._deviation += rate * (abs(moved) - self._deviation)
        bound = 2 * WINSOR * sigma
        near = min(abs(kept - recent[-1]), bound)
        far = min(abs(kept - recent[0]), bound) if len(recent) == LAG else near
        self._near += rate * (near * SQRT_HALF - self._near)
        self._far += rate * (far * SQRT_HALF - self._far)
        recent.append(kept)
        higher, self._last = (x, x) if x > self._last else (self._last, x)
        self._judge_fall(higher, (mean - higher) / sigma)

    def _judge_fall(self, higher: float, drop: float) -> None:
        """Of two losses the higher one counts, so that a low outlier does not."""
        self._fall += min(drop, CAP) - self._slack()
        if self._fall <= 0:
            self._fall, self._fallen_to, self._falling = 0.0, 0.0, 0
            return
        self._falling += 1
        self._fallen_to += (higher - self._fallen_to) / self._falling
        if self._fall > FALL_LIMIT:
            self._mean = self._fallen_to
            self._fall, self._fallen_to, self._falling = 0.0, 0.0, 0

    def _judge(self, step: int, loss: float, x: float, residual: float) -> list[Alert]:
        level = self._mean if self._linear else math.exp(self._mean)
        if self._sum == 0:
            self._start, self._level, self._peak, self._peak_step = step, level, loss, step
            self._jumped = None
            self._needed = self._slack()
        elif loss > self._peak:
            self._peak, self._peak_step = loss, step
        self._since_alert += 1
        self._sum = max(0.0, self._sum + min(max(residual, -WINSOR), CAP) - self._needed)
        if self._sum > LIMIT:
            self._sum = LIMIT
            if self._linear or min(x, self._recent[-1]) - self._mean > RISE:
                return self._diverges(step, loss)
        return self._judge_spike(step, loss, residual, level)

    def _diverges(self, step: int, loss: float) -> list[Alert]:
        self._diverging, self._newest_high, self._since_alert = True, step, 0
        last = self.episode
        if last is not None and last.goes_on_at(self._start):
            peak, peak_step = max((last.peak, last.peak_step), (self._peak, self._peak_step))
            self.episode = replace(last, peak=peak, peak_step=peak_step, end=None, recovered=False)
            return []
        self.episode = Episode("divergence", self._start, self._level, self._peak, self._peak_step)
        message = f"loss rose from {self._level:.4g} to {loss:.4g} within {step - self._start + 1} steps"
        return [Alert(step, "divergence", "error", message)]

    def _judge_spike(self, step: int, loss: float, residual: float, level: float) -> list[Alert]:
        """A spike is told apart from the start of a divergence by its end, so it is reported once it is over."""
        self._calm = 0 if residual > CALM_SIGMA else self._calm + 1
        if self._jumped is None and residual > SPIKE_SIGMA:
            far_off = residual > SPIKE_RATIO * SPIKE_SIGMA if self._linear else loss > SPIKE_RATIO * level
            self._jumped = step if far_off else None
        if self._jumped is None or (self._sum and self._calm < CALM_STEPS):
            return []
        start, self._jumped = self._jumped, None
        fresh, self._since_alert = self._since_alert > QUIET, 0
        if not fresh:
            return []
        steps = step - self._calm + 1 - start
        self.episode = Episode("spike", start, self._level, self._peak, self._peak_step, start + steps, recovered=True)
        message = f"loss jumped from {self._level:.4g} to {self._peak:.4g} for {steps} step{'s' * (steps != 1)}"
        return [Alert(start, "spike", "warning", f"{message}, then came back")]

    def _follow(self, step: int, loss: float, x: float, residual: float) -> None:
        """Watch how an open divergence goes on."""
        episode = self.episode
        assert episode is not None
        if loss > episode.peak:
            self.episode = episode = replace(episode, peak=loss, peak_step=step)
        self._sum += min(residual, CAP) - self._needed
        if self._sum >= LIMIT:
            self._sum, self._newest_high = LIMIT, step
        if self._sum <= 0:
            self.episode = replace(episode, end=self._newest_high + 1, recovered=True)
            self._diverging, self._sum, self._since_alert = False, 0.0, step - self._newest_high
            self._recent.extend([x] * LAG)
        elif step - episode.start >= PLATEAU:
            self.episode = replace(episode, end=step)
            self._begin(x, max(PRIOR_DEVIATION * (abs(x) if self._linear else 1.0), self._deviation))
