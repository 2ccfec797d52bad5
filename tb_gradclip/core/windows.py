"""Statistics of every parameter over windows of steps that grow with the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

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


PARTS = 64
"""Parts of a window that wait to be summed up together: steps come one by one where alerts are heard. One of as many
steps does not wait."""


class Part(NamedTuple):
    """Consecutive steps: rows of the table [T], norms of parameters and whether they were clipped [T, P]."""

    rows: NDArray[np.void]
    before: Floats
    after: Floats
    clipped: NDArray[np.bool_]


@dataclass(frozen=True)
class Mean:
    """Of finite values, over the first axis of what was taken."""

    sum: Floats | float = 0.0
    count: NDArray[np.int64] | int = 0

    def joined(self, values: Floats) -> Mean:
        """With more values."""
        finite = np.isfinite(values)
        return Mean(self.sum + np.where(finite, values, 0.0).sum(axis=0), self.count + finite.sum(axis=0))

    @property
    def value(self) -> Floats:
        """NaN where nothing was finite."""
        return np.where(np.asarray(self.count) > 0, self.sum / np.maximum(self.count, 1), np.nan)


@dataclass(frozen=True)
class Sums:
    """What is known of the steps of a window so far."""

    first_step: int
    last_step: int
    steps: int
    before: Mean
    after: Mean
    largest: Floats
    """Of finite norms before clipping; -Inf where there was none."""
    clipped: NDArray[np.int64]
    clip_rate: Mean
    norm_before: Mean
    norm_after: Mean

    @classmethod
    def none(cls, parameters: int) -> Sums:
        """Those of no step."""
        empty = Mean(np.zeros(parameters), np.zeros(parameters, np.int64))
        nothing = np.full(parameters, -np.inf), np.zeros(parameters, np.int64)
        return cls(0, -1, 0, empty, empty, *nothing, Mean(), Mean(), Mean())

    def joined(self, part: Part) -> Sums:
        """With the steps that follow."""
        rows, before, after, clipped = part
        with np.errstate(over="ignore"):  # float64 norms may lie beyond what their sum can hold
            return Sums(
                self.first_step if self.steps else int(rows["step"][0]),
                int(rows["step"][-1]),
                self.steps + len(rows),
                self.before.joined(before),
                self.after.joined(after),
                np.maximum(self.largest, np.where(np.isfinite(before), before, -np.inf).max(axis=0)),
                self.clipped + clipped.sum(axis=0),
                self.clip_rate.joined(rows["clipped"][counted(rows)].astype(np.float64)),
                self.norm_before.joined(rows["norm_before"]),
                self.norm_after.joined(rows["norm_after"]),
            )

    def window(self) -> Window:
        """The record of them."""
        folded = np.zeros(len(self.largest), WINDOW_DTYPE)
        with np.errstate(over="ignore"):  # nor what the float32 of a window can
            folded["norm_before_mean"] = self.before.value
            folded["norm_before_max"] = np.where(np.asarray(self.before.count) > 0, self.largest, np.nan)
            folded["norm_after_mean"] = self.after.value
        folded["clipped"] = self.clipped
        folded["nonfinite"] = self.steps - np.asarray(self.before.count)
        return Window(self.first_step, self.last_step, self.steps, folded)

    def overall(self) -> RunWindow:
        """What they say of the run as a whole."""
        return RunWindow(*(float(mean.value) for mean in (self.clip_rate, self.norm_before, self.norm_after)))


class WindowFolder:
    """Folds steps into windows. A window that starts at step s ends at the next multiple of `window_length(s)`.

    Windows grow with the run, what is held of one that is open does not: a few parts of it, and sums over the others.
    """

    def __init__(self, parameters: int) -> None:
        self._none = self._sums = Sums.none(parameters)
        self._parts: list[Part] = []

    def add(self, rows: NDArray[np.void], norms_before: Floats, result: Outcome) -> Iterator[tuple[Window, RunWindow]]:
        """Take T steps of the table with norms of shape [T, P]; yields the windows they complete."""
        start = 0
        while start < len(rows):
            first = self._first_step
            if first is None:
                first = int(rows["step"][start])
            length = window_length(first)
            end_step = first - first % length + length
            stop = start + int(np.searchsorted(rows["step"][start:], end_step))
            if stop > start:
                norms_after, clipped = result.norms_after[start:stop], result.parameters_clipped[start:stop]
                self._parts.append(Part(rows[start:stop], norms_before[start:stop], norms_after, clipped))
                if len(self._parts) == PARTS or stop - start >= PARTS:
                    self._sum_up()
            if stop < len(rows) or rows["step"][stop - 1] == end_step - 1:
                yield self._fold()
            start = stop

    def close(self) -> Iterator[tuple[Window, RunWindow]]:
        """Yield the window that is still open, if any."""
        if self._first_step is not None:
            yield self._fold()

    @property
    def _first_step(self) -> int | None:
        """Of the open window; None where there is none."""
        if self._sums.steps:
            return self._sums.first_step
        return int(self._parts[0].rows["step"][0]) if self._parts else None

    def _sum_up(self) -> None:
        """Sum up the parts that are held."""
        if self._parts:
            part = Part(*map(np.concatenate, zip(*self._parts, strict=True)))
            vars(self).update(_sums=self._sums.joined(part), _parts=[])  # at once, whenever Ctrl-C comes

    def _fold(self) -> tuple[Window, RunWindow]:
        self._sum_up()
        folded = self._sums.window(), self._sums.overall()
        self._sums = self._none
        return folded
