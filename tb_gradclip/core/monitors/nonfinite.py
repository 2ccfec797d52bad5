"""Losses and gradients that are not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.episode import QUIET


@dataclass
class NonfiniteMonitor:
    """One alert when loss or gradients stop being finite, and once more, complete, after `QUIET` finite steps.

    What a loss scaler skipped did no harm: that is a warning, and hides no error that follows. It is exact, and takes
    0.2 microseconds a step; a NaN that the training loop put something else in place of, it cannot see.
    """

    _open: dict[str, Alert] = field(default_factory=dict)  # by severity
    _newest: dict[str, int] = field(default_factory=dict)  # step that was not finite
    _calm: dict[str, int] = field(default_factory=dict)  # finite steps since then

    @property
    def open(self) -> list[Alert]:
        """What is going on: at most one error and one warning."""
        return list(self._open.values())

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
            return self._closed() if self._open else []
        severity = "warning" if skipped else "error"
        self._calm[severity], self._newest[severity] = 0, step
        if severity in self._open:
            return []
        self._open[severity] = Alert(step, "nonfinite", severity, " and ".join(problems), start=step)
        return [self._open[severity]]

    def _closed(self) -> list[Alert]:
        """Take a finite step; what is over by now."""
        self._calm = {severity: steps + 1 for severity, steps in self._calm.items()}
        over = [severity for severity in self._open if self._calm[severity] >= QUIET]
        return [replace(self._open.pop(s), end=self._newest[s] + 1, recovered=True) for s in over]


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite" if math.isinf(value) else f"{value:.4g}"
