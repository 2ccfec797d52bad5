"""What the tests have Keras do on any of its backends; see `backends.on`. Plain data in, plain data out."""

from __future__ import annotations

import functools
import os
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from tb_gradclip import DivergenceError
from tb_gradclip.keras import ClipCallback
from tb_gradclip.keras.measures import codes

X = np.random.default_rng(0).normal(size=(96, 8)).astype(np.float32)
Y = X @ np.ones((8, 1), np.float32)
BATCH = 8
ADDRESS = rb'"shared_object_id": \d+'


@dataclass
class Trained:
    """What a `fit` left behind."""

    history: dict[str, list[float]]
    start: list[Any]
    weights: list[Any]
    everything: list[bytes]
    paths: list[str]


def small(base: type = keras.Model, **compiled: Any) -> Any:
    """The model of the tests, the same each time."""
    keras.utils.clear_session()  # or layers would be named by how many were made before
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    model = base(inputs, keras.layers.Dense(1)(keras.layers.Dense(16, "relu")(inputs)))
    model.compile(**{"loss": "mse", **compiled})
    return model


def optimizer(name: str = "SGD", scaled: float = 0.0, **clipping: Any) -> Any:
    """An optimizer, in a `LossScaleOptimizer` if `scaled` is more than 0."""
    made = getattr(keras.optimizers, name)(0.01, name="made", **clipping)  # or it would be named by how many were made
    return keras.optimizers.LossScaleOptimizer(made, initial_scale=scaled, name="scaled") if scaled else made


def train(model: Any, logdir: str | None, *callbacks: Any, x: Any = X, y: Any = Y, **options: Any) -> Trained:
    """Fit, with our callback if there is a directory for it."""
    start = numbers(model.trainable_variables)
    ours = [] if logdir is None else [ClipCallback(logdir, histogram_every=4)]
    options = {"batch_size": BATCH, "verbose": 0, "shuffle": False, **options}
    fitted = model.fit(x, y, callbacks=[*ours, *callbacks], **options)
    variables = [*model.variables, *model.optimizer.variables]
    everything = [value.tobytes() for value in numbers(variables)]
    return Trained(fitted.history, start, numbers(model.trainable_variables), everything, [v.path for v in variables])


def numbers(variables: Any) -> list[Any]:
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def fit(logdir: str | None, optimized: dict[str, Any], compiled: dict[str, Any], options: dict[str, Any]) -> Trained:
    """Training, with our callback if there is a directory for it."""
    return train(small(optimizer=optimizer(**optimized), **{"metrics": ["mae"], **compiled}), logdir, **options)


def fit_traced(*arguments: Any) -> Trained:
    """Fit, compiled by PyTorch as far as that goes without a C++ compiler, which not every machine has."""
    import torch

    compile_ = torch.compile
    torch.compile = functools.partial(compile_, backend="aot_eager")
    try:
        return fit(*arguments)
    finally:
        torch.compile = compile_


def fits(logdir: str, *settings: dict[str, Any]) -> list[Trained]:
    """The same training without our callback, and with it."""
    return [fit(directory, *settings) for directory in (None, logdir)]


def second_fit(logdir: str, optimized: dict[str, Any], again: bool) -> None:
    """Two fits, with one callback for both or each with its own."""
    model = small(optimizer=optimizer(**optimized))
    callback = ClipCallback(logdir)
    for made in (callback, callback if again else ClipCallback(logdir)):
        model.fit(X, Y, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[made])


def checkpoints(folder: str) -> list[dict[str, bytes]]:
    """What is in the files that training without and with our callback saves, at ends of epochs and between."""
    found = []
    for directory in (None, f"{folder}/log"):
        place = Path(folder, "recorded" if directory else "bare")
        model = small(optimizer=optimizer("Adam", clipnorm=0.5, gradient_accumulation_steps=2))
        save = keras.callbacks.ModelCheckpoint(place / "{epoch}-{batch}.keras", save_freq=7)
        weights = keras.callbacks.ModelCheckpoint(place / "{epoch}.weights.h5", save_weights_only=True)
        train(model, directory, save, weights, epochs=2)
        model.save(place / "end.keras")
        found.append(contents(place))
        loaded = keras.models.load_model(place / "end.keras")
        assert [v.path for v in loaded.optimizer.variables] == [v.path for v in model.optimizer.variables]
        assert train(loaded, None).everything == train(model, None).everything
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder and of the archives in it, but for the date and the addresses of objects in them."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix != ".keras":
            found[path.name] = path.read_bytes()
            continue
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name != "metadata.json"]
            found |= {f"{path.name}/{name}": re.sub(ADDRESS, b"", archive.read(name)) for name in names}
    return found


