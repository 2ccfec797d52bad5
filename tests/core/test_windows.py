"""Windows of parameter statistics, against the same steps taken whole."""

import doctest
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core import schedule
from tb_gradclip.core.rows import Measurements, step_rows
from tb_gradclip.core.rules import Floats, Outcome, Rule
from tb_gradclip.core.schedule import SHORTEST_WINDOW, histogram_due, histogram_interval, window_length
from tb_gradclip.core.windows import WindowFolder


def test_the_examples_in_the_schedule_hold() -> None:
    assert doctest.testmod(schedule).failed == 0


@given(st.integers(0, 10**7))
def test_windows_never_shrink_as_a_run_grows(step: int) -> None:
    assert window_length(step) <= window_length(step + 1)
    assert histogram_interval(step) <= histogram_interval(step + 1)


def test_a_million_steps_take_a_few_thousand_windows_and_histograms() -> None:
    step = windows = 0
    while step < 1_000_000:
        step += window_length(step)
        windows += 1
    assert windows < 4000
    assert sum(histogram_due(step) for step in range(0, 1_000_000, 50)) < 3000


def test_zero_means_no_histograms() -> None:
    assert not any(histogram_due(step, 0) for step in range(1000))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_windows_cover_every_step_once_however_the_steps_arrive(batches: list[int]) -> None:
    rng, folder, start, windows, norms = np.random.default_rng(0), WindowFolder(2), 0, [], []
    for size in batches:
        before = rng.uniform(0.1, 2, (size, 2))
        before[rng.random(before.shape) < 0.05] = np.nan
        norms.append(before)
        steps = np.arange(start, start + size)
        joint = np.linalg.norm(before, axis=1)
        measured = Measurements(Rule("global_norm", 1.0), steps, steps * 1.0, None, np.ones(size), joint, before)
        rows, result = step_rows(measured)
        windows += folder.add(rows, before, result)
        start += size
    windows += folder.close()
    whole = np.concatenate(norms)
    assert [w.first_step for w, _ in windows] == list(range(0, start, SHORTEST_WINDOW))
    assert sum(window.steps for window, _ in windows) == start
    for window, _ in windows:
        part = whole[window.first_step : window.last_step + 1]
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(window.rows["nonfinite"], np.isnan(part).sum(axis=0))
            filled = np.where(np.isnan(part), -np.inf, part).max(axis=0)
            np.testing.assert_allclose(
                window.rows["norm_before_max"], np.where(np.isinf(filled), np.nan, filled), rtol=1e-6
            )


def _steps(first: int, norms: Floats) -> tuple[NDArray[np.void], Outcome]:
    steps, size = np.arange(first, first + len(norms)), np.ones(len(norms))
    joint = np.sqrt(np.where(np.isfinite(norms), norms, 0).astype(float) ** 2 @ np.ones(norms.shape[1]))
    return step_rows(Measurements(Rule("global_norm", 1.0), steps, steps * 1.0, None, size, joint, norms))


@pytest.mark.parametrize("batch", [1, 50, 700])
def test_a_long_window_says_what_its_steps_say_taken_whole(batch: int) -> None:
    first, length = 1 << 20, window_length(1 << 20)
    norms = np.random.default_rng(1).lognormal(-0.3, 1.0, (length, 3))
    norms[5:9, 0], norms[:, 2] = np.inf, np.nan
    rows, result = _steps(first, norms)
    folder, found = WindowFolder(3), []
    for start in range(0, length, batch):
        part = _steps(first + start, norms[start : start + batch])
        found += folder.add(part[0], norms[start : start + batch], part[1])
    ((window, overall),) = found
    assert (window.first_step, window.last_step, window.steps) == (first, first + length - 1, length)
    finite = np.where(np.isfinite(norms), norms, np.nan)
    after = np.where(np.isfinite(result.norms_after), result.norms_after, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN
        expected = np.nanmean(finite, axis=0), np.nanmax(finite, axis=0), np.nanmean(after, axis=0)
    for name, values in zip(("norm_before_mean", "norm_before_max", "norm_after_mean"), expected, strict=True):
        np.testing.assert_allclose(window.rows[name], values, rtol=1e-6)
    assert window.rows["nonfinite"].tolist() == [4, 0, length]
    assert window.rows["clipped"].tolist() == result.parameters_clipped.sum(axis=0).tolist()
    means = rows["clipped"].mean(), rows["norm_before"].mean(), rows["norm_after"].mean()
    assert (overall.clip_rate, overall.norm_before, overall.norm_after) == pytest.approx(means)


@pytest.mark.parametrize("batch", [1, 128])
def test_an_open_window_takes_no_more_memory_the_longer_it_is(batch: int) -> None:
    """A window at step 2^30 has four million steps; held, 20 matrices of each would take a kilobyte."""
    folder, norms = WindowFolder(20), np.ones((batch, 20))
    firsts = range(1 << 30, (1 << 30) + 6000, batch)
    taken = np.zeros(len(firsts))
    tracemalloc.start()
    try:
        for i, first in enumerate(firsts):
            rows, result = _steps(first, norms.copy())
            assert not list(folder.add(rows, norms.copy(), result))
            taken[i] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    half = len(taken) // 2
    assert taken[half:].max() - taken[:half].max() < 50_000
