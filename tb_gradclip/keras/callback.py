"""What users of Keras add to the callbacks of `fit`."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any

import keras
from keras import ops

from tb_gradclip.actions import OnAlert, action_of
from tb_gradclip.collector import Collector
from tb_gradclip.core.parameter import Parameter, gain
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.harmless import Harmless
from tb_gradclip.keras.hooks import CLIP, Hooks, ignored, inner
from tb_gradclip.keras.ring import StepRing
from tb_gradclip.recorder import Recorder, check_settings
from tb_gradclip.storage.write import EventFile, Nowhere, Sink
from tb_gradclip.telling import tell

BATCHES_PER_DRAIN = 32


class ClipCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the gradients of a `fit` before and after the optimizer's clipping, and the loss of every batch.

    The rule is the optimizer's own: `clipnorm` (each variable by its own norm), `global_clipnorm`, `clipvalue`, or
    none. A step is an update of the weights: under `gradient_accumulation_steps` the losses of its batches are
    averaged. Updates that a `LossScaleOptimizer` skips are recorded with the norms that made it skip them, and count as
    steps; so does a batch it drops from an accumulation. The loss is that of the batch, not Keras's running mean.

    A `train_step` of your own is recorded too. Its loss comes from `model.compute_loss`; on JAX, where a function that
    is differentiated cannot pass it on, from what the model's metric `loss` is updated with. Without, there is no loss.
    On JAX it must call `optimizer.stateless_apply`, and not inside a `jit` or conditional of its own.

    An update whose gradient norm stands out from those recorded before, or is not finite, has a histogram of its own;
    where only the loss shows that something happened, and on PyTorch with a GPU, which nobody waits for, the first one
    after that is recorded has (see `core.standout`). What a loss scaler skips does not stand out.

    Training goes on to the last bit as without it, but in two cases on TensorFlow, where a graph in which gradients are
    read is compiled to round elsewhere: accumulation without any clipping, and a scaled loss under XLA.

    Rows that `tf.IndexedSlices` repeats (embeddings) are not added up before a norm is taken: Keras does not either.

    Under a `tf.distribute.MirroredStrategy` every replica clips its own gradients, accumulated or not, before Keras
    adds them up: those of its share of the loss, which for a mean is the mean over its part of the batch divided by the
    number of replicas. Norms and histograms are those of the first replica, and the loss is the sum of all shares, so
    that of the whole batch. Replicas neither wait for each other nor exchange more than they would.

    Args:
      logdir: directory of the run; every `fit` appends to it.
      on_alert: None, "log", "warn", "raise" (`fit` fails with a `DivergenceError`), "stop" (sets
        `model.stop_training`), a function of the alert, or (kinds, action) pairs of these; see
        `tb_gradclip.actions.action_of`. With one, the device is asked after every batch, otherwise every 32.
      histogram_every: steps between histograms at first (they thin out as the run grows), beside which steps that stand
        out have one; 0 for none at all.
      start_step: number of the first step; by default the updates the optimizer has made already, or where the
        last `fit` with this callback ended if that is later (updates that were skipped are no iterations of Keras).

    Raises:
      ValueError: a setting is out of range. From `fit`, before the first batch: the model has no trainable variables,
        or trains on several replicas of another strategy, or on several devices of a `keras.distribution`.
      TypeError: from `fit`, before the first batch: the optimizer is not one of Keras 3.
      OSError: `logdir` cannot be written.

    Example:
      >>> model.compile(keras.optimizers.Adam(global_clipnorm=1.0), loss="mse")      # doctest: +SKIP
      >>> model.fit(x, y, callbacks=[ClipCallback("runs/mlp")])                      # doctest: +SKIP
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        *,
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
        start_step: int | None = None,
    ) -> None:
        super().__init__()
        self._on_alert = action_of(on_alert, self._stop)
        check_settings(self._on_alert, histogram_every, start_step or 0)
        self._hooks_of = _hooks_of_backend()
        self._logdir = logdir
        self._histogram_every, self._start_step = histogram_every, start_step
        self._file: EventFile | None = EventFile(logdir)
        self._recorder: Recorder | None = None
        self._collector: Collector | None = None
        self._ring: StepRing | None = None
        self._hooks: Hooks | None = None
        self._failures = Harmless()
        self._next_step = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Start recording: called by `fit`."""
        del logs
        self._finish()
        self._failures = Harmless()
        model = self.model
        variables = list(model.trainable_variables)
        _check(model, variables)
        replicas = _replicas(model)
        start = self._start_step
        if start is None:
            start = max(int(ops.convert_to_numpy(model.optimizer.iterations)), self._next_step)
        self._start_step = None
        self._recorder = Recorder(
            self._sink(),
            framework="keras",
            library=f"keras {keras.__version__} on {keras.backend.backend()}",
            parameters=[Parameter(v.path, tuple(v.shape), v.dtype, _gain(v)) for v in variables],
            on_alert=self._on_alert,
            histogram_every=self._histogram_every,
            start_step=start,
            replicas=replicas,
            gradients="whole" if replicas == 1 else "replica",
        )
        for setting, value in ignored(inner(model.optimizer)):
            self._recorder.add_finding("clipping_off", start, setting=setting, value=value)
        batches = BATCHES_PER_DRAIN if self._on_alert is None else 1
        with nullcontext() if replicas == 1 else model.distribute_strategy.scope():
            self._ring = StepRing(len(variables), self._histogram_every, start, batches, model.steps_per_execution)
        drain = functools.partial(self._failures._call, self._ring.drain)
        self._collector = Collector(self._recorder, self._ring.fetch, drain=drain)
        self._hooks = self._hooks_of(model, variables, self._ring)
        self._hooks.install()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Read what the last batches wrote: called by `fit`."""
        del batch, logs
        if self._ring is None or self._recorder is None or self._collector is None:
            return
        with self._failures._harmless():
            if self._ring.drain_if_due(self.model.steps_per_execution):
                if self._on_alert is None:
                    self._collector.wake()
                else:
                    self._collector.collect()
            self._ring.take_limit(self._recorder.standout.limit)
        try:
            self._recorder.act()
        except BaseException:
            self._finish()
            raise

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Record what is left and give the model its methods back: called by `fit`."""
        del logs
        recorder = self._recorder
        self._finish()
        if recorder is not None:
            recorder.act()

    def _sink(self) -> Sink:
        """The file that the constructor opened; for another `fit` one more, or none if the disk has no room by now."""
        file, self._file = self._file, None
        try:
            return file or EventFile(self._logdir)
        except OSError as error:
            tell(f"gradclip does not record this fit: {error} Training is not affected.", stacklevel=2)
            return Nowhere()

    def _stop(self) -> None:
        self.model.stop_training = True

    def _finish(self) -> None:
        """End a `fit`, also one that an exception ended earlier."""
        hooks, collector, ring = self._hooks, self._collector, self._ring
        self._ring = self._recorder = self._collector = self._hooks = None
        if hooks is not None:
            with self._failures._harmless():
                hooks.remove()
        if collector is not None:
            collector.close()
        if ring is not None:
            with self._failures._harmless():
                self._next_step = ring.next_step


