"""What TensorFlow's gradients are like at the very step at which something happens, before clipping and after."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

import tb_gradclip
from tb_gradclip.core.standout import FIRST, GAP
from tb_gradclip.tensorflow import ClipWriter
from tests.adapters_tensorflow import clip
from tests.moments import MOMENT, SHAPES, Array, assert_holds_moment, gradients, histograms
from tests.test_tensorflow import Compile, mode

__all__ = ["mode"]

KINDS = {"value": 0.05, "norm": 0.3, "global_norm": 0.5, "none": float("nan")}


def train(
    logdir: Path, compiled: Compile, kind: str, steps: list[list[Array]], losses: list[float] | None = None
) -> list[list[Array]]:
    """Train on these gradients, each step recorded before the next; returns what clipping left of them."""
    clipped = []
    with ClipWriter(logdir, [tf.Variable(tf.zeros(shape)) for shape in SHAPES]) as writer:

        def train_step(loss: Any, *grads: Any) -> list[Any]:
            after = clip(writer, kind, KINDS[kind], list(grads))
            writer.step(loss)
            return after

        step = compiled(train_step)
        for place, arrays in enumerate(steps):
            after = step(tf.constant(1.0 if losses is None else losses[place]), *map(tf.constant, arrays))
            clipped.append([tensor.numpy() for tensor in after])
            writer._collector.collect()
    return clipped


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_that_stands_out_is_in_the_log_before_and_after(tmp_path: Path, kind: str, mode: Compile) -> None:
    steps = gradients()
    clipped = train(tmp_path, mode, kind, steps)
    if kind == "norm":  # a factor for each parameter: the log has them, and puts the joint distribution in order
        found = histograms(tmp_path)[MOMENT]
        assert found.counts.sum() == sum(array.size for array in steps[MOMENT])
    else:
        assert_holds_moment(tmp_path, steps[MOMENT], clipped[MOMENT])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_is_in_the_log_before_and_after(
    tmp_path: Path, value: float, mode: Compile
) -> None:
    steps = gradients(1.0)[:20]
    steps[7][1][3] = value
    clipped = train(tmp_path, mode, "global_norm", steps)
    assert_holds_moment(tmp_path, steps[7], clipped[7], step=7)


def test_where_only_the_loss_stands_out_the_next_step_is_counted(tmp_path: Path, mode: Compile) -> None:
    steps = gradients(1.0)
    train(tmp_path, mode, "none", steps, [1.0 if step < MOMENT else 10.0 for step in range(len(steps))])
    assert [alert.start for alert in tb_gradclip.read(tmp_path)["."].alerts] == [MOMENT]
    assert list(histograms(tmp_path)) == [MOMENT + 1]


def loop(logdir: Path, compiled: Callable[[Any], Any], steps: int, **settings: Any) -> list[int]:
    """Steps beside the schedule of a run whose every 60th gradient is NaN, in a graph of its own."""
    with ClipWriter(logdir, [tf.Variable(tf.zeros([3]))], **settings) as writer:

        def run() -> None:
            for step in tf.range(steps):
                gradient = tf.where(step % 60 == 7, float("nan"), tf.ones([3]))
                writer.clip_by_global_norm([gradient], 1.0)
                writer.step(1.0)

        compiled(run)()
    return list(histograms(logdir))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_histograms_stay_few_however_often_something_happens(tmp_path: Path, jit_compile: bool) -> None:
    compiled = tf.function(jit_compile=jit_compile)
    extra = loop(tmp_path, compiled, 3000)
    assert np.diff(extra).min() >= GAP
    assert 20 <= len(extra) <= FIRST + 3000 // 50


def test_no_histograms_are_no_histograms(tmp_path: Path) -> None:
    assert loop(tmp_path, tf.function, 100, histogram_every=0) == []
