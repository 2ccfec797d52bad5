"""The last steps of a `fit` on the device, and their way to the host.

The optimizer's update writes a row into a ring (see `core.ring`) that holds the steps of a few batches, and the
callback drains it between batches. The variables belong neither to model nor to optimizer, so no checkpoint contains
them.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import CODES
from tb_gradclip.core.ring import FLAGS, GIVEN, LOSS, SKIPPED, STEP_BASE, RingLayout, RingReader, histograms
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import KINDS
from tb_gradclip.core.standout import GAP
from tb_gradclip.keras.measures import clamped, codes, count, number_cut, square, squared, values, widened
from tb_gradclip.keras.schedule import Schedule, own_variable

SLOTS = 4
SECONDS_PER_DRAIN = 0.4
"""Between two batches; with the time until a record is written, less than 5 seconds can be lost."""


class StepRing:
    """The variables that take down one `fit`, what the training step does to them, and the reading of them.

    Args:
      parameters: their number.
      histogram_every, start_step: as the recorder has them.
      batches: most batches between two times the ring is drained.
      steps_per_execution: batches Keras runs in one call, so the least that can lie between two.

    `sync`, if set, is called before the host reads the variables, to bring them up to date; `publish` after it changed
    one.
    """

    def __init__(
        self,
        parameters: int,
        histogram_every: int,
        start_step: int,
        batches: int,
        steps_per_execution: int,
    ) -> None:
        self.sync: Callable[[], None] = lambda: None
        self.publish: Callable[[], None] = lambda: None
        self._layout = RingLayout(parameters)
        interval = min(batches, (SLOTS - 1) * histogram_every) if histogram_every else batches
        self._batches_per_drain = max(interval, steps_per_execution)
        rows = self._batches_per_drain + steps_per_execution + 1
        self._reader = RingReader(self._layout, rows, start_step, time.time())
        most = math.ceil(rows / histogram_every) + math.ceil(rows / GAP) if histogram_every else 0
        self._slots = max(SLOTS, most) if histogram_every else 0
        self._batches = self._counted_seen = 0
        self._called = start_step
        self._drained_at = time.monotonic()
        self._inbox: deque[tuple[list[Measurements], Any]] = deque()
        integer = np.int32 if keras.backend.backend() == "jax" else np.int64  # JAX has no other, nor has its optimizer
        self._ring = own_variable(np.full((rows, self._layout.columns), -1, np.float32))
        self._step = own_variable(integer(start_step))
        # Sum and number of the losses of earlier batches that go into the next update, and of the latest batch.
        self._losses = own_variable(np.zeros((2, 2), np.float32))
        # One slot more than is used: where a conditional has to return something, a step without histogram goes there.
        self._histograms = own_variable(np.zeros((self._slots + 1, self._layout.slot), np.int32))
        self._counted = own_variable(integer(0))
        self._schedule = Schedule(histogram_every, integer) if histogram_every else None

    @property
    def next_step(self) -> int:
        """The first step that was not drained yet."""
        return self._reader.next_step

    @property
    def variables(self) -> list[Any]:
        """All that a training step changes, and the limit it goes by."""
        own = [self._ring, self._step, self._losses, self._histograms, self._counted]
        return own if self._schedule is None else [*own, *self._schedule.variables]

    # What the training step does

    def take_loss(self, loss: Any) -> None:
        """Keep the loss of a batch until the update it leads to; several batches (accumulation) are averaged."""
        self._losses.assign(ops.stack([ops.sum(ops.convert_to_tensor(self._losses), axis=0), _pair(loss)]))

    def put_loss(self, loss: Any, before: Sequence[Any], skipped: Any) -> None:
        """Instead of `take_loss`, after the update: add the loss of a batch to the row the batch led to, if it did.

        Args:
          loss: of the batch.
          before: what `variables` held when the batch began.
          skipped: whether the row is of an update that was skipped; then it has the loss of this batch alone.
        """
        _, step_before, losses, *_ = before
        step, ring = ops.convert_to_tensor(self._step), ops.convert_to_tensor(self._ring)
        stepped = step > step_before
        total = ops.where(skipped, 0.0, losses[0]) + _pair(loss)
        place = (step - 1) % self._reader.rows
        row = ops.take(ring, place, axis=0)
        flags = GIVEN + ops.where(skipped, float(SKIPPED), 0.0)
        given = ops.concatenate([row[:FLAGS], ops.stack([flags, total[0] / total[1]]), row[LOSS + 1 :]])
        _put(self._ring, place, ops.where(stepped, given, row))
        rest = ops.where(skipped, losses[0], ops.where(stepped, 0.0, total))
        self._losses.assign(ops.stack([rest, ops.zeros_like(rest)]))

    def record(
        self, kind: str, threshold: float, grads: Sequence[Any], clipped: Sequence[Any], skipped: bool = False
    ) -> None:
        """Write the row of an update: gradients before and after clipping, None for parameters without.

        An update that was skipped leaves the losses of earlier batches to the next one.
        """
        tensors = [None if g is None else values(g) for g in grads]
        results = [None if c is None else values(c) for c in clipped]
        joint, norms, after, changed = self._measured(kind, threshold, tensors, results)
        self._put_histogram(kind, tensors, threshold, None if skipped else joint)
        low = -threshold if kind == "value" else math.nan
        losses = ops.convert_to_tensor(self._losses)
        total = losses[1] if skipped else ops.sum(losses, axis=0)
        flags = GIVEN * ops.sign(total[1]) + SKIPPED * skipped
        loss = ops.where(total[1] > 0, total[0] / ops.maximum(total[1], 1.0), 0.0)
        step = ops.convert_to_tensor(self._step)
        head = [step // STEP_BASE, step % STEP_BASE, flags, loss, float(KINDS.index(kind)), low, threshold, joint]
        row = ops.concatenate([ops.stack([ops.cast(h, "float32") for h in head]), norms, after, changed])
        _put(self._ring, step % self._reader.rows, row)
        none = ops.zeros_like(losses[0])
        self._losses.assign(ops.stack([losses[0] if skipped else none, none]))
        self._step.assign(step + 1)
        self._called += 1

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
        own = [square(t, keepdims=kind == "norm") for t in present]
        if kind == "norm":
            squares = self._placed(before, [ops.reshape(s, ()) for s in own])
            return ops.sqrt(ops.sum(squares)), ops.sqrt(squares), nothing, nothing
        pairs = zip(present, own, strict=True)
        squares = self._placed(before, [s if widened(t) is t else square(widened(t)) for t, s in pairs])
        return ops.sqrt(ops.sum(ops.stack(own))), ops.sqrt(squares), nothing, nothing

    def _placed(self, tensors: list[Any], numbers: list[Any]) -> Any:
        """One float32 for each parameter: the numbers in turn for those that are there, 0 for None."""
        each = iter(numbers)
        return ops.stack([ops.cast(0.0 if t is None else next(each), "float32") for t in tensors])

    def _put_histogram(self, kind: str, tensors: Sequence[Any], threshold: float, norm: Any) -> None:
        """Count the gradients of this step if it is time to, each backend in the way it decides such things.

        Args:
          norm: of all of them together; None if it is no matter whether that stands out.
        """
        if self._schedule is None:
            return
        step, counted = ops.convert_to_tensor(self._step), ops.convert_to_tensor(self._counted)

        def slot() -> Any:
            return self._slot(step, kind, tensors, threshold)

        def put() -> None:
            _put(self._histograms, counted % self._slots, slot())
            self._counted.assign(counted + 1)

        if keras.backend.backend() == "torch":  # calls this for every update, so the host knows the step
            if self._schedule.due_on_torch(self._called, norm):
                put()
            return
        due = self._schedule.due(step, norm)
        if keras.backend.backend() == "jax":  # cannot assign within a conditional
            counts = either(due, slot, lambda: ops.zeros((self._layout.slot,), "int32"))
            _put(self._histograms, ops.where(due, counted % self._slots, self._slots), counts)
            self._counted.assign(counted + ops.cast(due, counted.dtype))
        else:
            ops.cond(due, put, lambda: None)

    def _slot(self, step: Any, kind: str, tensors: Sequence[Any], threshold: float) -> Any:
        parts = [ops.stack([ops.cast(n, "int32") for n in (step // STEP_BASE, step % STEP_BASE, KINDS.index(kind))])]
        for tensor in tensors:
            parts.append(ops.zeros((CODES,), "int32") if tensor is None else count(codes(tensor)))
            number = number_cut(tensor, threshold) if tensor is not None and kind == "value" else 0
            parts.append(ops.reshape(ops.cast(number, "int32"), (1,)))
        return ops.concatenate(parts)

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
        self.sync()
        end = int(ops.convert_to_numpy(self._step))
        steps = self._reader.wanted(end)
        if not len(steps):
            return
        matrix, *others = (each[steps % self._reader.rows] for each in _of_each_replica(self._ring))
        # What is trained on is the sum: a mean over a batch comes as shares that Keras divided by the replicas.
        matrix[:, LOSS] += sum(other[:, LOSS] for other in others)
        counted = int(ops.convert_to_numpy(self._counted))
        new = np.arange(max(self._counted_seen, counted - self._slots), counted)
        self._counted_seen = counted
        slots = ops.convert_to_numpy(self._histograms)[new % self._slots] if len(new) else None
        self._inbox.append((self._reader.take(matrix, steps, end, time.time()), slots))

    def take_limit(self, limit: float) -> None:
        """Have steps counted whose joint norm is above this from now on. Not while a training step runs."""
        if self._schedule is not None and self._schedule.outdated(limit):
            self.sync()
            self._schedule.take_limit(limit)
            self.publish()

    def fetch(self) -> Iterator[HistogramCounts | Measurements]:
        """Steps that were taken out of the ring, a step's histogram before the step. Does not touch the device."""
        while self._inbox:
            parts, slots = self._inbox.popleft()
            for found in [] if slots is None else histograms(self._layout, slots):
                yield HistogramCounts(found.step, found.counts, clipped=found.cut)
            yield from parts


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """`ops.cond`; but JAX op by op would compile that anew each time, so the host decides there, as on PyTorch."""
    if keras.backend.backend() == "jax" and not isinstance(condition, sys.modules["jax"].core.Tracer):
        return yes() if condition else no()
    return ops.cond(condition, yes, no)


def _of_each_replica(variable: Any) -> list[Any]:
    """What each replica holds in a variable, the first one's first."""
    if keras.backend.backend() != "tensorflow":
        return [ops.convert_to_numpy(variable)]
    strategy = getattr(variable.value, "distribute_strategy", None)
    parts = [variable.value] if strategy is None else strategy.experimental_local_results(variable.value)
    return [part.numpy() for part in parts]


def _pair(loss: Any) -> Any:
    """Sum and number of one loss."""
    loss = ops.cast(ops.stop_gradient(ops.mean(loss)), "float32")
    return ops.stack([loss, ops.ones_like(loss)])


def _put(matrix: Any, place: Any, row: Any) -> None:
    index = ops.reshape(ops.cast(place, "int32"), (1, 1))
    matrix.assign(ops.scatter_update(matrix, index, ops.expand_dims(row, 0)))
