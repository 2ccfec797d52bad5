"""Each monitor on numbers made to misbehave, and on numbers that do not."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.explosion import ExplosionMonitor
from tb_gradclip.core.monitors.plateau import PlateauMonitor
from tb_gradclip.core.monitors.regime import EDGES, INERT, WINDOW, RegimeMonitor
from tb_gradclip.core.monitors.vanishing import STEPS, VanishingMonitor, WholeVanishingMonitor
from tb_gradclip.core.monitors.zero_step import ZeroStepMonitor, zeroed
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Rule, outcome

numbers = st.floats(allow_nan=True, allow_infinity=True)


def norms(seed: int, steps: int = 1000, spread: float = 0.4) -> list[float]:
    noise = random.Random(seed)
    return [math.exp(noise.gauss(0, spread)) * (1 + 3 * math.exp(-t / 200)) for t in range(steps)]


def exploded(values: list[float]) -> list[Alert]:
    monitor = ExplosionMonitor()
    return [alert for step, value in enumerate(values) for alert in monitor.observe(step, value)]


@pytest.mark.parametrize("seed", range(5))
def test_a_norm_that_explodes_is_told_within_four_steps_and_again_when_it_is_back(seed: int) -> None:
    values = norms(seed, spread=0.2)
    values[600:640] = [30 * value for value in values[600:640]]
    first, last = exploded(values)
    assert (first.kind, first.severity, first.step, first.start, first.end) == ("explosion", "warning", 603, 600, None)
    assert (last.step, last.start, last.end, last.recovered) == (603, 600, 640, True)
    assert last.peak == max(values[600:640])
    assert last.peak_step == values.index(last.peak)


def test_a_norm_that_stays_high_is_told_once_and_then_the_new_normal() -> None:
    values = norms(0, 3000, spread=0.2)
    values[600:] = [30 * value for value in values[600:]]
    first, last = exploded(values)
    assert (first.step, last.end, last.recovered) == (603, 1100, False)


@pytest.mark.parametrize("seed", range(10))
def test_noise_outliers_and_a_start_that_grows_by_a_thousand_do_not_explode(seed: int) -> None:
    values = norms(seed, 5000, spread=0.7)
    for step in random.Random(seed).sample(range(5000), 100):
        values[step] *= 1000
    values[:30] = [value * 10 ** (t / 10 - 3) for t, value in enumerate(values[:30])]
    assert exploded(values) == []


@given(st.lists(numbers, max_size=200))
def test_whatever_the_norms_are_an_explosion_has_a_start_before_it_and_a_peak_in_it(values: list[float]) -> None:
    for alert in exploded(norms(1, 100) + values):
        assert alert.start is not None
        assert alert.peak_step is not None
        assert alert.start <= alert.step
        assert alert.start <= alert.peak_step
        assert math.isfinite(alert.peak or 0.0)


def plateaus(values: list[float]) -> list[Alert]:
    monitor = PlateauMonitor()
    return [alert for step, value in enumerate(values) for alert in monitor.observe(step, value)]


def test_a_loss_that_falls_no_more_is_a_plateau_until_it_falls_again() -> None:
    noise = random.Random(0)
    values = [(1 + math.exp(-t / 200) - 0.3 * (t > 6000)) * math.exp(noise.gauss(0, 0.01)) for t in range(8000)]
    first, last = plateaus(values)
    assert (first.kind, first.severity, first.end) == ("plateau", "info", None)
    assert 1500 < first.step < 4500
    assert last.step == first.step
    assert last.end is not None
    assert 6000 < last.end <= 6300
    assert last.recovered


def test_a_loss_that_falls_as_a_slow_power_of_the_step_or_rises_is_no_plateau() -> None:
    assert plateaus([(t + 1) ** -0.1 for t in range(100_000)]) == []
    assert plateaus([-((t + 1) ** 0.1) for t in range(100_000)]) == []
    assert plateaus([1 + t / 100 for t in range(20_000)]) == []


@given(st.lists(numbers, max_size=300))
def test_whatever_the_losses_are_a_plateau_takes_them(values: list[float]) -> None:
    assert all(alert.kind == "plateau" for alert in plateaus(values * 5))


def regimes(rate: list[float], seed: int = 0) -> list[Alert]:
    noise, monitor = random.Random(seed), RegimeMonitor()
    steps = enumerate(rate)
    return [alert for t, p in steps for alert in monitor.observe(t, "global_norm", 1.0, noise.random() < p)]


@pytest.mark.parametrize(
    ("before", "after"), [(0.01, 0.3), (0.3, 0.8), (0.8, 1.0), (0.99, 0.7), (0.7, 0.2), (1.0, 0.2)]
)
def test_a_clip_rate_that_changes_is_told_once(before: float, after: float) -> None:
    (alert,) = regimes([before] * 2000 + [after] * 900)
    assert (alert.kind, alert.severity) == ("regime", "info")
    assert 2000 + WINDOW < alert.step < 2000 + 2 * WINDOW
    assert ("rose" if after > before else "fell") in alert.message


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.05, 0.2, 0.5, 0.7, 0.95, 1.0])
def test_a_clip_rate_that_stays_is_told_once_at_most_even_at_an_edge(rate: float) -> None:
    found = [len(regimes([rate] * 3000, seed)) for seed in range(5)]
    assert max(found) <= (1 if rate in EDGES else 0)


def test_a_threshold_that_is_never_reached_any_more_is_inert() -> None:
    found = regimes([0.5] * 1000 + [0.0] * 3000)
    assert [alert.message.split(":")[0] for alert in found][-1] == "the threshold is inert"
    last = found[-1]
    assert 1000 + INERT - 20 <= last.step <= 1000 + INERT
    assert len(found) == 2  # and that it fell
    assert regimes([0.0] * 3000) == []  # never reached: a finding of lint


def test_another_kind_of_rule_begins_anew_and_steps_that_do_not_count_are_skipped() -> None:
    monitor = RegimeMonitor()
    found = [monitor.observe(t, "value" if t < 500 else "norm", 1.0, t < 500) for t in range(1000)]
    found += [monitor.observe(t, "none", 1.0, False) for t in range(1000, 2000)]
    found += [monitor.observe(t, "norm", math.nan, True, t % 2 == 0) for t in range(2000, 3000)]
    assert not any(found)


SHAPES = (Parameter("first.weight", (8, 8)), Parameter("first.bias", (8,)), Parameter("last.weight", (4, 8)))


NO_RULE = Rule("none")


def steps_of(norms_before: np.ndarray, first: int = 0, rule: Rule = NO_RULE) -> Measurements:
    count = len(norms_before)
    with np.errstate(all="ignore"):
        joint = np.sqrt((norms_before**2).sum(axis=1))
    numbers = np.arange(first, first + count)
    return Measurements(rule, numbers, numbers.astype(float), None, np.full(count, rule.threshold), joint, norms_before)


def vanished(norms_before: np.ndarray, batch: int = 7) -> list[Alert]:
    monitor, found = VanishingMonitor(SHAPES), []
    for first in range(0, len(norms_before), batch):
        answer = monitor.observe(steps_of(norms_before[first : first + batch], first))
        found += [alert for t in sorted(answer) for alert in answer[t]]
    return found


@pytest.mark.parametrize("tiny", [1e-9, 0.0])
@pytest.mark.parametrize("batch", [1, 7, 500])
def test_a_weight_whose_gradient_vanishes_is_named_and_told_again_when_it_is_back(tiny: float, batch: int) -> None:
    table = np.random.default_rng(0).uniform(0.5, 1.5, (500, 3))
    table[100:300, 0] *= tiny
    first, last = vanished(table, batch)
    assert (first.kind, first.parameter, first.step, first.start) == ("vanishing", "first.weight", 99 + STEPS, 100)
    assert first.departures == (("first.weight", STEPS - 1),)
    assert (last.step, last.end, last.recovered) == (first.step, 300, True)


def test_of_weights_that_vanish_together_the_one_nearest_the_loss_is_to_blame() -> None:
    table = np.ones((200, 3))
    table[50:, [0, 2]] *= 1e-9
    (alert,) = vanished(table)
    assert alert.departures == (("last.weight", STEPS - 1), ("first.weight", STEPS - 1))


def test_vectors_and_what_never_was_trained_and_norms_that_are_not_finite_do_not_vanish() -> None:
    table = np.ones((300, 3))
    table[:, 1] = 1e-12
    table[:, 0] = 0
    assert vanished(table) == []
    table[:] = 1.0
    table[:, 0] = 1e-9
    table[::STEPS] = np.nan
    assert len(vanished(table)) == 1  # those steps do not count, and break no row
    assert vanished(np.zeros((300, 3))) == vanished(np.full((300, 3), np.inf)) == []


def whole(values: list[tuple[float, float]]) -> list[Alert]:
    monitor = WholeVanishingMonitor()
    return [alert for t, (loss, norm) in enumerate(values) for alert in monitor.observe(t, loss, norm)]


def test_gradients_that_vanish_while_the_loss_stays_high_are_told_and_those_of_a_loss_that_falls_are_not() -> None:
    stuck = [(2.0, 1.0)] * 200 + [(1.9, 1e-6)] * 200 + [(1.8, 1.0)] * 200
    first, last = whole(stuck)
    assert (first.kind, first.step, first.start) == ("vanishing", 263, 200)
    assert (last.step, last.end, last.recovered) == (263, 400, True)
    assert whole([(math.exp(-t / 20), math.exp(-t / 20)) for t in range(2000)]) == []
    assert whole([(math.nan, 1.0), (-1.0, 1e-9), (2.0, math.inf)] * 100) == []


def test_a_step_is_zero_where_the_norm_overflows_and_no_gradient_does() -> None:
    rule = Rule("global_norm", 1.0, epsilon=1e-6)
    big = np.array([[1e200, 1e200, 1.0], [1.0, 1.0, 1.0], [np.inf, 1.0, 1.0], [0.0, 0.0, 0.0]])
    took = steps_of(big, rule=rule)  # squares overflow: the joint norm is infinite
    result = outcome(rule, took.thresholds, took.norm_before, took.norms_before, None, None, None)
    assert zeroed(took, result).tolist() == [True, False, False, False]
    skipped = replace(took, skipped=np.array([True, False, False, False]))
    assert not zeroed(skipped, result).any()
    off = replace(took, thresholds=np.zeros(4))
    assert not zeroed(off, outcome(rule, off.thresholds, off.norm_before, big, None, None, None)).any()


def test_zero_steps_are_one_alert_until_there_were_none_for_fifty_steps() -> None:
    monitor = ZeroStepMonitor()
    zero = [10, 11, 40, 80, 300]
    found = [alert for step in range(500) for alert in monitor.observe(step, step in zero)]
    assert [(alert.step, alert.end) for alert in found] == [(10, None), (10, 81), (300, None), (300, 301)]
    assert {(alert.kind, alert.severity) for alert in found} == {("zero_step", "error")}
