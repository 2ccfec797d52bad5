"""What recording may add to a TensorFlow step: a few reads of each gradient, and nothing that leaves the graph."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

import tb_gradclip
from tb_gradclip.tensorflow import ClipWriter
from tb_gradclip.tensorflow.ops import clamped
from tests.adapters_tensorflow import clip
from tests.test_tensorflow import Compile, mode

__all__ = ["mode"]

KINDS = ("value", "norm", "global_norm", "none")
HOST_CALLS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
VARIABLES = 6


def train_step(logdir: Path, kind: str, jit_compile: bool = False, recorded: bool = True) -> Any:
    """Concrete function of a step that clips the gradients it is given, with recording or without."""
    variables = [tf.Variable(tf.zeros([3, 4])) for _ in range(VARIABLES)]
    writer = ClipWriter(logdir, variables)

    def bare(grads: list[Any]) -> list[Any]:
        if kind == "value":
            return [tf.clip_by_value(g, -1.0, 1.0) for g in grads]
        if kind == "norm":
            return [tf.clip_by_norm(g, 1.0) for g in grads]
        return tf.clip_by_global_norm(grads, 1.0)[0] if kind == "global_norm" else grads

    def step(*grads: Any) -> None:
        clipped = clip(writer, kind, 1.0, list(grads)) if recorded else bare(list(grads))
        for variable, gradient in zip(variables, clipped, strict=True):
            variable.assign_sub(gradient)
        if recorded:
            writer.step(1.0)

    shape = tf.TensorSpec([3, 4])
    return tf.function(step, jit_compile=jit_compile).get_concrete_function(*[shape] * VARIABLES)


def operations(function: Any) -> tuple[Counter[str], Counter[str]]:
    """How often each op stands in a function itself, and in the functions it may call: branches of conditionals."""
    definition = function.graph.as_graph_def()
    inner = Counter(node.op for called in definition.library.function for node in called.node_def)
    return Counter(node.op for node in definition.node), inner


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_calls_the_host_from_conditionals_only_and_compiled_code_never(kind: str, tmp_path: Path) -> None:
    always, sometimes = operations(train_step(tmp_path / "graph", kind))
    assert not HOST_CALLS & always.keys()
    assert HOST_CALLS & sometimes.keys() == {"PyFunc"}
    compiled = operations(train_step(tmp_path / "xla", kind, jit_compile=True))
    assert not HOST_CALLS & (compiled[0] + compiled[1]).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_host_is_called_once_in_64_steps(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    with ClipWriter(tmp_path, [tf.Variable(tf.zeros([3]))], histogram_every=0) as writer:
        original = writer._ring._drain_and_tell
        monkeypatch.setattr(writer._ring, "_drain_and_tell", lambda step: calls.append(int(step)) or original(step))

        @tf.function
        def run() -> None:
            for i in tf.range(1000.0):
                clip(writer, kind, 1.0, [tf.fill([3], i)])
                writer.step(i)

        run()
    assert calls == list(range(0, 1000, 64))
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1000


def reads(function: Any) -> Counter[str]:
    """Ops that make a number of a whole gradient, outside of branches."""
    operations = [op for op in function.graph.get_operations() if op.outputs and op.type != "If"]
    made = [op for op in operations if op.outputs[0].shape.num_elements() == 1]
    return Counter(op.type for op in made for tensor in op.inputs if tensor.shape == [3, 4])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("value", {"L2Loss": 2, "Max": 1, "Min": 1}),
        ("norm", {"Sum": 1}),
        ("global_norm", {"L2Loss": 1}),
        ("none", {"L2Loss": 1}),
    ],
)
def test_ops_that_read_a_gradient_are_few_and_fast(kind: str, expected: dict[str, int], tmp_path: Path) -> None:
    """Those of the norm kinds are the library's own, which TensorFlow finds twice and runs once."""
    recorded, bare = (reads(train_step(tmp_path / str(r), kind, recorded=r)) for r in (True, False))
    assert recorded - bare == {op: VARIABLES * count for op, count in expected.items()}
    if kind in ("norm", "global_norm"):
        assert bare.keys() == expected.keys()


SHAPES = ((), (1,), (5000,), (0, 3), (7, 5), (64, 33), (3, 2, 2), (2, 4096), (3, 3, 4, 8))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("which", [None, "above", "below"])
def test_a_clamp_is_noticed_that_changes_one_element_by_the_last_bit(
    mode: Compile, which: str | None, dtype: str
) -> None:
    low, high = (tf.constant(bound, dtype) for bound in (-0.3, 0.7))
    rng = np.random.default_rng(0)
    before = []
    for shape in SHAPES:
        array = np.array(np.clip(rng.normal(size=shape), float(low), float(high)), low.numpy().dtype)
        if which is not None and array.size:
            bound, beyond = (high, 2.0) if which == "above" else (low, -2.0)
            array.flat[array.size // 2] = np.nextafter(bound.numpy(), bound.numpy().dtype.type(beyond))
        before.append(tf.constant(array))

    def measure(*tensors: Any) -> Any:
        return clamped(tensors, [tf.clip_by_value(t, -0.3, 0.7) for t in tensors], -0.3, 0.7)

    halves, halves_after, flags = mode(measure)(*before)
    assert [bool(flag) for flag in flags] == [which is not None and 0 not in shape for shape in SHAPES]
    for tensor, half, half_after in zip(before, halves, halves_after, strict=True):
        wide = tensor.numpy().astype(np.float64)
        expected = [np.square(array).sum() / 2 for array in (wide, np.clip(wide, float(low), float(high)))]
        np.testing.assert_allclose([half, half_after], expected, rtol=1e-5)
