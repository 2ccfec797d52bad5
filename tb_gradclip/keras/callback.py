"""What users of Keras add to the callbacks of `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from tb_gradclip.collector import Collector
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.core.schema import Parameter
from tb_gradclip.keras.ring import StepRing
from tb_gradclip.recorder import OnAlert, Recorder, check_settings
from tb_gradclip.storage.write import EventFile

BATCHES_PER_DRAIN = 32

CLIP = "_clip_gradients"
"""Where Keras 3 clips: after loss scale and accumulation, before weight decay. Not public, so looked for before use."""


class ClipCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the gradients of a `fit` before and after the optimizer's clipping, and the loss of every batch.

    The rule is the optimizer's own: `clipnorm` (each variable by its own norm), `global_clipnorm`, `clipvalue`, or
    none. A step is an update of the weights: under `gradient_accumulation_steps` the losses of its batches are
    averaged. Updates that a `LossScaleOptimizer` skips are recorded with the norms that made it skip them. The loss
    comes from `model.compute_loss`; a `train_step` of your own that does not call it is recorded without loss.

    Rows that `tf.IndexedSlices` repeats (embeddings) are not added up before a norm is taken: Keras does not either.

    Args:
      logdir: directory of the run; every `fit` appends to it.
      on_alert: None, "warn", "raise" (stops `fit` with a `DivergenceError`) or a function of the alert; see
        `tb_gradclip.recorder.Recorder`. With one, the device is asked after every batch, otherwise every 32.
      histogram_every: steps between histograms at first (they thin out as the run grows); 0 for none.
      start_step: number of the first step; by default the updates the optimizer has made already.

    Raises:
      ValueError: a setting is out of range, or Keras runs on JAX. From `fit`, before the first batch: the model has no
        trainable variables, or trains on several replicas.
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
        check_settings(on_alert, histogram_every, start_step or 0)
        if keras.backend.backend() not in ("tensorflow", "torch"):
            raise ValueError(
                f"Keras must run on TensorFlow or PyTorch to be recorded, got {keras.backend.backend()!r}. "
                "Set KERAS_BACKEND before Keras is imported."
            )
        self._logdir, self._on_alert = logdir, on_alert
        self._histogram_every, self._start_step = histogram_every, start_step
        self._file: EventFile | None = EventFile(logdir)
        self._recorder: Recorder | None = None
        self._collector: Collector | None = None
        self._ring: StepRing | None = None
        self._trained: Any = None
        self._replaced: list[tuple[Any, str]] = []
        self._variables: list[Any] = []
        self._present: list[int] = []
        self._in_train_step = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Start recording: called by `fit`."""
        del logs
        self._finish()
        model = self.model
        self._variables = list(model.trainable_variables)
        outer = model.optimizer
        optimizer = getattr(outer, "inner_optimizer", outer)
        _check(model, optimizer, self._variables)
        start = self._start_step
        if start is None:
            start = int(ops.convert_to_numpy(optimizer.iterations)) // (optimizer.gradient_accumulation_steps or 1)
        self._start_step = None
        self._recorder = Recorder(
            self._file or EventFile(self._logdir),
            framework="keras",
            library=f"keras {keras.__version__} on {keras.backend.backend()}",
            parameters=[Parameter(v.path, tuple(v.shape)) for v in self._variables],
            on_alert=self._on_alert,
            histogram_every=self._histogram_every,
            start_step=start,
        )
        self._file = None
        for setting, value in ignored(optimizer):
            self._recorder.add_finding("clipping_off", start, setting=setting, value=value)
        batches = BATCHES_PER_DRAIN if self._on_alert is None else 1
        self._ring = StepRing(len(self._variables), self._histogram_every, start, batches, model.steps_per_execution)
        self._collector = Collector(self._recorder, self._ring.fetch, drain=self._ring.drain)
        self._install(model, outer, optimizer)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Read what the last batches wrote: called by `fit`."""
        del batch, logs
        if self._ring is None or self._recorder is None or self._collector is None:
            return
        if self._ring.drain_if_due(self.model.steps_per_execution):
            if self._on_alert is None:
                self._collector.wake()
            else:
                self._collector.collect()
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

    def _finish(self) -> None:
        """End a `fit`, also one that an exception ended earlier."""
        for instance, name in self._replaced:
            vars(instance).pop(name, None)
        if self._replaced:
            self._replaced = []
            self._trained.make_train_function(force=True)
        collector = self._collector
        self._ring = self._recorder = self._collector = None
        if collector is not None:
            collector.close()

    def _install(self, model: Any, outer: Any, optimizer: Any) -> None:
        self._trained = model
        self._replace(model, "train_step", self._train_step)
        self._replace(model, "compute_loss", self._compute_loss)
        if outer is not optimizer:
            self._replace(outer, "apply", self._scaled_apply(outer, optimizer))
        self._replace(optimizer, "apply", self._apply)
        self._replace(optimizer, CLIP, self._clip(optimizer))
        model.make_train_function(force=True)  # a function traced before knows nothing of the replacements

    def _replace(self, instance: Any, name: str, replacement: Callable[..., Any]) -> None:
        """Put a method before the one of the class; `replacement` gets the original first."""
        original = getattr(instance, name)
        # Past __setattr__, which would track it.
        vars(instance)[name] = lambda *args, **kwargs: replacement(original, *args, **kwargs)
        self._replaced.append((instance, name))

    def _train_step(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._in_train_step = True
        try:
            return original(*args, **kwargs)
        finally:
            self._in_train_step = False

    def _compute_loss(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        loss = original(*args, **kwargs)
        if self._in_train_step and self._ring is not None and loss is not None:  # not in validation
            self._ring.take_loss(loss)
        return loss

    def _apply(self, original: Callable[..., Any], grads: Any, trainable_variables: Any = None) -> Any:
        """Note which parameters the gradients belong to that will reach the clipping."""
        grads = list(grads)
        variables = self._variables if trainable_variables is None else list(trainable_variables)
        self._present = self._places(grads, variables)
        return original(grads, variables)

    def _places(self, grads: list[Any], variables: list[Any]) -> list[int]:
        """Index of each variable that has a gradient to clip; -1 for one the model does not list."""
        index = {id(variable): i for i, variable in enumerate(self._variables)}
        return [
            index.get(id(variable), -1)
            for grad, variable in zip(grads, variables, strict=True)
            if grad is not None and not getattr(variable, "overwrite_with_gradient", False)
        ]

    def _placed(self, grads: list[Any]) -> list[Any]:
        placed: list[Any] = [None] * len(self._variables)
        for place, grad in zip(self._present, grads, strict=True):
            if place >= 0:
                placed[place] = grad
        return placed

    def _clip(self, optimizer: Any) -> Callable[..., Any]:
        def clip(original: Callable[..., Any], grads: list[Any]) -> Any:
            clipped = original(grads)
            if self._ring is not None:
                kind, threshold = rule_of(optimizer)
                self._ring.record(kind, threshold, self._placed(grads), self._placed(clipped))
            return clipped

        return clip

    def _scaled_apply(self, outer: Any, optimizer: Any) -> Callable[..., Any]:
        """For a `LossScaleOptimizer`: it clips only where all gradients are finite, the others are recorded here."""

        def skipped(grads: list[Any], variables: list[Any]) -> None:
            if self._ring is None:
                return
            scale = outer.scale_loss(ops.ones(()))
            kind, threshold = rule_of(optimizer)
            self._present = self._places(grads, variables)
            unscaled = self._placed([ops.divide(g, scale) for g in grads if g is not None])
            self._ring.record(kind, threshold, unscaled, unscaled)

        def apply(original: Callable[..., Any], grads: Any, trainable_variables: Any = None) -> Any:
            grads = list(grads)
            variables = self._variables if trainable_variables is None else list(trainable_variables)
            ops.cond(outer.check_finite(grads), lambda: None, lambda: skipped(grads, variables))
            return original(grads, variables)

        return apply


SETTINGS = {"clipnorm": "norm", "global_clipnorm": "global_norm", "clipvalue": "value"}
"""Settings of an optimizer and the rules they stand for, in the order in which Keras looks; 0 and None mean off."""


def rule_of(optimizer: Any) -> tuple[str, float]:
    """Kind and threshold of an optimizer's clipping."""
    for attribute, kind in SETTINGS.items():
        threshold = getattr(optimizer, attribute, None)
        if threshold and threshold > 0:
            return kind, float(threshold)
    return "none", float("nan")


def ignored(optimizer: Any) -> list[tuple[str, float]]:
    """Settings that look like clipping and are none to Keras, with their values: 0 and negative ones."""
    given = {setting: getattr(optimizer, setting, None) for setting in SETTINGS}
    return [(setting, value) for setting, value in given.items() if value is not None and value <= 0]


def _check(model: Any, optimizer: Any, variables: list[Any]) -> None:
    """Refuse what cannot be recorded, before the first batch."""
    if not variables:
        raise ValueError("the model must have trainable variables, got none. Build it before fit, or set trainable.")
    if not callable(getattr(optimizer, CLIP, None)):
        raise TypeError(
            f"`optimizer` must clip as Keras 3 optimizers do, got {type(optimizer).__name__} without {CLIP}. "
            "Use a keras.optimizers.Optimizer."
        )
    replicas = getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1)
    if replicas > 1:
        raise ValueError(
            f"the model must train on one replica to be recorded, got {replicas}: Keras clips in each before it adds "
            "gradients up, so no norm there is the model's. Train without a strategy, or without the callback."
        )
