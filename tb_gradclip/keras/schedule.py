"""At which steps of a `fit` gradients are counted: on the schedule, and where their norm stands out.

On TensorFlow and JAX the training step decides that with ops; on PyTorch, where it is Python, the host does.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tb_gradclip.core.schedule import WINDOWS_PER_DOUBLING, histogram_due
from tb_gradclip.core.standout import GAP, LIMIT_TOLERANCE, NONFINITE, NOTHING, stands_out


class Schedule:
    """The variables that decide, and what they say.

    Args:
      every: steps between histograms at first; more than 0.
      integer: type of the numbers of steps.
    """

    def __init__(self, every: int, integer: type[np.signedinteger]) -> None:
        self._every = every
        self._limit_now = NONFINITE
        self._limit = own_variable(np.float32(self._limit_now))  # only the host changes it
        self._next_extra = own_variable(integer(0))  # only the training step does
        self._next_extra_called = 0  # the same on PyTorch

    @property
    def variables(self) -> list[Any]:
        """All that a training step changes or goes by."""
        return [self._limit, self._next_extra]

    def due(self, step: Any, norm: Any) -> Any:
        """Whether to count the gradients of a step whose joint norm is this, as ops; then it counts as done.

        No norm, None, does not stand out. `core.standout.Standout.due` says the same.
        """
        scheduled = self._scheduled(step)
        if norm is None:
            return scheduled
        limit, norm = ops.convert_to_tensor(self._limit), ops.cast(norm, "float32")
        next_extra = ops.convert_to_tensor(self._next_extra)
        # Not as `stands_out` has it: TensorFlow turns what is not `<=` into `>`, which no NaN is.
        above = ops.logical_and(limit < NOTHING, ops.logical_or(norm > limit, ops.isnan(norm)))
        extra = ops.logical_and(ops.logical_and(above, step >= next_extra), ops.logical_not(scheduled))
        self._next_extra.assign(ops.where(extra, step + GAP, next_extra))
        return ops.logical_or(scheduled, extra)

    def due_on_torch(self, step: int, norm: Any) -> bool:
        """The same on PyTorch. A norm on the host is looked at, one on a device would have to be waited for."""
        if histogram_due(step, self._every):
            return True
        if norm is None or step < self._next_extra_called:
            return False
        if not stands_out(norm.tolist() if norm.device.type == "cpu" else 0.0, self._limit_now):
            return False
        self._next_extra_called = step + GAP
        return True

    def outdated(self, limit: float) -> bool:
        """Whether this is another limit than the one in force."""
        return not math.isclose(limit, self._limit_now, rel_tol=LIMIT_TOLERANCE)

    def take_limit(self, limit: float) -> None:
        """Have steps counted whose joint norm is above this from now on. Not while a training step runs."""
        self._limit_now = limit
        self._limit.assign(limit)

    def _scheduled(self, step: Any) -> Any:
        """`core.schedule.histogram_due` as ops: the interval is the first of every, 2 every, .. not below the pace."""
        integer = np.dtype(keras.backend.standardize_dtype(step.dtype))
        steps = [self._every << k for k in range(40) if self._every << k < np.iinfo(integer).max]
        intervals = ops.convert_to_tensor(np.array(steps, integer))
        enough = intervals >= step // WINDOWS_PER_DOUBLING
        return ops.equal(step % ops.take(intervals, ops.argmax(ops.cast(enough, "int32"))), 0)


def own_variable(value: Any) -> Any:
    """A variable that belongs to neither model nor optimizer."""
    # In the scope of a strategy, each replica gets one of its own and nobody waits; elsewhere this means nothing.
    alone = {"synchronization": "on_read", "aggregation": "only_first_replica"}
    return keras.Variable(value, trainable=False, dtype=str(value.dtype), autocast=False, name="gradclip", **alone)
