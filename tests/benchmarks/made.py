"""A long run, made up but written by the real recorder: what the benchmarks of reading read."""

from __future__ import annotations

from pathlib import Path

from tensorboard.compat.proto.summary_pb2 import Summary

from tb_gradclip.storage.write import EventFile
from tests.benchmarks.synthetic import Training, record


class LongRun:
    """A run that grows when told to.

    Args:
      logdir: the run's own directory.
      parameters: how many tensors it trains.
    """

    def __init__(self, logdir: Path, parameters: int) -> None:
        self._sink = EventFile(logdir)
        self._training = Training(parameters, pace=20.0)
        self._recorder = self._training.recorder(self._sink)
        self.steps = 0
        self.marks: list[str] = []
        """Tags of scalars: one is written after all that `grow` recorded, so that who shows it has read the rest."""

    def grow(self, steps: int) -> None:
        """Record this many more steps and bring them into the file."""
        record(self._training, self._recorder, steps, first=self.steps)
        self.steps += steps
        self.marks.append(f"recorded{self.steps}")
        self._sink.add(Summary(value=[Summary.Value(tag=self.marks[-1], simple_value=1.0)]), self.steps, 1.0)
        self._sink.flush()

    def close(self) -> None:
        """Close the file."""
        self._recorder.close()
