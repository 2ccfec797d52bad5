"""Which parameter went first: the one whose share of the squared gradient norm rose most above its own past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rules import Floats

RATE = 0.02
"""Weight of the newest step in the running mean of shares, about the last 50 steps."""

RECENT = 16
"""Steps before an alert in which a rise is looked for: a divergence is noticed a few steps after it began."""


class ShareTracker:
    """Follows every parameter's share n_p² / Σ n², in O(P) a step.

    A step with a non-finite norm names its non-finite parameters in backward order instead: gradients are computed
    from the last parameter to the first, so the last one listed was reached first. Where all of them are affected
    the bad value entered with the loss and the shares of the steps before decide.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._past = np.full(len(names), np.nan)
        self._recent: list[tuple[int, Floats]] = []
        self._nonfinite: NDArray[np.bool_] = np.zeros(len(names), bool)

    def observe(self, step: int, norms: Floats) -> None:
        """Take the norms of all parameters at one step, shape [P]."""
        self._nonfinite = ~np.isfinite(norms)
        largest = norms.max(initial=0.0)
        if self._nonfinite.any() or not largest > 0:
            return
        squares = (norms / largest) ** 2  # scaled, because 1e200 squared is infinite
        shares = squares / squares.sum()
        self._recent.append((step, shares))
        if len(self._recent) > RECENT:
            _, oldest = self._recent.pop(0)
            self._past = np.where(np.isnan(self._past), oldest, self._past + RATE * (oldest - self._past))

    def first(self) -> str | None:
        """Name of the parameter to blame for what happened at the newest step; None when nothing stands out."""
        bad = self._nonfinite
        if bad.any() and not bad.all():
            return self._names[int(np.flatnonzero(bad)[-1])]
        if not self._recent or not self._names:
            return None
        past = self._past if not np.isnan(self._past).any() else self._recent[0][1]
        rise = np.max([shares for _, shares in self._recent], axis=0) - past
        return self._names[int(rise.argmax())] if rise.max() > 0 else None