def own_train_step(logdir: str) -> list[Trained]:
    """A model with a `train_step` of its own, as the guides of Keras write it for each backend."""
    own = {"tensorflow": own_on_tensorflow, "torch": own_on_torch, "jax": own_on_jax}[keras.backend.backend()]()
    return [train(small(own, optimizer=optimizer(global_clipnorm=0.5)), directory) for directory in (None, logdir)]


def own_on_tensorflow() -> type:
    import tensorflow as tf

    class Own(keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            found = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(found, self.trainable_variables)
            return {"error": loss}

    return Own


def own_on_torch() -> type:
    import torch

    class Own(keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            self.zero_grad()
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            loss.backward()
            with torch.no_grad():
                self.optimizer.apply([v.value.grad for v in self.trainable_weights], self.trainable_weights)
            return {"error": loss.detach()}

    return Own


def own_on_jax(nested: bool = False) -> type:
    import jax

    class Own(keras.Model):
        def loss_of(self, trainable: Any, others: Any, x: Any, y: Any) -> Any:
            y_pred, others = self.stateless_call(trainable, others, x, training=True)
            return self.compute_loss(x, y, y_pred), others

        def train_step(self, state: Any, data: Any) -> Any:
            trainable, others, optimized, measured = state
            x, y = data[:2]
            (loss, others), found = jax.value_and_grad(self.loss_of, has_aux=True)(trainable, others, x, y)
            update = jax.jit(self.optimizer.stateless_apply) if nested else self.optimizer.stateless_apply
            trainable, optimized = update(optimized, found, trainable)
            logs, now = {}, []
            for metric in self.metrics:
                mine = measured[len(now) : len(now) + len(metric.variables)]
                if metric.name == "loss":
                    mine = metric.stateless_update_state(mine, loss)
                logs[metric.name] = metric.stateless_result(mine)
                now += mine
            return logs, (trainable, others, optimized, now)

    return Own


def warned(logdir: str, base: type, made: Any) -> tuple[list[Trained], list[str]]:
    """The same training without our callback and with it, and what we warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [train(small(base, optimizer=made()), directory) for directory in (None, logdir)]
    return found, [str(w.message) for w in caught if "gradclip" in str(w.message)]


def out_of_reach(logdir: str) -> tuple[list[Trained], list[str]]:
    """A `train_step` on JAX that updates where nothing can be carried out of."""
    return warned(logdir, own_on_jax(nested=True), lambda: optimizer(global_clipnorm=0.5))


class Odd(keras.optimizers.SGD):
    """Clips in a way of its own, and means something of its own by `clipnorm`."""

    def __init__(self) -> None:
        super().__init__(0.01)
        self.clipnorm = "by half"

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        return [g * 0.5 for g in grads]


def misread(logdir: str) -> tuple[list[Trained], list[str]]:
    """An optimizer that our callback cannot make sense of."""
    return warned(logdir, keras.Model, Odd)


def stopped(logdir: str) -> str:
    """The alert that stops a `fit`; the model must then be as it was, and train on."""
    model = small(optimizer=optimizer(clipnorm=0.5))
    y = Y.copy()
    y[40] = np.inf
    message = "none"
    try:
        callback = ClipCallback(logdir, on_alert="raise")
        model.fit(X, y, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[callback])
    except DivergenceError as error:
        message = str(error)
    names = {"train_step", "compute_loss", "apply", "stateless_apply", "make_train_function", "_clip_gradients"}
    assert not names & {*vars(model), *vars(model.optimizer), *vars(model.metrics[0])}
    model.fit(X, Y, batch_size=BATCH, verbose=0)
    return message


def codes_of(values: Any) -> list[int]:
    """Codes of numbers as the ops of this backend find them."""
    return numbers([codes(keras.ops.convert_to_tensor(values))])[0].tolist()


def on_two_devices_of_jax(logdir: str) -> str:
    """What is said to a model spread over two devices."""
    devices = keras.distribution.list_devices()[:2]
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])  # `small` would clear the distribution
        model.compile("sgd", "mse")
        train(model, logdir)
    except ValueError as error:
        return str(error)
    finally:
        keras.distribution.set_distribution(None)
    return "nothing"
