"""What another threshold would have done to recorded gradient norms.

A global-norm threshold c leaves a gradient of norm n alone if n is not above it, and else scales it to norm c. So the
norms alone tell for every c how often it would have clipped and how much it would have removed. They are sorted and
summed up once, in O(T log T); each threshold then costs O(log T).

It is an account of the gradients that were recorded: under another threshold training would have gone elsewhere, and
met other gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tb_gradclip.core.rows import counted
from tb_gradclip.core.rules import TORCH_EPSILON, Floats, Rule

ROOM = 2.0
"""How far below the smallest norm and above the largest one a curve starts and ends: there it is flat."""


class WhatIf(NamedTuple):
    """What thresholds would have done, each array of shape [K].

    `threshold`: largest norm that is left alone, in the unit of the norms. `clip_rate`: share of steps, 0 to 1, whose
    norm was above it. `throttle`: share of gradient length, 0 to 1, that it would have removed.
    """

    threshold: Floats
    clip_rate: Floats
    throttle: Floats


class RecordedNorms:
    """Norms of T steps before clipping, sorted and summed up.

    Args:
      norms: shape [T], finite and 0 or more; any order, may be empty.
      epsilon: what the library adds to a norm before it divides, as in `rules.Rule`.
    """

    def __init__(self, norms: Floats, epsilon: float = 0.0) -> None:
        self.sorted = np.sort(np.asarray(norms, float))
        # Sums are of shares of the largest norm, so that they neither overflow nor vanish.
        self._unit = float(self.sorted[-1]) if len(self.sorted) and self.sorted[-1] > 0 else 1.0
        with np.errstate(over="ignore"):
            scaled, epsilon = self.sorted / self._unit, float(np.float64(epsilon) / self._unit)
        self._limits = scaled + epsilon
        self._below = np.concatenate(([0.0], np.cumsum(scaled)))
        with np.errstate(invalid="ignore"):
            lengths = np.where(scaled > 0, scaled / self._limits, 0.0)
        self._above = np.concatenate((np.cumsum(lengths[::-1])[::-1], [0.0]))

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.sorted)

    def at(self, thresholds: ArrayLike) -> WhatIf:
        """What these thresholds would have done.

        clip rate(c) = #{n > c} / T; throttle(c) = 1 - Σ n min(1, c / (n + epsilon)) / Σ n. With an epsilon of 0 that is
        1 - Σ min(n, c) / Σ n.

        Args:
          thresholds: shape [K] or a number, 0 or more, in any order; infinity clips nothing.

        Returns:
          Arrays of shape [K]. Without steps both are NaN; where all norms are 0 the throttle is NaN.

        Raises:
          ValueError: a threshold is negative or NaN.
        """
        asked = np.atleast_1d(np.asarray(thresholds, float))
        if not (asked >= 0).all():
            raise ValueError(f"`thresholds` must be 0 or more, got {asked[~(asked >= 0)][0]}. Pass norms to clip at.")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rate = (self.steps - np.searchsorted(self.sorted, asked, side="right")) / np.float64(self.steps)
            scaled = asked / self._unit
            kept = np.searchsorted(self._limits, scaled, side="right")
            cut = np.where(kept < self.steps, scaled * self._above[kept], 0.0)
            throttle = np.clip(1 - (self._below[kept] + cut) / self._below[-1], 0.0, 1.0)
        return WhatIf(asked, rate, throttle)

    def clipping(self, shares: Sequence[float]) -> Floats:
        """Thresholds that clip these shares of the steps: each the smallest norm that at most so many are above.

        Where norms are equal, fewer are above than asked for. NaN without steps.
        """
        if not self.steps:
            return np.full(len(shares), np.nan)
        most = np.floor(np.asarray(shares) * self.steps + 1e-9).astype(int)
        return self.sorted[np.maximum(self.steps - 1 - most, 0)]

    def autoclip(self, percentiles: Sequence[float]) -> Floats:
        """Thresholds that AutoClip ends with: percentiles of all norms, between neighbours by proportion.

        At percentile p about 100 - p % of steps are clipped; the paper's example is 10. NaN without steps.
        Source: Seetharaman et al., "AutoClip", MLSP 2020, arXiv:2007.14469, whose code takes `np.percentile` of all
        norms so far, the step's own included.
        """
        if not self.steps:
            return np.full(len(percentiles), np.nan)
        return np.asarray(np.percentile(self.sorted, percentiles))

    def grid(self, points: int) -> Floats:
        """At most `points` thresholds, ascending, that a curve is drawn through; empty if no norm is above 0.

        Half are norms at equal ranks, between which the clip rate changes by 2 / points at most; half are evenly
        spaced on a logarithmic axis, from below the smallest norm to above the largest.
        """
        positive = self.sorted[np.searchsorted(self.sorted, 0.0, side="right") :]
        if not len(positive):
            return positive
        ranks = np.linspace(0, len(positive) - 1, points // 2).round().astype(int)
        ends = np.log(positive[0]) - np.log(ROOM), np.log(positive[-1]) + np.log(ROOM)
        spaced = np.exp(np.linspace(*ends, points - len(ranks)))
        grid = np.unique(np.concatenate((positive[ranks], spaced)))
        return grid[np.isfinite(grid) & (grid > 0)]


def recorded_norms(rows: NDArray[np.void], rule: Rule, framework: str) -> RecordedNorms:
    """Norms of those rows of a step table that count, see `rows.counted`.

    The library's epsilon is that of the rule if it clips by global norm; for any other rule, that of the framework's
    clipping by global norm, which is what the answer is about.
    """
    own = rule.kind == "global_norm"
    epsilon = rule.epsilon if own else TORCH_EPSILON if framework == "torch" else 0.0
    return RecordedNorms(rows["norm_before"][counted(rows)], epsilon)
