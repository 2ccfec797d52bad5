"""Clip rate and throttle, against the definitions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tb_gradclip.core.rates import trailing_sum, wilson, windowed_clip_rate, windowed_throttle
from tb_gradclip.core.rows import STEP_DTYPE


@given(hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 1e6)), st.integers(1, 80))
def test_trailing_sum_is_the_sum_of_the_last_values(values: NDArray[np.float64], window: int) -> None:
    expected = [values[max(0, i + 1 - window) : i + 1].sum() for i in range(len(values))]
    np.testing.assert_allclose(trailing_sum(values, window), expected, rtol=1e-9, atol=1e-9)


def test_trailing_sum_forgets_a_huge_value_once_it_has_left_the_window() -> None:
    values = np.ones(100)
    values[10] = 1e30
    assert trailing_sum(values, 7)[30] == 7.0


@given(st.integers(0, 50), st.integers(1, 50))
def test_the_interval_contains_the_rate_and_stays_within_0_and_1(clipped: int, more: int) -> None:
    rate = wilson(np.array([float(clipped)]), np.array([float(clipped + more)]))
    assert 0 <= rate.low[0] <= rate.rate[0] <= rate.high[0] <= 1


def test_the_interval_agrees_with_a_published_example() -> None:
    rate = wilson(np.array([81.0]), np.array([263.0]))  # Newcombe, Statistics in Medicine 17 (1998), table I
    np.testing.assert_allclose([rate.low[0], rate.high[0]], [0.2553, 0.3662], atol=5e-5)


def test_no_steps_give_no_rate() -> None:
    assert np.isnan(wilson(np.array([0.0]), np.array([0.0]))).tolist() == [[True], [True], [True], [False]]


def rows(norms: list[float], clipped: list[bool]) -> NDArray[np.void]:
    table = np.zeros(len(norms), STEP_DTYPE)
    table["norm_before"], table["clipped"] = norms, clipped
    table["norm_after"] = np.where(clipped, 1.0, norms)
    return table


def test_steps_that_are_not_finite_leave_the_denominator() -> None:
    table = rows([2.0, np.nan, np.inf, 0.5], [True, False, False, False])
    rate = windowed_clip_rate(table, 100)
    assert rate.rate[-1] == 0.5
    assert rate.steps.tolist() == [1, 1, 1, 2]


def test_steps_that_were_skipped_leave_the_denominator() -> None:
    table = rows([2.0, 3.0, 0.5], [True, False, False])
    table["skipped"][1] = True
    assert windowed_clip_rate(table, 100).steps.tolist() == [1, 1, 2]


def test_throttle_is_the_share_of_gradient_length_removed() -> None:
    table = rows([4.0, np.nan, 0.5], [True, False, False])
    assert windowed_throttle(table, 3)[-1] == 1 - 1.5 / 4.5
    assert windowed_throttle(table, 1).tolist()[2] == 0.0
    assert np.isnan(windowed_throttle(table, 1)[1])
