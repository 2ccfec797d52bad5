"""A small TensorFlow training with a `GradientTape`, recorded or not, and what came out to the bit."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

from tb_gradclip.tensorflow import ClipWriter
from tests.trust.trained_keras import STEPS

BOUNDS = {"clip_by_value": (-0.3, 0.3), "clip_by_norm": (0.3,), "clip_by_global_norm": (0.4,)}
EVERY_CALL = (*BOUNDS, "observe")


def trained(
    writer_of: Callable[[list[Any]], Any],
    before: Callable[[int], object] = lambda _: None,
    *,
    calls: Sequence[str] = ("clip_by_value",),
    graph: bool = False,
    compiled: bool = False,
    converted: bool = True,
    begun: Callable[[], object] = lambda: None,
) -> list[bytes]:
    """The bits of every loss and of the weights.

    Args:
      writer_of: makes the writer of some variables, or None.
      before: called with the number of a step before it.
      calls: those of the writer that each step makes, one after the other.
      graph, compiled, converted: whether it is a `tf.function`, whether XLA compiles that, and whether AutoGraph
        converts it.
      begun: called when the writer is there.
    """
    weights = [tf.Variable(tf.ones([5, 3])), tf.Variable(tf.ones([3, 1]))]
    writer = writer_of(weights)

    def train_step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.tanh(x @ weights[0]) @ weights[1] - 1))
        gradients = tape.gradient(loss, weights)
        for call in calls:
            gradients = clipped(writer, call, gradients)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(0.1 * gradient)
        if writer:
            writer.step(loss)
        return loss

    run = tf.function(train_step, jit_compile=compiled, autograph=converted) if graph else train_step
    begun()
    random = np.random.default_rng(0)
    seen = []
    for number in range(STEPS):
        before(number)
        seen.append(run(tf.constant(random.normal(size=(4, 5)), tf.float32)).numpy().tobytes())
    if writer:
        writer.close()
    return [*seen, *(weight.numpy().tobytes() for weight in weights)]


def clipped(writer: Any, call: str, gradients: list[Any]) -> list[Any]:
    """What one of the calls makes of gradients: the writer's, or without one the library's."""
    if call == "observe":
        if writer:
            writer.observe(gradients)
        return gradients
    bounds = BOUNDS[call]
    if call == "clip_by_global_norm":
        return (writer or tf).clip_by_global_norm(gradients, *bounds)[0]
    if writer:
        return getattr(writer, call)(gradients, *bounds)
    return [getattr(tf, call)(gradient, *bounds) for gradient in gradients]


def train(settings: dict[str, Any], logdir: Path | None, begun: Callable[[], object], on_thread: bool) -> list[bytes]:
    """A training as `bugs.Train` has it."""
    chosen: dict[str, Any] = {"histogram_every": 2} if on_thread else {"on_alert": [].append}
    chosen["capacity"] = 2 * STEPS if settings.get("compiled") else 8  # what XLA compiles does not wait for the ring
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf, "numpy_function", functools.partial(_traced_too, tf.numpy_function))
        return trained(
            lambda weights: ClipWriter(logdir, weights, **chosen) if logdir else None,
            lambda _: time.sleep(0.002 * on_thread),
            calls=EVERY_CALL,
            begun=begun,
            **settings,
        )


def _traced_too(original: Callable[..., Any], function: Callable[..., Any], *args: Any) -> Any:
    """`tf.numpy_function`, whose calls out of a graph come on threads that are none of Python's."""
    tracer = sys.gettrace()

    def traced(*inputs: Any) -> Any:
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            return function(*inputs)
        finally:
            sys.settrace(before)

    return original(traced, *args)
