"""What only the TensorFlow adapter does: the library's calls to the last bit, in eager code, graphs and XLA."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

import tb_gradclip
from tb_gradclip.core.histogram import codes as reference_codes
from tb_gradclip.tensorflow import ClipWriter
from tb_gradclip.tensorflow.ops import codes

Compile = Callable[[Any], Any]
MODES: dict[str, Compile] = {
    "eager": lambda f: f,
    "graph": tf.function,
    "xla": lambda f: tf.function(f, jit_compile=True),
}
SHAPES = ((64, 33), (), (7,), (0, 3), (3, 2, 2))


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Compile:
    return MODES[request.param]


def variables(dtype: Any = tf.float32) -> list[tf.Variable]:
    return [tf.Variable(tf.zeros(shape, dtype), name=f"p{i}") for i, shape in enumerate(SHAPES)]


def gradients(seed: int, dtype: str = "float32", size: float = 1.0, spoil: float | None = None) -> list[Any]:
    """Random gradients with one missing and one sparse with a row that occurs twice."""
    rng = np.random.default_rng(seed)
    dense: list[Any] = [np.asarray(rng.normal(size=shape) * size).astype(dtype) for shape in SHAPES]
    if spoil is not None:
        dense[4][1, 1, 0] = spoil
    rows = tf.constant((rng.normal(size=(4, 33)) * size).astype(dtype))
    sparse = tf.IndexedSlices(rows, tf.constant([1, 5, 1, 60]), tf.constant([64, 33]))
    tensors: list[Any] = [tf.constant(g) for g in dense]
    return [None if i == 2 else sparse if i == 0 and seed % 2 else tensor for i, tensor in enumerate(tensors)]


def flat(result: Any) -> list[bytes]:
    """Kind and bits of everything a clip call returned."""
    items = tf.nest.flatten(result, expand_composites=True)
    return [b"None" if item is None else item.numpy().tobytes() + str(item.dtype).encode() for item in items]


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "small": {"size": 1e-3},
    "zero": {"size": 0.0},
    "nan": {"spoil": math.nan},
    "infinite": {"spoil": math.inf},
    "overflowing": {"size": 1e20},
    "float64": {"dtype": "float64"},
    "float16": {"dtype": "float16"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_clip_calls_return_what_the_library_returns_to_the_last_bit(
    mode: Compile, case: str, seed: int, tmp_path: Path
) -> None:
    grads = gradients(seed, **CASES[case])

    def library(grads: list[Any]) -> Any:
        by_value = [None if g is None else tf.clip_by_value(g, -0.3, 0.7) for g in grads]
        by_norm = [None if g is None else tf.clip_by_norm(g, 0.9) for g in grads]
        return by_value, by_norm, tf.clip_by_global_norm(grads, 1.1)

    with ClipWriter(tmp_path, variables(grads[1].dtype), histogram_every=1) as writer:

        def recorded(grads: list[Any]) -> Any:
            by_value = writer.clip_by_value(grads, -0.3, 0.7)
            writer.step()
            by_norm = writer.clip_by_norm(grads, 0.9)
            writer.step(tf.constant(1.0))
            together = writer.clip_by_global_norm(grads, 1.1)
            writer.step()
            return by_value, by_norm, together

        found, expected = mode(recorded)(grads), mode(library)(grads)
    assert type(found[2]) is tuple
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        assert type(one) is type(other)
    assert flat(found) == flat(expected)
    run = tb_gradclip.read(tmp_path)["."]
    assert len(run.steps) == 3
    assert np.isfinite(run.steps["norm_before"][2]) == (case not in ("nan", "infinite", "overflowing"))


def test_a_norm_given_by_the_user_is_the_one_clipped_by_and_recorded(tmp_path: Path) -> None:
    grads = gradients(0)
    with ClipWriter(tmp_path, variables()) as writer:
        found = writer.clip_by_global_norm(grads, 1.0, use_norm=tf.constant(4.0))
        writer.step()
    assert flat(found) == flat(tf.clip_by_global_norm(grads, 1.0, use_norm=tf.constant(4.0)))
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert (row["norm_before"], row["coefficient"]) == (4.0, 0.25)


def loop(writer: ClipWriter, steps: int, jit_compile: bool) -> Any:
    def run(first: Any) -> None:
        for i in tf.range(first, first + steps):
            size = tf.cast(i + 1, tf.float32)
            writer.clip_by_global_norm([tf.fill([3, 4], size), tf.zeros([5])], 2.0)
            writer.step(1.0 / size)

    return tf.function(run, jit_compile=jit_compile)


def pair() -> list[tf.Variable]:
    return [tf.Variable(tf.zeros([3, 4]), name="kernel"), tf.Variable(tf.zeros([5]), name="bias")]


def test_thresholds_read_as_they_were_written_and_may_be_scheduled(mode: Compile, tmp_path: Path) -> None:
    limit = tf.Variable(0.05)
    with ClipWriter(tmp_path, pair()) as writer:

        def train_step() -> None:
            writer.clip_by_global_norm([tf.ones([3, 4]), tf.ones([5])], limit)
            writer.step()

        call = mode(train_step)
        for value in (0.05, 0.1, 3e-05):
            limit.assign(value)
            call()
    assert tb_gradclip.read(tmp_path)["."].steps["threshold"].tolist() == [0.05, 0.1, 3e-05]


def test_bounds_that_are_not_symmetric_are_kept(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, pair(), histogram_every=1) as writer:
        for high in (0.5, 0.5, 0.25):
            writer.clip_by_value([tf.ones([3, 4]), -tf.ones([5])], -2.0, high)
            writer.step()
    run = tb_gradclip.read(tmp_path)["."]
    assert (run.rule.low, run.rule.high) == (-2.0, 0.5)
    assert np.isnan(run.steps["threshold"]).all()
    assert [h.after("kernel").low[0] for h in run.histograms] == [0.5, 0.5, 0.25]
    assert run.histograms[0].clipped is not None
    assert run.histograms[0].clipped.tolist() == [12, 0]
    np.testing.assert_allclose(run.steps["norm_after"], [8**0.5, 8**0.5, 5.75**0.5], rtol=1e-6)


def test_an_infinite_global_norm_is_recorded_as_the_nan_the_library_makes_of_it(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, pair()) as writer:
        clipped, _ = writer.clip_by_global_norm([tf.fill([3, 4], 1e30), tf.ones([5])], 1.0)
        writer.step()
    assert np.isnan(clipped[1]).all()
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert math.isinf(row["norm_before"])
    assert math.isnan(row["coefficient"])
    assert math.isnan(row["norm_after"])


def test_float64_norms_beyond_float32_are_recorded(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, [tf.Variable(tf.zeros([4], tf.float64))], histogram_every=1) as writer:
        writer.clip_by_global_norm([tf.fill([4], tf.constant(1e60, tf.float64))], 1e50)
        writer.step(tf.constant(1e-60, tf.float64))
    run = tb_gradclip.read(tmp_path)["."]
    row = run.steps[0]
    np.testing.assert_allclose([row["norm_before"], row["norm_after"], row["loss"]], [2e60, 1e50, 1e-60], rtol=1e-12)
    assert run.histograms[0].before().positive_infinity == 0


def test_codes_are_those_of_the_reference(mode: Compile) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 5000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    tiny = np.array([0.0, -0.0, 1e-45, -1e-45, 1e-39], np.float32)
    for values in (bits, tiny, np.array([1e300, -1e300, math.inf, 0.1])):
        assert mode(codes)(tf.constant(values)).numpy().tolist() == reference_codes(values).tolist()


def test_steps_without_a_clip_call_are_recorded_with_their_loss_alone(mode: Compile, tmp_path: Path) -> None:
    with ClipWriter(tmp_path, pair()) as writer:
        call = mode(writer.step)
        for loss in (3.0, math.nan, 2.0):
            call(tf.constant(loss, tf.float16))
    run = tb_gradclip.read(tmp_path)["."]
    assert run.rule.kind == "none"
    np.testing.assert_array_equal(run.steps["loss"], [3.0, math.nan, 2.0])
    assert run.steps["norm_before"].tolist() == [0, 0, 0]


def test_a_run_that_changes_its_clipping_keeps_each_step_under_its_own(tmp_path: Path) -> None:
    ones = [tf.ones([3, 4]), tf.ones([5])]
    with ClipWriter(tmp_path, pair()) as writer:
        writer.observe(ones)
        writer.step(1.0)
        writer.clip_by_norm(ones, 1.0)
        writer.step()
        writer.clip_by_value(ones, -0.5, 0.5)
        writer.step(2.0)
    rows = tb_gradclip.read(tmp_path)["."].steps
    np.testing.assert_allclose(rows["norm_after"], [17**0.5, 2**0.5, (17 / 4) ** 0.5], rtol=1e-6)
    np.testing.assert_array_equal(rows["loss"], [1.0, math.nan, 2.0])


def test_a_resumed_run_counts_on(tmp_path: Path) -> None:
    for start in (0, 3, (1 << 24) + 5):
        with ClipWriter(tmp_path, pair(), start_step=start) as writer:
            loop(writer, 3, jit_compile=False)(0)
        time.sleep(0.002)
    assert tb_gradclip.read(tmp_path)["."].steps["step"].tolist() == [0, 1, 2, 3, 4, 5, *range(2**24 + 5, 2**24 + 8)]


def test_alerts_reach_the_user(tmp_path: Path) -> None:
    heard: list[Any] = []
    ruined = [tf.fill([3, 4], math.nan), tf.ones([5])]
    with ClipWriter(tmp_path / "call", pair(), on_alert=heard.append) as writer:
        writer.clip_by_norm(ruined, 1.0)
        writer.step(1.0)
        assert [alert.kind for alert in heard] == ["nonfinite"]
        assert heard[0].parameter == "kernel"
    with ClipWriter(tmp_path / "raise", pair(), on_alert="raise") as writer:
        writer.observe(ruined)
        with pytest.raises(tb_gradclip.DivergenceError, match="step 0: nonfinite"):
            writer.step(1.0)


def test_keras_variables_may_be_given(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(4)])
    with ClipWriter(tmp_path, model.trainable_variables) as writer:
        writer.observe([tf.ones(v.shape) for v in model.trainable_variables])
        writer.step()
    parameters = tb_gradclip.read(tmp_path)["."].parameters
    assert [p.name for p in parameters] == [v.path for v in model.trainable_variables]
    kernel = model.trainable_variables[0].numpy()
    assert parameters[0].gain == pytest.approx(math.sqrt((kernel**2).mean() * 3), rel=1e-5)
    assert parameters[1].gain is None


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, [tf.Variable(0.0), tf.Variable(0.0), tf.Variable(0.0)]) as writer:
        writer.step(1.0)
    assert [p.name for p in tb_gradclip.read(tmp_path)["."].parameters] == ["Variable", "Variable_1", "Variable_2"]


ONE = tf.Variable(0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: ClipWriter(d, []), "`variables` must not be empty. Build the model first"),
        (lambda d: ClipWriter(d, [ONE, ONE]), "`variables` must not have an entry twice"),
        (lambda d: ClipWriter(d, [1.0]), "`variables` must be a list of variables, got 1.0"),
        (lambda d: ClipWriter(d, [ONE], capacity=0), "`capacity` must be .* got 0"),
        (lambda d: ClipWriter(d, [ONE], on_alert="stop"), "`on_alert` must be .* got 'stop'"),
        (lambda d: ClipWriter(d, [ONE], histogram_every=-1), "`histogram_every` must be .* got -1"),
    ],
)
def test_settings_are_checked_at_once(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.clip_by_norm([tf.ones(2)], -1.0), "`clip_norm` must be 0 or more and finite, got -1.0"),
        (lambda w: w.clip_by_global_norm([tf.ones(2)], math.inf), "got inf. Use observe"),
        (lambda w: w.clip_by_value([tf.ones(2)], 1.0, -1.0), "must not be above `clip_value_max`, got 1.0 and -1.0"),
        (lambda w: w.clip_by_value([tf.ones(2)], math.nan, 1.0), "`clip_value_min` must be a number, got nan"),
        (lambda w: w.clip_by_norm([tf.ones(2)], tf.ones(2)), r"`clip_norm` must be a scalar, got .*shape \(2,\)"),
        (lambda w: w.clip_by_norm([], 1.0), "one entry for each of the 1 variables, got 0"),
        (lambda w: w.step(tf.ones(3)), r"`loss` must be a scalar, got a tensor of shape \(3,\). Pass tf.reduce_mean"),
    ],
)
def test_mistakes_in_a_call_are_named(call: Callable[[ClipWriter], object], message: str, tmp_path: Path) -> None:
    with ClipWriter(tmp_path, [tf.Variable([0.0, 0.0])]) as writer, pytest.raises(ValueError, match=message):
        call(writer)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="`logdir` must be a directory that can be written"):
        ClipWriter(tmp_path / "file", [ONE])
