"""Reduced points, against what a person looks for in a chart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tb_gradclip.core.charts.reduction import reduced

series = hnp.arrays(np.float64, st.integers(1, 400), elements=st.floats(-1e6, 1e6) | st.just(np.nan) | st.just(np.inf))


@given(series, st.integers(10, 100))
def test_no_more_points_than_asked_for_in_order(values: NDArray[np.float64], points: int) -> None:
    kept = reduced(np.arange(len(values), dtype=float), values, points)
    assert len(kept) <= points
    assert (np.diff(kept) > 0).all()


@given(series, st.integers(10, 100))
def test_ends_extremes_and_the_first_broken_value_stay(values: NDArray[np.float64], points: int) -> None:
    kept = reduced(np.arange(len(values), dtype=float), values, points)
    finite = values[np.isfinite(values)]
    assert {0, len(values) - 1} <= set(kept.tolist())
    if len(finite):
        assert finite.max() == np.nanmax(np.where(np.isinf(values[kept]), np.nan, values[kept]))
        assert finite.min() == np.nanmin(values[kept])
    broken = np.flatnonzero(~np.isfinite(values))
    assert not len(broken) or broken[0] in kept


def test_one_spike_in_a_million_steps_stays() -> None:
    values = np.ones(1_000_000)
    values[234_567] = 9.0
    assert 234_567 in reduced(np.arange(1e6), values, 500)


def test_steps_far_apart_do_not_empty_the_rest() -> None:
    axis = np.concatenate((np.arange(1000.0), [1e9]))
    kept = reduced(axis, np.sin(axis), 100)
    assert kept[0] == 0
    assert kept[-1] == 1000


@pytest.mark.parametrize("n", [1, 2, 9, 10])
def test_short_series_come_whole(n: int) -> None:
    assert reduced(np.arange(float(n)), np.zeros(n), 10).tolist() == list(range(n))
