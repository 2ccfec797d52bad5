"""Monitors count in steps. Where only some steps are known they are told places among those, and answer in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Outcome
from tb_gradclip.core.structured import copied
from tb_gradclip.core.trouble import TroubleMonitor


def at_steps(alert: Alert, steps: Sequence[int]) -> Alert:
    """An alert whose steps are places among `steps`, at the steps there.

    Where these lie further apart than a step, its message counts points. Its departures lead by the steps that lie
    between. A place after the last is the step after the last.
    """

    def at(place: int) -> int:
        return steps[place] if place < len(steps) else steps[-1] + 1

    sparse = steps[-1] - steps[0] >= len(steps)
    return replace(
        alert,
        step=at(alert.step),
        message=alert.message.replace(" step", " point") if sparse else alert.message,
        departures=tuple((name, at(alert.step) - at(max(alert.step - lead, 0))) for name, lead in alert.departures),
        start=None if alert.start is None else at(alert.start),
        peak_step=None if alert.peak_step is None else at(alert.peak_step),
        end=None if alert.end is None else at(alert.end),
    )


class PlacedTroubleMonitor:
    """A `TroubleMonitor` of a run of which not every step is known: to its monitors known steps are consecutive.

    What they call 50 steps are then 50 known ones, however far apart; messages say "points" where that makes a
    difference. Steps of alerts and of episodes are those that are known.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._monitor = TroubleMonitor(parameters)
        self._steps: list[int] = []

    def observe(self, measured: Measurements, rows: NDArray[np.void], outcome: Outcome) -> list[Alert]:
        """Take the next known steps; as `TroubleMonitor.observe`."""
        places = np.arange(len(self._steps), len(self._steps) + len(rows))
        self._steps += rows["step"].tolist()
        placed = copied(rows)
        placed["step"] = places
        return self._at_steps(self._monitor.observe(replace(measured, steps=places), placed, outcome))

    def finish(self) -> None:
        """Take everything that is still going on for complete."""
        self._monitor.finish()

    def over(self) -> list[Alert]:
        """Alerts that were told before and are complete now, each once."""
        return self._at_steps(self._monitor.over())

    def _at_steps(self, alerts: list[Alert]) -> list[Alert]:
        return [at_steps(alert, self._steps) for alert in alerts]
