"""Runs by experiment. Its id comes from the address that was asked for, which anybody can make up."""

from __future__ import annotations

import gc
import threading

from tensorboard.data.provider import DataProvider

from tb_gradclip.plugin import answers
from tb_gradclip.plugin.shown import ShownRuns

MOST_EXPERIMENTS = 4
"""Experiments whose runs are held, those asked for last. TensorBoard's own providers have one only, which they give
under every id: each id holds all of its runs once more, and reads them once more after it was forgotten."""


class Experiments:
    """What is shown of each experiment; safe to share between threads.

    Args:
      provider: where records and scalars of all of them come from.
    """

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._held: dict[str, ShownRuns] = {}

    def of(self, experiment: str) -> ShownRuns:
        """The runs of one, and another forgotten for it. Whoever is just answering from that one still has it."""
        with self._lock:
            shown = self._held.pop(experiment, None) or ShownRuns(self._provider, answers.KINDS)
            self._held[experiment] = shown  # at the end, as the one asked for last
            is_full = len(self._held) > MOST_EXPERIMENTS
            if is_full:
                del self._held[next(iter(self._held))]
        if is_full:
            gc.collect()  # runs and what reads them refer to each other; in TensorBoard's heap they would lie for long
        return shown
