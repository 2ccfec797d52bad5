"""Logs that tests look at: written by the real recorder, always the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import count
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile

START = 1_767_225_600.0
PARAMETERS = [Parameter("embedding.weight", (40, 8)), Parameter("rnn.weight", (8, 8)), Parameter("head.weight", (8, 5))]
SPIKE = 2345
"""The one step of `clipped` whose loss and norm are ten times their neighbours'."""
BREAK = 3000
"""The step from which `broken` is NaN."""


def write_runs(logdir: Path, steps: int = 5000) -> None:
    """Three runs: clipped by global norm, clipped by value, and one that is not clipped and breaks."""
    write_run(logdir / "clipped", steps, Rule("global_norm", 1.0, epsilon=TORCH_EPSILON))
    write_run(logdir / "by_value", steps, Rule.by_value(-0.01, 0.01), seed=1, uncovered=["head.weight"])
    write_run(logdir / "broken", steps, Rule("none"), seed=2)


def write_run(
    logdir: Path, steps: int, rule: Rule, seed: int = 0, breaks_at: int = BREAK, uncovered: Sequence[str] = ()
) -> None:
    """One run, fed in batches as an adapter would; one that is not clipped is NaN from `breaks_at` on.

    The adapter notices that parameters are `uncovered` by the clip call.
    """
    rng = np.random.default_rng(seed)
    axis = np.arange(steps)
    losses = 2.5 * np.exp(-axis / 900) + 0.5 + rng.normal(0, 0.01, steps)
    norms = np.exp(rng.normal(-0.3, 0.25, (steps, len(PARAMETERS))))
    if rule.kind == "global_norm" and steps > SPIKE:
        losses[SPIKE] *= 10
        norms[SPIKE, 1] *= 30
    if rule.kind == "none":
        losses[breaks_at:] = np.nan
        norms[breaks_at:] = np.nan
        norms[breaks_at + 10 :: 2] = np.inf
    recorder = Recorder(EventFile(logdir), framework="torch", library="torch 2", parameters=PARAMETERS)
    if uncovered:
        recorder.add_finding("not_covered", 0, names=uncovered)
    for first in range(0, steps, 50):
        part = slice(first, min(first + 50, steps))
        if recorder.histogram_due(first):
            recorder.add_histogram(histogram(rule, first, norms[first], rng))
        recorder.add_steps(measured(rule, axis[part], losses[part], norms[part]))
    recorder.close()


def measured(rule: Rule, steps: np.ndarray, losses: np.ndarray, norms: np.ndarray) -> Measurements:
    """A batch of steps, two of them a second."""
    after = norms * 0.6 if rule.measures_after else None
    limits = np.full(len(steps), rule.threshold)
    joint = np.linalg.norm(norms, axis=1)
    return Measurements(rule, steps, START + steps / 2, losses, limits, joint, norms, after)


def histogram(rule: Rule, step: int, norms: np.ndarray, rng: np.random.Generator) -> HistogramCounts:
    """Gaussian gradients of the norms given; a NaN norm makes a tenth of them NaN."""
    counts = []
    for parameter, norm in zip(PARAMETERS, norms, strict=True):
        size = int(np.prod(parameter.shape))
        values = rng.normal(0, 1, size) * np.nan_to_num(norm, nan=1.0, posinf=1.0) / np.sqrt(size)
        values[: size // 10] = 0.0
        if not np.isfinite(norm):
            values[-size // 10 :] = norm
        counts.append(count(values.astype(np.float32)))
    if rule.kind != "value":
        return HistogramCounts(step, np.stack(counts))
    return HistogramCounts(step, np.stack(counts), clipped=np.array([3, 2, 1]), cosine=np.cos(np.pi / 6))


class GrowingRun:
    """A run that grows when told to, clipped by global norm; breaks for a moment after step 7000.

    Args:
      logdir: the run's own directory.
      start: its first step.
    """

    def __init__(self, logdir: Path, start: int = 0) -> None:
        self._random = np.random.default_rng(start)
        self.recorder = Recorder(EventFile(logdir), framework="torch", library="torch 2", parameters=PARAMETERS)
        self.steps = start

    def grow(self, steps: int) -> None:
        """Record so many more steps, a multiple of 100."""
        rule = Rule("global_norm", 1.0)
        for first in range(self.steps, self.steps + steps, 100):
            norms = np.exp(self._random.normal(-0.3, 0.25, (100, len(PARAMETERS))))
            losses = 2 + self._random.normal(0, 0.01, 100)
            if first == 7_000:
                losses[5], norms[7, 1] = 20.0, np.nan
            if self.recorder.histogram_due(first):
                self.recorder.add_histogram(histogram(rule, first, norms[0], self._random))
            self.recorder.add_steps(measured(rule, np.arange(first, first + 100), losses, norms))
        self.steps += steps
        self.recorder.flush()


def write_small_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have recorders write small records, and outlines of few rows, so that 20,000 steps make a long run."""
    monkeypatch.setattr("tb_gradclip.recorder.ROWS_PER_RECORD", 64)
    monkeypatch.setattr("tb_gradclip.recorder.ROWS_PER_OUTLINE", 512)
