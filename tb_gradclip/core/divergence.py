"""From a stream of losses and gradient norms to alerts: non-finite steps, divergence, spikes.

Strategy: the loss of a healthy run, on a logarithmic axis, wanders slowly around an exponentially weighted mean with
a scale that is learned along the way. A capped CUSUM of the standardised residual asks whether the last few losses
are jointly too high. The cap is what makes it work: one bad batch adds at most 3 to the sum, so only a jump that
lasts crosses the limit, however large a single outlier was. One alert is raised for an episode, not one a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from tb_gradclip.core.alert import Alert

SLACK = 1.0
CAP = 4.0
LIMIT = 12.0
"""CUSUM constants, in standard deviations: S <- max(0, S + min(r, CAP) - SLACK), alert when S > LIMIT."""

WARM_UP = 50
"""Steps before the first alert about the loss: mean and scale are still being learned."""

SLOWEST_RATE = 0.02
"""Weight of the newest loss in the running mean once 50 have been seen; 1/n before."""

WINSOR = 3.0
"""Residuals beyond this many standard deviations update mean and scale as if they were this large."""

MAD_TO_SIGMA = 1.2533141373155003
"""Standard deviation of a normal variable over its mean absolute deviation, sqrt(pi / 2)."""

SMALLEST_SIGMA = 1e-3
"""A loss that hardly moves must not turn numerical noise into an alert: 0.1 % of the loss counts as one sigma."""

SPIKE_SIGMA = 6.0
SPIKE_RATIO = 1.5
"""A spike is a loss both 6 sigma and 1.5 times above its running mean."""

QUIET = 50
"""Calm steps that end an episode; the next alert of its kind then opens a new one."""


class LossMonitor:
    """Streaming detector of divergence and spikes in the loss; O(1) time and memory a step.

    With x = log(loss) (or the loss itself, once a loss is not positive), m and d exponentially weighted mean and mean
    absolute deviation of x, sigma = max(1.2533 d, 0.001) and r = (x - m) / sigma:

    - divergence: S <- max(0, S + min(r, 4) - 1) exceeds 12, so at least five steps of jump;
    - spike: r > 6 and loss > 1.5 exp(m) for a few steps, reported when it is over, unless a divergence came of it.

    Nothing is said in the first 50 steps. Non-finite losses are skipped: they are `NonfiniteMonitor`'s. A loss that
    jumps between tasks or data sets looks like a divergence to it; a slow drift upwards does not.
    Source of the rule and its constants: Page's CUSUM (Biometrika 41, 1954) with Huber's winsorised updates.
    """

    def __init__(self) -> None:
        self._linear = False
        self._restart()

    def _restart(self) -> None:
        self._seen = 0
        self._mean = 0.0
        self._deviation = 0.0
        self._sum = 0.0
        self._onset: tuple[int, float] | None = None
        self._spike: Alert | None = None
        self._calm: dict[str, int] = {"divergence": QUIET, "spike": QUIET}

    def observe(self, step: int, loss: float) -> list[Alert]:
        """Take the loss of one step; returns the alerts it gives rise to, mostly none."""
        if not math.isfinite(loss):
            return []
        if loss <= 0 and not self._linear:
            self._linear = True
            self._restart()
        x = loss if self._linear else math.log(loss)
        self._seen += 1
        if self._seen == 1:
            self._mean = x
            return []
        floor = SMALLEST_SIGMA * (max(abs(self._mean), 1e-12) if self._linear else 1.0)
        sigma = max(MAD_TO_SIGMA * self._deviation, floor)
        residual = (x - self._mean) / sigma
        expected = self._mean if self._linear else math.exp(self._mean)
        alerts = self._judge(step, loss, residual, expected) if self._seen > WARM_UP else []
        self._learn(x, sigma)
        return alerts

    def _learn(self, x: float, sigma: float) -> None:
        rate = max(SLOWEST_RATE, 1.0 / self._seen)
        # The first losses fall fast and set the scale; winsorising them against a scale of nothing would freeze it.
        bound = WINSOR * sigma if self._seen > WARM_UP // 5 else math.inf
        residual = min(max(x - self._mean, -bound), bound)
        self._mean += rate * residual
        self._deviation += rate * (abs(residual) - self._deviation)

    def _judge(self, step: int, loss: float, residual: float, expected: float) -> list[Alert]:
        if self._sum == 0:
            self._onset = (step, expected)
        self._sum = max(0.0, self._sum + min(residual, CAP) - SLACK)
        diverges = self._sum > LIMIT
        if diverges:
            self._sum = LIMIT + SLACK  # a run that comes back must not have to work off a mountain first
            self._spike = None
        alerts = []
        if self._opens("divergence", diverges):
            onset, level = self._onset or (step, expected)
            message = f"loss rose from {level:.4g} to {loss:.4g} within {step - onset + 1} steps"
            alerts.append(Alert(step, "divergence", "error", message))
        elif self._calm["divergence"] > 0:
            alerts += self._judge_spike(step, loss, residual, expected)
        return alerts

    def _judge_spike(self, step: int, loss: float, residual: float, expected: float) -> list[Alert]:
        """A spike is told apart from the start of a divergence by its end, so it is reported once it is over."""
        high = residual > SPIKE_SIGMA and (self._linear or loss > SPIKE_RATIO * expected)
        if self._opens("spike", high):
            message = f"loss jumped from {expected:.4g} to {loss:.4g}"
            self._spike = Alert(step, "spike", "warning", message)
        if high or self._spike is None:
            return []
        spike, self._spike = self._spike, None
        lasted = step - spike.step
        message = f"{spike.message} for {lasted} step{'s' * (lasted != 1)}, then came back"
        return [replace(spike, message=message)]

    def _opens(self, kind: str, now: bool) -> bool:
        """Whether an episode begins at this step; it lasts until `QUIET` steps in a row were calm."""
        opens = now and self._calm[kind] >= QUIET
        self._calm[kind] = 0 if now else self._calm[kind] + 1
        return opens


@dataclass
class NonfiniteMonitor:
    """One alert when loss or gradients stop being finite, another only after `QUIET` finite steps in between.

    What a loss scaler skipped did no harm: that is a warning, and hides no error that follows.
    """

    _calm: dict[str, int] = field(default_factory=lambda: {"error": QUIET, "warning": QUIET})

    def observe(
        self, step: int, loss: float | None, norm: float, parameters: int, skipped: bool = False
    ) -> list[Alert]:
        """Take one step: its loss (None if not given), its joint norm, how many parameters' norms are not finite."""
        problems = []
        if loss is not None and not math.isfinite(loss):
            problems.append(f"loss is {_spelled(loss)}")
        if parameters or not math.isfinite(norm):
            count = f" in {parameters} parameter{'s' * (parameters != 1)}" if parameters else ""
            problems.append(f"gradient norm is {_spelled(norm)}{count}")
        if skipped:
            problems = [" and ".join([*problems, "the loss scaler skipped the step"])]
        if not problems:
            self._calm = {severity: steps + 1 for severity, steps in self._calm.items()}
            return []
        severity = "warning" if skipped else "error"
        opens, self._calm[severity] = self._calm[severity] >= QUIET, 0
        return [Alert(step, "nonfinite", severity, " and ".join(problems))] if opens else []


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite" if math.isinf(value) else f"{value:.4g}"
