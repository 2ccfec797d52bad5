"""Two replicas of a `MirroredStrategy`: training as it was, and the first one's gradients as NumPy works them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tb_gradclip
from tests import keras_cases as cases
from tests import replica_cases
from tests.backends import REPLICAS, on
from tests.keras_reference import Loop, assert_recorded

GRAPH, EAGER = {"jit_compile": False}, {"run_eagerly": True}
FITS: dict[str, tuple[str, float, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "each variable": ("norm", 0.25, {"clipnorm": 0.25}, GRAPH, {"epochs": 2}),
    "all variables": ("global_norm", 0.25, {"global_clipnorm": 0.25}, {}, {"inside": True}),
    "nothing": ("none", 0.0, {}, GRAPH, {}),
    "eager, 5 a call": ("norm", 0.25, {"clipnorm": 0.25}, {**EAGER, "steps_per_execution": 5}, {}),
    "eager, accumulated": ("norm", 0.25, {"clipnorm": 0.25, "gradient_accumulation_steps": 3}, EAGER, {}),
    "scaled": ("value", 0.05, {"clipvalue": 0.05, "scaled": 64.0}, GRAPH, {}),
}
"""What is not here fails without us too: in graphs, accumulation and several batches a call; and XLA."""


@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_what_it_was_and_the_first_replica_is_recorded(name: str, tmp_path: Path) -> None:
    kind, threshold, optimized, compiled, options = FITS[name]
    rows = (7 if "run_eagerly" in compiled else 12) * cases.BATCH
    x, y, scaled = cases.X[:rows].copy(), cases.Y[:rows], "scaled" in optimized
    if scaled:
        x[[2 * cases.BATCH, 7 * cases.BATCH], 3] = np.inf  # in the half of the first replica, which Keras asks
    data = {"x": x, "y": y}
    bare, recorded = on(REPLICAS, replica_cases.fits, str(tmp_path), optimized, compiled, {**data, **options})
    assert recorded.paths == bare.paths
    assert recorded.everything == bare.everything
    np.testing.assert_equal(recorded.history, bare.history)
    accumulate = optimized.get("gradient_accumulation_steps", 1)
    start = [w.astype(np.float64) for w in bare.start]
    loop = Loop(start, kind, threshold, accumulate, scaled, replicas=2)
    for _ in range(options.get("epochs", 1)):
        loop.train(x, y, cases.BATCH)
    run = tb_gradclip.read(tmp_path)["."]
    assert_recorded(run, loop, recorded.weights)
    assert (run.replicas, run.gradients) == (2, "replica")
    assert run.histograms.steps.tolist() == [step for step in run.steps["step"] if step % 4 == 0]
    assert run.steps["clipped"].any() == (kind != "none")


def test_an_alert_stops_a_fit_also_if_another_replica_has_the_cause(tmp_path: Path) -> None:
    assert "step 5: nonfinite" in on(REPLICAS, replica_cases.stopped, str(tmp_path))


@pytest.mark.parametrize(
    ("place", "way"),
    [("before", "graph"), ("before", "loop"), ("after", "graph"), ("outside", "graph"), ("outside", "eager")],
)
def test_a_custom_loop_is_what_it_was_and_is_recorded(place: str, way: str, tmp_path: Path) -> None:
    start, bare = on(REPLICAS, replica_cases.custom_loop, None, place, way)
    _, recorded = on(REPLICAS, replica_cases.custom_loop, str(tmp_path), place, way)
    assert [w.tobytes() for w in recorded] == [w.tobytes() for w in bare]
    weights = [w.astype(np.float64) for w in start]
    loop = Loop(weights, "global_norm", replica_cases.THRESHOLD, replicas=2 if place == "before" else 1)
    loop.train(cases.X, cases.Y, cases.BATCH)
    run = tb_gradclip.read(tmp_path)["."]
    assert_recorded(run, loop, recorded)
    assert (run.replicas, run.gradients) == (2, "replica" if place == "before" else "whole")
    assert run.histograms.steps.tolist() == [0, 4, 8]
    assert run.steps["clipped"].any()


def test_a_loop_of_keras_variables_is_recorded_with_the_loss_of_the_first_replica(tmp_path: Path) -> None:
    on(REPLICAS, replica_cases.alone, str(tmp_path))
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == [0, 1, 2]
    assert run.steps["norm_before"].tolist() == [4, 4, 4]
    assert run.steps["loss"].tolist() == [1, 1, 1]


def test_one_replica_is_enough_for_a_strategy_and_says_nothing_of_replicas(tmp_path: Path) -> None:
    on(REPLICAS, replica_cases.one_replica, str(tmp_path))
    runs = tb_gradclip.read(tmp_path)
    for name in ("keras", "tensorflow"):
        assert runs[name].steps["step"].tolist() == list(range(12))
        assert (runs[name].replicas, runs[name].gradients) == (1, "whole")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("keras", "must train under a tf.distribute.MirroredStrategy to be recorded, got 2 of a CentralStorage"),
        ("tensorflow", "must train under a tf.distribute.MirroredStrategy to be recorded, got 2 of a CentralStorage"),
        ("name", '`gradients` must be "replica" or "whole", got \'mean\''),
        ("outside", "`grads` must be a replica's own, got them outside of strategy.run"),
        ("plain", "`variables` must be made in the scope of the strategy that trains them, got variables of 1 replica"),
        ("losses", "`loss` must be a scalar, got one for each replica"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_the_reason(case: str, message: str, tmp_path: Path) -> None:
    assert message in on(REPLICAS, replica_cases.refused, case, str(tmp_path))
