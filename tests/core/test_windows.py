"""Windows of parameter statistics, against the same steps taken whole."""

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core import schedule
from tb_gradclip.core.rows import Measurements, step_rows
from tb_gradclip.core.rules import Rule
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
