"""What users of TensorFlow call."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal

import tensorflow as tf

from tb_gradclip.actions import OnAlert
from tb_gradclip.collector import CollectedWriter, Collector
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.recorder import Recorder, check_settings
from tb_gradclip.storage.write import EventFile
from tb_gradclip.tensorflow.arguments import check_gradients, check_norm, parameters_of, scalar, scalar_loss
from tb_gradclip.tensorflow.measuring import Measuring
from tb_gradclip.tensorflow.replicas import replica, replicas_of, strategy_of
from tb_gradclip.tensorflow.ring import STEPS_PER_DRAIN, DeviceRing

MOST_WAITING = 64
"""Drained rings that may wait to be recorded before the training thread has to help: nothing is dropped."""


class ClipWriter(Measuring, CollectedWriter):
    """Clips gradients as `tf.clip_by_*` do, and records what that did to them.

    Every method may be called in eager code, inside a `tf.function`, also one that loops over steps itself, and
    inside one compiled with `jit_compile=True`. The host learns of steps up to 64 later; of those that XLA runs, half
    a second after the compiled function returned. What a function calls more than `capacity` times under XLA before
    it returns is lost but for the last `capacity` steps: you are warned, and the record has a gap. A `tf.function` that
    was traced outside XLA holds a call to the host, so give XLA a function of its own rather than the same one.

    A step whose gradient norm stands out from those recorded before, or is not finite, has a histogram of its own;
    where only the loss shows that something happened, the first step after that is recorded has (see `core.standout`).

    Under a `tf.distribute.MirroredStrategy` every replica clips, and the first one records, without any of them
    waiting for it. Its gradients are its own unless you reduce them before you clip, which nobody but you can know:
    then pass `gradients="whole"`. Clip in `strategy.run`, or outside with "whole". `step` in `strategy.run` takes the
    loss of the first replica; after it, say, `writer.step(strategy.reduce("MEAN", losses, axis=None))`, the mean.

    Args:
      logdir: directory of the run.
      variables: the trained variables, `tf.Variable` or Keras variables, in the order of the gradients to come.
      on_alert: None, "log", "warn", "raise", a function of the alert, or (kinds, action) pairs of these; see
        `tb_gradclip.actions.action_of`. Out of a graph a raised `DivergenceError` arrives as the
        `tf.errors.UnknownError` TensorFlow makes of it; out of XLA nothing can be raised, so it comes with the next
        `flush` or `close`.
      histogram_every: steps between histograms at first (they thin out as the run grows), beside which steps that stand
        out have one; 0 for none at all.
      start_step: number of the first optimizer step, for a run that is resumed.
      capacity: steps the ring on the device holds; by default 4096, or what fits into 32 MiB.
      gradients: whose gradients are clipped where several replicas train: "replica", each one's own, as `tape.gradient`
        returns them in `strategy.run`; or "whole", those of all replicas together. With one replica it says nothing.

    Raises:
      ValueError: a setting is out of range, or `variables` is empty, has an entry twice, or was made under a strategy
        of several replicas that is no `MirroredStrategy`.
      OSError: `logdir` cannot be written.

    Example:
      >>> writer = ClipWriter("runs/lstm", model.trainable_variables)             # doctest: +SKIP
      >>> @tf.function                                                            # doctest: +SKIP
      ... def train_step(x, y):
      ...     with tf.GradientTape() as tape:
      ...         loss = loss_of(model(x), y)
      ...     gradients = tape.gradient(loss, model.trainable_variables)
      ...     gradients, _ = writer.clip_by_global_norm(gradients, 1.0)
      ...     optimizer.apply_gradients(zip(gradients, model.trainable_variables))
      ...     writer.step(loss)
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        variables: Sequence[Any],
        *,
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
        start_step: int = 0,
        capacity: int | None = None,
        gradients: Literal["replica", "whole"] = "replica",
    ) -> None:
        super().__init__()
        parameters = parameters_of(variables)
        if capacity is not None and (not isinstance(capacity, int) or capacity < 2):
            raise ValueError(f"`capacity` must be a whole number of steps, 2 or more, got {capacity!r}. Leave it out.")
        check_settings(on_alert, histogram_every, start_step)
        check_gradients(gradients)
        self._replicas = replicas_of(strategy_of(variables[0]))
        self._gradients = gradients if self._replicas > 1 else "whole"
        self._recorder = Recorder(
            EventFile(logdir),
            framework="tensorflow",
            library=f"tensorflow {tf.__version__}",
            parameters=parameters,
            on_alert=on_alert,
            histogram_every=histogram_every,
            start_step=start_step,
            replicas=self._replicas,
            gradients=self._gradients,
        )
        wide = any(tf.as_dtype(variable.dtype) == tf.float64 for variable in variables)
        self._ring = DeviceRing(len(parameters), histogram_every, start_step, capacity, wide)
        self._ring.limit = _limit_of(self._recorder)
        self._collector = Collector(self._recorder, self._ring.fetch)
        self._ring.drained = _passing_on(self._ring, self._collector, self._recorder, at_once=on_alert is not None)
        self._eager_steps_per_drain = STEPS_PER_DRAIN if on_alert is None else 1
        self._eager_steps = 0
        weakref.finalize(self, self._collector.close).atexit = False  # the collector's own hook is early enough

    def clip_by_value(self, grads: Sequence[Any], clip_value_min: Any, clip_value_max: Any) -> list[Any]:
        """`tf.clip_by_value` of each gradient, recorded: max(min(g, clip_value_max), clip_value_min).

        Args:
          grads: one gradient for each variable, as `tape.gradient` returns them, with None and `tf.IndexedSlices`.
          clip_value_min, clip_value_max: bounds, numbers or scalar tensors.

        Returns:
          List of what the library returns for each; None where there was no gradient. Infinities are cut, NaN stays.

        Raises:
          ValueError: the list does not match the variables, or a bound is not a scalar, NaN, or above the other.
        """
        grads = self._to_clip(grads)
        low, high = scalar("clip_value_min", clip_value_min), scalar("clip_value_max", clip_value_max)
        if low is not None and high is not None and not low <= high:
            raise ValueError(
                f"`clip_value_min` must not be above `clip_value_max`, got {low!r} and {high!r}. Exchange them."
            )
        clipped = [None if g is None else tf.clip_by_value(g, clip_value_min, clip_value_max) for g in grads]
        if self._records():
            self._call(self._record_values, grads, clipped, clip_value_min, clip_value_max)
        return clipped

    def clip_by_norm(self, grads: Sequence[Any], clip_norm: Any) -> list[Any]:
        """`tf.clip_by_norm` of each gradient, recorded: g · clip_norm / max(‖g‖, clip_norm), each with its own norm.

        Rows that `tf.IndexedSlices` repeats are not added up before the norm is taken: the library does not either.

        Args:
          grads: one gradient for each variable, as `tape.gradient` returns them, with None and `tf.IndexedSlices`.
          clip_norm: largest norm, a number or a scalar tensor.

        Returns:
          List of what the library returns for each; None where there was no gradient. A gradient with NaN becomes NaN,
          one whose norm overflows becomes 0.

        Raises:
          ValueError: the list does not match the variables, or `clip_norm` is negative, not finite or not a scalar.
        """
        grads = self._to_clip(grads)
        check_norm(clip_norm)
        clipped = [None if g is None else tf.clip_by_norm(g, clip_norm) for g in grads]
        if self._records():
            self._call(self._record_norms, grads, clip_norm)
        return clipped

    def clip_by_global_norm(self, t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None) -> tuple[list[Any], Any]:
        """`tf.clip_by_global_norm`, recorded: every g · clip_norm / max(n, clip_norm) with n the norm of all together.

        Rows that `tf.IndexedSlices` repeats are not added up before the norm is taken: the library does not either.

        Args:
          t_list: one gradient for each variable, as `tape.gradient` returns them, with None and `tf.IndexedSlices`.
          clip_norm: largest norm, a number or a scalar tensor.
          use_norm: the norm to go by, if you have it already.

        Returns:
          What the library returns: the list of clipped gradients, and n. A norm that is infinite or NaN makes every
          gradient NaN.

        Raises:
          ValueError: the list does not match the variables, or `clip_norm` is negative, not finite or not a scalar.
        """
        grads = self._to_clip(t_list)
        check_norm(clip_norm)
        clipped, norm = tf.clip_by_global_norm(grads, clip_norm, use_norm)
        if self._records():
            self._call(self._record_global_norm, grads, clip_norm, norm, use_norm)
        return clipped, norm

    def observe(self, grads: Sequence[Any]) -> None:
        """Record the gradients of a step that clips nothing; `grads` as in the clip calls.

        Raises:
          ValueError: the list does not match the variables.
        """
        grads = self._matching(grads)
        if self._records():
            self._call(self._record_unclipped, grads)

    def step(self, loss: Any = None) -> None:
        """End an optimizer step: record what was clipped since the last one, and the loss if given.

        Args:
          loss: a scalar of any float type, of this very step. A NaN or infinite loss is recorded as such.

        Raises:
          ValueError: the loss is not a scalar.
          DivergenceError: an alert came up and `on_alert` is "raise".
        """
        loss = None if loss is None else scalar_loss(loss)
        if not self._records():
            return
        self._call(self._ring.step, loss)
        if not tf.inside_function():
            self._eager_steps += 1
            if self._eager_steps % self._eager_steps_per_drain == 0:
                self._call(self._ring.drain)
                self._ring.drained()
            self._recorder.act()

    def _matching(self, grads: Sequence[Any]) -> list[Any]:
        grads, expected = list(grads), self._ring.layout.parameters
        if len(grads) != expected:
            raise ValueError(
                f"`grads` must have one entry for each of the {expected} variables, got {len(grads)}. "
                "Pass what tape.gradient returned for the variables the writer was made with."
            )
        replicas = replicas_of(tf.distribute.get_strategy())
        if replicas > self._replicas:
            raise ValueError(
                "`variables` must be made in the scope of the strategy that trains them, got variables of "
                f"{self._replicas} replica and {replicas} that train. Make model and writer in strategy.scope()."
            )
        if self._gradients == "replica" and replica() is None:
            raise ValueError(
                "`grads` must be a replica's own, got them outside of strategy.run, where they are those of all. "
                'Pass ClipWriter(..., gradients="whole").'
            )
        return grads

    def _to_clip(self, grads: Sequence[Any]) -> list[Any]:
        """Gradients that match the variables; a list without any gradient is reported."""
        grads = self._matching(grads)
        if self._records() and all(g is None for g in grads):
            self._call(self._report_no_gradient)
        return grads

    def _report_no_gradient(self) -> None:
        self._recorder.add_finding("no_gradient", self._ring.next_step)


def _limit_of(recorder: Recorder) -> Callable[[], float]:
    """What tells the limit above which a norm stands out. Refers to no writer, so that one can be freed."""
    return lambda: recorder.standout.limit


def _passing_on(ring: DeviceRing, collector: Collector, recorder: Recorder, at_once: bool) -> Callable[[], None]:
    """What to do with steps that left the ring. Refers to no writer, so that one can be freed."""

    def pass_on() -> None:
        if collector.closed:
            ring.forget()
        elif at_once or len(ring) >= MOST_WAITING:
            collector.collect()
        else:
            collector.wake()

    def drained() -> None:
        ring._call(pass_on)
        recorder.act()

    return drained
