"""Steps whose gradients clipping turned into zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.episode import QUIET
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Outcome


def zeroed(measured: Measurements, outcome: Outcome) -> NDArray[np.bool_]:
    """Which of T steps clipping made zero: shape [T].

    Under `global_norm` every gradient is multiplied by threshold / norm, which is 0 where the norm overflowed though
    the norm of each parameter is finite and not all are 0, and the threshold is positive. Where a parameter's norm is
    infinite too, its elements may be: that is told as not finite.
    """
    none = np.zeros(len(measured.steps), bool)
    if measured.rule.kind != "global_norm" or outcome.coefficient.all():
        return none
    made = ~none if measured.skipped is None else ~measured.skipped
    sound = np.isfinite(measured.norms_before).all(axis=1) & measured.norms_before.any(axis=1)
    frozen: NDArray[np.bool_] = (outcome.coefficient == 0) & (measured.thresholds > 0) & sound & made
    return frozen


class ZeroStepMonitor:
    """One alert when clipping turns gradients into zeros, and again when that did not happen for 50 steps.

    Exact, but for steps whose parameters' norms overflow as well (see `zeroed`), and free where there are none. What
    the optimizer adds by itself, momentum or weight decay, still moves the weights.
    """

    def __init__(self) -> None:
        self.alert: Alert | None = None
        self._newest = 0  # zero step

    def observe(self, step: int, zero: bool) -> list[Alert]:
        """Take one step, and whether clipping made it zero."""
        alert = self.alert
        if zero:
            self._newest = step
            if alert is None:
                self.alert = Alert(
                    step, "zero_step", "error", "the norm overflowed, so clipping made all gradients 0", start=step
                )
                return [self.alert]
        elif alert is not None and step - self._newest >= QUIET:
            self.alert = None
            return [replace(alert, end=self._newest + 1, recovered=True)]
        return []
