"""Alerts on losses made to misbehave, and silence on those that do not."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.episode import Episode
from tb_gradclip.core.monitors.loss import LossMonitor
from tb_gradclip.core.monitors.nonfinite import NonfiniteMonitor


def alerts(loss: Callable[[int, float], float], steps: int = 2000, seed: int = 0) -> list[Alert]:
    """Alerts on a loss that falls from 4.6 to 1.6 with correlated noise of 5 %, changed by `loss`."""
    noise, wander, monitor, found = random.Random(seed), 0.0, LossMonitor(), []
    for step in range(steps):
        wander = 0.5 * wander + noise.gauss(0, 0.05)
        healthy = math.exp(wander) * (1.6 + 3 * math.exp(-step / 300))
        found += monitor.observe(step, loss(step, healthy))
    return found


BENIGN: dict[str, Callable[[int, float], float]] = {
    "nothing": lambda _, loss: loss,
    "a warm-up that overshoots": lambda step, loss: loss * (1 + 0.3 * math.exp(-(((step - 40) / 15) ** 2))),
    "a learning rate drop": lambda step, loss: loss * (0.3 if step >= 1000 else 1),
    "cosine decay": lambda step, loss: loss * (0.75 + 0.25 * math.cos(math.pi * step / 2000)),
    "epochs": lambda step, loss: loss * 0.9 ** (step // 300) * (1.03 if step // 300 % 2 else 1),
    "accumulation from then on": lambda step, loss: loss if step < 1000 else loss**0.1 * 1.6**0.9,
    "harder data by a tenth": lambda step, loss: loss * (1.1 if step >= 1200 else 1),
    "easier data for a while": lambda step, loss: loss * (0.86 if 1200 <= step < 1215 else 1),
    "data sorted by how hard they are": lambda step, loss: loss * (1 + 0.1 * math.sin(step / 20)),
    "losses that are almost zero": lambda step, loss: loss * (1e-9 if step % 41 == 40 else 1),
    "a loss that falls through zero": lambda step, loss: loss - 2,
    "a loss that falls from above zero for good": lambda step, loss: loss - 3 * min(step / 500, 1),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("change", BENIGN.values(), ids=BENIGN)
def test_a_healthy_loss_raises_nothing(change: Callable[[int, float], float], seed: int) -> None:
    assert alerts(change, seed=seed) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_loss_that_rises_and_stays_is_one_divergence_found_within_ten_steps(seed: int) -> None:
    found = alerts(lambda step, loss: loss * (4 if step >= 1500 else 1), seed=seed)
    assert [alert.kind for alert in found] == ["divergence"]
    assert 1500 < found[0].step <= 1510
    assert found[0].severity == "error"
    assert "loss rose from" in found[0].message


@pytest.mark.parametrize("seed", range(10))
def test_a_slow_rise_is_found_before_it_is_over(seed: int) -> None:
    found = alerts(lambda step, loss: loss * 3 ** min(max((step - 1000) / 200, 0), 1), seed=seed)
    assert [alert.kind for alert in found] == ["divergence"]
    assert 1000 < found[0].step < 1150


@pytest.mark.parametrize("seed", range(10))
def test_one_bad_batch_is_a_spike_and_no_divergence(seed: int) -> None:
    found = alerts(lambda step, loss: loss * (20 if step == 1234 else 1), seed=seed)
    assert [(alert.kind, alert.step, alert.severity) for alert in found] == [("spike", 1234, "warning")]


def test_a_second_divergence_after_a_recovery_is_told_apart_from_the_first() -> None:
    found = alerts(lambda step, loss: loss * (4 if 500 <= step < 530 or step >= 1500 else 1))
    assert [alert.kind for alert in found] == ["divergence", "divergence"]


def test_a_loss_that_is_back_for_a_few_steps_only_is_still_one_divergence() -> None:
    flapping = {step for start in range(800, 1100, 30) for step in range(start, start + 12)}
    assert [alert.kind for alert in alerts(lambda step, loss: loss * (4 if step in flapping else 1))] == ["divergence"]
    (episode,) = episodes(lambda step, loss: loss * (4 if step in flapping else 1))
    assert (episode.start, episode.recovered) == (800, True)
    assert episode.end is not None
    assert episode.end > 1000


def test_losses_below_zero_are_watched_too() -> None:
    found = alerts(lambda step, loss: -3 + 0.1 * loss + (2 if step >= 1500 else 0))
    assert [alert.kind for alert in found] == ["divergence"]


def test_a_loss_that_explodes_in_the_first_steps_is_told_and_one_that_doubles_is_not() -> None:
    (found,) = alerts(lambda step, loss: loss * 10.0 ** max(step - 2, 0), steps=20)
    assert (found.kind, found.step) == ("divergence", 6)
    assert alerts(lambda step, loss: loss * (2 if step in (5, 6, 7) else 1), steps=50) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_leaps_up_after_the_first_one_and_stays_is_a_divergence(seed: int) -> None:
    noise = random.Random(seed)
    monitor, found = LossMonitor(), list[Alert]()
    for step in range(20):
        found += monitor.observe(step, 1.6 if step == 0 else 4 * math.exp(noise.gauss(0, 0.2)))
    assert [alert.kind for alert in found] == ["divergence"]


@pytest.mark.parametrize("seed", range(20))
def test_first_losses_that_scatter_by_a_fifth_raise_nothing(seed: int) -> None:
    noise = random.Random(seed)
    monitor = LossMonitor()
    assert [monitor.observe(step, math.exp(noise.gauss(0, 0.2))) for step in range(100)] == [[]] * 100


@pytest.mark.parametrize("seed", range(10))
def test_how_low_a_low_loss_is_does_not_hide_a_rise(seed: int) -> None:
    def rises(low: float) -> list[tuple[str, int]]:
        def loss(step: int, healthy: float) -> float:
            return healthy * (low if step % 30 == 29 else 4 if step >= 1500 else 1)

        return [(alert.kind, alert.step) for alert in alerts(loss, steps=1530, seed=seed)]

    assert rises(1e-3) == rises(1e-12)
    assert [kind for kind, _ in rises(1e-12)] == ["divergence"]


def test_a_spike_is_told_soon_after_it_although_the_loss_stays_somewhat_high() -> None:
    noise, monitor, told = random.Random(0), LossMonitor(), list[int]()
    for step in range(1100):
        raised = 20 if step == 1000 else 1.13 if step > 1000 else 1
        if monitor.observe(step, math.exp(noise.gauss(0, 0.05)) * raised):
            told.append(step)
    assert len(told) == 1
    assert 1000 < told[0] <= 1006


def test_a_level_is_new_soon_after_the_learning_rate_fell() -> None:
    found = alerts(lambda step, loss: loss * (1 if step < 1000 else 0.3 if step < 1030 else 0.6))
    assert [alert.kind for alert in found] == ["divergence"]
    assert 1030 < found[0].step < 1040


@pytest.mark.parametrize("level", [0.0, 1e-30, 2.5, 1e30, -1e30])
def test_a_loss_that_does_not_move_raises_nothing(level: float) -> None:
    assert alerts(lambda *_: level) == []


@pytest.mark.parametrize("offset", [0.0, -3.0])
def test_the_unit_of_the_loss_does_not_matter(offset: float) -> None:
    def broken(step: int, loss: float) -> float:
        return loss * (20 if step == 700 else 4 if step >= 1500 else 1) + offset

    found, scaled = alerts(broken), alerts(lambda step, loss: 1e6 * broken(step, loss))
    assert [(alert.kind, alert.step) for alert in found] == [(alert.kind, alert.step) for alert in scaled]
    assert [alert.kind for alert in found] == ["spike", "divergence"]


@given(st.lists(st.floats(), max_size=80), st.integers(0, 3))
def test_no_sequence_of_losses_breaks_the_monitor(losses: list[float], calm: int) -> None:
    monitor = LossMonitor()
    for step, loss in enumerate([2.0, 2.1, 1.9] * (20 * calm) + losses):
        assert all(
            alert.kind in ("divergence", "spike") and alert.step <= step for alert in monitor.observe(step, loss)
        )
    state = [value for value in vars(monitor).values() if isinstance(value, float)]
    assert all(map(math.isfinite, state))


def test_losses_that_are_not_finite_change_nothing() -> None:
    bad = {300: math.nan, 301: math.inf, 302: -math.inf}
    monitor, other = LossMonitor(), LossMonitor()
    noise = random.Random(0)
    for step in range(600):
        loss = bad.get(step, math.exp(noise.gauss(0, 0.1)) * (5 if step > 550 else 1))
        expected = other.observe(step, loss) if step not in bad else []
        assert monitor.observe(step, loss) == expected
    assert other.episode == monitor.episode is not None


def episodes(change: Callable[[int, float], float], steps: int = 2000) -> list[Episode]:
    """Every episode of the loss of `alerts` as it stood at last."""
    noise, wander, monitor, found = random.Random(0), 0.0, LossMonitor(), dict[int, Episode]()
    for step in range(steps):
        wander = 0.5 * wander + noise.gauss(0, 0.05)
        monitor.observe(step, change(step, math.exp(wander) * (1.6 + 3 * math.exp(-step / 300))))
        if monitor.episode is not None:
            found[monitor.episode.start] = monitor.episode
    return list(found.values())


def test_an_episode_has_a_start_a_peak_and_an_end() -> None:
    bump = dict.fromkeys(range(900, 940), 4.0) | {920: 9.0}
    (episode,) = episodes(lambda step, loss: loss * bump.get(step, 1.0))
    assert (episode.kind, episode.start, episode.peak_step, episode.recovered) == ("divergence", 900, 920, True)
    assert episode.end is not None
    assert abs(episode.end - 940) <= 2
    assert episode.peak > 9 * 1.5
    assert episode.level == pytest.approx(1.75, rel=0.1)


def test_a_spike_is_an_episode_as_well() -> None:
    (episode,) = episodes(lambda step, loss: loss * (20 if step in (900, 901) else 1))
    assert (episode.kind, episode.start, episode.end, episode.recovered) == ("spike", 900, 902, True)


def test_an_episode_lasts_until_the_loss_is_back_or_the_new_level_is_normal() -> None:
    (episode,) = episodes(lambda step, loss: loss * (4 if step >= 1700 else 1))
    assert (episode.start, episode.end, episode.recovered) == (1700, None, False)
    (episode,) = episodes(lambda step, loss: loss * (4 if step >= 900 else 1))
    assert (episode.start, episode.end, episode.recovered) == (900, 1400, False)
    _, second = episodes(lambda step, loss: loss * (16 if step >= 1700 else 4 if step >= 900 else 1))
    assert (second.start, second.end) == (1700, None)


def test_one_alert_marks_the_step_from_which_nothing_is_finite() -> None:
    monitor = NonfiniteMonitor()
    found = [a for step in range(100) for a in monitor.observe(step, math.nan if step >= 40 else 1.0, 1.0, 0)]
    assert [(alert.step, alert.kind, alert.message) for alert in found] == [(40, "nonfinite", "loss is NaN")]


def test_the_message_says_what_is_not_finite() -> None:
    (alert,) = NonfiniteMonitor().observe(3, 2.0, math.inf, 2)
    assert alert.message == "gradient norm is infinite in 2 parameters"


def test_what_is_not_finite_is_over_after_fifty_finite_steps_and_told_again_then() -> None:
    monitor, bad = NonfiniteMonitor(), {40, 45, 94, 300}
    found = [a for step in range(400) for a in monitor.observe(step, math.nan if step in bad else 1.0, 1.0, 0)]
    assert [(alert.step, alert.start, alert.end, alert.recovered) for alert in found] == [
        (40, 40, None, False),
        (40, 40, 95, True),
        (300, 300, None, False),
        (300, 300, 301, True),
    ]
    assert monitor.open == []
    monitor.observe(400, math.nan, 1.0, 0)
    assert [alert.step for alert in monitor.open] == [400]


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
