"""What a writer measures of a step, whichever of its calls wants it measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tb_gradclip.harmless import Harmless
from tb_gradclip.tensorflow.ops import clamped, half_squares, shared_half_squares, values
from tb_gradclip.tensorflow.replicas import replica
from tb_gradclip.tensorflow.ring import DeviceRing


class Measuring(Harmless):
    """Writes norms and counts of gradients into the ring, which the writer sets up."""

    _ring: DeviceRing

    def _record_values(self, grads: list[Any], clipped: list[Any], clip_value_min: Any, clip_value_max: Any) -> None:
        measured = clamped(_present(grads), _present(clipped), clip_value_min, clip_value_max)
        halves, halves_after, flags = (self._placed(grads, numbers) for numbers in measured)
        squares = 2 * halves
        blocks = [tf.sqrt(squares), tf.sqrt(2 * halves_after), flags]
        norm = tf.sqrt(tf.reduce_sum(squares))
        self._ring.record("value", clip_value_min, clip_value_max, norm, blocks)
        self._count("value", norm, grads, (clip_value_min, clip_value_max))

    def _record_norms(self, grads: list[Any], clip_norm: Any) -> None:
        # The library's own formula, in the gradient's own type: what it compares with the threshold is recorded.
        sums = [tf.reduce_sum(t * t, None, keepdims=True) for t in _present(grads)]
        squares = self._placed(grads, [tf.reshape(s, []) for s in sums])
        norm = tf.sqrt(tf.reduce_sum(squares))
        self._ring.record("norm", math.nan, clip_norm, norm, [tf.sqrt(squares), None, None])
        self._count("norm", norm, grads)

    def _record_global_norm(self, grads: list[Any], clip_norm: Any, norm: Any, use_norm: Any) -> None:
        # Given a norm, the library takes no squares that these could be shared with.
        halves = (shared_half_squares if use_norm is None else half_squares)(_present(grads))
        squares = 2 * self._placed(grads, halves)
        self._ring.record("global_norm", math.nan, clip_norm, norm, [tf.sqrt(squares), None, None])
        self._count("global_norm", norm, grads)

    def _record_unclipped(self, grads: list[Any]) -> None:
        squares = 2 * self._placed(grads, half_squares(_present(grads)))
        norm = tf.sqrt(tf.reduce_sum(squares))
        self._ring.record("none", math.nan, math.nan, norm, [tf.sqrt(squares), None, None])
        self._count("none", norm, grads)

    def _records(self) -> bool:
        """Whether gradients of this replica are recorded. Without `with`, so that AutoGraph can look into this."""
        records = False
        try:
            records = not replica()
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._tell(error)
        return records

    def _placed(self, grads: list[Any], numbers: list[Any]) -> Any:
        """One number for each gradient that is there, with 0 for those that are not, shape [P]."""
        each = iter(numbers)
        return tf.stack([tf.cast(0.0 if g is None else next(each), self._ring.dtype) for g in grads])

    def _count(self, kind: str, norm: Any, grads: list[Any], bounds: tuple[Any, Any] | None = None) -> None:
        self._ring.count(kind, norm, [None if g is None else values(g) for g in grads], bounds)


def _present(grads: Sequence[Any]) -> list[Any]:
    return [values(g) for g in grads if g is not None]
