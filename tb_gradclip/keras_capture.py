"""Measurements of gradients in Keras, and their way to the host; the lower half of `tb_gradclip.keras`.

Written in `keras.ops`, so that one text serves every backend and compiler. The optimizer's update writes a row into a
ring (see `core.ring`) that holds the steps of a few batches, and the callback reads it between batches. The variables
belong neither to model nor to optimizer, so no checkpoint contains them.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO
from tb_gradclip.core.ring import STEP_BASE, RingLayout, RingReader, histograms
from tb_gradclip.core.rules import KINDS
from tb_gradclip.core.schedule import WINDOWS_PER_DOUBLING
from tb_gradclip.recorder import HistogramCounts, Recorder

try:
    import keras
    from keras import ops
except ImportError as error:
    raise ImportError(
        'tb_gradclip.keras needs Keras. Install it with: pip install "tb_gradclip[tensorflow]"'
    ) from error

SLOTS = 4


def values(gradient: Any) -> Any:
    """Elements of a gradient; of TensorFlow's `IndexedSlices` the rows as they are, repeated or not."""
    return gradient.values if hasattr(gradient, "dense_shape") else gradient


def widened(tensor: Any) -> Any:
    """A tensor of at least 32 bits."""
    return ops.cast(tensor, "float32") if keras.backend.standardize_dtype(tensor.dtype) in HALVES else tensor


HALVES = ("float16", "bfloat16")


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
      recorder: takes what is read.
      parameters: their number.
      histogram_every, start_step: as the recorder has them.
      batches: batches between two readings.
      steps_per_execution: batches Keras runs in one call, so the least that can lie between two readings.
    """

    def __init__(
        self,
        recorder: Recorder,
        parameters: int,
        histogram_every: int,
        start_step: int,
        batches: int,
        steps_per_execution: int,
    ) -> None:
        self._recorder = recorder
        self._layout = RingLayout(parameters)
        self._every = histogram_every
        interval = min(batches, (SLOTS - 1) * histogram_every) if histogram_every else batches
        self._batches_per_read = max(interval, steps_per_execution)
        rows = self._batches_per_read + steps_per_execution + 1
        self._reader = RingReader(self._layout, rows, start_step, time.time())
        self._slots = max(SLOTS, math.ceil(rows / histogram_every)) if histogram_every else 0
        self._batches = self._counted_seen = 0
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
        # The norm kinds compare norms in the gradient's own type, so that is what they are recorded in.
        own = [] if kind not in ("norm", "global_norm") else [_square(t) for t in tensors if t is not None]
        squares = self._vector(None if t is None else _square(t if kind == "norm" else widened(t)) for t in tensors)
        joint = ops.sqrt(ops.sum(ops.stack(own)) if kind == "global_norm" else ops.sum(squares))
        after = flags = ops.zeros_like(squares)
        if kind == "value":
            results = [None if c is None else values(c) for c in clipped]
            after = ops.sqrt(self._vector(None if c is None else _square(widened(c)) for c in results))
            pairs = zip(tensors, results, strict=True)
            flags = self._vector(None if t is None else ops.any(ops.not_equal(t, c)) for t, c in pairs)
        self._put_histogram(kind, tensors, threshold)
        low = -threshold if kind == "value" else math.nan
        given = ops.sign(self._loss[1])
        loss = ops.where(given > 0, self._loss[0] / ops.maximum(self._loss[1], 1.0), 0.0)
        step = ops.convert_to_tensor(self._step)
        head = [step // STEP_BASE, step % STEP_BASE, given, loss, float(KINDS.index(kind)), low, threshold, joint]
        row = ops.concatenate([ops.stack([ops.cast(h, "float32") for h in head]), ops.sqrt(squares), after, flags])
        _put(self._ring, step % self._reader.rows, row)
        self._loss.assign(ops.zeros_like(self._loss))
        self._step.assign(step + 1)

    def _vector(self, numbers: Any) -> Any:
        """P scalars as a float32 vector, 0 for None."""
        return ops.stack([ops.cast(0.0 if n is None else n, "float32") for n in numbers])

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

    def after_batches(self, batches: int) -> None:
        """Read if these batches make it time to."""
        self._batches += batches
        if self._batches >= self._batches_per_read:
            self.read()

    def read(self) -> None:
        """Bring every step from the ring into the recorder. Not while a training step runs."""
        self._batches = 0
        end = int(ops.convert_to_numpy(self._step))
        steps = self._reader.wanted(end)
        if not len(steps):
            return
        matrix = ops.convert_to_numpy(self._ring)[steps % self._reader.rows]
        counted = int(ops.convert_to_numpy(self._counted))
        new = np.arange(max(self._counted_seen, counted - self._slots), counted)
        if len(new):
            self._counted_seen = counted
            for found in histograms(self._layout, ops.convert_to_numpy(self._histograms)[new % self._slots]):
                self._recorder.add_histogram(HistogramCounts(found.step, found.counts, clipped=found.cut))
        for part in self._reader.take(matrix, steps, end, time.time()):
            self._recorder.add_steps(part)


def _variable(value: Any) -> Any:
    return keras.Variable(value, trainable=False, dtype=str(value.dtype), autocast=False, name="gradclip")


def _square(tensor: Any) -> Any:
    return ops.sum(ops.square(tensor))


def _number_cut(tensor: Any, threshold: float) -> Any:
    return ops.sum(ops.cast(ops.abs(tensor) > threshold, "int32"))


def _put(matrix: Any, place: Any, row: Any) -> None:
    index = ops.reshape(ops.cast(place, "int32"), (1, 1))
    matrix.assign(ops.scatter_update(matrix, index, ops.expand_dims(row, 0)))
