"""TensorFlow steps on their way out of graphs, XLA and processes that end: none is lost in silence."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

import tb_gradclip
from tb_gradclip.core.schedule import histogram_due
from tb_gradclip.tensorflow import ClipWriter
from tests.test_tensorflow import ONE, loop, pair


@pytest.mark.parametrize(("steps", "jit_compile"), [(5000, False), (2000, True)])
def test_every_step_of_a_loop_inside_one_function_is_recorded(steps: int, jit_compile: bool, tmp_path: Path) -> None:
    with ClipWriter(tmp_path, pair(), histogram_every=100) as writer:
        loop(writer, steps, jit_compile)(0)
    run = tb_gradclip.read(tmp_path)["."]
    sizes = np.arange(1, steps + 1)
    assert run.complete
    assert run.steps["step"].tolist() == list(range(steps))
    np.testing.assert_allclose(run.steps["norm_before"], sizes * 12**0.5, rtol=1e-6)
    np.testing.assert_allclose(run.steps["loss"], 1 / sizes, rtol=1e-6)
    np.testing.assert_allclose(run.steps["coefficient"], np.minimum(1, 2 / (sizes * 12**0.5)), rtol=1e-6)
    assert (np.diff(run.steps["wall_time"]) >= 0).all()
    due = [step for step in range(steps) if histogram_due(step, 100)]
    assert run.histograms.steps.tolist() == due
    for histogram in run.histograms:
        assert histogram.before("kernel").low[0] <= histogram.step + 1 <= histogram.before("kernel").high[0]


def test_a_ring_too_small_for_xla_warns_once_and_leaves_a_gap_not_wrong_rows(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, pair(), capacity=10, histogram_every=0)
    compiled = loop(writer, 25, jit_compile=True)
    with pytest.warns(UserWarning, match=r"lost 15 steps.*capacity.*now 10") as caught:
        for first in (0, 25, 50):
            compiled(first)
            writer.flush()
    writer.close()
    assert len([w for w in caught if "lost" in str(w.message)]) == 1
    rows = tb_gradclip.read(tmp_path)["."].steps
    assert rows["step"].tolist() == [*range(15, 25), *range(40, 50), *range(65, 75)]
    np.testing.assert_allclose(rows["loss"], 1 / (rows["step"] + 1.0), rtol=1e-6)


def test_clip_and_step_may_stand_in_different_functions(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, pair()) as writer:
        clip = tf.function(lambda g: writer.clip_by_norm(g, 1.0), jit_compile=True)
        end = tf.function(writer.step)
        for i in range(5):
            clip([tf.fill([3, 4], float(i)), None])
            end(tf.constant(float(i)))
    rows = tb_gradclip.read(tmp_path)["."].steps
    np.testing.assert_allclose(rows["norm_before"], np.arange(5) * 12**0.5, rtol=1e-6)
    assert rows["loss"].tolist() == [0, 1, 2, 3, 4]


def test_functions_inside_a_compiled_function_are_compiled_too(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, pair()) as writer:

        def train_step(i: Any) -> None:
            writer.clip_by_value([tf.fill([3, 4], i), None], -1.0, 1.0)
            writer.step(i)

        inner = tf.function(train_step)

        def outer() -> None:
            for i in tf.range(100.0):
                if i >= 0:
                    inner(i)

        tf.function(outer, jit_compile=True)()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 100


def test_an_alert_ends_a_loop_inside_a_function(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, pair(), on_alert="raise")

    def run() -> None:
        for i in tf.range(100_000):
            writer.step(tf.where(i == 100, math.nan, 1.0))

    with pytest.raises(tf.errors.UnknownError, match="step 100: nonfinite: loss is NaN"):
        tf.function(run)()
    writer.close()
    assert len(tb_gradclip.read(tmp_path)["."].steps) < 1000


def test_a_compiled_function_is_read_while_training_goes_on(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, pair())
    loop(writer, 10, jit_compile=True)(0)
    time.sleep(2.5)
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 10
    writer.close()


@pytest.mark.parametrize("end", ["", "del writer; import gc; gc.collect()", "raise SystemExit(0)"])
def test_what_was_not_closed_is_written_at_exit(end: str, tmp_path: Path) -> None:
    program = f"""
import tensorflow as tf
from tb_gradclip.tensorflow import ClipWriter
writer = ClipWriter({str(tmp_path)!r}, [tf.Variable(0.0)])
for i in range(5):
    writer.clip_by_norm([tf.constant(1.0)], 1.0)
    writer.step(1.0)
{end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 5


def test_a_writer_that_is_dropped_stops_its_thread(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, pair())
    writer.step(1.0)
    thread = writer._collector._thread
    del writer
    gc.collect()
    assert not thread.is_alive()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1


def test_a_writer_may_be_dropped_while_another_function_is_traced(tmp_path: Path) -> None:
    held = [ClipWriter(tmp_path, pair())]
    held[0].step(1.0)

    def traced() -> Any:
        held.clear()
        gc.collect()
        return tf.constant(1.0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tf.function(traced)()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1


def test_closing_twice_is_fine_and_later_steps_are_ignored(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, [ONE])
    writer.step(1.0)
    writer.close()
    writer.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.step(2.0)
        writer.flush()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1
