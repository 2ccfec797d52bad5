"""Every argument of the library's clip calls, and every kind of gradient: its results, and true numbers about them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import tb_gradclip
from tb_gradclip.torch import ClipWriter
from tests.test_torch import bits, grads, model, parameters

Named = list[tuple[str, torch.nn.Parameter]]
HALF = [torch.bfloat16, torch.float16]
DTYPES = [torch.float32, torch.float64, *HALF]


def length(tensors: list[torch.Tensor], order: float = 2.0) -> float:
    return float(torch.linalg.vector_norm(torch.cat([t.double().flatten() for t in tensors]), order))


def with_elements(*values: float) -> Callable[[], Named]:
    """A model of one parameter with this gradient."""

    def make() -> Named:
        parameter = torch.nn.Parameter(torch.zeros(len(values)))
        parameter.grad = torch.tensor(values)
        return [("p", parameter)]

    return make


EDGES = {
    "one infinite element": with_elements(1.0, math.inf, -2.0),
    "one NaN": with_elements(1.0, math.nan, -2.0),
    "finite, but the norm overflows": with_elements(1e20, -1e20, 1.0),
    "all zero": with_elements(0.0, 0.0),
    "as long as the threshold": with_elements(3.0, 4.0),
    "tiny": with_elements(1e-30, -1e-38),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("threshold", [0.0, 5.0, math.inf])
@pytest.mark.parametrize("order", [2.0, 1.0, math.inf, 0.0])
def test_documented_edges_end_as_in_the_library_and_are_recorded_as_they_ended(
    tmp_path: Path, edge: str, threshold: float, order: float
) -> None:
    ours, theirs = EDGES[edge](), EDGES[edge]()
    with ClipWriter(tmp_path, ours) as writer:
        found = writer.clip_grad_norm_(parameters(ours), threshold, order)
        writer.step(1.0)
    expected = clip_grad_norm_(parameters(theirs), threshold, order)
    assert bits([found, *grads(ours)]) == bits([expected, *grads(theirs)])
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    left = grads(theirs)[0]
    if np.isfinite(row["norm_before"]):
        after = float(left.any()) if order == 0 else length([left], order)  # p = 0 counts tensors
        assert row["norm_after"] == pytest.approx(after, rel=1e-5, abs=1e-19)  # squares underflow there
        assert row["clipped"] == bool(float(expected) > threshold and left.isfinite().all())
    assert np.isfinite(row["norm_before"]) or not row["clipped"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("foreach", [None, True, False])
def test_error_if_nonfinite_is_the_error_of_the_library_and_leaves_no_trace(
    tmp_path: Path, dtype: torch.dtype, bad: float, foreach: bool | None
) -> None:
    ours = model(dtype)
    raw = [gradient.clone() for gradient in grads(ours)]
    grads(ours)[0][0, 0] = bad
    before = bits(grads(ours))
    messages = []
    with ClipWriter(tmp_path, ours) as writer:
        for clip in (writer.clip_grad_norm_, clip_grad_norm_):
            with pytest.raises(RuntimeError) as raised:
                clip(parameters(ours), 1.0, error_if_nonfinite=True, foreach=foreach)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]
        assert bits(grads(ours)) == before
        for gradient, whole in zip(grads(ours), raw, strict=True):
            gradient.copy_(whole)
        writer.clip_grad_norm_(parameters(ours), 1.0, error_if_nonfinite=True, foreach=foreach)
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.rule.kind == "global_norm"
    assert run.histograms[0].before().nan == run.histograms[0].before().positive_infinity == 0


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("foreach", [None, True, False])
def test_norms_of_half_precision_are_shown_in_more_than_that(
    tmp_path: Path, dtype: torch.dtype, foreach: bool | None
) -> None:
    ours = model(dtype)
    before = length(grads(ours))
    with ClipWriter(tmp_path, ours) as writer:
        found = writer.clip_grad_norm_(parameters(ours), 0.5, foreach=foreach)
        writer.step(1.0)
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert found.dtype == dtype
    assert float(found) != pytest.approx(before, rel=1e-5)
    assert row["norm_before"] == pytest.approx(before, rel=1e-5)
    assert row["norm_after"] == pytest.approx(length(grads(ours)), rel=1e-2)


@pytest.mark.parametrize(("dtype", "seed"), [*product(HALF, [1, 2, 3])])
def test_a_step_in_half_precision_counts_as_clipped_if_the_library_clipped_it(
    tmp_path: Path, dtype: torch.dtype, seed: int
) -> None:
    named = model(dtype, seed=seed)
    raw = [gradient.clone() for gradient in grads(named)]
    norm, clipped, factors = length(raw), [], []
    thresholds = [norm * (1 + offset * torch.finfo(dtype).eps / 8) for offset in range(-20, 21)]
    with ClipWriter(tmp_path, named) as writer:
        for threshold in thresholds:
            for gradient, whole in zip(grads(named), raw, strict=True):
                gradient.copy_(whole)
            writer.clip_grad_norm_(parameters(named), threshold)
            clipped.append(any((g != whole).any() for g, whole in zip(grads(named), raw, strict=True)))
            factors.append(length(grads(named)) / norm)
            writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["clipped"].tolist() == clipped
    np.testing.assert_allclose(run.steps["coefficient"], factors, rtol=torch.finfo(dtype).eps)
    exact = [threshold < norm for threshold in thresholds]
    assert clipped != exact  # or the test would show nothing


def test_a_norm_that_overflows_half_precision_alone_is_a_clipped_step_that_lost_its_gradient(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.zeros(8, dtype=torch.float16))
    parameter.grad = torch.full((8,), 6e4, dtype=torch.float16)
    with ClipWriter(tmp_path, [("p", parameter)]) as writer:
        assert math.isinf(writer.clip_grad_norm_(parameter, 1.0))
        writer.step(1.0)
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert not parameter.grad.any()
    assert row["norm_before"] == pytest.approx(6e4 * math.sqrt(8), rel=1e-3)
    assert (row["norm_after"], row["coefficient"], row["clipped"]) == (0, 0, True)


def mixed(rng: int = 0) -> Named:
    return [(f"{dtype}", model(dtype, seed=rng + i)[i][1]) for i, dtype in enumerate(DTYPES)]


@pytest.mark.parametrize(("order", "foreach"), [*product([2.0, 1.0, math.inf], [None, True, False])])
def test_gradients_of_four_dtypes_in_one_model(tmp_path: Path, order: float, foreach: bool | None) -> None:
    ours, theirs = mixed(), mixed()
    before = [gradient.clone() for gradient in grads(ours)]
    with ClipWriter(tmp_path, ours) as writer:
        found = writer.clip_grad_norm_(parameters(ours), 0.5, order, foreach=foreach)
        writer.step(1.0)
        writer.flush()
        writer.clip_grad_value_(parameters(ours), 1e-3, foreach)
    expected = clip_grad_norm_(parameters(theirs), 0.5, order, foreach=foreach)
    clip_grad_value_(parameters(theirs), 1e-3, foreach)
    assert bits([found, *grads(ours)]) == bits([expected, *grads(theirs)])
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["norm_before"][0] == pytest.approx(length(before, order), rel=1e-5)
    assert run.windows[0].rows["norm_before_max"][0] == pytest.approx(length(before[:1], order), rel=1e-5)


def test_a_parameter_given_twice_is_measured_told_and_clipped_as_by_the_library(tmp_path: Path) -> None:
    ours, theirs = model(), model()
    raw = length(grads(ours))
    twice = lambda named: [*parameters(named), named[0][1]]  # noqa: E731
    with ClipWriter(tmp_path, ours) as writer:
        with pytest.warns(UserWarning, match="gradclip: a parameter was given twice"):
            found = writer.clip_grad_norm_(twice(ours), 0.5)
        writer.step(1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            writer.clip_grad_norm_(twice(ours), 0.5)  # said once
    assert bits([found]) == bits([clip_grad_norm_(twice(theirs), 0.5)])
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert row["norm_before"] == pytest.approx(raw, rel=1e-5)
    assert row["norm_after"] == pytest.approx(length(grads(theirs)), rel=1e-5)
    assert row["clipped"]


def test_an_empty_generator_is_warned_of_as_by_the_library(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, model()) as writer:
        with pytest.warns(UserWarning, match="`parameters` is an empty generator"):
            assert writer.clip_grad_norm_((p for p in ()), 1.0) == 0
        writer.clip_grad_norm_([], 1.0)


def embedding() -> tuple[torch.nn.Embedding, list[tuple[str, torch.nn.Parameter]]]:
    layer = torch.nn.Embedding(5, 3, sparse=True)
    layer(torch.tensor([1, 1, 4])).square().sum().backward()
    return layer, list(layer.named_parameters())


@pytest.mark.parametrize("clip", ["clip_grad_norm_", "clip_grad_value_"])
def test_sparse_gradients_are_refused_as_by_the_library(tmp_path: Path, clip: str) -> None:
    layer, named = embedding()
    before = layer.weight.grad.to_dense().clone()
    messages = []
    with ClipWriter(tmp_path, named) as writer:
        for call in (getattr(writer, clip), getattr(torch.nn.utils, clip)):
            with pytest.raises(NotImplementedError) as raised:
                call(parameters(named), 1.0)
            messages.append(str(raised.value))
        assert layer.weight.grad.is_sparse
        assert torch.equal(layer.weight.grad.to_dense(), before)
        writer.step(1.0)
    assert messages[0] == messages[1]
    run = tb_gradclip.read(tmp_path)["."]
    assert run.rule.kind == "none"
    assert run.steps["norm_before"][0] == pytest.approx(float(before.norm()), rel=1e-5)
    assert run.histograms[0].before().size == 15


def test_sparse_gradients_may_be_clipped_by_hand(tmp_path: Path) -> None:
    layer, named = embedding()
    before = float(layer.weight.grad.to_dense().norm())
    with ClipWriter(tmp_path, named) as writer:
        with writer.clipping():
            layer.weight.grad = layer.weight.grad * 0.25
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["norm_before"][0] == pytest.approx(before, rel=1e-5)
    assert run.steps["coefficient"][0] == pytest.approx(0.25, rel=1e-5)


def test_only_what_is_clipped_by_hand_is_measured_where_it_is_named(tmp_path: Path) -> None:
    named = model()
    first = length(grads(named)[:1])
    with ClipWriter(tmp_path, named) as writer:
        with writer.clipping(named[0][1]):
            grads(named)[0].mul_(0.5)
        writer.step(1.0)
        with pytest.raises(ValueError, match="`parameters` must belong to the model"), writer.clipping(torch.zeros(1)):
            pass
    assert tb_gradclip.read(tmp_path)["."].steps["norm_before"][0] == pytest.approx(first, rel=1e-5)


def test_clipping_by_hand_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    named = model()
    with ClipWriter(tmp_path, named) as writer:
        with pytest.raises(ZeroDivisionError), writer.clipping():
            grads(named)[0].fill_(math.nan)
            raise ZeroDivisionError
        grads(named)[0].zero_()
        writer.clip_grad_norm_(parameters(named), 1.0)
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.rule.kind == "global_norm"
    assert run.histograms[0].before().nan == 0


def test_calls_whose_norms_are_of_different_orders_are_joined_in_l2(tmp_path: Path) -> None:
    named = model()
    before = length(grads(named))
    with ClipWriter(tmp_path, named) as writer:
        writer.clip_grad_norm_(parameters(named)[:2], 0.5, 1.0)
        writer.clip_grad_norm_(parameters(named)[2:], 0.5, math.inf)
        writer.step(1.0)
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert row["norm_before"] == pytest.approx(before, rel=1e-5)
    assert row["norm_after"] == pytest.approx(length(grads(named)), rel=1e-5)


def test_a_group_that_is_not_clipped_does_not_count_as_clipped(tmp_path: Path) -> None:
    named = model()
    named[3][1].grad = None
    with ClipWriter(tmp_path, named) as writer:
        writer.clip_grad_norm_(parameters(named)[:2], 0.5)
        writer.clip_grad_norm_(parameters(named)[2:], 1e6)
        writer.step(1.0)
        writer.clip_grad_norm_(parameters(named), 0.1)
        writer.step(1.0)
    windows = tb_gradclip.read(tmp_path)["."].windows
    assert sum(window.rows["clipped"].astype(int) for window in windows).tolist() == [2, 2, 1, 0]
