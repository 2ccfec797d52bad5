"""Measurements of gradients in TensorFlow, and their way to the host; the lower half of `tb_gradclip.tensorflow`.

Everything here is made of ops that XLA compiles, so it may stand in any `tf.function`. A clip call assigns what it
measured to the *pending* row, a step stamps that row and puts it into the ring (see `core.ring`). The host reads the
ring in eager steps, in host calls out of graphs every `STEPS_PER_READ` steps, and from a thread once a second, which
is the only way while XLA runs. (Longer than other files, because who writes a ring and who reads it must agree.)
"""

from __future__ import annotations

import atexit
import threading
import time
import warnings
import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO
from tb_gradclip.core.ring import HIGH, KIND, LOW, STEP_BASE, Counted, RingLayout, RingReader, histograms
from tb_gradclip.core.rules import KINDS
from tb_gradclip.core.schedule import WINDOWS_PER_DOUBLING
from tb_gradclip.recorder import HistogramCounts, Recorder

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError(
        'tb_gradclip.tensorflow needs TensorFlow. Install it with: pip install "tb_gradclip[tensorflow]"'
    ) from error

LARGEST_GROUP, MOST_IN_GROUP = 1 << 16, 128
"""Elements whose codes may exist at the same time, and tensors counted together: each thread has counts of its own."""

STEPS_PER_READ = 64
SECONDS_PER_READ = 1.0


