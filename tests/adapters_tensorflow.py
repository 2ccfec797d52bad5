"""How the contract suite trains through the TensorFlow adapter."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tb_gradclip.tensorflow import ClipWriter
from tests.backends import REPLICAS, on
from tests.replica_cases import two_replicas

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


def record_tensorflow_replicas(
    logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]
) -> Steps:
    """Two replicas, of which the second has other gradients."""
    return on(REPLICAS, record_replicas, logdir, kind, threshold, gradients, losses)


def record_replicas(logdir: str, *args: Any) -> Steps:
    """A step that each replica takes, and the mean of the losses."""
    strategy = two_replicas()

    def compiled(step: Callable[..., Any]) -> Callable[..., Any]:
        run = tf.function(lambda *each: strategy.run(step, each))

        def call(*tensors: Any) -> list[Any]:
            each = [
                strategy.experimental_distribute_values_from_function(
                    lambda context, t=t: t if context.replica_id_in_sync_group == 0 else 3 * t + 1
                )
                for t in tensors
            ]
            return [strategy.experimental_local_results(after)[0] for after in run(*each)]

        return call

    with strategy.scope():
        return record(compiled, logdir, *args)
