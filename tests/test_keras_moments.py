"""What Keras's gradients are like at the very step at which something happens, before clipping and after."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip.core.standout import FIRST, GAP
from tests.adapters_keras import train_listening
from tests.backends import on
from tests.moments import MOMENT, SHAPES, Array, assert_holds_moment, gradients, histograms

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "tensorflow": ("tensorflow", {"jit_compile": False}),
    "tensorflow, XLA": ("tensorflow", {"jit_compile": True}),
    "tensorflow, eager": ("tensorflow", {"run_eagerly": True}),
    "torch": ("torch", {}),
    "jax": ("jax", {"jit_compile": True}),
    "jax, eager": ("jax", {"run_eagerly": True}),
}
KINDS = {"value": 0.05, "global_norm": 0.5, "none": math.nan}


def train(logdir: Path, way: str, kind: str, steps: list[list[Array]], losses: list[float]) -> list[list[Array]]:
    backend, compiled = WAYS[way]
    clipped: list[list[Array]] = on(backend, train_listening, compiled, str(logdir), kind, KINDS[kind], steps, losses)
    return clipped


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_that_stands_out_is_in_the_log_before_and_after(tmp_path: Path, way: str, kind: str) -> None:
    steps = gradients()
    clipped = train(tmp_path, way, kind, steps, [1.0] * len(steps))
    assert_holds_moment(tmp_path, steps[MOMENT], clipped[MOMENT])


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_that_is_not_finite_is_in_the_log_before_and_after(tmp_path: Path, way: str) -> None:
    steps = gradients(1.0)[:20]
    steps[7][1][3] = math.nan
    clipped = train(tmp_path, way, "value", steps, [1.0] * len(steps))
    assert_holds_moment(tmp_path, steps[7], clipped[7], step=7)


@pytest.mark.parametrize("way", WAYS)
def test_where_only_the_loss_stands_out_the_next_step_is_counted(tmp_path: Path, way: str) -> None:
    steps = gradients(1.0)
    train(tmp_path, way, "none", steps, [1.0 if step < MOMENT else 10.0 for step in range(len(steps))])
    assert [alert.start for alert in tb_gradclip.read(tmp_path)["."].alerts] == [MOMENT]
    assert list(histograms(tmp_path)) == [MOMENT + 1]


@pytest.mark.parametrize("way", ["tensorflow", "torch", "jax"])
def test_histograms_stay_few_however_often_something_happens(tmp_path: Path, way: str) -> None:
    steps = [[np.full(shape, 1e6 if step % 30 == 7 else 1.0, np.float32) for shape in SHAPES] for step in range(1500)]
    train(tmp_path, way, "global_norm", steps, [1.0] * len(steps))
    extra = list(histograms(tmp_path))
    assert np.diff(extra).min() >= GAP
    assert 20 <= len(extra) <= FIRST
