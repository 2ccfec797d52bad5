"""What the tests have two replicas do; see `backends.REPLICAS`. Plain data in, plain data out."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from tb_gradclip import DivergenceError
from tb_gradclip.keras import ClipCallback
from tb_gradclip.tensorflow import ClipWriter
from tests import keras_cases as cases

THRESHOLD = 0.5


@functools.cache
def two_replicas() -> Any:
    """The strategy of the two devices."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def small(optimized: dict[str, Any], **compiled: Any) -> Any:
    """`keras_cases.small` on both replicas."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    with two_replicas().scope():
        inputs = keras.Input((8,))
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(16, "relu")(inputs)))
        model.compile(loss="mse", optimizer=cases.optimizer(**optimized), **compiled)
    return model


def fits(
    logdir: str, optimized: dict[str, Any], compiled: dict[str, Any], options: dict[str, Any]
) -> list[cases.Trained]:
    """The same training without our callback and with it; with the option `inside`, in the scope of the strategy."""
    found, inside = [], options.pop("inside", False)
    for directory in (None, logdir):
        model = small(optimized, **compiled)
        with two_replicas().scope() if inside else contextlib.nullcontext():
            found.append(cases.train(model, directory, **options))
    return found


def stopped(logdir: str) -> str:
    """The alert that stops a `fit`."""
    y = cases.Y.copy()
    y[43] = np.inf  # in the other replica's half of the batch
    callback = ClipCallback(logdir, on_alert="raise")
    try:
        small({"clipnorm": 0.5}).fit(cases.X, y, batch_size=8, verbose=0, shuffle=False, callbacks=[callback])
    except DivergenceError as error:
        return str(error)
    return "none"


class CustomLoop:
    """Trains by hand, and clips with our writer, or with the library if there is no directory.

    Args:
      logdir: of the writer.
      place: where gradients are clipped: "before" or "after" they are added up in a replica, or "outside".
    """

    def __init__(self, logdir: str | None, place: str) -> None:
        self.place, self.strategy, rng = place, two_replicas(), np.random.default_rng(0)
        with self.strategy.scope():
            shapes = ((8, 16), (16,), (16, 1), (1,))
            self.weights = [tf.Variable(rng.normal(size=shape) / 4, dtype=tf.float32) for shape in shapes]
        gradients: Any = "replica" if place == "before" else "whole"
        self.writer = ClipWriter(logdir, self.weights, histogram_every=4, gradients=gradients) if logdir else None

    def clip(self, gradients: list[Any]) -> list[Any]:
        return (self.writer or tf).clip_by_global_norm(gradients, THRESHOLD)[0]

    def update(self, gradients: list[Any]) -> None:
        for variable, gradient in zip(self.weights, gradients, strict=True):
            variable.assign_sub(0.01 * gradient)

    def in_replica(self, x: Any, y: Any) -> Any:
        """The share of the loss, and gradients where they are clipped outside."""
        first, shift, second, offset = self.weights
        with tf.GradientTape() as tape:
            error = tf.nn.relu(x @ first + shift) @ second + offset - y
            loss = tf.reduce_mean(tf.square(error)) / self.strategy.num_replicas_in_sync
        gradients = tape.gradient(loss, self.weights)
        if self.place == "outside":
            return loss, gradients
        add = functools.partial(tf.distribute.get_replica_context().all_reduce, "SUM")
        self.update(add(self.clip(gradients)) if self.place == "before" else self.clip(add(gradients)))
        return loss, None

    def step(self, batch: Any) -> None:
        losses, gradients = self.strategy.run(self.in_replica, batch)
        if self.place == "outside":
            clipped = self.clip([self.strategy.reduce("SUM", g, axis=None) for g in gradients])
            self.strategy.run(self.update, [clipped])
        if self.writer:
            self.writer.step(self.strategy.reduce("SUM", losses, axis=None))

    def steps(self, batches: Any) -> None:
        for batch in batches:
            self.step(batch)


def custom_loop(logdir: str | None, place: str, way: str) -> list[Any]:
    """Weights at first and at the end of a `CustomLoop`; `way` is "eager", "graph", or "loop" for one graph of all."""
    loop = CustomLoop(logdir, place)
    start = cases.numbers(loop.weights)
    data = tf.data.Dataset.from_tensor_slices((cases.X, cases.Y)).batch(cases.BATCH)
    batches = loop.strategy.experimental_distribute_dataset(data)
    if way == "loop":
        tf.function(loop.steps)(batches)
    else:
        step = tf.function(loop.step) if way == "graph" else loop.step
        for batch in batches:
            step(batch)
    if loop.writer:
        loop.writer.close()
    return [start, cases.numbers(loop.weights)]


def alone(logdir: str) -> None:
    """Op by op, steps that end in a replica; the second one has another loss and other gradients."""
    strategy = two_replicas()
    with strategy.scope():
        variable = keras.Variable(1.0)
    with ClipWriter(logdir, [variable]) as writer:

        def step() -> None:
            number = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group + 1, tf.float32)
            writer.observe([4 * number])
            writer.step(number)

        for _ in range(3):
            strategy.run(step)


def one_replica(logdir: str) -> None:
    """Both ways to record, under a strategy of one replica."""
    keras.utils.clear_session()
    strategy = tf.distribute.MirroredStrategy(["CPU:1"])
    with strategy.scope():
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01, clipnorm=0.5), "mse")
        writer = ClipWriter(f"{logdir}/tensorflow", model.trainable_variables)
    cases.train(model, f"{logdir}/keras")

    @tf.function
    def step() -> None:
        writer.observe([tf.ones([8, 1]), tf.ones([1])])
        writer.step(1.0)

    for _ in range(12):
        strategy.run(step)
    writer.close()


def refused(case: str, logdir: str) -> str:
    """What is said where nothing can be recorded."""
    strategy = two_replicas()
    if case in ("keras", "tensorflow"):
        strategy = tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"], "CPU:0")
    with contextlib.nullcontext() if case == "plain" else strategy.scope():
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    ones = [tf.ones([8, 1]), tf.ones([1])]
    try:
        if case == "keras":
            cases.train(model, logdir)
        gradients: Any = "mean" if case == "name" else "replica"
        with ClipWriter(logdir, model.trainable_variables, gradients=gradients) as writer:
            if case == "outside":
                writer.observe(ones)
            if case == "plain":
                strategy.run(writer.observe, [ones])
            writer.step(strategy.experimental_distribute_values_from_function(lambda _: tf.ones([])))
    except ValueError as error:
        return str(error)
    return "nothing"
