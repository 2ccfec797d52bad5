"""What goes wrong in a run, step by step: alerts with the parameter to blame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.blame import ShareTracker
from tb_gradclip.core.divergence import LossMonitor, NonfiniteMonitor
from tb_gradclip.core.rows import Measurements


class TroubleMonitor:
    """Watches losses and norms of a run whose parameters have these names."""

    def __init__(self, parameters: tuple[str, ...]) -> None:
        self._loss, self._nonfinite = LossMonitor(), NonfiniteMonitor()
        self._shares = ShareTracker(parameters)

    def observe(self, measured: Measurements, rows: NDArray[np.void]) -> list[Alert]:
        """Take the next steps, and their rows of the step table; returns the alerts they give rise to."""
        alerts: list[Alert] = []
        seen = 0
        for t, row in enumerate(rows.tolist()):
            step, wall_time, loss, _, norm, _, _, _, nonfinite, skipped = row
            known = None if measured.losses is None else loss
            found = self._nonfinite.observe(step, known, norm, nonfinite, skipped)
            if known is not None:
                found += self._loss.observe(step, loss)
            if found:
                self._shares.observe(measured.steps[seen : t + 1], measured.norms_before[seen : t + 1])
                seen = t + 1
                alerts += [self._blaming(alert, wall_time) for alert in found]
        self._shares.observe(measured.steps[seen:], measured.norms_before[seen:])
        return alerts

    def _blaming(self, alert: Alert, wall_time: float) -> Alert:
        departures = tuple(self._shares.departures(alert.step))
        first = departures[0].parameter if departures else None
        return replace(alert, parameter=first, wall_time=wall_time, departures=departures)
