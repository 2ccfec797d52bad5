"""Clip rate and throttle of any threshold, against the gradients clipped one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.rules import TORCH_EPSILON, Rule, outcome, scale
from tb_gradclip.core.what_if import RecordedNorms, recorded_norms

Floats = NDArray[np.float64]

scales = st.sampled_from([1e-30, 1e-6, 1.0, 1e3, 1e30])
norms = st.builds(
    lambda values, unit: np.array(values) * unit,
    st.lists(st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-3, 1e3)), min_size=1, max_size=60),
    scales,
)
epsilons = st.sampled_from([0.0, TORCH_EPSILON])


def clipped_one_by_one(values: Floats, threshold: float, epsilon: float) -> tuple[float, float]:
    """Share of norms above the threshold, and share of their sum that clipping each of them removes."""
    after = values * scale(values, threshold, epsilon)
    unit = values.max() or 1.0
    before = (values / unit).sum()
    return float(np.mean(values > threshold)), 1 - (after / unit).sum() / before if before else np.nan


@given(norms, epsilons, st.lists(st.floats(0, 2e3), min_size=1, max_size=8), scales)
def test_rate_and_throttle_are_those_of_clipping_each_norm(
    values: Floats, epsilon: float, thresholds: list[float], unit: float
) -> None:
    asked = np.append(np.array(thresholds) * unit, [values[0], 0.0, np.inf])
    got = RecordedNorms(values, epsilon).at(asked)
    expected = np.array([clipped_one_by_one(values, threshold, epsilon) for threshold in asked])
    np.testing.assert_array_equal(got.threshold, asked)
    np.testing.assert_array_equal(got.clip_rate, expected[:, 0])
    np.testing.assert_allclose(got.throttle, expected[:, 1], rtol=0, atol=1e-12)


@given(norms, epsilons)
def test_a_higher_threshold_clips_less_often_and_removes_less(values: Floats, epsilon: float) -> None:
    recorded = RecordedNorms(values, epsilon)
    curve = recorded.at(np.sort(np.append(recorded.grid(40), [0.0, values.max()])))
    assert (np.diff(curve.clip_rate) <= 0).all()
    assert not (np.diff(curve.throttle) > 1e-12).any()


@given(norms, st.floats(0.001, 0.999))
def test_a_suggestion_is_the_smallest_norm_that_clips_no_more_than_asked_for(values: Floats, share: float) -> None:
    recorded = RecordedNorms(values)
    (suggested,) = recorded.clipping([share])
    assert suggested in values
    assert np.mean(values > suggested) <= share + 1e-9
    smaller = values[values < suggested]
    assert len(smaller) == 0 or np.mean(values > smaller.max()) > share


@given(norms, st.floats(0, 100))
def test_autoclip_ends_with_the_percentile_of_all_norms(values: Floats, percentile: float) -> None:
    history: list[float] = []
    for value in values:
        history.append(value)
        threshold = np.percentile(history, percentile)
    assert RecordedNorms(values).autoclip([percentile])[0] == threshold


@given(norms, st.integers(4, 200))
def test_a_curve_reaches_from_where_all_is_clipped_to_where_nothing_is(values: Floats, points: int) -> None:
    recorded = RecordedNorms(values)
    grid = recorded.grid(points)
    assert len(grid) <= points
    positive = values[values > 0]
    if not len(positive):
        assert len(grid) == 0
        return
    assert (np.diff(grid) > 0).all()
    assert grid[0] < positive.min() <= positive.max() < grid[-1]
    rates = recorded.at(grid).clip_rate
    assert rates[0] == len(positive) / len(values)
    assert rates[-1] == 0


def test_between_two_points_of_a_curve_the_rate_hardly_changes() -> None:
    values = np.exp(np.random.default_rng(0).normal(0, 1, 10_000))
    rates = RecordedNorms(values).at(RecordedNorms(values).grid(200)).clip_rate
    assert np.abs(np.diff(rates)).max() <= 2 / 200 + 1e-3


def test_no_steps_give_no_rate() -> None:
    nothing = RecordedNorms(np.empty(0))
    assert np.isnan(nothing.at([0.0, 1.0])[1:]).all()
    assert np.isnan(nothing.clipping([0.1])).all()
    assert np.isnan(nothing.autoclip([10.0])).all()
    assert len(nothing.grid(100)) == 0


def test_norms_of_zero_are_never_clipped_and_have_no_length_to_remove() -> None:
    zero = RecordedNorms(np.zeros(3)).at(0.0)
    assert zero.clip_rate.tolist() == [0.0]
    assert np.isnan(zero.throttle).all()


def test_one_huge_norm_leaves_the_rate_of_the_others_exact() -> None:
    values = np.append(np.ones(999), 1e30)
    assert RecordedNorms(values).at(1.0).clip_rate.tolist() == [0.001]
    assert RecordedNorms(values).at(1.0).throttle[0] == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_a_threshold_that_is_no_norm_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="`thresholds` must be 0 or more, got (-1.0|nan)"):
        RecordedNorms(np.ones(3)).at([1.0, wrong])


@given(norms, st.floats(1e-3, 1e3), epsilons)
def test_at_its_own_threshold_a_run_gets_back_what_was_recorded(
    values: Floats, threshold: float, epsilon: float
) -> None:
    rule = Rule("global_norm", threshold, epsilon=epsilon)
    rows = np.zeros(len(values), STEP_DTYPE)
    rows["norm_before"] = values
    result = outcome(rule, np.full(len(values), threshold), values, values[:, None])
    answer = recorded_norms(rows, rule, "test").at(threshold)
    assert answer.clip_rate[0] == result.clipped.mean()
    if values.any():
        unit = values.max()
        assert answer.throttle[0] == pytest.approx(
            1 - (result.norm_after / unit).sum() / (values / unit).sum(), abs=1e-9
        )


def test_steps_that_are_not_finite_or_were_skipped_are_left_out() -> None:
    rows = np.zeros(5, STEP_DTYPE)
    rows["norm_before"] = 1.0, 2.0, np.nan, np.inf, 9.0
    rows["skipped"][4] = True
    assert recorded_norms(rows, Rule("none"), "torch").sorted.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("rule", "framework", "epsilon"),
    [
        (Rule("global_norm", 1.0, epsilon=0.5), "torch", 0.5),
        (Rule("none"), "torch", TORCH_EPSILON),
        (Rule.by_value(-1.0, 1.0), "keras", 0.0),
    ],
)
def test_the_epsilon_is_that_of_clipping_by_global_norm_there(rule: Rule, framework: str, epsilon: float) -> None:
    rows = np.zeros(1, STEP_DTYPE)
    rows["norm_before"] = 2.0
    after = 2.0 * min(1.0, 1.0 / (2.0 + epsilon))
    assert recorded_norms(rows, rule, framework).at(1.0).throttle[0] == pytest.approx(1 - after / 2.0, rel=1e-12)
