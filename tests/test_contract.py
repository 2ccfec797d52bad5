"""The contract suite: every adapter records what brute force finds, and returns what its library returns."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import tb_gradclip
from tests.contract import Expected, Record, apply, assert_holds, broken, healthy

EVERY = ("value", "norm", "global_norm", "none")
ADAPTERS = {
    "torch": {
        "torch": ("value", "global_norm", "none"),
        "torch_slow": ("value", "global_norm"),
        "torch_custom": ("custom",),
        "torch_groups": ("groups",),
        "torch_order_1": ("global_norm", "groups"),
        "torch_order_infinity": ("global_norm", "groups"),
        "torch_order_0": ("global_norm",),
        "torch_accumulating": ("value", "global_norm", "none"),
        "torch_frozen": ("value", "global_norm", "none"),
        "torch_fused": ("value", "global_norm", "none"),
        "torch_two_optimizers": ("value", "global_norm", "none"),
        "torch_compiled": ("value", "global_norm", "none"),
        "torch_scaled": ("value", "global_norm", "none", "custom"),
        "torch_scaled_fused": ("value", "global_norm", "none"),
        "watch": ("value", "global_norm", "none", "custom", "groups"),
        "watch_slow": ("value", "global_norm"),
        "watch_pair": ("global_norm", "groups"),
        "watch_order_1": ("global_norm", "groups"),
        "watch_pair_order_infinity": ("global_norm", "groups"),
        "watch_accumulating": ("value", "global_norm", "none"),
        "watch_frozen": ("value", "global_norm", "none"),
        "watch_fused": ("value", "global_norm", "none"),
        "watch_two_optimizers": ("value", "global_norm", "none"),
        "watch_compiled": ("value", "global_norm", "none"),
        "watch_scaled": ("value", "global_norm", "none", "custom"),
        "watch_scaled_fused": ("value", "global_norm", "none"),
        "watch_scaled_two_optimizers": ("value", "global_norm", "none"),
    },
    "torch_distributed": {
        "ddp": ("value", "global_norm"),
        "fsdp": ("value", "global_norm", "none", "custom", "groups"),
        "fsdp_accumulating": ("global_norm",),
        "fsdp_scaled": ("global_norm",),
        "watch_ddp": ("global_norm",),
        "watch_fsdp": ("value", "none"),
        "watch_fsdp_pair": ("global_norm",),
        "watch_fsdp_two_optimizers": ("global_norm",),
    },
    "trainers": {"lightning": ("value", "global_norm", "none"), "transformers": ("global_norm",)},
    "tensorflow": dict.fromkeys(
        ("tensorflow_eager", "tensorflow_graph", "tensorflow_xla", "tensorflow_replicas"), EVERY
    ),
    "keras": {
        **dict.fromkeys(("keras", "keras_xla", "keras_torch", "keras_jax"), EVERY),
        "keras_replicas": ("norm",),
    },
}
ROWS = [
    (framework, adapter, kind)
    for framework, adapters in ADAPTERS.items()
    for adapter, kinds in adapters.items()
    for kind in kinds
]
THRESHOLDS = {"value": 0.5, "norm": 1.0, "global_norm": 2.0, "none": 0.0, "custom": 0.5, "groups": 2.0}
ORDERS = {
    "torch_order_1": 1.0,
    "torch_order_infinity": np.inf,
    "torch_order_0": 0.0,
    "watch_order_1": 1.0,
    "watch_pair_order_infinity": np.inf,
}
RULES = {"groups": "custom"}  # several calls in a step have no rule in common


def recording(framework: str, adapter: str) -> Record:
    return getattr(importlib.import_module(f"tests.adapters_{framework}"), f"record_{adapter}")


@pytest.fixture(params=ROWS, ids=lambda row: f"{row[1]}-{row[2]}")
def row(request: pytest.FixtureRequest) -> tuple[Record, str, float]:
    framework, adapter, kind = request.param
    return recording(framework, adapter), kind, ORDERS.get(adapter, 2.0)


def test_norms_coefficient_and_clipped_are_those_of_the_gradients(
    row: tuple[Record, str, float], tmp_path: Path
) -> None:
    record, kind, order = row
    threshold = THRESHOLDS[kind]
    gradients, losses = healthy()
    record(str(tmp_path), kind, threshold, gradients, losses)
    run = tb_gradclip.read(tmp_path)["."]
    expected = [Expected.of(kind, threshold, step, order) for step in gradients]
    assert run.rule.kind == RULES.get(kind, kind)
    assert run.complete
    assert run.steps["step"].tolist() == list(range(len(gradients)))
    np.testing.assert_allclose(run.steps["loss"], losses, rtol=1e-6)
    for column in ("norm_before", "norm_after", "coefficient"):
        np.testing.assert_allclose(run.steps[column], [getattr(e, column) for e in expected], rtol=1e-5, err_msg=column)
    assert run.steps["clipped"].tolist() == [e.clipped for e in expected]
    assert not run.steps["nonfinite"].any()
    limits = run.steps["threshold"]
    assert np.isnan(limits).all() if RULES.get(kind, kind) in ("none", "custom") else (limits == threshold).all()


def test_gradients_come_out_as_the_rule_says(row: tuple[Record, str, float], tmp_path: Path) -> None:
    record, kind, order = row
    gradients, losses = healthy(10)
    after = record(str(tmp_path), kind, THRESHOLDS[kind], gradients, losses)
    for step, clipped in zip(gradients, after, strict=True):
        for expected, found in zip(apply(kind, THRESHOLDS[kind], step, order), clipped, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-30)


def test_histograms_hold_the_gradients_before_and_after(row: tuple[Record, str, float], tmp_path: Path) -> None:
    record, kind, _ = row
    gradients, losses = healthy(12)
    after = record(str(tmp_path), kind, THRESHOLDS[kind], gradients, losses)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.histograms.steps.tolist() == list(range(12))
    for histogram, step, clipped in zip(run.histograms, gradients, after, strict=True):
        assert_holds(histogram.before(), np.concatenate([g.ravel() for g in step]))
        for parameter, gradient, left in zip(run.parameters, step, clipped, strict=False):  # some are never trained
            assert_holds(histogram.before(parameter.name), gradient.ravel())
            assert_holds(histogram.after(parameter.name), left.ravel())
        whole = histogram.after()
        assert whole.size == sum(g.size for g in step)
        if kind == "value":
            cut = sum(int((np.abs(g) > THRESHOLDS[kind]).sum()) for g in step)
            assert histogram.clipped is not None
            assert histogram.clipped.sum() == cut


def test_steps_that_are_not_finite_are_data(row: tuple[Record, str, float], tmp_path: Path) -> None:
    record, kind, order = row
    gradients, losses = broken()
    after = record(str(tmp_path), kind, THRESHOLDS[kind], gradients, losses)
    run = tb_gradclip.read(tmp_path)["."]
    expected = [Expected.of(kind, THRESHOLDS[kind], step, order) for step in gradients]
    bad = [3, 5, 7] if order in (0, 2) else [3, 5]
    assert run.steps["nonfinite"].tolist() == [e.nonfinite for e in expected]
    assert (~np.isfinite(run.steps["norm_before"])).nonzero()[0].tolist() == bad
    assert not run.steps["clipped"][bad].any()
    assert np.isnan(run.steps["loss"][9])
    assert "nonfinite" in [alert.kind for alert in run.alerts]
    for step in bad:
        for parameter, gradient, left in zip(run.parameters, gradients[step], after[step], strict=False):
            assert_holds(run.histograms[step].before(parameter.name), gradient.ravel())
            assert_holds(run.histograms[step].after(parameter.name), left.ravel())


def test_a_norm_that_overflowed_is_told_from_an_infinite_gradient(
    row: tuple[Record, str, float], tmp_path: Path
) -> None:
    record, kind, order = row
    gradients, losses = broken()
    record(str(tmp_path), kind, THRESHOLDS[kind], gradients, losses)
    found = [(alert.finding, alert.step) for alert in tb_gradclip.read(tmp_path)["."].alerts if alert.kind == "lint"]
    assert found == ([("norm_overflow", 7)] if kind in ("norm", "global_norm") and order == 2 else [])
