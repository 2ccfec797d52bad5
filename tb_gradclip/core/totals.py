"""Counts over all rows of a run, brought up to date from new rows alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rows import counted


class Totals(NamedTuple):
    """`rows` of them; `counted` enter the clip rate, `clipped` of those were clipped.

    `broken`: rows with a norm or a gradient that is not finite; `broken_or_loss`: those, and rows whose loss is not
    finite; `losses`: rows that have a loss, an infinite one included; `skipped`: updates that a loss scaler skipped.
    """

    rows: int = 0
    counted: int = 0
    clipped: int = 0
    broken: int = 0
    broken_or_loss: int = 0
    losses: int = 0
    skipped: int = 0

    def plus(self, rows: NDArray[np.void]) -> Totals:
        """These and more rows."""
        counts, loss = counted(rows), rows["loss"]
        broken = ~counts | (rows["nonfinite"] > 0)
        flags = (
            counts,
            rows["clipped"] & counts,
            broken,
            broken | ~np.isfinite(loss),
            ~np.isnan(loss),
            rows["skipped"],
        )
        return self.joined(Totals(len(rows), *(int(np.count_nonzero(flag)) for flag in flags)))

    def joined(self, others: Totals) -> Totals:
        """These and those of other rows."""
        return Totals(*(mine + theirs for mine, theirs in zip(self, others, strict=True)))

    @property
    def nonfinite(self) -> int:
        """Rows with anything that is not finite; a run that never had a loss does not miss it."""
        return self.broken_or_loss if self.losses else self.broken
