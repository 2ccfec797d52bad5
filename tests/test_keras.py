"""What only the Keras adapter does: `fit` as it was, the optimizer's own clipping, checkpoints, every way to run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_gradclip
from tb_gradclip.keras import ClipCallback

X = np.random.default_rng(0).normal(size=(96, 8)).astype(np.float32)
Y = X @ np.ones((8, 1), np.float32)
WAYS: dict[str, dict[str, Any]] = {
    "graph": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "eager": {"run_eagerly": True},
}


def model(optimizer: Any = None, **compiled: Any) -> Any:
    keras.utils.clear_session()  # or layers would be named by how many were made before
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)])
    made.compile(optimizer or keras.optimizers.Adam(0.01, global_clipnorm=0.5), loss="mse", **compiled)
    return made


def fit(trained: Any, *callbacks: Any, epochs: int = 2, **options: Any) -> Any:
    options = {"x": X, "y": Y, "batch_size": 8, "verbose": 0, "shuffle": False, **options}
    return trained.fit(epochs=epochs, callbacks=list(callbacks), **options)


def state(trained: Any) -> list[bytes]:
    variables = [*trained.variables, *trained.optimizer.variables]
    return [keras.ops.convert_to_numpy(v).tobytes() for v in variables]


class Still(keras.optimizers.SGD):
    """Clips and changes nothing."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        pass


def test_the_loss_is_that_of_the_batch_even_after_a_nan(tmp_path: Path) -> None:
    y = Y.copy()
    y[20] = math.nan
    trained = model(Still())
    fit(trained, ClipCallback(tmp_path), epochs=1, y=y)
    expected = ((trained.predict(X, verbose=0) - y) ** 2).reshape(12, 8).mean(axis=1)
    np.testing.assert_allclose(tb_gradclip.read(tmp_path)["."].steps["loss"], expected, rtol=1e-5)


def test_the_model_gets_its_methods_back(tmp_path: Path) -> None:
    trained = model()
    fit(trained, ClipCallback(tmp_path / "a"))
    replaced = {"train_step", "compute_loss", "apply", "_clip_gradients"}
    assert not replaced & {*vars(trained), *vars(trained.optimizer)}
    fit(trained)
    assert len(tb_gradclip.read(tmp_path)["a"].steps) == 24


@pytest.mark.parametrize("way", WAYS)
def test_updates_skipped_by_loss_scaling_are_recorded(way: str, tmp_path: Path) -> None:
    scaled = lambda inner: keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**127)  # noqa: E731
    trained, bare = (model(scaled(keras.optimizers.Adam(0.01, global_clipnorm=0.5)), **WAYS[way]) for _ in range(2))
    fit(trained, ClipCallback(tmp_path), epochs=1)
    fit(bare, epochs=1)
    rows = tb_gradclip.read(tmp_path)["."].steps
    skipped = ~np.isfinite(rows["norm_before"])
    assert len(rows) == 12
    assert skipped[0]
    assert not skipped.all()
    assert not rows["clipped"][skipped].any()
    if way != "xla":  # XLA may round a sum elsewhere when the function around it is another
        assert state(trained) == state(bare)


def test_sparse_gradients_and_frozen_or_unused_variables_keep_their_places(tmp_path: Path) -> None:
    inputs = keras.Input((4,), dtype="int32")
    hidden = keras.layers.Flatten()(keras.layers.Embedding(20, 3, name="words")(inputs))
    frozen = keras.layers.Dense(5, trainable=False)
    outputs = keras.layers.Dense(1, name="out")(frozen(hidden))
    trained = keras.Model(inputs, outputs)
    trained.compile(keras.optimizers.SGD(0.01, clipnorm=1e-3), loss="mse")
    x = np.random.default_rng(0).integers(0, 20, (32, 4))
    callback = ClipCallback(tmp_path, histogram_every=1)
    trained.fit(x, np.ones((32, 1)), batch_size=8, verbose=0, callbacks=[callback])
    run = tb_gradclip.read(tmp_path)["."]
    assert [p.name for p in run.parameters] == ["words/embeddings", "out/kernel", "out/bias"]
    histogram = run.histograms[0]
    assert histogram.counts.sum(axis=1).tolist() == [8 * 4 * 3, 5, 1]


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_whose_length_the_graph_does_not_know_are_counted(tmp_path: Path, compiled: bool) -> None:
    layers = keras.layers.LSTM(4, return_sequences=True), keras.layers.Dense(2)
    trained = keras.Sequential([keras.Input((3, 8)), *layers])
    trained.compile("sgd", loss="mse", jit_compile=compiled)
    fit(trained, ClipCallback(tmp_path), epochs=1, x=np.zeros((20, 3, 8)), y=np.ones((20, 3, 2)))  # 8, 8, 4
    run = tb_gradclip.read(tmp_path)["."]
    assert len(run.steps) == 3
    assert run.histograms[0].before().size == trained.count_params()


