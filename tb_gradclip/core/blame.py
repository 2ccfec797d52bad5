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
        self._past: Floats | None = None
        self._recent: Floats = np.zeros((0, len(names)))
        self._nonfinite: NDArray[np.bool_] = np.zeros(len(names), bool)

    def observe(self, norms: Floats) -> None:
        """Take the norms of all parameters at the next T steps, shape [T, P]; T may be 0."""
        if not len(norms):
            return
        finite = np.isfinite(norms)
        self._nonfinite = ~finite[-1]
        sound = norms[finite.all(axis=1) & norms.any(axis=1)]
        squares = (sound / sound.max(axis=1, initial=0.0)[:, None]) ** 2  # scaled, because 1e200 squared is infinite
        shares = np.concatenate((self._recent, squares / squares.sum(axis=1)[:, None]))
        self._recent = shares[-RECENT:]
        for_past = shares[:-RECENT]
        if self._past is None and len(for_past):
            self._past, for_past = for_past[0], for_past[1:]
        if self._past is not None:
            kept = (1 - RATE) ** np.arange(len(for_past), -1, -1)
            self._past = kept[0] * self._past + RATE * kept[1:] @ for_past

    def first(self) -> str | None:
        """Name of the parameter to blame for what happened at the newest step; None when nothing stands out."""
        bad = self._nonfinite
        if bad.any() and not bad.all():
            return self._names[int(np.flatnonzero(bad)[-1])]
        if not len(self._recent) or not self._names:
            return None
        past = self._recent[0] if self._past is None else self._past
        rise = self._recent.max(axis=0) - past
        return self._names[int(rise.argmax())] if rise.max() > 0 else None
