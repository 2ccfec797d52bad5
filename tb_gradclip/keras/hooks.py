"""What stands before the methods of model and optimizer for the time of one `fit`.

Each hook calls the method it stands before and returns its result untouched. What goes wrong beside that is told once,
and training goes on.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from tb_gradclip.keras.ring import StepRing
from tb_gradclip.telling import tell

CLIP = "_clip_gradients"
"""Where Keras 3 clips: after loss scale and accumulation, before weight decay. Not public, so looked for before use."""

SETTINGS = {"clipnorm": "norm", "global_clipnorm": "global_norm", "clipvalue": "value"}
"""Settings of an optimizer and the rules they stand for, in the order in which Keras looks; 0 and None mean off."""


class Hooks:
    """The hooks of one `fit` where a training step may assign to variables: on TensorFlow and PyTorch.

    Args:
      model: what is trained.
      variables: its trainable variables.
      ring: takes what is measured.
    """

    def __init__(self, model: Any, variables: list[Any], ring: StepRing) -> None:
        self.model, self.variables, self.ring = model, variables, ring
        self.outer = model.optimizer
        self.optimizer = inner(self.outer)
        self._replaced: list[tuple[Any, str]] = []
        self._present: list[int] = []
        self._train_steps = 0  # that are running: replicas take turns
        self._warned = False
        self._write, self._take_loss = (outside_compilers(method) for method in (ring.record, ring.take_loss))

    def install(self) -> None:
        """Put the hooks in place."""
        self.replace(self.model, "train_step", self.train_step)
        self.replace(self.model, "compute_loss", self._compute_loss)
        if self.outer is not self.optimizer:
            self.replace(self.outer, "apply", self._scaled_apply)
        self.replace(self.optimizer, "apply", self.apply)
        self.replace(self.optimizer, CLIP, self.clip)
        self.model.make_train_function(force=True)  # a function traced before knows nothing of the hooks

    def remove(self) -> None:
        """Give model and optimizer their methods back."""
        for instance, name in self._replaced:
            vars(instance).pop(name, None)
        self._replaced = []
        self.model.make_train_function(force=True)

    def replace(self, instance: Any, name: str, replacement: Callable[..., Any]) -> None:
        """Put a method before the one of the class; `replacement` gets the original first."""
        original = getattr(instance, name)

        def replaced(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        vars(instance)[name] = replaced  # past __setattr__, which would track it
        self._replaced.append((instance, name))

    def train_step(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Note that what happens now is training, and not validation."""
        self._train_steps += 1
        try:
            return original(*args, **kwargs)
        finally:
            self._train_steps -= 1

    def apply(self, original: Callable[..., Any], grads: Any, trainable_variables: Any = None) -> Any:
        """Note which parameters the gradients belong to that will reach the clipping."""
        grads = list(grads)
        variables = self.variables if trainable_variables is None else list(trainable_variables)
        self._present = []  # so that nothing is taken for what it is not, should the next line fail
        with self.warning():
            self._present = self._places(grads, variables)
        return original(grads, variables)

    def clip(self, original: Callable[..., Any], grads: list[Any]) -> Any:
        """Record what the optimizer's clipping does."""
        clipped = original(grads)
        self.record(grads, clipped)
        return clipped

    def record(self, grads: list[Any], clipped: list[Any], skipped: bool = False) -> None:
        """Write the row of an update whose gradients are those of the parameters that `apply` noted."""
        with self.warning():
            kind, threshold = rule_of(self.optimizer)
            self._write(kind, threshold, self._placed(grads), self._placed(clipped), skipped)

    def record_skipped(self, grads: list[Any], variables: list[Any]) -> None:
        """Write the row of an update that a `LossScaleOptimizer` skips, so that it never reaches the clipping."""
        self._present = self._places(grads, variables)
        scale = self.outer.scale_loss(ops.ones(()))
        unscaled = [ops.divide(g, scale) for g in grads if g is not None]
        self.record(unscaled, unscaled, skipped=True)

    @contextlib.contextmanager
    def warning(self) -> Iterator[None]:
        """Turn failures into one warning."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.warn(f"{error!r}.")

    def warn(self, what: str) -> None:
        """Say once that something is not recorded."""
        if not self._warned:
            self._warned = True
            tell(f"gradclip does not record this fit: {what} Training is not affected.", stacklevel=2)

    def _compute_loss(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        loss = original(*args, **kwargs)
        if self._train_steps and loss is not None:
            with self.warning():
                self._take_loss(loss)
        return loss

    def _places(self, grads: list[Any], variables: list[Any]) -> list[int]:
        """Index of each variable that has a gradient to clip; -1 for one the model does not list."""
        index = {id(variable): i for i, variable in enumerate(self.variables)}
        return [
            index.get(id(variable), -1)
            for grad, variable in zip(grads, variables, strict=True)
            if grad is not None and not getattr(variable, "overwrite_with_gradient", False)
        ]

    def _placed(self, grads: list[Any]) -> list[Any]:
        placed: list[Any] = [None] * len(self.variables)
        for place, grad in zip(self._present, grads, strict=True):
            if place >= 0:
                placed[place] = grad
        return placed

    def _scaled_apply(self, original: Callable[..., Any], grads: Any, trainable_variables: Any = None) -> Any:
        """For a `LossScaleOptimizer`: it clips only where all gradients are finite, the others are recorded here."""
        grads = list(grads)
        variables = self.variables if trainable_variables is None else list(trainable_variables)
        with self.warning():
            finite = as_the_first_replica(self.outer.check_finite(grads))
            ops.cond(finite, lambda: None, lambda: self.record_skipped(grads, variables))
        return original(grads, variables)


def inner(optimizer: Any) -> Any:
    """The optimizer that clips: the one in a `LossScaleOptimizer`, or the one given."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def rule_of(optimizer: Any) -> tuple[str, float]:
    """Kind and threshold of an optimizer's clipping."""
    for setting, kind in SETTINGS.items():
        threshold = getattr(optimizer, setting, None)
        if threshold and threshold > 0:
            return kind, float(threshold)
    return "none", float("nan")


def ignored(optimizer: Any) -> list[tuple[str, float]]:
    """Settings that look like clipping and are none to Keras, with their values: 0 and negative ones."""
    given = [(setting, getattr(optimizer, setting, None)) for setting in SETTINGS]
    return [(setting, value) for setting, value in given if isinstance(value, (int, float)) and value <= 0]


def as_the_first_replica(finite: Any) -> Any:
    """Whether the update is made: of several replicas, Keras asks the first one alone."""
    if keras.backend.backend() != "tensorflow":
        return finite
    from tb_gradclip.tensorflow.replicas import of_first

    return of_first(finite)


def outside_compilers(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, left out of what `torch.compile` compiles: it decides by numbers and keeps count in Python."""
    if keras.backend.backend() != "torch":
        return function
    return sys.modules["torch"].compiler.disable(function)
