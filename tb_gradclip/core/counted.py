"""Counts of one step's gradients, and the histogram they become once the step itself is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.histogram import GradientHistogram
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import parameter_coefficients


@dataclass(frozen=True)
class HistogramCounts:
    """Counts of one step's gradients as they left the device; shapes as in `GradientHistogram`."""

    step: int
    counts: NDArray[np.int64]
    counts_after: NDArray[np.int64] | None = None
    clipped: NDArray[np.int64] | None = None
    cosine: float | None = None

    def histogram(self, measured: Measurements, names: tuple[str, ...]) -> GradientHistogram:
        """The histogram, with what these measurements, of its step among others, say of the clipping."""
        t = int(np.searchsorted(measured.steps, self.step))
        factors = parameter_coefficients(
            measured.rule,
            measured.thresholds[t : t + 1],
            measured.norm_before[t : t + 1],
            measured.norms_before[t : t + 1],
            None if measured.factors is None else measured.factors[t : t + 1],
        )
        return GradientHistogram(
            self.step,
            float(measured.wall_times[t]),
            measured.rule.at(float(measured.thresholds[t])),
            names,
            self.counts,
            None if factors is None else factors[0],
            self.counts_after,
            self.clipped,
            self.cosine,
        )
