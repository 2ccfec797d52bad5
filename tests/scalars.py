"""Logs of ordinary scalars, as anybody's training writes them: without us, and always the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

START = 1_767_225_600.0
DIVERGES, BACK = 1200, 1500
"""From when to when the loss of `diverging_loss` is six times what it should be."""


def healthy_loss(steps: int = 2000, seed: int = 0) -> np.ndarray:
    """A loss that falls from 4.6 to 1.6, with noise of 5 %."""
    return np.exp(np.random.default_rng(seed).normal(0, 0.05, steps)) * (1.6 + 3 * np.exp(-np.arange(steps) / 300))


def diverging_loss(steps: int = 2000, seed: int = 0) -> np.ndarray:
    """The same, but it diverges for a while."""
    losses = healthy_loss(steps, seed)
    losses[DIVERGES:BACK] *= 6
    return losses


def points(losses: Iterable[float], every: int = 1, first: int = 0) -> list[tuple[int, float]]:
    """Each `every`-th of the losses with its step."""
    return list(enumerate(losses, first))[::every]


class ScalarFile:
    """An event file of scalars, which can be added to.

    Args:
      logdir: the run's own directory.
      tensors: whether to write what TensorFlow 2 does, tensors with metadata; else plain values, as PyTorch and
        TensorFlow 1 do.
    """

    def __init__(self, logdir: Path, *, tensors: bool = False) -> None:
        self._tensors = tensors
        self._file = EventFileWriter(str(logdir))

    def add(self, scalars: Mapping[str, Iterable[tuple[int, float]]]) -> None:
        """Write points, pairs of a step and a value, two steps a second; and see them on disk."""
        for tag, pairs in scalars.items():
            for step, value in pairs:
                self._file.add_event(
                    Event(wall_time=START + step / 2, step=step, summary=Summary(value=[self._value(tag, value)]))
                )
        self._file.flush()

    def _value(self, tag: str, value: float) -> Summary.Value:
        if not self._tensors:
            return Summary.Value(tag=tag, simple_value=value)
        metadata = create_summary_metadata(display_name="", description="")
        return Summary.Value(tag=tag, tensor=make_tensor_proto(np.float32(value)), metadata=metadata)

    def close(self) -> None:
        """End the file."""
        self._file.close()


def write_scalars(logdir: Path, scalars: Mapping[str, Iterable[tuple[int, float]]], *, tensors: bool = False) -> None:
    """One run of ordinary scalars."""
    file = ScalarFile(logdir, tensors=tensors)
    file.add(scalars)
    file.close()
