"""Alerts computed afterwards, from the points of an ordinary scalar that TensorBoard kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.episode import QUIET
from tb_gradclip.core.monitors.loss import LossMonitor
from tb_gradclip.core.monitors.nonfinite import NonfiniteMonitor
from tb_gradclip.core.places import at_steps

POINT_DTYPE = np.dtype([("step", "<i8"), ("wall_time", "<f8"), ("loss", "<f8")])
"""A point of a loss curve: its step, seconds since 1970, and the loss, which may be NaN or infinite."""


def in_order(points: NDArray[np.void]) -> NDArray[np.void]:
    """Points as they were written, shape [n], without those that a later one took back, shape [k]: steps ascend.

    A training that goes on from a checkpoint writes some steps again; what was written last holds. Several points at
    one step are one: the last. Points without a finite time are left out.
    """
    points = points[np.isfinite(points["wall_time"])]
    if len(points) == 0:
        return points
    step = points["step"]
    least_after = np.minimum.accumulate(step[::-1])[::-1]
    return points[np.append(step[:-1] < least_after[1:], True)]


class ComputedAlerts:
    """Non-finite losses, divergences and spikes along a curve that may grow, as the recorder finds them in every step.

    To `LossMonitor` and `NonfiniteMonitor` the points are consecutive steps: all they count in steps they count in
    points, and where points lie further apart than a step, messages say so. Where TensorBoard kept one point in a
    hundred, a divergence is told five points, or 500 steps, after its start, and what lies between two points is not
    seen. Steps of alerts and episodes are those of points.
    """

    def __init__(self) -> None:
        self._loss, self._nonfinite = LossMonitor(), NonfiniteMonitor()
        self._steps: list[int] = []
        self._wall_times: list[float] = []
        self._found: list[Alert] = []
        """Alerts and their episodes, whose steps are places among the points."""
        self._newest: int | None = None
        """Which of them is the newest divergence."""

    @property
    def alerts(self) -> list[Alert]:
        """All so far in order of step, divergences with what is known of how they went on."""
        return [self._at_steps(alert) for alert in sorted(self._found, key=lambda alert: alert.step)]

    def beside(self, recorded: list[Alert]) -> list[Alert]:
        """Those that a recorder of the same run did not tell already, so that one divergence is not two markers.

        Two alerts are the same if they are of a kind and one began less than `QUIET` steps, or the usual distance of
        two points if that is more, after the other was told.
        """
        steps = self._steps or [0]
        apart = max(QUIET, (steps[-1] - steps[0]) // len(steps))
        return [alert for alert in self.alerts if not any(_same(alert, other, apart) for other in recorded)]

    def extend(self, points: NDArray[np.void]) -> None:
        """Take the next points of the curve, in order of step."""
        for step, wall_time, loss in points.tolist():
            place, before = len(self._steps), self._loss.episode
            self._steps.append(step)
            self._wall_times.append(wall_time)
            for alert in [*self._nonfinite.observe(place, loss, 0.0, 0), *self._loss.observe(place, loss)]:
                self._tell(alert)
            if self._loss.episode is not before:
                self._go_on()

    def _tell(self, alert: Alert) -> None:
        if alert.kind == "nonfinite" and alert.end is not None:  # told before, and over now
            places = [place for place, told in enumerate(self._found) if told.kind == alert.kind]
            self._found[places[-1]] = alert
            return
        if alert.kind == "divergence":
            self._newest = len(self._found)
        episode = self._loss.episode
        self._found.append(alert if episode is None or episode.kind != alert.kind else episode.told_by(alert))

    def _go_on(self) -> None:
        """Note what is new of the newest divergence."""
        episode = self._loss.episode
        if episode is None or self._newest is None or episode.kind != "divergence":
            return
        self._found[self._newest] = episode.told_by(self._found[self._newest])

    def _at_steps(self, alert: Alert) -> Alert:
        """An alert whose steps are places among the points, at the points' steps."""
        return replace(at_steps(alert, self._steps), wall_time=self._wall_times[alert.step])


def _same(alert: Alert, other: Alert, apart: int) -> bool:
    """Whether they are of one kind, and one began before the other had been told for so many steps."""
    if alert.kind != other.kind:
        return False
    first, second = sorted((_span(alert), _span(other)))
    return second[0] <= first[1] + apart


def _span(alert: Alert) -> tuple[int, int]:
    return (alert.step if alert.start is None else min(alert.start, alert.step)), alert.step
