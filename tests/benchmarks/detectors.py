"""What detects spikes and divergence elsewhere, each by its published rule, one loss at a time.

A detector is a function of step and loss that returns what it has to say about the step, mostly nothing. Rivals say
"any": none tells spikes from divergence, so whatever happened counts as found. One that flags each bad step counts as
silent until `QUIET` of its steps in a row were calm, as ours is. Gradient norms, which some of these rules judge as
well, are not part of it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from tb_gradclip.core.monitors.loss import LossMonitor
from tb_gradclip.core.monitors.nonfinite import NonfiniteMonitor

Detector = Callable[[int, float], list[str]]
QUIET = 50


def ours() -> Detector:
    """Both monitors of this package, as the recorder has them."""
    loss_monitor, nonfinite = LossMonitor(), NonfiniteMonitor()

    def observe(step: int, loss: float) -> list[str]:
        broken = [alert for alert in nonfinite.observe(step, loss, 1.0, 0) if alert.end is None]
        return [alert.kind for alert in broken + loss_monitor.observe(step, loss)]

    return observe


def episodes(flags: Callable[[float], bool]) -> Detector:
    """One word for each run of flagged steps."""
    calm = QUIET

    def observe(step: int, loss: float) -> list[str]:
        nonlocal calm
        flagged = flags(loss)
        opens, calm = flagged and calm >= QUIET, 0 if flagged else calm + 1
        return ["any"] if opens else []

    return observe


class RollingSigma:
    """The loss is so many standard deviations above the mean of the last `window` losses."""

    def __init__(self, window: int, limit: float, after: int, two_sided: bool) -> None:
        self._past: deque[float] = deque(maxlen=window)
        self._limit, self._after, self._two_sided = limit, after, two_sided
        self._sum = self._squares = 0.0

    def __call__(self, loss: float) -> bool:
        if not math.isfinite(loss):  # a comparison with NaN is false; kept out of the window, where it would stay
            return False
        n = len(self._past)
        flagged = False
        if n >= self._after:
            mean = self._sum / n
            spread = math.sqrt(max(self._squares / n - mean * mean, 0.0) * n / (n - 1))
            away = abs(loss - mean) if self._two_sided else loss - mean
            flagged = away > self._limit * spread > 0
        if n == self._past.maxlen:
            oldest = self._past[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        self._past.append(loss)
        self._sum += loss
        self._squares += loss * loss
        return flagged


def olmo2() -> Detector:
    """More than 7 standard deviations above the mean of the last 1000; OLMo 2 (arXiv 2501.00656), section 3.2.

    The report gives no start; here 100 losses must have been seen.
    """
    return episodes(RollingSigma(1000, 7, 100, two_sided=False))


def olmo_core() -> Detector:
    """More than 6 standard deviations off the mean of the last 128, from 64 on; `SkipStepOptimizer` of OLMo-core."""
    return episodes(RollingSigma(128, 6, 64, two_sided=True))


def fabric() -> Detector:
    """Off the mean of the last 10 losses by twice that mean or more, and worse than the last one, or not finite.

    `SpikeDetection` of Lightning Fabric 2.6 with its defaults; what it flags does not enter the mean.
    """
    recent: deque[float] = deque(maxlen=10)

    def flags(loss: float) -> bool:
        if not recent:
            recent.append(loss)
            return False
        mean = sum(recent) / len(recent)
        flagged = not math.isfinite(loss) or (loss > recent[-1] and abs(loss - mean) >= abs(2.0 * mean))
        if not flagged:
            recent.append(loss)
        return flagged

    return episodes(flags)


def zclip() -> Detector:
    """z > 2.5 with moving mean and variance of weight 0.03 after 25 steps; ZClip (arXiv 2504.02507), on the loss.

    A flagged value enters the mean as what it would have been clipped to, mean + 2.5 sigma / (z / 2.5).
    """
    first: list[float] = []
    mean = variance = 0.0

    def flags(loss: float) -> bool:
        nonlocal mean, variance
        if not math.isfinite(loss):
            return False
        if len(first) < 25:
            first.append(loss)
            mean, variance = float(np.mean(first)), float(np.var(first))
            return False
        sigma = math.sqrt(variance)
        z = (loss - mean) / (sigma + 1e-6)
        if z > 2.5:
            loss = mean + 2.5 * sigma / (z / 2.5)
        mean = 0.97 * mean + 0.03 * loss
        variance = 0.97 * variance + 0.03 * (loss - mean) ** 2
        return z > 2.5

    return episodes(flags)


def terminate_on_nan() -> Detector:
    """Not finite; Keras' `TerminateOnNaN`, here on the loss of the step where Keras has the mean of the epoch."""
    return episodes(lambda loss: not math.isfinite(loss))


def log_mad() -> Detector:
    """Logarithm more than 8 robust sigma above the median of the last 100 losses, from 50 on.

    The usual outlier rule with the median absolute deviation (Hampel, JASA 69, 1974). Once a loss was not positive it
    begins anew with the losses themselves.
    """
    past: deque[float] = deque(maxlen=100)
    centre = spread = 0.0
    seen = 0
    linear = False

    def flags(loss: float) -> bool:
        nonlocal centre, spread, seen, linear
        if not math.isfinite(loss):
            return False
        if loss <= 0 and not linear:
            linear, seen = True, 0
            past.clear()
        x = loss if linear else math.log(loss)
        if seen >= 50 and seen % 10 == 0:  # medians are slow: every tenth step
            window = np.array(past)
            centre = float(np.median(window))
            spread = 1.4826 * float(np.median(np.abs(window - centre)))
        seen += 1
        past.append(x)
        return seen > 50 and x - centre > 8 * max(spread, 1e-3)

    return episodes(flags)


DETECTORS: dict[str, Callable[[], Detector]] = {
    "ours": ours,
    "OLMo 2, 7 sigma of 1000": olmo2,
    "OLMo-core, 6 sigma of 128": olmo_core,
    "Lightning Fabric": fabric,
    "ZClip, z > 2.5": zclip,
    "Keras TerminateOnNaN": terminate_on_nan,
    "log-MAD, 8 sigma of 100": log_mad,
}
