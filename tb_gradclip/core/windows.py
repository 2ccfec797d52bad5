"""Statistics of every parameter over windows of steps that grow with the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rows import counted
from tb_gradclip.core.rules import Floats, Outcome
from tb_gradclip.core.schedule import window_length
from tb_gradclip.core.schema import WINDOW_DTYPE, Window


@dataclass(frozen=True)
class RunWindow:
    """What a closed window says of the run as a whole; NaN where no step of it had a finite norm."""

    clip_rate: float
    norm_before: float
    norm_after: float


class WindowFolder:
    """Folds steps into windows. A window that starts at step s ends at the next multiple of `window_length(s)`."""

    def __init__(self, parameters: int) -> None:
        self._parameters = parameters
        self._rows: list[NDArray[np.void]] = []
        self._before: list[Floats] = []
        self._after: list[Floats] = []
        self._clipped: list[NDArray[np.bool_]] = []

    def add(self, rows: NDArray[np.void], norms_before: Floats, result: Outcome) -> Iterator[tuple[Window, RunWindow]]:
        """Take T steps of the table with norms of shape [T, P]; yields the windows they complete."""
        start = 0
        while start < len(rows):
            first = int(self._rows[0]["step"][0]) if self._rows else int(rows["step"][start])
            length = window_length(first)
            end_step = first - first % length + length
            stop = start + int(np.searchsorted(rows["step"][start:], end_step))
            if stop > start:
                self._rows.append(rows[start:stop])
                self._before.append(norms_before[start:stop])
                self._after.append(result.norms_after[start:stop])
                self._clipped.append(result.parameters_clipped[start:stop])
            if stop < len(rows) or self._rows[-1]["step"][-1] == end_step - 1:
                yield self._fold()
            start = stop

    def close(self) -> Iterator[tuple[Window, RunWindow]]:
        """Yield the window that is still open, if any."""
        if self._rows:
            yield self._fold()

    def _fold(self) -> tuple[Window, RunWindow]:
        rows = np.concatenate(self._rows)
        before, after = np.concatenate(self._before), np.concatenate(self._after)
        folded = np.zeros(self._parameters, WINDOW_DTYPE)
        finite = np.isfinite(before)
        count = finite.sum(axis=0)
        with np.errstate(over="ignore"):  # float64 norms may lie beyond the float32 of a window
            folded["norm_before_mean"] = finite_mean(before)
            folded["norm_before_max"] = np.where(count > 0, np.where(finite, before, -np.inf).max(axis=0), np.nan)
            folded["norm_after_mean"] = finite_mean(after)
        folded["clipped"] = np.concatenate(self._clipped).sum(axis=0)
        folded["nonfinite"] = len(rows) - count
        window = Window(int(rows["step"][0]), int(rows["step"][-1]), len(rows), folded)
        counts = counted(rows)
        rate = float(rows["clipped"][counts].mean()) if counts.any() else np.nan
        overall = RunWindow(rate, float(finite_mean(rows["norm_before"])), float(finite_mean(rows["norm_after"])))
        vars(self).update(_rows=[], _before=[], _after=[], _clipped=[])  # at once, whenever Ctrl-C comes
        return window, overall


def finite_mean(values: Floats) -> Floats:
    """Mean over the first axis of what is finite; NaN where nothing is."""
    finite = np.isfinite(values)
    if finite.all() and len(values):
        return np.asarray(values.mean(axis=0))
    count = finite.sum(axis=0)
    return np.where(count > 0, np.where(finite, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
