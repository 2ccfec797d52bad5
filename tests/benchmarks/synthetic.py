"""Measurements of a training run that never was, as noisy as real ones: what the benchmarks of recording record.

Noise matters: it is what compression cannot remove. Numbers have the precision of float32, as those of a device do.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import CODES, EDGES, INFINITY, SIGN, ZERO
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import Sink
from tests.benchmarks.contest import Floats

BATCH = 128
"""Steps that reach the recorder together, as from a device."""

MATRIX, VECTOR = (512, 512), (512,)
RULE = Rule("global_norm", 1.0, epsilon=TORCH_EPSILON)


class Training:
    """A run in which the norm of each parameter drifts and scatters, a quarter of all steps is clipped, and loss leaps
    up once in ten thousand steps.

    Args:
      parameters: how many; matrices of 512 x 512 and vectors of 512 in turns.
      pace: steps a second.
    """

    def __init__(self, parameters: int = 200, pace: float = 10.0) -> None:
        self.parameters = [
            Parameter(f"layers.{i // 2}.{'bias' if i % 2 else 'weight'}", VECTOR if i % 2 else MATRIX)
            for i in range(parameters)
        ]
        self._sizes = np.array([math.prod(parameter.shape) for parameter in self.parameters])
        self._random = np.random.default_rng(0)
        usual = self._random.lognormal(0, 1, parameters)
        self._usual = 0.85 * usual / np.linalg.norm(usual)
        self._drift = np.zeros(parameters)
        self._time, self._pace = 1_767_225_600.0, pace
        self._norms = self._usual

    def recorder(self, sink: Sink, histogram_every: int = 50) -> Recorder:
        """A recorder for these parameters."""
        return Recorder(
            sink, framework="torch", library="torch 2", parameters=self.parameters, histogram_every=histogram_every
        )

    def batches(self, steps: int, first: int = 0, size: int = BATCH) -> Iterator[Measurements]:
        """That many steps from `first` on, `size` at a time; `histogram` then gives gradients of the last of them."""
        for start in range(first, first + steps, size):
            yield self._measured(np.arange(start, min(start + size, first + steps)))

    def _measured(self, steps: NDArray[np.int64]) -> Measurements:
        count, random = len(steps), self._random
        self._drift += random.normal(0, 0.05, len(self._sizes)) - 0.005 * self._drift
        together = random.normal(0, 0.2, (count, 1))
        scatter = random.normal(0, 0.3, (count, len(self._sizes)))
        norms = _single(self._usual * np.exp(self._drift + together + scatter))
        self._norms = norms[-1]
        times = self._time + np.cumsum(random.gamma(100, 1 / (100 * self._pace), count))
        self._time = float(times[-1])
        losses = (1.0 + 2.5 / np.sqrt(1 + steps / 500)) * np.exp(random.normal(0, 0.05, count))
        losses[random.random(count) < 1e-4] *= 8
        joint = _single(np.linalg.norm(norms, axis=1))
        return Measurements(RULE, steps, times, _single(losses), np.full(count, RULE.threshold), joint, norms)

    def histogram(self, step: int) -> HistogramCounts:
        """Counts of gradients of the last norms: a narrow and a wide bell together; one parameter is mostly zeros."""
        widths = np.rint(8 * np.log2(self._norms / np.sqrt(self._sizes))).astype(int)
        chances = np.stack([_chances(int(width)) for width in widths])
        chances[0] *= 0.1
        chances[0, ZERO] += 0.9
        return HistogramCounts(step, self._random.multinomial(self._sizes, chances))


@functools.cache
def _chances(width: int) -> Floats:
    """Probability of each code for elements whose root mean square is 2 ** (width / 8)."""
    narrow, wide = (2 ** (width / 8) * factor * math.sqrt(2) for factor in (0.2, 1.8))
    below = np.array([0.7 * math.erf(edge / narrow) + 0.3 * math.erf(edge / wide) for edge in EDGES])
    chances = np.zeros(CODES)
    chances[:INFINITY] = chances[SIGN : SIGN + INFINITY] = np.diff(below) / 2
    return chances / chances.sum()


def _single(values: Floats) -> Floats:
    return values.astype(np.float32).astype(np.float64)


def record(training: Training, recorder: Recorder, steps: int, flush_every: int = 0, first: int = 0) -> float:
    """Feed a recorder; seconds it took, without making up the numbers. `flush_every`: steps, 0 for at the end only."""
    spent = told = 0.0
    size = min(flush_every or BATCH, BATCH)
    for measured in training.batches(steps, first, size):
        start = time.perf_counter()
        due = [step for step in measured.steps.tolist() if recorder.histogram_due(step)]
        spent += time.perf_counter() - start
        histograms = [training.histogram(step) for step in due]
        start = time.perf_counter()
        for histogram in histograms:
            recorder.add_histogram(histogram)
        recorder.add_steps(measured)
        recorder.add_own_time(spent - told)
        told = spent
        if flush_every and int(measured.steps[-1]) % flush_every < size:
            recorder.flush()
        spent += time.perf_counter() - start
    start = time.perf_counter()
    recorder.flush()
    return spent + time.perf_counter() - start
