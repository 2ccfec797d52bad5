"""Bins, against sorting every value by hand."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tb_gradclip.core.histogram import (
    CODES,
    EDGES,
    Distribution,
    GradientHistogram,
    clamped,
    codes,
    count,
    count_each,
    distribution,
    merged,
    scaled,
)
from tb_gradclip.core.rules import Rule

Values = NDArray[np.float32]
values32 = hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(width=32))


def in_bin(values: Values, low: float, high: float) -> int:
    magnitudes = np.abs(values[np.isfinite(values)].astype(float))
    signed = values[np.isfinite(values)] < 0
    if high <= 0:
        return int((signed & (magnitudes >= -high) & (magnitudes < -low)).sum())
    return int((~signed & (magnitudes >= low) & (magnitudes < high)).sum())


@given(values32)
def test_every_bin_holds_what_lies_between_its_edges(values: Values) -> None:
    found = distribution(count(values))
    assert found.counts.tolist() == [in_bin(values, low, high) for low, high in zip(found.low, found.high, strict=True)]


@given(values32)
def test_zero_nan_and_infinities_are_counted_exactly(values: Values) -> None:
    found = distribution(count(values))
    assert found.zero == (values == 0).sum()
    assert found.nan == np.isnan(values).sum()
    assert found.positive_infinity == (values == np.inf).sum()
    assert found.negative_infinity == (values == -np.inf).sum()
    assert found.size == len(values)


@given(values32)
def test_bins_ascend_and_none_contains_zero(values: Values) -> None:
    found = distribution(count(values))
    assert (found.low < found.high).all()
    assert (found.high[:-1] <= found.low[1:]).all()
    assert ((found.low >= 0) | (found.high <= 0)).all()


@given(values32, st.floats(2**-100, 2**100, width=32), st.floats(2**-100, 2**100, width=32))
def test_clamping_counts_equals_counting_clamped_values(values: Values, below: float, above: float) -> None:
    after = np.clip(values, np.float32(-below), np.float32(above))
    np.testing.assert_array_equal(clamped(count(values), -below, above), count(after))


@given(values32, st.sampled_from([2.0**-3, 0.5, 1.0]))
def test_scaling_moves_edges_and_keeps_counts(values: Values, factor: float) -> None:
    normal = values[~np.isfinite(values) | (values == 0) | (np.abs(values) > 1e-30)]
    moved, actual = scaled(distribution(count(normal)), factor), distribution(count(normal * np.float32(factor)))
    np.testing.assert_array_equal(moved.counts, actual.counts)
    np.testing.assert_allclose(moved.low, actual.low)


def test_scaling_by_zero_freezes_the_finite_and_breaks_the_infinite() -> None:
    after = scaled(distribution(count(np.array([1.0, -2.0, 0.0, np.inf, np.nan]))), 0.0)
    assert (after.zero, after.nan, after.size) == (3, 2, 5)


def test_scaling_by_nan_breaks_everything() -> None:
    after = scaled(distribution(count(np.array([1.0, -2.0, 0.0]))), float("nan"))
    assert (after.nan, after.size) == (3, 3)


def test_finite_float64_beyond_float32_never_counts_as_infinite() -> None:
    found = distribution(count(np.array([1e300, -1e300, np.inf])))
    assert (found.positive_infinity, found.negative_infinity, found.counts.tolist()) == (1, 0, [1, 1])


def test_half_precision_is_counted_as_the_numbers_it_holds() -> None:
    values = np.array([0.1, -3.0, 6e-8, 0.0], np.float16)
    np.testing.assert_array_equal(count(values), count(values.astype(np.float32)))


def test_edges_are_half_octaves() -> None:
    ratios = EDGES[3:] / EDGES[2:-1]
    assert set(np.round(ratios, 12).tolist()) == {1.5, round(4 / 3, 12)}
    assert codes(1.0) != codes(1.5) != codes(2.0)


@given(values32, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_merging_keeps_every_value(values: Values, one: float, other: float) -> None:
    whole = distribution(count(values))
    both = merged([scaled(whole, one), scaled(whole, other)])
    assert both.size == 2 * whole.size
    assert both.zero == 2 * whole.zero


def of(rule: Rule, values: Values, **more: NDArray[np.float64]) -> GradientHistogram:
    return GradientHistogram(0, 0.0, rule, ("a", "b"), np.stack([count(values), count(values * 4)]), **more)


def spread(found: Distribution) -> tuple[float, float]:
    return float(found.low.min()), float(found.high.max())


def test_after_follows_the_rule() -> None:
    values = np.linspace(0.5, 1.9, 100, dtype=np.float32)
    assert spread(of(Rule.by_value(-1, 1), values).after()) == (0.5, 1.5)
    assert spread(of(Rule("global_norm", 1.0), values, coefficients=np.array([0.5, 0.5])).after("a")) == (0.25, 1.0)
    assert spread(of(Rule("norm", 1.0), values, coefficients=np.array([1.0, 0.25])).after()) == (0.5, 2.0)
    assert spread(of(Rule("none"), values).after("b")) == (2.0, 8.0)


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="unknown parameter 'c'; this run has a, b"):
        of(Rule("none"), np.ones(1, np.float32)).before("c")


@given(
    hnp.arrays(
        np.uint32,
        st.integers(0, 40),
        elements=st.sampled_from(
            [0, 1 << 31, 1, (1 << 31) + 1, 1 << 22, 0x7F800000, 0xFF800000, 0x7FC00000, 0x3F800000, 0x80400000]
        ),
    )
)
def test_counting_by_halves_equals_counting_codes(bits: np.ndarray) -> None:
    values = bits.view(np.float32)
    assert count(values).tolist() == np.bincount(codes(values), minlength=CODES).tolist()


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 20))
def test_counting_many_arrays_in_pieces_equals_counting_each(sizes: list[int], piece: int) -> None:
    rng = np.random.default_rng(len(sizes))
    values = rng.choice(np.array([0.0, -0.0, 1e-42, -1e-42, 1.5, -2.0, np.nan, np.inf], np.float32), sum(sizes))
    with mock.patch("tb_gradclip.core.histogram.PIECE", piece):
        found = count_each(values, sizes)
    parts = np.split(values, np.cumsum(sizes)[:-1]) if sizes else []
    assert found.tolist() == [np.bincount(codes(part), minlength=CODES).tolist() for part in parts]
