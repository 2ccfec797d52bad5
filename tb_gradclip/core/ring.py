"""The last steps of a run as rows of a matrix on the device, and how the host makes measurements of them.

Strategy: a compiled training step cannot call the host, so it writes one row a step into a ring, at the position
`step modulo rows`, and the host reads when it can. A reader may come too late, or while a row is being written. So
every row carries its step, the device counts its steps after it wrote the row, and the host looks at that counter
before and after it copies: what may have been overwritten in between is left out, never misread.

A row of float32 (or float64) holds, for P parameters:

    step_high, step_low    step // 2^20 and step modulo 2^20: a float32 is exact only to 2^24
    flags, loss            GIVEN if a loss was given, and SKIPPED if a loss scaler made no update, added up
    kind                   position in `rules.KINDS`
    low, high              the bounds of `value`; `high` is the threshold of the norm kinds
    norm_before            joint norm, as the library computed it
    norms before, norms after, whether an element changed: P each; the last two only where clipping is by value

A slot of int32 holds one histogram: step_high, step_low, kind, then `CODES` counts and the number cut, for each
parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.histogram import CODES
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import KINDS, Floats, Rule

STEP_BASE = 1 << 20
STEP_HIGH, STEP_LOW, FLAGS, LOSS, KIND, LOW, HIGH, NORM_BEFORE, HEADER = range(9)
GIVEN, SKIPPED = 1, 2
SLOT_HEADER = 3

CAPACITY = 4096
RING_BYTES = 32 << 20
SLOT_BYTES = 8 << 20
"""What a ring and the histograms beside it may take on the device, unless a capacity is asked for."""


@dataclass(frozen=True)
class Counted:
    """A histogram as it left the device; `cut` is None unless clipping was by value."""

    step: int
    counts: NDArray[np.int64]  # [P, CODES]
    cut: NDArray[np.int64] | None  # [P]


@dataclass(frozen=True)
class RingLayout:
    """Sizes of a ring for this many parameters."""

    parameters: int

    @property
    def columns(self) -> int:
        """Length of a row."""
        return HEADER + 3 * self.parameters

    @property
    def slot(self) -> int:
        """Length of a histogram."""
        return SLOT_HEADER + self.parameters * (CODES + 1)

    def rows(self, itemsize: int = 4) -> int:
        """Default number of rows: `CAPACITY`, or what fits into `RING_BYTES`, 128 at least."""
        return max(128, min(CAPACITY, RING_BYTES // (itemsize * self.columns)))

    def slots(self) -> int:
        """Number of histograms: 64, or what fits into `SLOT_BYTES`, 4 at least."""
        return max(4, min(64, SLOT_BYTES // (4 * self.slot)))

    def block(self, matrix: NDArray[np.floating], which: int) -> Floats:
        """Columns of the norms before (0), the norms after (1) or the flags of change (2), float64 of shape [T, P]."""
        start = HEADER + which * self.parameters
        return matrix[:, start : start + self.parameters].astype(np.float64)


@dataclass
class RingReader:
    """Host side of one ring: knows which steps it has seen, and what they mean.

    Args:
      layout, rows: of the ring.
      next_step: the first step that is still to come.
      time: when the run began, in seconds since 1970; wall times of steps are interpolated from it between reads.
    """

    layout: RingLayout
    rows: int
    next_step: int
    time: float
    lost: int = field(default=0, init=False)

    def wanted(self, count: int) -> NDArray[np.int64]:
        """Steps worth reading when the counter says the next step is `count`; they lie at step modulo rows."""
        return np.arange(max(self.next_step, count - self.rows + 1), count, dtype=np.int64)

    def take(
        self, matrix: NDArray[np.floating], steps: NDArray[np.int64], count: int, now: float
    ) -> list[Measurements]:
        """Measurements in rows read at these steps' positions; steps that were overwritten are added to `lost`.

        Args:
          matrix: shape [len(steps), columns].
          steps: what `wanted` returned.
          count: the counter after the rows were copied: the step now being written overwrites `count - rows`.
          now: seconds since 1970.
        """
        if not len(steps):
            return []
        stamps = matrix[:, STEP_HIGH].astype(np.int64) * STEP_BASE + matrix[:, STEP_LOW].astype(np.int64)
        sound = (stamps == steps) & (steps > count - self.rows)
        end = int(steps[-1]) + 1
        self.lost += end - self.next_step - int(sound.sum())
        times = now - (now - self.time) * (end - 1 - steps) / (end - self.next_step)
        self.next_step, self.time = end, now
        return list(measurements(self.layout, matrix[sound], steps[sound], times[sound]))


def measurements(
    layout: RingLayout, matrix: NDArray[np.floating], steps: NDArray[np.int64], wall_times: Floats
) -> Iterator[Measurements]:
    """Read rows of ascending steps: one `Measurements` for each stretch without a gap and under one kind of rule.

    Thresholds that are the nearest float32 to a short decimal are read as that decimal, 0.05 and not 0.0500000007.
    """
    low, high = decimals(matrix[:, LOW]), decimals(matrix[:, HIGH])
    is_value = matrix[:, KIND] == KINDS.index("value")
    skewed = is_value & (low != -high)
    given = matrix[:, FLAGS] % SKIPPED == GIVEN
    place = np.arange(len(steps))
    keys = (
        matrix[:, KIND],
        given,
        steps - place,
        np.where(skewed, low, 0.0),
        np.where(skewed, high, math.nan),
    )
    changes = np.zeros(max(len(steps) - 1, 0), bool)
    for key in keys:
        changes |= (key[1:] != key[:-1]) & ~(np.isnan(key[1:]) & np.isnan(key[:-1]))
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(steps)]
    for start, stop in pairwise(edges):
        if stop > start:
            part = slice(start, stop)
            yield _stretch(layout, matrix[part], steps[part], wall_times[part], low[part], high[part])


def _stretch(
    layout: RingLayout, matrix: NDArray[np.floating], steps: NDArray[np.int64], times: Floats, low: Floats, high: Floats
) -> Measurements:
    kind = KINDS[int(matrix[0, KIND])]
    if kind == "value":
        rule = Rule.by_value(float(low[0]), float(high[0]))
        thresholds = np.where(low == -high, high, math.nan)
    else:
        rule = Rule(kind, threshold=float(high[0]), nan_at_limits=kind in ("norm", "global_norm"))
        thresholds = high
    by_value = kind == "value"
    skipped = matrix[:, FLAGS] >= SKIPPED
    return Measurements(
        rule=rule,
        steps=steps,
        wall_times=times,
        losses=matrix[:, LOSS].astype(np.float64) if matrix[0, FLAGS] % SKIPPED == GIVEN else None,
        thresholds=thresholds,
        norm_before=matrix[:, NORM_BEFORE].astype(np.float64),
        norms_before=layout.block(matrix, 0),
        norms_after=layout.block(matrix, 1) if by_value else None,
        changed=layout.block(matrix, 2) > 0 if by_value else None,
        skipped=skipped if skipped.any() else None,
    )


def histograms(layout: RingLayout, slots: NDArray[np.int32]) -> list[Counted]:
    """Read slots of shape [k, slot]."""
    found = []
    for slot in slots.astype(np.int64):
        block = slot[SLOT_HEADER:].reshape(layout.parameters, CODES + 1)
        cut = block[:, CODES] if KINDS[slot[2]] == "value" else None
        found.append(Counted(int(slot[0] * STEP_BASE + slot[1]), block[:, :CODES], cut))
    return found


def decimals(values: NDArray[np.floating]) -> Floats:
    """Each value as the shortest decimal that rounds to it in its own precision."""
    distinct, inverse = np.unique(values, return_inverse=True)
    return np.array([float(str(value)) for value in distinct], np.float64)[inverse.reshape(-1)]
