"""Merged windows and shares, against the same numbers taken whole."""

from __future__ import annotations

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.charts import heatmap
from tb_gradclip.core.rows import Measurements, step_rows
from tb_gradclip.core.rules import Outcome, Rule
from tb_gradclip.core.schema import WINDOW_DTYPE, Window
from tb_gradclip.core.windows import WindowFolder

PARAMETERS = 4


def norms_of(steps: int, seed: int) -> np.ndarray:
    """Norms with holes: single ones, and one parameter that has none for a long time."""
    rng = np.random.default_rng(seed)
    norms = rng.lognormal(0, 1, (steps, PARAMETERS))
    norms[rng.random(norms.shape) < 0.05] = np.nan
    norms[rng.random(norms.shape) < 0.02] = np.inf
    norms[: steps // 2, 1] = np.nan
    return norms


def outcome_of(norms: np.ndarray, first: int) -> tuple[np.ndarray, Outcome]:
    steps, joint = np.arange(first, first + len(norms)), np.linalg.norm(norms, axis=1)
    return step_rows(Measurements(Rule("norm", 1.0), steps, steps * 1.0, None, np.ones(len(steps)), joint, norms))


def windows_of(norms: np.ndarray, first: int = 0) -> list[Window]:
    folder, (rows, result) = WindowFolder(PARAMETERS), outcome_of(norms, first)
    return [window for window, _ in [*folder.add(rows, norms, result), *folder.close()]]


def whole(norms: np.ndarray, first: int) -> Window:
    """One window over all steps, computed column by column."""
    rows, (_, result) = np.zeros(PARAMETERS, WINDOW_DTYPE), outcome_of(norms, first)
    for p, column in enumerate(norms.T):
        finite = np.isfinite(column)
        known, after = finite.any(), result.norms_after[finite, p]
        rows["norm_before_mean"][p] = column[finite].mean() if known else np.nan
        rows["norm_before_max"][p] = column[finite].max() if known else np.nan
        rows["norm_after_mean"][p] = after.mean() if known else np.nan
        rows["clipped"][p] = sum(result.parameters_clipped[:, p].tolist())
        rows["nonfinite"][p] = len(column) - finite.sum()
    return Window(first, first + len(norms) - 1, len(norms), rows)


def assert_same(found: Window, wanted: Window) -> None:
    assert (found.first_step, found.last_step, found.steps) == (wanted.first_step, wanted.last_step, wanted.steps)
    for name in WINDOW_DTYPE.names or ():
        np.testing.assert_allclose(found.rows[name], wanted.rows[name], rtol=1e-5)


def test_the_examples_hold() -> None:
    assert doctest.testmod(heatmap, extraglobs={"np": np}).failed == 0


@given(st.integers(1, 200), st.integers(0, 50), st.integers(0, 100))
def test_folded_windows_are_the_window_of_all_their_steps(steps: int, first: int, seed: int) -> None:
    norms = norms_of(steps, seed)
    assert_same(heatmap.fold(windows_of(norms, first)), whole(norms, first))


@given(st.integers(1, 400), st.integers(0, 5000), st.integers(1, 40), st.integers(-20, 20), st.integers(-20, 20))
def test_merged_windows_hold_every_window_of_their_part_once(
    steps: int, first: int, most: int, early: int, late: int
) -> None:
    norms = norms_of(steps, seed=steps)
    bounds = first + early, max(first + steps - 1 + late, first + early)
    made = heatmap.merged(windows_of(norms, first), bounds, most)
    assert len(made) <= most + 20 // 16 + 1  # windows beyond the range are parts of their own
    ends = [window.last_step for window in made]
    assert [window.first_step for window in made] == [first, *(end + 1 for end in ends[:-1])]
    for window in made:
        assert_same(window, whole(norms[window.first_step - first : window.last_step + 1 - first], window.first_step))


def test_parts_are_equally_wide_in_steps() -> None:
    rows = np.zeros(1, WINDOW_DTYPE)
    windows = [Window(first, first + 9, 10, rows) for first in range(0, 400, 10)]
    made = heatmap.merged(windows, (0, 399), 8)
    assert [(w.first_step, w.last_step, w.steps) for w in made] == [(i, i + 49, 50) for i in range(0, 400, 50)]
    gap = [window for window in windows if not 100 <= window.first_step < 300]
    assert [w.first_step for w in heatmap.merged(gap, (0, 399), 8)] == [0, 50, 300, 350]


@given(st.integers(0, 1000))
def test_shares_sum_to_one_over_what_is_finite(seed: int) -> None:
    norms = norms_of(6, seed)
    norms[0] = 0
    norms[1] = np.nan
    found = heatmap.shares(norms)
    for row, share in zip(norms, found, strict=True):
        squares = [n**2 if np.isfinite(n) else 0.0 for n in row]
        wanted = [
            s / sum(squares) if np.isfinite(n) and sum(squares) > 0 else np.nan
            for s, n in zip(squares, row, strict=True)
        ]
        np.testing.assert_allclose(share, wanted, rtol=1e-12)


def test_the_first_are_those_with_the_largest_mean_share_and_of_equal_ones_those_listed_first() -> None:
    rng = np.random.default_rng(0)
    windows = []
    for first in range(0, 100, 10):
        rows = np.zeros(30, WINDOW_DTYPE)
        rows["norm_before_mean"] = rng.lognormal(0, 1, 30)
        rows["norm_before_mean"][rng.integers(30)] = np.nan
        windows.append(Window(first, first + 9, 10 + first, rows))
    squares = np.nan_to_num(np.stack([w.rows["norm_before_mean"] for w in windows]).astype(float)) ** 2
    mean = ((squares / squares.sum(axis=1)[:, None]) * [[w.steps] for w in windows]).sum(axis=0)
    assert heatmap.by_share(windows).tolist() == np.argsort(-mean).tolist()
    for window in windows:
        window.rows["norm_before_mean"][[3, 8, 20]] = 0.0
    assert heatmap.by_share(windows).tolist()[-3:] == [3, 8, 20]
    assert heatmap.by_share([]).tolist() == []
