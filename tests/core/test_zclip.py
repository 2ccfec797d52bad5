"""ZClip replayed, against its definition step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core.zclip import WARM_UP, ZClip

Floats = NDArray[np.float64]


def straightforward(norms: Floats) -> list[float]:
    """Norms after ZClip, with the formulas of the paper and the constants of its code."""
    after: list[float] = []
    mean = variance = 0.0
    for step, norm in enumerate(norms):
        if step < 25:
            after.append(norm)
            mean, variance = np.mean(after), np.var(after)
            continue
        z = (norm - mean) / (variance**0.5 + 1e-6)
        after.append(mean + 2.5 * variance**0.5 / (z / 2.5) if z > 2.5 else norm)
        mean = 0.97 * mean + 0.03 * after[-1]
        variance = 0.97 * variance + 0.03 * (after[-1] - mean) ** 2
    return after


def spiky(length: int, seed: int, unit: float) -> Floats:
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(0, 0.3, length)) * np.where(rng.random(length) < 0.05, 20.0, 1.0)
    return values * unit


runs = st.builds(spiky, st.integers(0, 200), st.integers(0, 1000), st.sampled_from([1e-30, 1e-5, 1.0, 1e30]))


@given(runs)
def test_it_does_what_the_paper_says(norms: Floats) -> None:
    limits, after = ZClip().replay(norms)
    np.testing.assert_allclose(after, straightforward(norms), rtol=1e-9)
    assert np.isnan(limits[:WARM_UP]).all()
    assert ((after < norms) == (norms > limits)).all()


@given(runs, st.lists(st.integers(0, 200), max_size=5))
def test_norms_may_come_in_pieces(norms: Floats, cuts: list[int]) -> None:
    whole, piecewise = ZClip(), ZClip()
    pieces = [piecewise.replay(part) for part in np.split(norms, sorted(min(cut, len(norms)) for cut in cuts))]
    for got, expected in zip(map(np.concatenate, zip(*pieces, strict=True)), whole.replay(norms), strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(piecewise.limit, whole.limit)


@given(st.lists(st.sampled_from([1.0, 1.5, 30.0, np.nan, np.inf]), max_size=120))
def test_norms_that_are_not_finite_teach_it_nothing(values: list[float]) -> None:
    norms = np.array(values)
    finite = np.isfinite(norms)
    got, expected = ZClip().replay(norms), ZClip().replay(norms[finite])
    for with_them, without in zip(got, expected, strict=True):
        np.testing.assert_array_equal(with_them[finite], without)
        assert np.isnan(with_them[~finite]).all()


def test_the_further_out_a_norm_the_more_strictly_it_is_clipped() -> None:
    calm = spiky(100, 0, 1.0).clip(max=2)
    after = [ZClip().replay(np.append(calm, spike))[1][-1] for spike in (5.0, 10.0, 100.0)]
    assert after == sorted(after, reverse=True)
    assert after[-1] == pytest.approx(calm[-50:].mean(), rel=0.2)


def test_it_knows_no_limit_before_it_is_warm() -> None:
    clip = ZClip()
    clip.replay(np.ones(WARM_UP - 1))
    assert np.isnan(clip.limit)
    clip.replay(np.ones(1))
    assert clip.limit == pytest.approx(1.0, abs=1e-5)
