"""Step tables for tests: with breaks, pauses, clocks set back and steps without a loss."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core.charts.outline import Outline, Outliner
from tb_gradclip.core.rows import STEP_DTYPE


def table(length: int, seed: int = 0, first_step: int = 0) -> NDArray[np.void]:
    """Rows of a run that goes wrong now and then."""
    rng, rows = np.random.default_rng(seed), np.zeros(length, STEP_DTYPE)
    rows["step"] = first_step + np.cumsum(rng.integers(1, 3, length))
    rows["wall_time"] = 1_767_225_600.0 + np.cumsum(rng.exponential(1.0, length) - 0.2)
    for name in ("loss", "norm_before", "coefficient", "threshold"):
        rows[name] = rng.normal(1, 1, length)
        rows[name][rng.random(length) < 0.02] = np.nan
        rows[name][rng.random(length) < 0.02] = np.inf
    rows["norm_before"] = np.abs(rows["norm_before"]) * 10.0 ** rng.integers(-3, 12, length)
    rows["norm_after"] = np.minimum(rows["norm_before"], 1.0)
    rows["clipped"] = rng.random(length) < 0.3
    rows["nonfinite"] = rng.random(length) < 0.02
    return rows


tables = st.builds(table, st.integers(1, 700), st.integers(0, 10_000))


def pieces(length: int, cuts: list[int]) -> list[int]:
    """Lengths that a table has one after another as it grows to `length`."""
    return [*sorted({cut % length for cut in cuts} - {0}), length]


def outlines_of(rows: NDArray[np.void], ends: list[int]) -> list[Outline]:
    """Outlines of consecutive parts of a table, which end before these rows."""
    outliner, found = Outliner(), []
    for start, end in zip([0, *ends], ends, strict=False):
        for part in np.array_split(rows[start:end], 3):  # records of any size
            outliner.add(part, 0.5, 2.0)
        found.append(outliner.finish())
    return found
