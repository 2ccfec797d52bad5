"""Parameters over steps: windows merged until a screen can show them, and every parameter's share of the whole norm."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rules import Floats
from tb_gradclip.core.schema import WINDOW_DTYPE, Window


def merged(windows: Iterable[Window], bounds: tuple[int, int], most: int) -> list[Window]:
    """One window for each of `most` equally wide parts of a range of steps, folded from those in it.

    A window is in the part that its first step is in, or in the first one if that is before the range. Parts without a
    window have none.

    Args:
      windows: in order of step.
      bounds: first and last step of the range, both included.
      most: how many to make at most, 1 or more.
    """
    first, last = bounds

    def part(window: Window) -> int:
        return max(window.first_step - first, 0) * most // (last - first + 1)

    return [fold(list(group)) for _, group in itertools.groupby(windows, part)]


def fold(windows: Sequence[Window]) -> Window:
    """One window in place of one or more that follow each other.

    A mean is the mean over all their steps with a finite norm, m = Σ c m_w / Σ c with c = steps - nonfinite, a maximum
    is the largest one, and counts are summed. Windows without a finite norm, whose means and maximum are NaN, do not
    enter; where there is no other, NaN stays. Of `norm_after_mean` the number of finite norms is not recorded: it is
    weighted by that of the norms before, which is the same unless clipping itself made a norm not finite.
    """
    if len(windows) == 1:
        return windows[0]
    rows = np.stack([window.rows for window in windows])
    steps = np.array([window.steps for window in windows])
    counts = steps[:, None] - rows["nonfinite"].astype(np.int64)
    folded = np.zeros(rows.shape[1], WINDOW_DTYPE)
    with np.errstate(over="ignore"):  # means that a float32 could not hold are infinite already
        for name in ("norm_before_mean", "norm_after_mean"):
            folded[name] = _weighted_mean(rows[name].astype(np.float64), counts)
    folded["norm_before_max"] = np.fmax.reduce(rows["norm_before_max"], axis=0)
    for name in ("clipped", "nonfinite"):
        folded[name] = rows[name].sum(axis=0)
    return Window(windows[0].first_step, windows[-1].last_step, int(steps.sum()), folded)


def _weighted_mean(values: Floats, weights: NDArray[np.int64]) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    kept = ~np.isnan(values) & (weights > 0)
    total = np.where(kept, weights, 0).sum(axis=0)
    summed = np.where(kept, np.where(kept, values, 0.0) * weights, 0.0).sum(axis=0)
    mean: Floats = np.where(total > 0, summed / np.maximum(total, 1), np.nan)
    return mean


def joint_norms(norms: Floats) -> Floats:
    """√Σ n² over the last axis, of what is finite; 0 where nothing is. For norms below 1e150."""
    joint: Floats = np.sqrt((np.where(np.isfinite(norms), norms, 0.0) ** 2).sum(axis=-1))
    return joint


def shares(norms: Floats) -> Floats:
    """Shares s_p = n_p² / Σ n² of the squared norm; they sum to 1 over the last axis.

    A norm that is not finite has the share NaN and does not enter the sum. Where all are 0, all shares are NaN.

    >>> shares(np.array([3.0, 4.0, np.nan]))
    array([0.36, 0.64,  nan])
    """
    joint = joint_norms(norms)[..., None]
    known = np.isfinite(norms) & (joint > 0)
    result: Floats = np.where(known, (np.where(known, norms, 0.0) / np.where(joint > 0, joint, 1.0)) ** 2, np.nan)
    return result


def by_share(windows: Sequence[Window]) -> NDArray[np.int64]:
    """Places of all parameters, that with the largest mean share over all steps first.

    A share that is NaN counts as 0. Of equal ones those listed first come first.
    """
    total = np.zeros(len(windows[0].rows) if windows else 0)
    for window in windows:
        total += window.steps * np.nan_to_num(shares(window.rows["norm_before_mean"].astype(np.float64)))
    return np.argsort(-total, kind="stable")
