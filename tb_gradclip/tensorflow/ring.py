"""The ring of one writer: what a TensorFlow graph puts into it, and how the host takes it out.

What is written here by ops may stand in any `tf.function`, also under XLA. A clip call assigns what it measured to the
*pending* row, a step stamps that row and puts it into the ring (see `core.ring`). The host drains the ring in eager
steps, in host calls out of graphs every `STEPS_PER_DRAIN` steps, and whenever the collector comes by, which is the
only way while XLA runs.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.ring import HIGH, KIND, LOW, STEP_BASE, Counted, RingLayout, RingReader, histograms
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import KINDS
from tb_gradclip.core.schedule import WINDOWS_PER_DOUBLING
from tb_gradclip.core.standout import GAP, LIMIT_TOLERANCE, NONFINITE, NOTHING, stands_out
from tb_gradclip.harmless import Harmless
from tb_gradclip.telling import tell
from tb_gradclip.tensorflow.ops import counts, host_is_in_reach, number_cut
from tb_gradclip.tensorflow.replicas import first_component

STEPS_PER_DRAIN = 64


def _write(matrix: Any, place: Any, row: Any, after: Any, then: Any, by: Any = 1) -> None:
    """Write a row after `after` has run, then move a counter: a graph by itself keeps no order between variables."""
    with tf.control_dependencies([after]):
        written = tf.raw_ops.ResourceScatterUpdate(resource=matrix.handle, indices=place[None], updates=row[None])
    with tf.control_dependencies([] if written is None else [written]):
        then.assign_add(by)


def _variable(value: Any) -> Any:
    return first_component(tf.Variable(value, trainable=False, name="gradclip"))


class DeviceRing(Harmless):
    """The variables of one writer, what a graph does to them, and the reading of them.

    Args:
      parameters: their number.
      histogram_every, start_step: as the recorder has them.
      capacity: steps the ring holds; None for a default by the number of parameters.
      wide: whether any gradient is float64, so that its norms need a ring of that type.

    `drained`, if set, is called on the host after a graph had steps taken out of the ring, for `fetch` to pass on.
    `limit`, if set, gives the limit above which a joint norm stands out, so that the step is counted; it is asked for
    when everything fetched has been recorded.
    """

    def __init__(
        self,
        parameters: int,
        histogram_every: int,
        start_step: int,
        capacity: int | None,
        wide: bool,
    ) -> None:
        super().__init__()
        self.drained: Callable[[], None] = lambda: None
        self.limit: Callable[[], float] = lambda: NOTHING
        self.dtype = tf.float64 if wide else tf.float32
        self.layout = RingLayout(parameters)
        self._every = histogram_every
        rows = self.layout.rows(self.dtype.size) if capacity is None else capacity + 1
        self._reader = RingReader(self.layout, rows, start_step, time.time())
        self._slots = self.layout.slots() if histogram_every else 0
        self._steps_per_drain = min(STEPS_PER_DRAIN, rows // 2)
        self._ring = _variable(tf.fill([rows, self.layout.columns], tf.constant(-1, self.dtype)))
        self._empty = np.zeros(self.layout.columns - KIND, self.dtype.as_numpy_dtype)
        self._empty[[LOW - KIND, HIGH - KIND]] = np.nan
        self._pending = _variable(self._empty)
        self._count = _variable(tf.constant(start_step, tf.int64))
        # One slot more than is used: under XLA a step without a histogram writes there.
        self._histograms = _variable(tf.zeros([self._slots + 1, self.layout.slot], tf.int32))
        self._counted = _variable(tf.constant(0, tf.int64))
        self._counted_seen = 0
        self._limit_now = NONFINITE
        self._limit = _variable(tf.constant(self._limit_now, self.dtype))  # only the host changes it
        self._next_extra = _variable(tf.constant(0, tf.int64))  # only what counts does
        self._inbox: deque[tuple[list[Measurements], Any]] = deque()
        self._waiting: list[Counted] = []
        self._told_of_loss = False
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Times the ring was drained since `fetch` last took something."""
        return len(self._inbox)

    @property
    def next_step(self) -> int:
        """Number of the step that comes next, as of now, also while a graph is traced."""
        with tf.init_scope():
            return int(self._count)

    # What a graph does

    def record(self, kind: str, low: Any, high: Any, norm: Any, blocks: Sequence[Any]) -> None:
        """Keep what a clip call measured until `step`: bounds, joint norm, and P numbers for each of three blocks."""
        header = [self._number(x) for x in (KINDS.index(kind), low, high, norm)]
        empty = tf.zeros([self.layout.parameters], self.dtype)
        self._pending.assign(tf.concat([tf.stack(header), *(empty if b is None else b for b in blocks)], 0))

    def count(self, kind: str, norm: Any, tensors: Sequence[Any], bounds: tuple[Any, Any] | None = None) -> None:
        """Count the codes of these tensors (None for a parameter without gradient), if it is time to.

        That is on the schedule, and where their joint norm stands out. With bounds, also how many elements of each lie
        outside is counted.
        """
        if not self._every:
            return
        step = self._count.read_value()
        scheduled = self._due(step)
        due = tf.logical_or(scheduled, self._stands_out(step, norm))
        if tf.inside_function() and not host_is_in_reach():
            # XLA copies a variable that a conditional may change, so only the counts of one step pass through it.
            slot = tf.cond(
                due, lambda: self._slot(step, kind, tensors, bounds), lambda: tf.zeros([self.layout.slot], tf.int32)
            )
            place = tf.where(due, self._counted.read_value() % self._slots, self._slots)
            _write(self._histograms, place, slot, after=slot, then=self._counted, by=tf.cast(due, tf.int64))
            self._keep_distance(step, scheduled | ~due)
        else:
            tf.cond(due, lambda: self._put_slot(step, scheduled, kind, tensors, bounds), lambda: tf.constant(0))

    def step(self, loss: Any) -> None:
        """Write the pending row with this loss (None: not given) and go on to the next step."""
        step = self._count.read_value()
        room = tf.constant(0)
        if tf.inside_function() and host_is_in_reach():
            due = tf.equal(step % self._steps_per_drain, 0)
            room = tf.cond(due, lambda: self._drain_from_graph(step), lambda: tf.constant(0))
        given, value = (0.0, 0.0) if loss is None else (1.0, loss)
        head = [self._number(x) for x in (step // STEP_BASE, step % STEP_BASE, given, value)]
        row = tf.concat([tf.stack(head), self._pending.read_value()], 0)
        # The row comes after the step's histogram, whose counter this reads: a reader that has the row has both.
        ready = tf.cast(room, tf.int64) + self._counted.read_value()
        _write(self._ring, step % self._reader.rows, row, after=ready, then=self._count)
        self._pending.assign(self._empty)

    def _number(self, value: Any) -> Any:
        """A scalar in the ring's type; a Python number without a detour through float32."""
        tensor = tf.is_tensor(value) or isinstance(value, tf.Variable)
        return tf.cast(value, self.dtype) if tensor else tf.constant(float(value), self.dtype)

    def _due(self, step: Any) -> Any:
        """`core.schedule.histogram_due` as ops: the interval is the first of every, 2 every, .. not below the pace."""
        intervals = [self._every << k for k in range(40) if self._every << k < 2**62]
        pace = step // WINDOWS_PER_DOUBLING
        doublings = tf.reduce_sum(tf.cast(tf.constant(intervals, tf.int64) < pace, tf.int64))
        return tf.equal(step % tf.bitwise.left_shift(tf.constant(self._every, tf.int64), doublings), 0)

    def _stands_out(self, step: Any, norm: Any) -> Any:
        """`core.standout.Standout.due`: as ops in a graph, and in eager steps by a look at the norm."""
        if not tf.inside_function():
            return stands_out(float(norm), self._limit_now) and int(step) >= int(self._next_extra)
        limit = self._limit.read_value()
        # Not as `stands_out` has it: TensorFlow turns what is not `<=` into `>`, which no NaN is.
        above = (limit < NOTHING) & ((tf.cast(norm, self.dtype) > limit) | tf.math.is_nan(norm))
        return above & (step >= self._next_extra.read_value())

    def _keep_distance(self, step: Any, unless: Any) -> None:
        """After a step that was counted beside the schedule, have no other such one for a while."""
        self._next_extra.assign(tf.where(unless, self._next_extra.read_value(), step + GAP))

    def _slot(self, step: Any, kind: str, tensors: Sequence[Any], bounds: tuple[Any, Any] | None) -> Any:
        head = [tf.cast(number, tf.int32) for number in (step // STEP_BASE, step % STEP_BASE, KINDS.index(kind))]
        cuts = [tf.constant(0) if bounds is None or t is None else number_cut(t, *bounds) for t in tensors]
        counted = tf.concat([counts(tensors), tf.stack(cuts)[:, None]], 1)
        return tf.concat([tf.stack(head), tf.reshape(counted, [-1])], 0)

    def _put_slot(
        self, step: Any, scheduled: Any, kind: str, tensors: Sequence[Any], bounds: tuple[Any, Any] | None
    ) -> Any:
        place = self._counted.read_value() % self._slots
        room = tf.cond(tf.equal(place, 0), lambda: self._drain_from_graph(step), lambda: tf.constant(0))
        slot = self._slot(step, kind, tensors, bounds)
        _write(self._histograms, place, slot, after=room, then=self._counted)
        self._keep_distance(step, scheduled)
        return tf.constant(0)

    def _drain_from_graph(self, step: Any) -> Any:
        if not tf.inside_function():
            self.drain()
            return tf.constant(0)
        return tf.numpy_function(self._drain_and_tell, [step], tf.int32)

    def _drain_and_tell(self, step: np.int64) -> np.int32:
        del step
        self._call(self.drain)
        self.drained()
        return np.int32(0)

    # What the host does

    def drain(self) -> None:
        """Copy every complete step that is new out of the ring.

        Also while a graph is traced: Python may drop another writer at any moment, which empties its ring.
        """
        with self._lock, tf.init_scope():
            count = int(self._count)
            steps = self._reader.wanted(count)
            if not len(steps):
                return
            matrix = self._ring.sparse_read(steps % self._reader.rows).numpy()
            slots = self._new_slots()
            self._inbox.append((self._reader.take(matrix, steps, int(self._count), time.time()), slots))
            self._warn_of_loss()

    def fetch(self) -> Iterator[HistogramCounts | Measurements]:
        """All steps up to now, a step's histogram before the step."""
        self.drain()
        while self._inbox:
            parts, slots = self._inbox.popleft()
            if slots is not None:
                self._waiting += histograms(self.layout, slots)
            for part in parts:
                for found in self._waiting:
                    if part.steps[0] <= found.step <= part.steps[-1]:
                        yield HistogramCounts(found.step, found.counts, clipped=found.cut)
                yield part
                self._waiting = [found for found in self._waiting if found.step > part.steps[-1]]
        self._take_limit()

    def forget(self) -> None:
        """Drop what was drained: nobody fetches any more."""
        self._inbox.clear()

    def _take_limit(self) -> None:
        """Bring the limit to the device, if it has changed."""
        limit = self.limit()
        if self._every and not math.isclose(limit, self._limit_now, rel_tol=LIMIT_TOLERANCE):
            self._limit_now = limit
            with tf.init_scope():
                self._limit.assign(limit)

    def _new_slots(self) -> Any:
        """Slots that are new, None for none. One written meanwhile is whole and says its step, so it does no harm."""
        counted = int(self._counted)
        new = np.arange(max(self._counted_seen, counted - self._slots), counted)
        self._counted_seen = counted
        return self._histograms.sparse_read(new % self._slots).numpy() if len(new) else None

    def _warn_of_loss(self) -> None:
        if self._reader.lost and not self._told_of_loss:
            self._told_of_loss = True
            tell(
                f"gradclip lost {self._reader.lost} steps: they were overwritten before they could be read. A function "
                "compiled by XLA should run fewer steps than the ring holds. "
                f"Pass ClipWriter(..., capacity=...), now {self._reader.rows - 1}.",
                stacklevel=2,
            )
