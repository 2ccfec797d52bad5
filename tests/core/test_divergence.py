"""Alerts on losses made to misbehave, and silence on those that do not."""

import math
import random
from collections.abc import Callable

import pytest

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.divergence import LossMonitor, NonfiniteMonitor


def alerts(loss: Callable[[int, float], float], steps: int = 2000, seed: int = 0) -> list[Alert]:
    """Alerts on a loss that falls from 4.6 to 1.6 with correlated noise of 5 %, changed by `loss`."""
    noise, wander, monitor, found = random.Random(seed), 0.0, LossMonitor(), []
    for step in range(steps):
        wander = 0.5 * wander + noise.gauss(0, 0.05)
        healthy = math.exp(wander) * (1.6 + 3 * math.exp(-step / 300))
        found += monitor.observe(step, loss(step, healthy))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_loss_raises_nothing(seed: int) -> None:
    assert alerts(lambda _, loss: loss, seed=seed) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_loss_that_rises_and_stays_is_one_divergence_found_within_ten_steps(seed: int) -> None:
    found = alerts(lambda step, loss: loss * (4 if step >= 1500 else 1), seed=seed)
    assert [alert.kind for alert in found] == ["divergence"]
    assert 1500 < found[0].step <= 1510
    assert found[0].severity == "error"
    assert "loss rose from" in found[0].message


@pytest.mark.parametrize("seed", range(10))
def test_one_bad_batch_is_a_spike_and_no_divergence(seed: int) -> None:
    found = alerts(lambda step, loss: loss * (20 if step == 1234 else 1), seed=seed)
    assert [(alert.kind, alert.step, alert.severity) for alert in found] == [("spike", 1234, "warning")]


def test_a_learning_rate_drop_raises_nothing() -> None:
    assert alerts(lambda step, loss: loss * (0.3 if step >= 1000 else 1)) == []


def test_a_second_divergence_after_a_recovery_is_told_apart_from_the_first() -> None:
    found = alerts(lambda step, loss: loss * (4 if 500 <= step < 530 or step >= 1500 else 1))
    assert [alert.kind for alert in found] == ["divergence", "divergence"]


def test_losses_below_zero_are_watched_too() -> None:
    found = alerts(lambda step, loss: -3 + 0.1 * loss + (2 if step >= 1500 else 0))
    assert [alert.kind for alert in found] == ["divergence"]


def test_the_first_steps_raise_nothing() -> None:
    assert alerts(lambda step, loss: loss * (100 if step in (5, 6, 7) else 1), steps=50) == []


def test_one_alert_marks_the_step_from_which_nothing_is_finite() -> None:
    monitor = NonfiniteMonitor()
    found = [a for step in range(100) for a in monitor.observe(step, math.nan if step >= 40 else 1.0, 1.0, 0)]
    assert [(alert.step, alert.kind, alert.message) for alert in found] == [(40, "nonfinite", "loss is NaN")]


def test_the_message_says_what_is_not_finite() -> None:
    (alert,) = NonfiniteMonitor().observe(3, 2.0, math.inf, 2)
    assert alert.message == "gradient norm is infinite in 2 parameters"


def test_a_step_without_a_loss_is_judged_by_its_norm_alone() -> None:
    assert NonfiniteMonitor().observe(0, None, 1.0, 0) == []


def test_a_skipped_step_is_a_warning_and_hides_no_error_that_follows() -> None:
    monitor = NonfiniteMonitor()
    (warning,) = monitor.observe(0, 2.0, math.inf, 1, skipped=True)
    assert (warning.severity, warning.message) == (
        "warning",
        "gradient norm is infinite in 1 parameter and the loss scaler skipped the step",
    )
    assert monitor.observe(1, 2.0, math.inf, 1, skipped=True) == []
    (error,) = monitor.observe(2, 2.0, math.nan, 1)
    assert error.severity == "error"
    (told,) = NonfiniteMonitor().observe(0, None, 1.0, 0, skipped=True)
    assert told.message == "the loss scaler skipped the step"
