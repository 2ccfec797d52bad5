"""What is measured of a gradient in TensorFlow: sums of squares, whether a clamp changed it, and its histogram.

Everything here is made of ops that XLA compiles, so it may stand in any `tf.function`. Each measurement is a read of
the gradient, and reads are what recording costs, so they take the form that is fastest where the graph will run:

- Outside XLA, `l2_loss`, `reduce_max` and `reduce_min` use all the processor has; a reduction of booleans takes six
  times as long.
- XLA for processors compiles any reduction into a loop that adds one number after the other. A product of matrix and
  vector may add in any order, so it is vectorised; XLA puts everything elementwise that goes into it into the same
  loop. One product with a vector of ones measures before, after and change together, eight times as fast.
- Where the library's own call takes the same sum, the same op is used, and the two become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO

LARGEST_GROUP, MOST_IN_GROUP = 1 << 16, 128
"""Elements whose codes may exist at the same time, and tensors counted together: each thread has counts of its own."""

WIDEST_FUSED = 4095
"""Longest vector for which XLA computes a product's operands in its loop; for a longer one it stores them first."""


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


def shared_half_squares(tensors: Sequence[Any]) -> list[Any]:
    """Half the sum of squares of each tensor, in float32 at least, where `tf.linalg.global_norm` takes it too.

    In a graph the ops stand where `tf.linalg.global_norm` puts its own, so that TensorFlow merges the two.
    """
    found = []
    for tensor in tensors:
        beside = tf.compat.v1.get_default_graph().colocate_with(tensor) if tf.inside_function() else nullcontext()
        with beside:
            found.append(tf.nn.l2_loss(_widened(tensor)))
    return found


def half_squares(tensors: Sequence[Any]) -> list[Any]:
    """Half the sum of squares of each tensor, in float32 at least."""
    return [_sums([tf.square(_widened(t))])[0] / 2 if _as_product(t) else tf.nn.l2_loss(_widened(t)) for t in tensors]


def clamped(before: Sequence[Any], after: Sequence[Any], low: Any, high: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """What clamping to [low, high] did: half squares before, half squares after, whether any element was changed.

    Where a gradient holds NaN, the third says nothing; its norm does.
    """
    if not _compiled_for_processor():
        return half_squares(before), half_squares(after), outside(before, low, high)
    found: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for one, other in zip(before, after, strict=True):
        if _as_product(one):
            wide, wide_after = _widened(one), _widened(other)
            differs = tf.cast(tf.not_equal(one, other), wide.dtype)
            sums = _sums([tf.square(wide), tf.square(wide_after), differs])
            measured = [sums[0] / 2, sums[1] / 2, sums[2] > 0]
        else:
            measured = [*half_squares([one, other]), *outside([one], low, high)]
        for column, number in zip(found, measured, strict=True):
            column.append(number)
    return found


def outside(tensors: Sequence[Any], low: Any, high: Any) -> list[Any]:
    """Whether any element of each tensor lies outside [low, high], told by its largest and its smallest."""
    found: dict[int, Any] = {}
    for dtype in {tensor.dtype for tensor in tensors}:
        places = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
        largest = tf.stack([tf.reduce_max(tensors[i]) for i in places])
        smallest = tf.stack([tf.reduce_min(tensors[i]) for i in places])
        # Bounds as the library takes them: rounded to the gradient's type. Compared together, to have few ops.
        above = largest > tf.convert_to_tensor(high, dtype)
        below = smallest < tf.convert_to_tensor(low, dtype)
        found.update(zip(places, tf.unstack(above | below), strict=True))
    return [found[i] for i in range(len(tensors))]


def _widened(tensor: Any) -> Any:
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor


def _compiled_for_processor() -> bool:
    """Whether XLA compiles this for a processor: on other devices its reductions are fast, and products inexact."""
    if not tf.inside_function() or host_is_in_reach():
        return False
    return all(device.device_type == "CPU" for device in tf.config.get_visible_devices())


def _as_product(tensor: Any) -> bool:
    """Whether to sum a tensor by a product of matrix and vector."""
    shape = tensor.shape
    if not shape.is_fully_defined() or shape.rank == 0 or shape.num_elements() == 0:
        return False
    return shape[-1] <= WIDEST_FUSED and _compiled_for_processor()


def _sums(tensors: Sequence[Any]) -> Any:
    """Sum of each of k tensors of the same shape, shape [k]."""
    width = tensors[0].shape[-1]
    rows = tf.concat([tf.reshape(tensor, [-1, width]) for tensor in tensors], 0)
    each = tf.linalg.matvec(rows, tf.ones([width], rows.dtype))
    return tf.reduce_sum(tf.reshape(each, [len(tensors), -1]), 1)


def codes(tensor: Any) -> Any:
    """Code of every element, shape [n]; see `core.histogram.codes`.

    Zero is recognised by its bits: comparing would take subnormal numbers for zero where the processor flushes them.
    """
    if tensor.dtype == tf.float64:
        limit = np.float64(np.finfo(np.float32).max)
        tensor = tf.where(tf.math.is_finite(tensor), tf.clip_by_value(tensor, -limit, limit), tensor)
    bits = tf.bitcast(tf.reshape(tf.cast(tensor, tf.float32), [-1]), tf.uint32)
    code = tf.bitcast(tf.bitwise.right_shift(bits, np.uint32(SHIFT)), tf.int32)
    return tf.where(tf.equal(tf.bitwise.left_shift(bits, np.uint32(1)), 0), ZERO, code)


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
    if len(tensors) == 1 and tensors[0] is not None:
        code = codes(tensors[0])
    else:
        found = [codes(t) + CODES * i for i, t in enumerate(tensors) if t is not None]
        code = tf.concat([tf.zeros([0], tf.int32), *found], 0)
    length = CODES * len(tensors)
    counted = tf.raw_ops.DenseBincount(input=code, size=length, weights=tf.constant([], tf.int32), binary_output=False)
    return tf.reshape(counted, [len(tensors), CODES])


def number_cut(tensor: Any, low: Any, high: Any) -> Any:
    """How many elements lie outside [low, high], int32."""
    return tf.reduce_sum(tf.cast((tensor < low) | (tensor > high), tf.int32))
