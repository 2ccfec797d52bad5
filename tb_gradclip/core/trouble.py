"""What goes wrong in a run, step by step: alerts with the parameters to blame, and how what they tell of went on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.blame import ShareTracker
from tb_gradclip.core.divergence import QUIET, Episode, LossMonitor, NonfiniteMonitor
from tb_gradclip.core.rows import Measurements


class TroubleMonitor:
    """Watches losses and norms of a run whose parameters have these names."""

    def __init__(self, parameters: tuple[str, ...]) -> None:
        self._loss, self._nonfinite = LossMonitor(), NonfiniteMonitor()
        self._shares = ShareTracker(parameters)
        self._episode: Episode | None = None
        self._divergence: Alert | None = None
        self._over: list[Alert] = []

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
                alerts += [self._told(alert, wall_time) for alert in found]
            if self._loss.episode is not self._episode:
                self._go_on()
        self._shares.observe(measured.steps[seen:], measured.norms_before[seen:])
        over = None if self._divergence is None else self._divergence.end
        if over is not None and measured.steps[-1] >= over + QUIET:  # sooner it may go on
            self.finish()
        return alerts

    def finish(self) -> None:
        """Take the newest divergence for complete."""
        if self._divergence is not None:
            self._over.append(self._divergence)
            self._divergence = None

    def over(self) -> list[Alert]:
        """Divergences that were told before and are complete now, each once."""
        over, self._over = self._over, []
        return over

    def _told(self, alert: Alert, wall_time: float) -> Alert:
        """An alert with all that is known when it is told."""
        departures = tuple(self._shares.departures(alert.step))
        first = departures[0].parameter if departures else None
        alert = replace(alert, parameter=first, wall_time=wall_time, departures=departures)
        episode = self._loss.episode
        if episode is not None and episode.kind == alert.kind:
            alert = _in(episode, alert)
        if alert.kind == "divergence":
            self.finish()
            self._divergence = alert
        return alert

    def _go_on(self) -> None:
        """Note what is new of the loss's episode."""
        self._episode = episode = self._loss.episode
        if episode is not None and self._divergence is not None and self._divergence.start == episode.start:
            self._divergence = _in(episode, self._divergence)


def _in(episode: Episode, alert: Alert) -> Alert:
    """An alert with its episode, as far as that is known."""
    return replace(
        alert,
        start=episode.start,
        peak=episode.peak,
        peak_step=episode.peak_step,
        end=episode.end,
        recovered=episode.recovered,
    )
