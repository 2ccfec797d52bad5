"""Clip rate with its confidence interval, and throttle.

Steps whose norm is not finite are left out of every denominator: nothing can be said of clipping there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rows import counted
from tb_gradclip.core.rules import Floats

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


class ClipRate(NamedTuple):
    """Share of clipped steps with its Wilson 95 % interval, and the number of steps it is a share of."""

    rate: Floats
    low: Floats
    high: Floats
    steps: Floats


def wilson(clipped: Floats, steps: Floats) -> ClipRate:
    """Share of successes with Wilson's 95 % score interval; NaN where `steps` is 0.

    With p = clipped/steps and z = 1.96: (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n).
    Unlike p ± z·s it stays in [0, 1] and has a width at p = 0 and p = 1. Source: Wilson, JASA 22 (1927), p. 209.
    """
    n = np.where(steps > 0, steps, np.nan)
    p = clipped / n
    middle = p + Z95**2 / (2 * n)
    spread = Z95 * np.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    norm = 1 + Z95**2 / n
    low = np.where(clipped == 0, 0.0, (middle - spread) / norm)
    high = np.where(clipped == n, 1.0, (middle + spread) / norm)
    return ClipRate(
        p, np.where(np.isnan(n), np.nan, low), np.where(np.isnan(n), np.nan, high), np.asarray(steps, float)
    )


def trailing_sum(values: Floats, window: int) -> Floats:
    """Sum over each position and the `window` - 1 before it (fewer at the start), in linear time.

    Differences of one running total would carry the rounding of a norm of 1e30 through the rest of the run. Here the
    total starts afresh every `window` values, and each sum joins the tail of one block to the head of the next.
    """
    n = len(values)
    window = min(window, n)
    if window <= 1:
        return np.array(values, float)
    blocks = np.zeros((-(-n // window), window))
    blocks.reshape(-1)[:n] = values
    tails = np.cumsum(blocks[:, ::-1], axis=1)[:, ::-1]
    tails[:, 0] = 0.0  # a window that begins with a block ends with it, and is its head
    sums = np.cumsum(blocks, axis=1).reshape(-1)[:n]
    sums[window:] += tails.reshape(-1)[1 : n - window + 1]
    return sums


def windowed_clip_rate(rows: NDArray[np.void], window: int) -> ClipRate:
    """Clip rate at every row over the last `window` rows of the step table. Empty in, empty out."""
    counts = counted(rows)
    return wilson(
        trailing_sum((rows["clipped"] & counts).astype(float), window), trailing_sum(counts.astype(float), window)
    )


def windowed_throttle(rows: NDArray[np.void], window: int) -> Floats:
    """Share of gradient length that clipping removed: 1 - Σ norm_after / Σ norm_before over the last `window` rows.

    NaN where the window holds no finite gradient, or only zero ones.
    """
    counts = counted(rows) & np.isfinite(rows["norm_after"])
    before = trailing_sum(np.where(counts, rows["norm_before"], 0.0), window)
    after = trailing_sum(np.where(counts, rows["norm_after"], 0.0), window)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0, 1 - after / before, np.nan)
