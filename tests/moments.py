"""Runs in which something happens at one step off the schedule, and what the log must hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tb_gradclip
from tb_gradclip.core.histogram import Distribution, GradientHistogram

Array = NDArray[np.float32]

SHAPES = [(16, 8), (9,), (3, 2, 2)]
STEPS, MOMENT = 180, 137
"""Steps of a run, and the one at which something happens: not on a schedule of every 50."""


def gradients(size: float = 1000.0) -> list[list[Array]]:
    """Gradients of every step: noise, but for one step at which one element in five is so many times as large."""
    rng = np.random.default_rng(0)
    steps = [[rng.normal(0, 0.1, shape).astype(np.float32) for shape in SHAPES] for _ in range(STEPS)]
    for gradient in steps[MOMENT]:
        gradient.reshape(-1)[::5] *= np.float32(size)
    return steps


def histograms(logdir: Path) -> dict[int, GradientHistogram]:
    """The histograms of a run beside its schedule, by step."""
    found = tb_gradclip.read(logdir)["."].histograms
    return {int(step): found.at(int(step)) for step in found.steps if step % 50}


def assert_of(found: Distribution, arrays: Sequence[NDArray[np.floating]]) -> None:
    """Assert that a distribution is just that of the elements of these arrays, counted by NumPy."""
    values = np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])
    with np.errstate(invalid="ignore"):
        counts = [np.histogram(values, edges)[0][0] for edges in zip(found.low, found.high, strict=True)]
    assert found.counts.tolist() == counts
    assert found.counts.sum() == (np.isfinite(values) & (values != 0)).sum()
    apart = [(values == 0).sum(), np.isnan(values).sum(), (values == np.inf).sum(), (values == -np.inf).sum()]
    assert [found.zero, found.nan, found.positive_infinity, found.negative_infinity] == apart


def assert_holds_moment(logdir: Path, before: Sequence[Array], after: Sequence[Array], step: int = MOMENT) -> None:
    """Assert that the log has the distribution of this step beside the schedule, and of no other."""
    found = histograms(logdir)
    assert list(found) == [step]
    assert_of(found[step].before(), before)
    assert_of(found[step].after(), after)
    for row, array in zip(found[step].counts, before, strict=True):
        assert row.sum() == array.size
