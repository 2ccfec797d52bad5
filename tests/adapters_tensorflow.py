"""How the contract suite trains through the TensorFlow and Keras adapters."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tb_gradclip.keras import ClipCallback
from tb_gradclip.tensorflow import ClipWriter

Array = NDArray[np.float32]
Steps = list[list[Array]]


def clip(writer: ClipWriter, kind: str, threshold: float, grads: list[Any]) -> list[Any]:
    """The writer's call for a kind of rule."""
    if kind == "value":
        return writer.clip_by_value(grads, -threshold, threshold)
    if kind == "norm":
        return writer.clip_by_norm(grads, threshold)
    if kind == "global_norm":
        return writer.clip_by_global_norm(grads, threshold)[0]
    writer.observe(grads)
    return grads


def record(
    compile_step: Callable[[Any], Any], logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]
) -> Steps:
    """Feed gradients step by step to a function compiled in some way."""
    variables = [tf.Variable(tf.zeros(g.shape), name=f"p{i}") for i, g in enumerate(gradients[0])]
    clipped = []
    with ClipWriter(logdir, variables, histogram_every=1) as writer:

        def train_step(loss: Any, *grads: Any) -> list[Any]:
            after = clip(writer, kind, threshold, list(grads))
            writer.step(loss)
            return after

        call = compile_step(train_step)
        for loss, step in zip(losses, gradients, strict=True):
            after = call(tf.constant(loss), *map(tf.constant, step))
            clipped.append([tensor.numpy() for tensor in after])
    return clipped


def record_tensorflow_eager(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    """Every op at once."""
    return record(lambda f: f, logdir, kind, threshold, gradients, losses)


def record_tensorflow_graph(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    """The step as a graph."""
    return record(tf.function, logdir, kind, threshold, gradients, losses)


def record_tensorflow_xla(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    """The step compiled by XLA."""
    return record(lambda f: tf.function(f, jit_compile=True), logdir, kind, threshold, gradients, losses)


def record_keras_compiled(
    jit_compile: bool, logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]
) -> Steps:
    """A `fit` of one batch a step, whose optimizer is plain descent of rate 1 from 0: weights are minus the gradient.

    The loss is written so that its gradient is the one wanted and its value the loss wanted: with w = 0 they are
    independent. NaN and infinity would meet in that product, so the gradient comes from `tf.custom_gradient`.
    """
    argument = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}.get(kind)
    shapes = [g.shape for g in gradients[0]]
    optimizer = Minus(1.0, **({argument: threshold} if argument else {}))
    model = Given(shapes)
    model.compile(optimizer, jit_compile=jit_compile)
    taken = Taken()
    data = tf.data.Dataset.from_tensor_slices(
        (tuple(np.stack(each) for each in zip(*gradients, strict=True)), np.array(losses, np.float32))
    ).batch(1)
    model.fit(data, epochs=1, verbose=0, shuffle=False, callbacks=[ClipCallback(logdir, histogram_every=1), taken])
    return taken.steps


def record_keras(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    """`fit` with the train step as a graph."""
    return record_keras_compiled(False, logdir, kind, threshold, gradients, losses)


def record_keras_xla(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    """`fit` with the train step compiled by XLA."""
    return record_keras_compiled(True, logdir, kind, threshold, gradients, losses)


class Minus(keras.optimizers.SGD):
    """Leaves the gradient it was given, clipped, in the variable."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.assign(variable, gradient)


class Given(keras.Model):
    """A model whose loss and gradients are its input."""

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.given = [self.add_weight(shape=s, initializer="zeros", name=f"p{i}") for i, s in enumerate(shapes)]
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs[0]

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        @tf.custom_gradient
        def loss_of(*variables: Any) -> Any:
            def gradient(upstream: Any, variables: Any = None) -> Any:
                wanted = [tf.reshape(g, v.shape) for g, v in zip(x, self.given, strict=True)]
                return wanted if variables is None else ([], wanted)

            return tf.reshape(y, []), gradient

        return loss_of(*[tf.convert_to_tensor(v) for v in self.given])


class Taken(keras.callbacks.Callback):
    """Collects the weights after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: Steps = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append([np.array(v.numpy()) for v in self.model.given])