def test_alerts_stop_fit_or_reach_the_user(tmp_path: Path) -> None:
    y = Y.copy()
    y[40] = math.inf
    trained = model()
    with pytest.raises(tb_gradclip.DivergenceError, match="step 5: nonfinite"):
        fit(trained, ClipCallback(tmp_path / "a", on_alert="raise"), y=y)
    assert "train_step" not in vars(trained)
    assert len(tb_gradclip.read(tmp_path)["a"].steps) == 6
    heard: list[Any] = []
    fit(model(), ClipCallback(tmp_path / "b", on_alert=heard.append), y=y)
    assert [(alert.kind, alert.step) for alert in heard] == [("nonfinite", 5)]


def test_a_train_step_of_ones_own_is_recorded_without_loss(tmp_path: Path) -> None:
    class Own(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x) - y) ** 2)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    inputs = keras.Input((8,))
    trained = Own(inputs, keras.layers.Dense(1)(inputs))
    trained.compile(keras.optimizers.SGD(0.01))
    fit(trained, ClipCallback(tmp_path), epochs=1)
    rows = tb_gradclip.read(tmp_path)["."].steps
    assert len(rows) == 12
    assert np.isnan(rows["loss"]).all()
    assert (rows["norm_before"] > 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: ClipCallback(d, on_alert="shout"), "`on_alert` must be .* got 'shout'"),
        (lambda d: ClipCallback(d, histogram_every=-1), "`histogram_every` must be .* got -1"),
        (lambda d: ClipCallback(d, start_step=-1), "`start_step` must be .* got -1"),
    ],
)
def test_settings_are_checked_at_once(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="`logdir` must be a directory that can be written"):
        ClipCallback(tmp_path / "file")


def test_a_model_without_trainable_variables_is_refused_before_the_first_batch(tmp_path: Path) -> None:
    trained = keras.Sequential([keras.Input((8,)), keras.layers.Rescaling(2.0)])
    trained.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="must have trainable variables, got none"):
        fit(trained, ClipCallback(tmp_path))


def test_an_interrupted_fit_is_written_at_exit(tmp_path: Path) -> None:
    program = f"""
import keras, numpy as np
from tb_gradclip.keras import ClipCallback
class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 6: raise SystemExit(0)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
callbacks = [ClipCallback({str(tmp_path)!r}), Stop()]
model.fit(np.ones((96, 8)), np.ones((96, 1)), batch_size=8, verbose=0, callbacks=callbacks)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 7


ENDS = """
import sys
from tests.test_keras import ClipCallback, fit, keras, model

class Leave(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 9:
            sys.exit(0)

fit(model(), ClipCallback(sys.argv[1]), Leave())
"""


def test_a_program_that_ends_in_the_middle_of_a_fit_keeps_its_steps(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ENDS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "gradclip" not in done.stderr
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 10


def test_gains_of_weights_are_recorded_as_the_training_begins(tmp_path: Path) -> None:
    trained = model(Still())
    fit(trained, ClipCallback(tmp_path), epochs=1)
    for parameter, variable in zip(
        tb_gradclip.read(tmp_path)["."].parameters, trained.trainable_variables, strict=True
    ):
        weight = keras.ops.convert_to_numpy(variable)
        if weight.ndim == 2:
            assert parameter.gain == pytest.approx(np.sqrt((weight**2).mean() * len(weight)), rel=1e-5)
        else:
            assert parameter.gain is None
