"""What goes wrong in a run, step by step: alerts with the parameters to blame, and how what they tell of went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.blame import MOST, Departure, ShareTracker, misfits
from tb_gradclip.core.monitors.episode import QUIET, Episode
from tb_gradclip.core.monitors.explosion import ExplosionMonitor
from tb_gradclip.core.monitors.loss import LossMonitor
from tb_gradclip.core.monitors.nonfinite import NonfiniteMonitor
from tb_gradclip.core.monitors.plateau import PlateauMonitor
from tb_gradclip.core.monitors.regime import RegimeMonitor
from tb_gradclip.core.monitors.vanishing import VanishingMonitor, WholeVanishingMonitor
from tb_gradclip.core.monitors.zero_step import ZeroStepMonitor, zeroed
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Outcome

BLAMED = {"nonfinite", "divergence", "spike", "explosion", "zero_step"}
"""Kinds of alert that somebody may have begun."""


class TroubleMonitor:
    """Watches every step of a run that trains these parameters, in 7 microseconds a step.

    Whom an alert blames: of what does not come from gradients (`plateau`, `regime`) nobody; of `vanishing` what its
    monitor says; else the parameters whose shares of the squared norm left their past (`blame.ShareTracker`). Where the
    run is too young to have one, or none left it, weights that were not initialised as the others come first
    (`blame.misfits`), with as many steps of lead as there were.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._loss, self._nonfinite = LossMonitor(), NonfiniteMonitor()
        self._explosion, self._zero_step = ExplosionMonitor(), ZeroStepMonitor()
        self._vanishing, self._whole = VanishingMonitor(parameters), WholeVanishingMonitor()
        self._regime, self._plateau = RegimeMonitor(), PlateauMonitor()
        self._shares = ShareTracker(tuple(parameter.name for parameter in parameters))
        self._misfits, self._first_step = misfits(parameters), -1
        self._episode: Episode | None = None
        self._divergence: Alert | None = None
        self._open: dict[tuple[str, int], Alert] = {}
        self._over: list[Alert] = []

    def observe(self, measured: Measurements, rows: NDArray[np.void], outcome: Outcome) -> list[Alert]:
        """Take the next steps, their rows of the step table and what clipping did; returns the alerts they raise."""
        alerts: list[Alert] = []
        seen = 0
        self._first_step = int(measured.steps[0]) if self._first_step < 0 else self._first_step
        vanished, zero = self._vanishing.observe(measured), zeroed(measured, outcome)
        kind, given = measured.rule.kind, measured.losses is not None
        for t, (row, nothing) in enumerate(zip(rows.tolist(), zero.tolist(), strict=True)):
            step, wall_time, loss, _, norm, _, _, clipped, nonfinite, skipped = row
            found = self._loss.observe(step, loss) if given else []
            known = loss if given else None
            lasting = self._nonfinite.observe(step, known, 0.0 if nothing else norm, nonfinite, skipped)
            lasting += self._explosion.observe(step, norm)
            lasting += self._zero_step.observe(step, nothing)
            lasting += self._regime.observe(step, kind, norm, clipped, skipped)
            if given:
                lasting += self._whole.observe(step, loss, norm)
                lasting += self._plateau.observe(step, loss)
            if vanished:
                lasting += vanished.get(t, ())
            if lasting:
                found = self._new(lasting) + found
            if found:
                self._shares.observe(measured.steps[seen : t + 1], measured.norms_before[seen : t + 1])
                seen = t + 1
                alerts += [self._told(alert, wall_time) for alert in found]
            if self._loss.episode is not self._episode:
                self._go_on()
        self._shares.observe(measured.steps[seen:], measured.norms_before[seen:])
        over = None if self._divergence is None else self._divergence.end
        if over is not None and measured.steps[-1] >= over + QUIET:  # sooner it may go on
            self._finish_divergence()
        return alerts

    def finish(self) -> None:
        """Take everything that is still going on for complete."""
        self._finish_divergence()
        monitors = (self._explosion, self._zero_step, self._vanishing, self._whole, self._plateau)
        lasting = [monitor.alert for monitor in monitors if monitor.alert is not None]
        self._new(self._nonfinite.open + lasting)

    def over(self) -> list[Alert]:
        """Alerts that were told before and are complete now, each once."""
        over, self._over = self._over, []
        return over

    def _new(self, alerts: list[Alert]) -> list[Alert]:
        """Alerts that were not told yet; of the others what is new is kept for `over`."""
        new = []
        for alert in alerts:
            told = self._open.pop((alert.kind, alert.step), None)
            if told is not None:
                known = {name: getattr(told, name) for name in ("wall_time", "parameter", "departures")}
                self._over += [complete] if (complete := replace(alert, **known)) != told else []
            elif alert.end is None and not (alert.kind == "explosion" and self._diverges):
                new.append(alert)
        return new

    @property
    def _diverges(self) -> bool:
        """Whether the loss has told already what the norm could."""
        episode = self._loss.episode
        return episode is not None and episode.kind == "divergence" and episode.end is None

    def _told(self, alert: Alert, wall_time: float) -> Alert:
        """An alert with all that is known when it is told."""
        alert = replace(alert, wall_time=wall_time)
        if alert.kind in BLAMED:
            departures = self._departures(alert.step)
            alert = replace(alert, parameter=departures[0].parameter if departures else None, departures=departures)
        episode = self._loss.episode
        if episode is not None and episode.kind == alert.kind:
            alert = episode.told_by(alert)
        if alert.kind == "divergence":
            self._finish_divergence()
            self._divergence = alert
        elif alert.start is not None and alert.end is None:
            self._open[alert.kind, alert.step] = alert
        return alert

    def _departures(self, step: int) -> tuple[Departure, ...]:
        """Who is to blame: where a run has no past, or nobody left it, weights that were wrong from the start."""
        found = self._shares.departures(step)
        if self._misfits and (self._shares.is_young or not found):
            wrong = [Departure(name, step - self._first_step) for name in self._misfits]
            found = (wrong + [departure for departure in found if departure.parameter not in self._misfits])[:MOST]
        return tuple(found)

    def _finish_divergence(self) -> None:
        if self._divergence is not None:
            self._over.append(self._divergence)
            self._divergence = None

    def _go_on(self) -> None:
        """Note what is new of the loss's episode."""
        self._episode = episode = self._loss.episode
        if episode is not None and self._divergence is not None and self._divergence.start == episode.start:
            self._divergence = episode.told_by(self._divergence)
