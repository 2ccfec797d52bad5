"""How the contract suite trains through the Keras adapter, on each of its backends."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from tb_gradclip.keras import ClipCallback
from tests.backends import REPLICAS, on
from tests.replica_cases import two_replicas

Array = NDArray[np.float32]
Steps = list[list[Array]]


def train(
    compiled: dict[str, Any],
    logdir: str,
    kind: str,
    threshold: float,
    gradients: Steps,
    losses: list[float],
    batch_size: int = 1,
    **settings: Any,
) -> Steps:
    """A `fit` of one batch a step, whose optimizer leaves the gradient it was given in the variable."""
    argument = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}.get(kind)
    model = Given([g.shape for g in gradients[0]])
    model.compile(Minus(1.0, **({argument: threshold} if argument else {})), **compiled)
    taken = Taken()
    inputs = [np.stack(each) for each in zip(*gradients, strict=True)]
    callbacks = [ClipCallback(logdir, **{"histogram_every": 1, **settings}), taken]
    y = np.array(losses, np.float32)
    model.fit(inputs, y, batch_size=batch_size, verbose=0, shuffle=False, callbacks=callbacks)
    return taken.steps


def train_listening(*args: Any, histogram_every: int = 50) -> Steps:
    """`train` with the schedule of a user, and every step recorded before the next."""
    return train(*args, histogram_every=histogram_every, on_alert=lambda alert: None)


def recording(backend: str, **compiled: Any) -> Callable[..., Steps]:
    """What the suite calls, for one way to run."""
    return lambda *args: on(backend, train, compiled, *args)


def record_keras_replicas(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    """Two replicas, of which the second has no gradient to add, and half of the loss."""
    pairs = [g for step in gradients for g in (step, [np.zeros_like(g) for g in step])]
    halves = [loss / 2 for loss in losses for _ in range(2)]
    return on(REPLICAS, train_replicas, logdir, kind, threshold, pairs, halves)


def train_replicas(*args: Any) -> Steps:
    """`train` with two gradients a step."""
    with two_replicas().scope():
        return train({"jit_compile": False}, *args, batch_size=2)


record_keras = recording("tensorflow", jit_compile=False)
record_keras_xla = recording("tensorflow", jit_compile=True)
record_keras_torch = recording("torch")
record_keras_jax = recording("jax", jit_compile=True)


class Minus(keras.optimizers.SGD):
    """Leaves the gradient it was given, clipped, in the variable."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.assign(variable, gradient)


class Given(keras.Model):
    """A model whose loss and gradients are its input.

    NaN and infinity would meet in a product of weights and gradients, so these are given by `custom_gradient`.
    """

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.given = [self.add_weight(shape=s, initializer="zeros", name=f"p{i}") for i, s in enumerate(shapes)]
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs[0]

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        loss = ops.reshape(y, ())
        for variable, gradient in zip(self.given, x, strict=True):
            loss = loss + nothing(variable, ops.reshape(gradient, variable.shape))
        return loss


def nothing(variable: Any, gradient: Any) -> Any:
    """Zero, with this gradient for the variable."""

    @ops.custom_gradient
    def zero(value: Any) -> Any:
        return ops.zeros(()), lambda *_, upstream=None: gradient

    return zero(ops.convert_to_tensor(variable))


class Taken(keras.callbacks.Callback):
    """Collects the weights after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: Steps = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self.steps.append([np.array(ops.convert_to_numpy(v)) for v in self.model.given])
