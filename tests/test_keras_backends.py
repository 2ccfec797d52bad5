"""Keras on each of its backends, in every way to run: training as it was, and every update as NumPy works it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tb_gradclip
from tb_gradclip.core.histogram import codes
from tests import keras_cases as cases
from tests.backends import on
from tests.keras_reference import Loop, assert_recorded

BACKENDS = ("tensorflow", "torch", "jax")
RULES: dict[str, tuple[float, dict[str, float]]] = {
    "none": (0.0, {}),
    "norm": (0.5, {"clipnorm": 0.5}),
    "global_norm": (0.5, {"global_clipnorm": 0.5}),
    "value": (0.05, {"clipvalue": 0.05}),
}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "tensorflow graph": ("tensorflow", {"jit_compile": False}),
    "tensorflow xla": ("tensorflow", {"jit_compile": True}),
    "tensorflow eager": ("tensorflow", {"run_eagerly": True}),
    "tensorflow graph, 5 a call": ("tensorflow", {"jit_compile": False, "steps_per_execution": 5}),
    "tensorflow xla, 5 a call": ("tensorflow", {"jit_compile": True, "steps_per_execution": 5}),
    "torch": ("torch", {"jit_compile": False}),
    "jax jit": ("jax", {"jit_compile": True}),
    "jax op by op": ("jax", {"jit_compile": False}),
    "jax jit, 5 a call": ("jax", {"jit_compile": True, "steps_per_execution": 5}),
}
MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"gradient_accumulation_steps": 5},
    "scaled": {"scaled": 64.0},
    "scaled, accumulated": {"scaled": 64.0, "gradient_accumulation_steps": 3},
}
FULL = ("tensorflow graph", "torch", "jax jit")
SAMPLE = {"plain": "norm", "accumulated": "global_norm", "scaled": "value", "scaled, accumulated": "norm"}
ROWS = [
    (way, rule, mode)
    for way in WAYS
    for mode in MODES
    for rule in RULES
    if rule == SAMPLE[mode] or (way in FULL and mode in ("plain", "scaled, accumulated"))
    if way in FULL or mode != "scaled"
]
"""Every rule where a way is cheap; elsewhere a rule for each mode, and a scaled loss with accumulation alone."""
BAD = (2, 7)
"""Batches with an infinite input where the loss is scaled, so that their updates are skipped."""


def data(mode: str) -> Any:
    x = cases.X.copy()
    if "scaled" in mode:
        x[[batch * cases.BATCH for batch in BAD], 3] = np.inf
    return x


def expected(start: list[Any], rule: str, x: Any = cases.X, accumulate: int = 1, scaled: bool = False) -> Loop:
    weights = [w.astype(np.float64) for w in start]
    return Loop(weights, rule, RULES[rule][0], accumulate, scaled).train(x, cases.Y[: len(x)], cases.BATCH)


def rounds_otherwise(way: str, rule: str, mode: str) -> bool:
    """Whether TensorFlow computes the same in another order when somebody reads the gradients.

    XLA may round a sum elsewhere when the function around it is another. A graph without clipping merges the division
    by the number of accumulated batches with the learning rate, unless the mean between them is read.
    """
    return ("xla" in way and "scaled" in mode) or ("graph" in way and rule == "none" and "accumulated" in mode)


@pytest.mark.parametrize(("way", "rule", "mode"), ROWS, ids=lambda value: str(value).replace(" ", "-"))
def test_weights_are_those_of_training_without_it_and_every_update_is_recorded(
    way: str, rule: str, mode: str, tmp_path: Path
) -> None:
    backend, compiled = WAYS[way]
    x = data(mode)
    optimized = {**RULES[rule][1], **MODES[mode]}
    bare, recorded = on(backend, cases.fits, str(tmp_path), optimized, compiled, {"x": x})
    assert recorded.paths == bare.paths
    if not rounds_otherwise(way, rule, mode):
        assert recorded.everything == bare.everything
        np.testing.assert_equal(recorded.history, bare.history)
    run = tb_gradclip.read(tmp_path)["."]
    accumulate = MODES[mode].get("gradient_accumulation_steps", 1)
    assert_recorded(run, expected(bare.start, rule, x, accumulate, "scaled" in mode), recorded.weights)
    assert run.histograms.steps.tolist() == [step for step in run.steps["step"] if step % 4 == 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_validation_and_later_epochs_are_told_from_training(backend: str, tmp_path: Path) -> None:
    optimized = {"name": "Adam", "global_clipnorm": 0.5}
    options = {"epochs": 2, "validation_split": 0.25}
    bare, recorded = on(backend, cases.fits, str(tmp_path), optimized, {}, options)
    assert recorded.history == bare.history
    assert recorded.everything == bare.everything
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(18))
    np.testing.assert_allclose(run.steps["loss"].reshape(2, 9).mean(axis=1), bare.history["loss"], rtol=1e-5)
    assert [p.name for p in run.parameters] == bare.paths[:4]
    assert run.library.split()[-1] == backend


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_that_training_saves_are_the_same_to_the_last_byte(backend: str, tmp_path: Path) -> None:
    bare, recorded = on(backend, cases.checkpoints, str(tmp_path))
    assert len(bare) > 6
    assert recorded == bare


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_train_step_of_ones_own_is_recorded_with_its_loss(backend: str, tmp_path: Path) -> None:
    bare, recorded = on(backend, cases.own_train_step, str(tmp_path))
    assert recorded.everything == bare.everything
    assert_recorded(tb_gradclip.read(tmp_path)["."], expected(bare.start, "global_norm"), recorded.weights)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("again", [True, False], ids=["the same callback", "another"])
def test_a_second_fit_goes_on_where_the_first_ended_also_with_accumulation(
    backend: str, again: bool, tmp_path: Path
) -> None:
    on(backend, cases.second_fit, str(tmp_path), {"clipnorm": 0.5, "gradient_accumulation_steps": 3}, again)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(8))
    assert run.complete


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_alert_stops_fit_and_the_model_trains_on_without_us(backend: str, tmp_path: Path) -> None:
    assert "step 5: nonfinite" in on(backend, cases.stopped, str(tmp_path))
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 6


def test_an_update_out_of_reach_on_jax_is_told_once_and_training_goes_on(tmp_path: Path) -> None:
    (bare, recorded), warned = on("jax", cases.out_of_reach, str(tmp_path))
    assert recorded.everything == bare.everything
    assert len(warned) == 1
    assert "must call optimizer.stateless_apply" in warned[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_measured_is_told_once_and_training_goes_on(backend: str, tmp_path: Path) -> None:
    (bare, recorded), warned = on(backend, cases.misread, str(tmp_path))
    assert recorded.everything == bare.everything
    assert len(warned) == 1
    assert warned[0].startswith("gradclip does not record this fit: TypeError")


def test_a_train_step_that_pytorch_compiles_is_recorded(tmp_path: Path) -> None:
    x, y = cases.X[:32], cases.Y[:32]
    compiled = {"jit_compile": True, "metrics": None}  # it takes long, so only once
    recorded = on("torch", cases.fit_traced, str(tmp_path), {"clipnorm": 0.5}, compiled, {"x": x, "y": y})
    assert_recorded(tb_gradclip.read(tmp_path)["."], expected(recorded.start, "norm", x), recorded.weights)


def test_where_tensorflow_merges_constants_around_an_unread_mean_that_alone_sets_the_weights_apart(
    tmp_path: Path,
) -> None:
    tf.config.optimizer.set_experimental_options({"constant_folding": False})
    try:
        optimized = MODES["accumulated"]
        bare, recorded = on("tensorflow", cases.fits, str(tmp_path), optimized, {"jit_compile": False}, {})
    finally:
        tf.config.optimizer.set_experimental_options({"constant_folding": True})
    assert recorded.everything == bare.everything


@pytest.mark.parametrize("backend", BACKENDS)
def test_codes_are_those_of_the_reference(backend: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    tiny = np.array([0.0, -0.0, 1e-45, -1e-45, 1e-39], np.float32)
    wide = np.array([1e300, -1e300, np.inf, 0.1])
    for values in (bits, tiny, *([] if backend == "jax" else [wide])):  # JAX has no float64 unless asked to
        assert on(backend, cases.codes_of, values) == codes(values).tolist()


def test_several_devices_of_jax_are_refused(tmp_path: Path) -> None:
    message = on("jax", cases.on_two_devices_of_jax, str(tmp_path))
    assert message.startswith("the model must train on one device to be recorded, got 2 of a DataParallel.")
