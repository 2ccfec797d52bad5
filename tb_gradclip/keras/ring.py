"""Measurements of gradients in Keras, and their way to the host.

Written in `keras.ops`, so that one text serves every backend and compiler. The optimizer's update writes a row into a
ring (see `core.ring`) that holds the steps of a few batches, and the callback drains it between batches. The variables
belong neither to model nor to optimizer, so no checkpoint contains them.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO
from tb_gradclip.core.ring import STEP_BASE, RingLayout, RingReader, histograms
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import KINDS
from tb_gradclip.core.schedule import WINDOWS_PER_DOUBLING
from tb_gradclip.recorder import HistogramCounts

SLOTS = 4
SECONDS_PER_DRAIN = 0.4
"""Between two batches; with the time until a record is written, less than 5 seconds can be lost."""


def values(gradient: Any) -> Any:
    """Elements of a gradient; of TensorFlow's `IndexedSlices` the rows as they are, repeated or not."""
    return gradient.values if hasattr(gradient, "dense_shape") else gradient


def widened(tensor: Any) -> Any:
    """A tensor of at least 32 bits."""
    return ops.cast(tensor, "float32") if keras.backend.standardize_dtype(tensor.dtype) in HALVES else tensor


HALVES = ("float16", "bfloat16")


def squared(tensors: list[Any]) -> list[Any]:
    """Sum of squares of each tensor, in float32 at least."""
    if keras.backend.backend() == "tensorflow":
        from tb_gradclip.tensorflow.ops import half_squares

        return [2 * half for half in half_squares(tensors)]
    return [_square(widened(t)) for t in tensors]


def clamped(before: list[Any], after: list[Any], threshold: float) -> tuple[list[Any], list[Any], list[Any]]:
    """Sums of squares before and after clamping, and whether it changed any element."""
    if keras.backend.backend() == "tensorflow":
        # Its module knows which ops are fast where: booleans reduced as in the last line take a fifth of a step.
        from tb_gradclip.tensorflow.ops import clamped as measured

        halves, halves_after, flags = measured(before, after, -threshold, threshold)
        return [2 * half for half in halves], [2 * half for half in halves_after], flags
    flags = [ops.any(ops.not_equal(one, other)) for one, other in zip(before, after, strict=True)]
    return squared(before), squared(after), flags


def codes(tensor: Any) -> Any:
    """Code of every element, int32 of shape [n]; see `core.histogram.codes`."""
    if keras.backend.standardize_dtype(tensor.dtype) == "float64":
        limit = float(np.finfo(np.float32).max)
        tensor = ops.where(ops.isfinite(tensor), ops.clip(tensor, -limit, limit), tensor)
    bits = ops.view(ops.reshape(ops.cast(tensor, "float32"), (-1,)), "int32")
    code = ops.bitwise_and(ops.right_shift(bits, SHIFT), 1023)
    # Zero is recognised by its bits: comparing would take subnormal numbers for it where the processor flushes them.
    return ops.where(ops.equal(ops.bitwise_and(bits, 0x7FFFFFFF), 0), ZERO, code)


def count(code: Any) -> Any:
    """How often each of `CODES` codes occurs, int32 of shape [CODES]."""
    if keras.backend.backend() == "tensorflow":
        # keras.ops has no count of fixed length, and sums by segment take six times as long.
        tf = sys.modules["tensorflow"]
        return tf.raw_ops.DenseBincount(input=code, size=CODES, weights=tf.constant([], tf.int32), binary_output=False)
    return ops.segment_sum(ops.ones_like(code), code, num_segments=CODES)