def host_is_in_reach() -> bool:
    """Whether the function being traced may call back to the host: not under XLA, which has no such op."""
    try:
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:
        return False
    return not GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def values(gradient: Any) -> Any:
    """Elements of a gradient as the library's own clipping sees them: rows that `IndexedSlices` repeats stay apart."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else tf.convert_to_tensor(gradient)


def half_squares(tensors: Sequence[Any]) -> list[Any]:
    """Half the sum of squares of each tensor, in float32 at least.

    In a graph the ops stand where `tf.linalg.global_norm` puts its own, so that TensorFlow merges the two.
    """
    found = []
    for tensor in tensors:
        beside = tf.compat.v1.get_default_graph().colocate_with(tensor) if tf.inside_function() else nullcontext()
        with beside:
            half = tensor.dtype in (tf.float16, tf.bfloat16)
            found.append(tf.nn.l2_loss(tf.cast(tensor, tf.float32) if half else tensor))
    return found


def codes(tensor: Any) -> Any:
    """Code of every element, shape [n]; see `core.histogram.codes`.

    Zero is recognised by its bits: comparing would take subnormal numbers for zero where the processor flushes them.
    """
    if tensor.dtype == tf.float64:
        limit = np.float64(np.finfo(np.float32).max)
        tensor = tf.where(tf.math.is_finite(tensor), tf.clip_by_value(tensor, -limit, limit), tensor)
    bits = tf.bitcast(tf.reshape(tf.cast(tensor, tf.float32), [-1]), tf.int32)
    code = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, SHIFT), 1023)
    return tf.where(tf.equal(tf.bitwise.bitwise_and(bits, 0x7FFFFFFF), 0), ZERO, code)


def counts(tensors: Sequence[Any]) -> Any:
    """Counts of the codes of P tensors (None for one that is not there), int32 of shape [P, CODES].

    Small tensors are counted in one op, as codes of their own range: XLA takes long to compile many. Large ones are
    not, because the codes of a whole model would take as much memory as the model.
    """
    rows: list[Any] = []
    group: list[Any] = []
    size = 0
    for tensor in tensors:
        length = 0 if tensor is None else tensor.shape.num_elements() or 0
        if group and (size + length > LARGEST_GROUP or len(group) == MOST_IN_GROUP):
            rows.append(_count_together(group))
            group, size = [], 0
        group.append(tensor)
        size += length
    return tf.concat([*rows, _count_together(group)], 0)


def _count_together(tensors: Sequence[Any]) -> Any:
    found = [codes(t) + CODES * i for i, t in enumerate(tensors) if t is not None]
    code = tf.concat([tf.zeros([0], tf.int32), *found], 0)
    length = CODES * len(tensors)
    counted = tf.raw_ops.DenseBincount(input=code, size=length, weights=tf.constant([], tf.int32), binary_output=False)
    return tf.reshape(counted, [len(tensors), CODES])


def changed(before: Any, after: Any) -> Any:
    """Whether a gradient was changed in any element; a NaN counts as change, which its norm tells from a real one."""
    return tf.reduce_any(tf.not_equal(before, after))


def number_cut(tensor: Any, low: Any, high: Any) -> Any:
    """How many elements lie outside [low, high], int32."""
    return tf.reduce_sum(tf.cast((tensor < low) | (tensor > high), tf.int32))


def _write(matrix: Any, place: Any, row: Any, after: Any, then: Any, by: Any = 1) -> None:
    """Write a row after `after` has run, then move a counter: a graph by itself keeps no order between variables."""
    with tf.control_dependencies([after]):
        written = tf.raw_ops.ResourceScatterUpdate(resource=matrix.handle, indices=place[None], updates=row[None])
    with tf.control_dependencies([] if written is None else [written]):
        then.assign_add(by)


def _variable(value: Any) -> Any:
    return tf.Variable(value, trainable=False, name="gradclip")


class DeviceRing:
    """The variables of one writer, what a graph does to them, and the reading of them.

    Args:
      recorder: takes what is read.
      parameters: their number.
      histogram_every, start_step: as the recorder has them.
      capacity: steps the ring holds; None for a default by the number of parameters.
      wide: whether any gradient is float64, so that its norms need a ring of that type.
    """

    def __init__(
        self,
        recorder: Recorder,
        parameters: int,
        histogram_every: int,
        start_step: int,
        capacity: int | None,
        wide: bool,
    ) -> None:
        self.recorder = recorder
        self.dtype = tf.float64 if wide else tf.float32
        self.layout = RingLayout(parameters)
        self._every = histogram_every
        rows = self.layout.rows(self.dtype.size) if capacity is None else capacity + 1
        self._reader = RingReader(self.layout, rows, start_step, time.time())
        self._slots = self.layout.slots() if histogram_every else 0
        self._steps_per_read = min(STEPS_PER_READ, rows // 2)
        self._ring = _variable(tf.fill([rows, self.layout.columns], tf.constant(-1, self.dtype)))
        self._empty = np.zeros(self.layout.columns - KIND, self.dtype.as_numpy_dtype)
        self._empty[[LOW - KIND, HIGH - KIND]] = np.nan
        self._pending = _variable(self._empty)
        self._count = _variable(tf.constant(start_step, tf.int64))
        # One slot more than is used: under XLA a step without a histogram writes there.
        self._histograms = _variable(tf.zeros([self._slots + 1, self.layout.slot], tf.int32))
        self._counted = _variable(tf.constant(0, tf.int64))
        self._counted_seen = 0
        self._waiting: list[Counted] = []
        self._warned = False
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="gradclip-reader", daemon=True)
        self._thread.start()
        _open.add(self)

    # What a graph does

    def record(self, kind: str, low: Any, high: Any, norm: Any, blocks: Sequence[Any]) -> None:
        """Keep what a clip call measured until `step`: bounds, joint norm, and P numbers for each of three blocks."""
        header = [self._number(x) for x in (KINDS.index(kind), low, high, norm)]
        empty = tf.zeros([self.layout.parameters], self.dtype)
        self._pending.assign(tf.concat([tf.stack(header), *(empty if b is None else b for b in blocks)], 0))

    def count(self, kind: str, tensors: Sequence[Any], bounds: tuple[Any, Any] | None = None) -> None:
        """Count the codes of these tensors (None for a parameter without gradient), if a histogram is due.

        With bounds, also how many elements of each lie outside.
        """
        if not self._every:
            return
        step = self._count.read_value()
        due = self._due(step)
        if tf.inside_function() and not host_is_in_reach():
            # XLA copies a variable that a conditional may change, so only the counts of one step pass through it.
            slot = tf.cond(
                due, lambda: self._slot(step, kind, tensors, bounds), lambda: tf.zeros([self.layout.slot], tf.int32)
            )
            place = tf.where(due, self._counted.read_value() % self._slots, self._slots)
            _write(self._histograms, place, slot, after=slot, then=self._counted, by=tf.cast(due, tf.int64))
        else:
            tf.cond(due, lambda: self._put_slot(step, kind, tensors, bounds), lambda: tf.constant(0))

    def step(self, loss: Any) -> None:
        """Write the pending row with this loss (None: not given) and go on to the next step."""
        step = self._count.read_value()
        room = tf.constant(0)
        if tf.inside_function() and host_is_in_reach():
            due = tf.equal(step % self._steps_per_read, 0)
            room = tf.cond(due, lambda: self._read_from_graph(step), lambda: tf.constant(0))
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

    def _slot(self, step: Any, kind: str, tensors: Sequence[Any], bounds: tuple[Any, Any] | None) -> Any:
        head = [tf.cast(number, tf.int32) for number in (step // STEP_BASE, step % STEP_BASE, KINDS.index(kind))]
        cuts = [tf.constant(0) if bounds is None or t is None else number_cut(t, *bounds) for t in tensors]
        counted = tf.concat([counts(tensors), tf.stack(cuts)[:, None]], 1)
        return tf.concat([tf.stack(head), tf.reshape(counted, [-1])], 0)

    def _put_slot(self, step: Any, kind: str, tensors: Sequence[Any], bounds: tuple[Any, Any] | None) -> Any:
        place = self._counted.read_value() % self._slots
        room = tf.cond(tf.equal(place, 0), lambda: self._read_from_graph(step), lambda: tf.constant(0))
        slot = self._slot(step, kind, tensors, bounds)
        _write(self._histograms, place, slot, after=room, then=self._counted)
        return tf.constant(0)

    def _read_from_graph(self, step: Any) -> Any:
        if not tf.inside_function():
            self.read()
            return tf.constant(0)
        return tf.numpy_function(self._read_and_act, [step], tf.int32)

    def _read_and_act(self, step: np.int64) -> np.int32:
        self.read()
        self.recorder.act()
        return np.int32(0)

    # What the host does

    def read(self) -> None:
        """Bring every complete step from the ring into the recorder."""
        with self._lock:
            count = int(self._count)
            steps = self._reader.wanted(count)
            if not len(steps):
                return
            matrix = self._ring.sparse_read(steps % self._reader.rows).numpy()
            self._read_histograms()
            for part in self._reader.take(matrix, steps, int(self._count), time.time()):
                for histogram in self._waiting:
                    if part.steps[0] <= histogram.step <= part.steps[-1]:
                        counts = HistogramCounts(histogram.step, histogram.counts, clipped=histogram.cut)
                        self.recorder.add_histogram(counts)
                self.recorder.add_steps(part)
            self._waiting = [histogram for histogram in self._waiting if histogram.step >= count]
            self._warn_of_loss()

    def _read_histograms(self) -> None:
        """Fetch the slots that are new. A slot written meanwhile is whole and says its step, so it does no harm."""
        counted = int(self._counted)
        new = np.arange(max(self._counted_seen, counted - self._slots), counted)
        self._counted_seen = counted
        if len(new):
            slots = self._histograms.sparse_read(new % self._slots).numpy()
            self._waiting += histograms(self.layout, slots)

    def _warn_of_loss(self) -> None:
        if self._reader.lost and not self._warned:
            self._warned = True
            warnings.warn(
                f"gradclip lost {self._reader.lost} steps: they were overwritten before they could be read. A function "
                "compiled by XLA should run fewer steps than the ring holds. "
                f"Pass ClipWriter(..., capacity=...), now {self._reader.rows - 1}.",
                stacklevel=2,
            )

    def _poll(self) -> None:
        while not self._stop.wait(SECONDS_PER_READ):
            try:
                self.read()
            except Exception as error:  # noqa: BLE001 - reading goes on in the training thread, which will say it
                warnings.warn(f"gradclip could not read its ring: {error}", stacklevel=1)
                return

    def close(self) -> None:
        """Read what is left, stop the thread and close the recorder; closing twice is fine."""
        _open.discard(self)
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        try:
            self.read()
        finally:
            self.recorder.close()


_open: weakref.WeakSet[DeviceRing] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for ring in list(_open):
        ring.close()
