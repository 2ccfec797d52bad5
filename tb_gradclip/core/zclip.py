"""ZClip over recorded norms: the thresholds it would have used, had training been the same.

Source: Kumar et al., "ZClip: Adaptive Spike Mitigation for LLM Pre-Training", 2025, arXiv:2504.02507, and the authors'
code (github.com/bluorion-com/ZClip, `zclip.py`) with its defaults, but without the fixed `max_grad_norm` that it can
apply on top.
"""

from __future__ import annotations

import math

import numpy as np

from tb_gradclip.core.rules import Floats

ALPHA = 0.97
"""Weight of the past in the running mean and variance."""
Z = 2.5
"""Standard deviations above the mean from which on a norm is clipped."""
WARM_UP = 25
"""Steps from whose norms the first mean and variance are taken; none of them is clipped."""
EPSILON = 1e-6
"""Added to the standard deviation before it divides."""


class ZClip:
    """Running mean m and variance v of the norms of one run, which take more norms as they come.

    A norm n has the score z = (n - m) / (√v + EPSILON). If z > Z it is clipped to m + Z √v / (z / Z): the further out,
    the more strictly. Then, with x the norm after clipping, m ← ALPHA m + (1 - ALPHA) x and
    v ← ALPHA v + (1 - ALPHA) (x - m)².
    """

    def __init__(self) -> None:
        self._first: list[float] = []
        self._mean = self._variance = math.nan

    @property
    def limit(self) -> float:
        """The largest norm that it leaves alone now: m + Z (√v + EPSILON); NaN while it warms up."""
        return self._mean + Z * (math.sqrt(self._variance) + EPSILON)

    def replay(self, norms: Floats) -> tuple[Floats, Floats]:
        """What it does to the next norms.

        Args:
          norms: shape [T], 0 or more. One that is not finite is passed over: nothing can be learned from it.

        Returns:
          `limit` before each step, and the norm after it; NaN in both where the norm is not finite. Shape [T].
        """
        before = np.asarray(norms, float)
        limits, after = np.full(len(before), np.nan), before.copy()
        finite = np.flatnonzero(np.isfinite(before))
        after[~np.isfinite(before)] = np.nan
        warming = max(min(WARM_UP - len(self._first), len(finite)), 0)
        self._warm_up(before[finite[:warming]].tolist())
        places = finite[warming:]
        found = self._run(before[places].tolist())
        limits[places], after[places] = np.array(found).reshape(2, -1)
        return limits, after

    def _warm_up(self, norms: list[float]) -> None:
        self._first += norms
        if norms and len(self._first) == WARM_UP:
            self._mean = sum(self._first) / WARM_UP
            self._variance = sum((norm - self._mean) * (norm - self._mean) for norm in self._first) / WARM_UP

    def _run(self, norms: list[float]) -> tuple[list[float], list[float]]:
        """The loop: every step needs the one before, and Python's floats are faster than arrays of one."""
        mean, variance, limits, after = self._mean, self._variance, [], []
        for norm in norms:
            sigma = math.sqrt(variance)
            limit = mean + Z * (sigma + EPSILON)
            kept = norm if not norm > limit else mean + Z * Z * sigma * (sigma + EPSILON) / (norm - mean)
            mean = ALPHA * mean + (1 - ALPHA) * kept
            variance = ALPHA * variance + (1 - ALPHA) * (kept - mean) * (kept - mean)
            limits.append(limit)
            after.append(kept)
        self._mean, self._variance = mean, variance
        return limits, after