class StepRing:
    """The variables that take down one `fit`, what the training step does to them, and the reading of them.

    Args:
      parameters: their number.
      histogram_every, start_step: as the recorder has them.
      batches: most batches between two times the ring is drained.
      steps_per_execution: batches Keras runs in one call, so the least that can lie between two.
    """

    def __init__(
        self,
        parameters: int,
        histogram_every: int,
        start_step: int,
        batches: int,
        steps_per_execution: int,
    ) -> None:
        self._layout = RingLayout(parameters)
        self._every = histogram_every
        interval = min(batches, (SLOTS - 1) * histogram_every) if histogram_every else batches
        self._batches_per_drain = max(interval, steps_per_execution)
        rows = self._batches_per_drain + steps_per_execution + 1
        self._reader = RingReader(self._layout, rows, start_step, time.time())
        self._slots = max(SLOTS, math.ceil(rows / histogram_every)) if histogram_every else 0
        self._batches = self._counted_seen = 0
        self._drained_at = time.monotonic()
        self._inbox: deque[tuple[list[Measurements], Any]] = deque()
        self._ring = _variable(np.full((rows, self._layout.columns), -1, np.float32))
        self._step = _variable(np.int64(start_step))
        self._loss = _variable(np.zeros(2, np.float32))
        self._histograms = _variable(np.zeros((max(self._slots, 1), self._layout.slot), np.int32))
        self._counted = _variable(np.int64(0))

    # What the training step does

    def take_loss(self, loss: Any) -> None:
        """Keep the loss of a batch until the update it leads to; several batches (accumulation) are averaged."""
        loss = ops.cast(ops.stop_gradient(ops.mean(loss)), "float32")
        self._loss.assign(self._loss + ops.stack([loss, ops.ones_like(loss)]))

    def record(self, kind: str, threshold: float, grads: Sequence[Any], clipped: Sequence[Any]) -> None:
        """Write the row of an update: gradients before and after clipping, None for parameters without."""
        tensors = [None if g is None else values(g) for g in grads]
        results = [None if c is None else values(c) for c in clipped]
        joint, norms, after, flags = self._measured(kind, threshold, tensors, results)
        self._put_histogram(kind, tensors, threshold)
        low = -threshold if kind == "value" else math.nan
        given = ops.sign(self._loss[1])
        loss = ops.where(given > 0, self._loss[0] / ops.maximum(self._loss[1], 1.0), 0.0)
        step = ops.convert_to_tensor(self._step)
        head = [step // STEP_BASE, step % STEP_BASE, given, loss, float(KINDS.index(kind)), low, threshold, joint]
        row = ops.concatenate([ops.stack([ops.cast(h, "float32") for h in head]), norms, after, flags])
        _put(self._ring, step % self._reader.rows, row)
        self._loss.assign(ops.zeros_like(self._loss))
        self._step.assign(step + 1)

    def _measured(self, kind: str, threshold: float, before: list[Any], after: list[Any]) -> tuple[Any, Any, Any, Any]:
        """Joint norm, and for each parameter the norm before, the norm after and whether an element was changed."""
        present = [t for t in before if t is not None]
        nothing = ops.zeros((len(before),), "float32")
        if kind == "value":
            sums, sums_after, flags = clamped(present, [t for t in after if t is not None], threshold)
            squares, norms_after = self._placed(before, sums), ops.sqrt(self._placed(before, sums_after))
            return ops.sqrt(ops.sum(squares)), ops.sqrt(squares), norms_after, self._placed(before, flags)
        if kind == "none":
            squares = self._placed(before, squared(present))
            return ops.sqrt(ops.sum(squares)), ops.sqrt(squares), nothing, nothing
        # The norm kinds compare norms in the gradient's own type, so that is what they are recorded in: by the ops of
        # Keras's own clipping, which TensorFlow merges with these.
        own = [_square(t, keepdims=kind == "norm") for t in present]
        if kind == "norm":
            squares = self._placed(before, [ops.reshape(s, ()) for s in own])
            return ops.sqrt(ops.sum(squares)), ops.sqrt(squares), nothing, nothing
        pairs = zip(present, own, strict=True)
        squares = self._placed(before, [s if widened(t) is t else _square(widened(t)) for t, s in pairs])
        return ops.sqrt(ops.sum(ops.stack(own))), ops.sqrt(squares), nothing, nothing

    def _placed(self, tensors: list[Any], numbers: list[Any]) -> Any:
        """One float32 for each parameter: the numbers in turn for those that are there, 0 for None."""
        each = iter(numbers)
        return ops.stack([ops.cast(0.0 if t is None else next(each), "float32") for t in tensors])

    def _put_histogram(self, kind: str, tensors: Sequence[Any], threshold: float) -> None:
        if not self._every:
            return
        step = ops.convert_to_tensor(self._step)
        ops.cond(self._due(step), lambda: self._put_slot(step, kind, tensors, threshold), lambda: None)

    def _put_slot(self, step: Any, kind: str, tensors: Sequence[Any], threshold: float) -> None:
        parts = [ops.stack([ops.cast(n, "int32") for n in (step // STEP_BASE, step % STEP_BASE, KINDS.index(kind))])]
        for tensor in tensors:
            parts.append(ops.zeros((CODES,), "int32") if tensor is None else count(codes(tensor)))
            number = _number_cut(tensor, threshold) if tensor is not None and kind == "value" else 0
            parts.append(ops.reshape(ops.cast(number, "int32"), (1,)))
        counted = ops.convert_to_tensor(self._counted)
        _put(self._histograms, counted % self._slots, ops.concatenate(parts))
        self._counted.assign(counted + 1)

    def _due(self, step: Any) -> Any:
        """`core.schedule.histogram_due` as ops: the interval is the first of every, 2 every, .. not below the pace."""
        intervals = np.array([self._every << k for k in range(40) if self._every << k < 2**62], np.int64)
        enough = ops.convert_to_tensor(intervals) >= step // WINDOWS_PER_DOUBLING
        interval = ops.take(ops.convert_to_tensor(intervals), ops.argmax(ops.cast(enough, "int32")))
        return ops.equal(step % interval, 0)

    # What the host does

    def drain_if_due(self, batches: int) -> bool:
        """Take the steps of these batches out of the ring if it is time to; whether it was."""
        self._batches += batches
        late = time.monotonic() - self._drained_at >= SECONDS_PER_DRAIN
        if not late and self._batches < self._batches_per_drain:
            return False
        self.drain()
        return True

    def drain(self) -> None:
        """Take every step out of the ring, for `fetch` to pass on. Not while a training step runs."""
        self._batches, self._drained_at = 0, time.monotonic()
        end = int(ops.convert_to_numpy(self._step))
        steps = self._reader.wanted(end)
        if not len(steps):
            return
        matrix = ops.convert_to_numpy(self._ring)[steps % self._reader.rows]
        counted = int(ops.convert_to_numpy(self._counted))
        new = np.arange(max(self._counted_seen, counted - self._slots), counted)
        self._counted_seen = counted
        slots = ops.convert_to_numpy(self._histograms)[new % self._slots] if len(new) else None
        self._inbox.append((self._reader.take(matrix, steps, end, time.time()), slots))

    def fetch(self) -> Iterator[HistogramCounts | Measurements]:
        """Steps that were taken out of the ring, a step's histogram before the step. Does not touch the device."""
        while self._inbox:
            parts, slots = self._inbox.popleft()
            for found in [] if slots is None else histograms(self._layout, slots):
                yield HistogramCounts(found.step, found.counts, clipped=found.cut)
            yield from parts


def _variable(value: Any) -> Any:
    return keras.Variable(value, trainable=False, dtype=str(value.dtype), autocast=False, name="gradclip")


def _square(tensor: Any, keepdims: bool = False) -> Any:
    return ops.sum(ops.square(tensor), keepdims=keepdims)


def _number_cut(tensor: Any, threshold: float) -> Any:
    return ops.sum(ops.cast(ops.abs(tensor) > threshold, "int32"))


def _put(matrix: Any, place: Any, row: Any) -> None:
    index = ops.reshape(ops.cast(place, "int32"), (1, 1))
    matrix.assign(ops.scatter_update(matrix, index, ops.expand_dims(row, 0)))
