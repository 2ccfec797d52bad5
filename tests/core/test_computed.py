"""Alerts from the points of a scalar, against the recorder's own monitors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.computed import POINT_DTYPE, ComputedAlerts, in_order
from tb_gradclip.core.monitors.loss import LossMonitor
from tb_gradclip.core.monitors.nonfinite import NonfiniteMonitor


def curve(losses: np.ndarray, every: int = 1, first: int = 0) -> np.ndarray:
    """Each `every`-th of the losses, of one step a second."""
    points = np.zeros(len(losses), POINT_DTYPE)
    points["step"] = points["wall_time"] = first + np.arange(len(losses))
    points["loss"] = losses
    return points[::every]


def healthy(steps: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, 0.05, steps)) * (1.6 + 3 * np.exp(-np.arange(steps) / 300))


def computed(points: np.ndarray) -> list[Alert]:
    found = ComputedAlerts()
    found.extend(points)
    return found.alerts


values = st.one_of(st.floats(0.5, 8), st.sampled_from([np.nan, np.inf, 50.0, 0.0, -1.0]))
losses = st.lists(values, max_size=150).map(np.array)


@given(losses, st.integers(0, 2**40))
def test_of_every_step_they_are_what_the_recorder_tells(losses: np.ndarray, first: int) -> None:
    loss, nonfinite, told = LossMonitor(), NonfiniteMonitor(), []
    for step, value in enumerate(losses.tolist(), first):
        told += [alert for alert in nonfinite.observe(step, value, 0.0, 0) if alert.end is None]
        told += loss.observe(step, value)
    found = computed(curve(losses, first=first))
    key = lambda alert: (alert.step, alert.kind, alert.severity, alert.message)  # noqa: E731
    assert sorted(map(key, found)) == sorted(map(key, told))
    assert all(alert.wall_time == alert.step for alert in found)


@given(losses, st.lists(st.integers(0, 150), max_size=4))
def test_a_curve_in_pieces_gives_the_same_alerts(losses: np.ndarray, cuts: list[int]) -> None:
    found = ComputedAlerts()
    for piece in np.split(curve(losses), sorted(cuts)):
        found.extend(piece)
    assert found.alerts == computed(curve(losses))


@given(losses, st.integers(2, 1000))
def test_steps_are_those_of_points_however_far_apart(losses: np.ndarray, every: int) -> None:
    near, far = curve(losses), curve(losses)
    far["step"] *= every
    scaled = [
        replace(a, **{name: None if getattr(a, name) is None else getattr(a, name) * every for name in PLACES})
        for a in computed(near)
    ]
    said = [replace(alert, message=alert.message.replace("point", "step")) for alert in computed(far)]
    assert said == scaled


PLACES = ("step", "start", "peak_step", "end")


@pytest.mark.parametrize("every", [1, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_divergence_that_ends_is_told_with_its_peak_and_its_end(every: int, seed: int) -> None:
    losses = healthy(3000, seed)
    losses[1500:1950] *= 6
    (alert,) = computed(curve(losses, every))
    assert (alert.kind, alert.severity, alert.start, alert.end) == ("divergence", "error", 1500, 1950)
    assert 1500 < alert.step <= 1500 + 10 * every
    assert alert.recovered
    assert alert.peak == losses[::every].max(initial=0, where=np.arange(3000)[::every] >= 1500)
    assert alert.peak is not None
    assert alert.peak == losses[alert.peak_step]
    assert ("points" in alert.message) == (every > 1)


def test_a_loss_that_stops_being_finite_is_told_once() -> None:
    losses = healthy(2000)
    losses[1000:] = np.nan
    (alert,) = computed(curve(losses, 5))
    assert (alert.kind, alert.step, alert.message) == ("nonfinite", 1000, "loss is NaN")


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1.0, 2.0, np.nan])), max_size=30))
def test_what_was_written_last_holds(written: list[tuple[int, float]]) -> None:
    """As TensorBoard's fast loader does it: a point takes back all that are not before it."""
    kept: list[tuple[int, float]] = []
    points = np.array([(step, 1.0, value) for step, value in written], POINT_DTYPE)
    for step, value in written:
        kept = [*(each for each in kept if each[0] < step), (step, value)]
    found = in_order(points)
    assert found["step"].tolist() == [step for step, _ in kept]
    np.testing.assert_array_equal(found["loss"], [value for _, value in kept])


def test_a_point_without_a_time_is_left_out() -> None:
    points = curve(healthy(4))
    points["wall_time"][1:3] = np.nan, np.inf
    assert in_order(points)["step"].tolist() == [0, 3]


def divergence(start: int, step: int) -> Alert:
    return Alert(step, "divergence", "error", "", start=start)


@pytest.mark.parametrize("every", [1, 100])
def test_what_the_recorder_told_is_not_told_again(every: int) -> None:
    losses = healthy(40_000)
    losses[20_000:] *= 6
    found = ComputedAlerts()
    found.extend(curve(losses, every))
    (alert,) = found.alerts
    assert found.beside([]) == [alert]
    assert found.beside([divergence(20_000, 20_005)]) == []
    assert found.beside([divergence(20_000 - every + 1, 20_005)]) == []
    assert found.beside([replace(divergence(20_000, 20_005), kind="spike")]) == [alert]
    assert found.beside([divergence(2_000, 2_005)]) == [alert]
    assert found.beside([divergence(30_000, 30_005)]) == [alert]
