"""A long run, made up but written by the real recorder: what the benchmarks of reading read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary

from tb_gradclip.core.histogram import count
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.core.schema import Parameter
from tb_gradclip.recorder import HistogramCounts, Recorder
from tb_gradclip.storage.write import EventFile

RULE = Rule("global_norm", 10.0, epsilon=TORCH_EPSILON)
BATCH = 1000
ELEMENTS = 4096
TEMPLATES = 16


class LongRun:
    """A run that grows when told to.

    Args:
      logdir: the run's own directory.
      parameters: how many tensors it trains, of 4096 elements each.
    """

    def __init__(self, logdir: Path, parameters: int) -> None:
        self._rng = np.random.default_rng(0)
        self._sink = EventFile(logdir)
        shapes = [Parameter(f"layers.{i}.weight", (64, 64)) for i in range(parameters)]
        self._recorder = Recorder(self._sink, framework="torch", library="torch 2", parameters=shapes)
        scales = np.exp(self._rng.normal(-5, 1.5, parameters))
        self._histograms = [
            np.stack([count((self._rng.normal(0, scale, ELEMENTS)).astype(np.float32)) for scale in scales])
            for _ in range(TEMPLATES)
        ]
        self._parameters = parameters
        self.steps = 0
        self.marks: list[str] = []
        """Tags of scalars: one is written after all that `grow` recorded, so that who shows it has read the rest."""

    def grow(self, steps: int) -> None:
        """Record this many more steps, in the batches an adapter would hand over, and bring them into the file."""
        for first in range(self.steps, self.steps + steps, BATCH):
            axis = np.arange(first, min(first + BATCH, self.steps + steps))
            for step in axis[[self._recorder.histogram_due(int(step)) for step in axis]].tolist():
                template = self._histograms[self._rng.integers(TEMPLATES)]
                self._recorder.add_histogram(HistogramCounts(step, template))
            self._recorder.add_steps(self._measured(axis))
        self.steps += steps
        self._recorder.flush()
        self.marks.append(f"recorded{self.steps}")
        self._sink.add(Summary(value=[Summary.Value(tag=self.marks[-1], simple_value=1.0)]), self.steps, 1.0)
        self._sink.flush()

    def close(self) -> None:
        """Close the file."""
        self._recorder.close()

    def _measured(self, steps: np.ndarray) -> Measurements:
        shape = (len(steps), self._parameters)
        norms = np.exp(self._rng.normal(-0.5, 0.4, shape).astype(np.float32)).astype(float)
        losses = (3 / np.sqrt(1 + steps / 1000) + self._rng.normal(0, 0.02, len(steps))).astype(np.float32)
        joint = np.linalg.norm(norms, axis=1).astype(np.float32).astype(float)
        times = 1_767_225_600.0 + steps * 0.05 + self._rng.uniform(0, 0.004, len(steps))
        limits = np.full(len(steps), RULE.threshold)
        return Measurements(RULE, steps, times, losses.astype(float), limits, joint, norms)