def _hooks_of_backend() -> type[Hooks]:
    backend = keras.backend.backend()
    if backend == "jax":
        if getattr(keras.config, "is_nnx_enabled", bool)():
            raise ValueError("Keras must run without NNX to be recorded, got KERAS_NNX_ENABLED. Unset it.")
        from tb_gradclip.keras.stateless import StatelessHooks

        return StatelessHooks
    if backend in ("tensorflow", "torch"):
        return Hooks
    raise ValueError(
        f"Keras must run on TensorFlow, PyTorch or JAX to be recorded, got {backend!r}. "
        "Set KERAS_BACKEND before Keras is imported."
    )


def _replicas(model: Any) -> int:
    """How many replicas train the model: only on TensorFlow more than one."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None:
        return 1
    from tb_gradclip.tensorflow.replicas import replicas_of

    return replicas_of(strategy)


def _check(model: Any, variables: list[Any]) -> None:
    """Refuse what cannot be recorded, before the first batch."""
    if not variables:
        raise ValueError("the model must have trainable variables, got none. Build it before fit, or set trainable.")
    optimizer = inner(model.optimizer)
    if not callable(getattr(optimizer, CLIP, None)):
        raise TypeError(
            f"`optimizer` must clip as Keras 3 optimizers do, got {type(optimizer).__name__} without {CLIP}. "
            "Use a keras.optimizers.Optimizer."
        )
    distribution = keras.distribution.distribution()
    devices = 1 if distribution is None else int(distribution.device_mesh.devices.size)
    if devices > 1:
        raise ValueError(
            f"the model must train on one device to be recorded, got {devices} of a {type(distribution).__name__}. "
            "Train without a keras.distribution, or without the callback."
        )


def _gain(variable: Any) -> float | None:
    """Gain of a weight. A layer's outputs are its last dimension, but for transposed convolutions."""
    if len(variable.shape) < 2:
        return None
    with suppress(Exception):  # what has no value yet
        norm = ops.norm(ops.reshape(ops.cast(variable, "float32"), (-1,)))
        return gain(float(ops.convert_to_numpy(norm)), variable.shape[-1])
    return None
