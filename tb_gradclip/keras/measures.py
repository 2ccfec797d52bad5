"""What is measured of a gradient in Keras, written in `keras.ops`, so that one text serves every backend and compiler.

Where a backend has ops that are much faster, or where its compiler cannot do without, they take their place.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
from keras import ops

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO


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
    return [square(widened(t)) for t in tensors]


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
    flat = ops.reshape(ops.cast(tensor, "float32"), (-1,))
    if keras.backend.backend() == "tensorflow":
        # There ops.view wants a length that is known before; behind recurrent layers it is not.
        bits = sys.modules["tensorflow"].bitcast(flat, "int32")
    else:
        bits = ops.view(flat, "int32")
    code = ops.bitwise_and(ops.right_shift(bits, SHIFT), 1023)
    # Zero is recognised by its bits: comparing would take subnormal numbers for it where the processor flushes them.
    return ops.where(ops.equal(ops.bitwise_and(bits, 0x7FFFFFFF), 0), ZERO, code)


def count(code: Any) -> Any:
    """How often each of `CODES` codes occurs, int32 of shape [CODES]."""
    if keras.backend.backend() == "tensorflow":
        # keras.ops has no count of fixed length, and sums by segment take six times as long.
        tf = sys.modules["tensorflow"]
        return tf.raw_ops.DenseBincount(input=code, size=CODES, weights=tf.constant([], tf.int32), binary_output=False)
    if keras.backend.backend() == "torch":
        # Keras's sums by segment make a tensor whose length depends on numbers, for which a GPU has to be waited for.
        return code.new_zeros(CODES).scatter_add_(0, code.long(), code.new_ones(code.shape))
    return ops.segment_sum(ops.ones_like(code), code, num_segments=CODES)


def number_cut(tensor: Any, threshold: float) -> Any:
    """How many elements lie outside [-threshold, threshold], int32."""
    return ops.sum(ops.cast(ops.abs(tensor) > threshold, "int32"))


def square(tensor: Any, keepdims: bool = False) -> Any:
    """Sum of squares, as Keras takes it."""
    return ops.sum(ops.square(tensor), keepdims=keepdims)
