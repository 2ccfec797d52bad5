"""Every training loop of the contract suite, with the writer in place and without it: the same to the last bit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import tb_gradclip
from tb_gradclip.torch import ClipWriter
from tests.adapters_torch import LOOPS, Array, Library, Loop
from tests.contract import assert_holds, broken, healthy
from tests.test_contract import ADAPTERS, THRESHOLDS
from tests.test_torch import bits, model, parameters

ROWS = [(name, kind) for name, kinds in ADAPTERS["torch"].items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), ROWS)
@pytest.mark.parametrize("threshold", [1.0, 0.0, np.inf], ids=["clipping", "zero", "infinite"])
def test_training_gives_the_same_bits_with_and_without_the_writer(
    tmp_path: Path, name: str, kind: str, threshold: float
) -> None:
    loop, limit = LOOPS[name], THRESHOLDS[kind] if threshold == 1.0 else threshold
    gradients = healthy(4)[0] + broken()[0]
    results: list[list[bytes]] = []
    for record in (loop.record, lambda logdir, *given: loop.train(loop.library or Library, *given)):
        loop.returned.clear()
        clipped = record(str(tmp_path), kind, limit, gradients, [1.0] * len(gradients))
        arrays = [torch.from_numpy(gradient) for step in clipped for gradient in step]
        results.append(bits([*arrays, *loop.returned, *loop.parameters]))
    assert results[0] == results[1]


@pytest.fixture
def steps() -> tuple[list[list[Array]], list[float]]:
    return broken()


@pytest.mark.parametrize("name", ["torch_scaled", "torch_scaled_fused", "watch_scaled", "watch_scaled_fused"])
@pytest.mark.parametrize("kind", ["value", "global_norm", "none"])
def test_a_step_that_the_loss_scaler_skips_is_recorded_as_skipped(
    tmp_path: Path, steps: tuple[list[list[Array]], list[float]], name: str, kind: str
) -> None:
    LOOPS[name].record(str(tmp_path), kind, THRESHOLDS[kind], *steps)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["skipped"].nonzero()[0].tolist() == [3, 5]  # at step 7 only the norm overflows
    assert not run.steps["clipped"][[3, 5]].any()


def test_skipping_warns_and_an_update_with_broken_gradients_is_an_error(
    tmp_path: Path, steps: tuple[list[list[Array]], list[float]]
) -> None:
    LOOPS["torch_scaled"].record(str(tmp_path), "global_norm", 1.0, *steps)
    alerts = tb_gradclip.read(tmp_path)["."].alerts
    assert [(alert.step, alert.kind, alert.severity) for alert in alerts] == [
        (3, "nonfinite", "warning"),
        (7, "nonfinite", "error"),
        (7, "lint", "warning"),  # the gradient is finite, so that the scaler lets it pass, but its norm overflows
    ]
    assert alerts[0].message == "gradient norm is NaN in 1 parameter and the loss scaler skipped the step"


@pytest.mark.parametrize("optimizers", ["torch_scaled", "torch_scaled_fused"])
@pytest.mark.parametrize("kind", ["value", "global_norm"])
def test_clipping_before_unscaling_is_told_and_recorded_without_the_scale(
    tmp_path: Path, optimizers: str, kind: str
) -> None:
    gradients, losses = healthy(12)
    loop = Loop(scaled=True, unscaled=False, optimizers=LOOPS[optimizers].optimizers)
    scale = 1024.0
    with pytest.warns(UserWarning, match=r"GradScaler had scaled .* Call scaler.unscale_\(optimizer\) before clipping"):
        loop.record(str(tmp_path), kind, 2.0 * scale, gradients, losses)
    LOOPS[optimizers].record(str(tmp_path / "right"), kind, 2.0, gradients, losses)
    found, expected = (tb_gradclip.read(tmp_path)[name] for name in (".", "right"))
    for column in ("norm_before", "norm_after", "coefficient", "threshold", "clipped"):
        np.testing.assert_allclose(found.steps[column], expected.steps[column], rtol=1e-4, err_msg=column)
    assert found.rule.threshold == expected.rule.threshold == 2.0
    assert len(found.histograms) == 0


def test_writers_leave_the_scaler_as_they_found_it(tmp_path: Path) -> None:
    before = torch.amp.GradScaler.step, torch.amp.GradScaler.unscale_
    with ClipWriter(tmp_path / "a", model()), ClipWriter(tmp_path / "b", model()):
        assert torch.amp.GradScaler.step is not before[0]
    assert (torch.amp.GradScaler.step, torch.amp.GradScaler.unscale_) == before


def test_the_scaler_of_another_model_is_none_of_the_writers_business(tmp_path: Path) -> None:
    named = model()
    with ClipWriter(tmp_path, named) as writer:
        LOOPS["torch_scaled"].train(Library, "global_norm", 1.0, *broken())
        writer.step(1.0)
    assert not tb_gradclip.read(tmp_path)["."].steps["skipped"].any()


def test_a_compiled_model_has_the_names_it_has_uncompiled(tmp_path: Path) -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.compile(torch.nn.Linear(2, 1), backend="eager"))
    with ClipWriter(tmp_path, torch.compile(layers, backend="eager")) as writer:
        writer.step(1.0)
    names = [parameter.name for parameter in tb_gradclip.read(tmp_path)["."].parameters]
    assert names == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_compiled_step_may_call_the_writer(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 1)
    with ClipWriter(tmp_path, layer) as writer:

        @torch.compile(backend="eager")
        def train(inputs: torch.Tensor) -> None:
            layer(inputs).square().mean().backward()
            writer.clip_grad_norm_(layer.parameters(), 0.1)

        for _ in range(3):
            layer.zero_grad()
            train(torch.ones(2, 3))
            writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert len(run.steps) == 3
    assert run.rule.kind == "global_norm"


def scaled_by_unit(named: list[torch.nn.Parameter]) -> None:
    """Adaptive clipping: each row of a gradient at most as long as a tenth of the other rows' longest."""
    for parameter in named:
        grad = parameter.grad
        assert grad is not None
        rows = grad.reshape(len(grad), -1)
        lengths = rows.norm(dim=1, keepdim=True)
        rows.mul_(torch.clamp(0.1 * lengths.max() / lengths, max=1.0))


def turned(named: list[torch.nn.Parameter]) -> None:
    """Against the old direction."""
    for parameter in named:
        assert parameter.grad is not None
        parameter.grad = -0.5 * parameter.grad


HOME_MADE: dict[str, Callable[[list[torch.nn.Parameter]], None]] = {"by unit": scaled_by_unit, "turned": turned}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("clip", [*HOME_MADE, "value"])
def test_the_angle_by_which_clipping_turns_the_gradient_is_measured(
    tmp_path: Path, clip: str, dtype: torch.dtype
) -> None:
    named = model(dtype)
    before = flat(parameters(named))
    with ClipWriter(tmp_path, named, histogram_every=1) as writer:
        if clip == "value":
            writer.clip_grad_value_(parameters(named), 0.5)
        else:
            with writer.clipping():
                HOME_MADE[clip](parameters(named))
        writer.step(1.0)
    after = flat(parameters(named))
    expected = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    (histogram,) = tb_gradclip.read(tmp_path)["."].histograms
    assert histogram.cosine == pytest.approx(expected, abs=1e-6 if dtype in (torch.float32, torch.float64) else 1e-4)


def flat(named: list[torch.nn.Parameter]) -> np.ndarray:
    return torch.cat([p.grad.double().reshape(-1) for p in named if p.grad is not None]).numpy()


def test_the_angle_is_not_told_where_it_is_not_known(tmp_path: Path) -> None:
    named = model()
    with ClipWriter(tmp_path, named, histogram_every=1) as writer:
        for spoil in (0.0, float("nan"), float("inf")):
            with writer.clipping():
                torch._foreach_mul_([p.grad for p in parameters(named) if p.grad is not None], spoil)
            writer.step(1.0)
        writer.clip_grad_norm_(parameters(named), 1.0)
        writer.step(1.0)
    assert [histogram.cosine for histogram in tb_gradclip.read(tmp_path)["."].histograms] == [None] * 4


@pytest.fixture
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_thresholds_that_change_from_step_to_step_are_recorded(tmp_path: Path, quiet: None) -> None:
    thresholds = [1.0, 0.5, 2.0, 0.25]
    named = model()
    with ClipWriter(tmp_path, named) as writer:
        for threshold in thresholds:
            writer.clip_grad_norm_(parameters(named), threshold)
            writer.step(1.0)
    assert tb_gradclip.read(tmp_path)["."].steps["threshold"].tolist() == thresholds


@pytest.mark.parametrize("groups", [1, 2])
def test_micro_batches_that_are_clipped_one_by_one_leave_the_last_call(tmp_path: Path, groups: int) -> None:
    named = model()
    parts = [parameters(named)] if groups == 1 else [parameters(named)[:2], parameters(named)[2:]]
    with ClipWriter(tmp_path, named, histogram_every=1) as writer:
        for micro_batch in range(3):
            for parameter in parameters(named):
                assert parameter.grad is not None
                parameter.grad.add_(1.0 + micro_batch)  # as backward does
            whole = flat(parameters(named))
            for part in parts:
                writer.clip_grad_norm_(part, 1.0)
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.rule.kind == ("global_norm" if groups == 1 else "custom")
    assert run.steps["norm_before"][0] == pytest.approx(np.linalg.norm(whole), rel=1e-5)
    assert run.steps["norm_after"][0] == pytest.approx(np.linalg.norm(flat(parameters(named))), rel=1e-5)
    assert_holds(run.histograms[0].before(), whole.astype(np.float32))
    assert_holds(run.histograms[0].after(), flat(parameters(named)).astype(np.float32))


def test_two_models_trained_in_turn_within_a_step_are_both_in_it(tmp_path: Path) -> None:
    named = model()
    first, second = parameters(named)[:2], parameters(named)[2:]
    before = [flat(first), flat(second)]
    raw = [p.grad for p in second]
    with ClipWriter(tmp_path, named, histogram_every=0) as writer:
        for parameter in second:
            parameter.grad = None
        writer.clip_grad_norm_(first, 1.0)
        for parameter in first:
            parameter.grad = None
        for parameter, gradient in zip(second, raw, strict=True):
            parameter.grad = gradient
        writer.clip_grad_norm_(second, 1.0)
        writer.step(1.0)
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    assert row["norm_before"] == pytest.approx(np.linalg.norm(np.concatenate(before)), rel=1e-5)
    assert row["norm_after"] == pytest.approx(math.sqrt(2), rel=1e-5)


def adaptive(parameters: list[torch.nn.Parameter], factor: float = 0.05) -> None:
    """Adaptive gradient clipping: every row of a gradient to at most `factor` times the norm of its row of weights."""
    for parameter in parameters:
        assert parameter.grad is not None
        rows, weights = parameter.grad.reshape(len(parameter), -1), parameter.detach().reshape(len(parameter), -1)
        limit = factor * weights.norm(dim=1).clamp(min=1e-3)
        rows.mul_((limit / rows.norm(dim=1).clamp(min=1e-6)).clamp(max=1.0)[:, None])


class ZScore:
    """Clipping in the manner of ZClip: a joint norm more than 2.5 deviations above its running mean becomes that."""

    def __init__(self) -> None:
        self.mean, self.variance = 1.0, 0.01

    def __call__(self, parameters: list[torch.nn.Parameter]) -> None:
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(grads))
        limit = self.mean + 2.5 * math.sqrt(self.variance)
        torch._foreach_mul_(grads, min(1.0, limit / norm))
        kept = min(norm, limit)
        self.mean, self.variance = 0.9 * self.mean + 0.1 * kept, 0.9 * self.variance + 0.1 * (kept - self.mean) ** 2


@pytest.mark.parametrize("clip", [adaptive, ZScore()], ids=["adaptive", "z-score"])
def test_clipping_of_ones_own_is_measured_before_and_after(
    tmp_path: Path, clip: Callable[[list[torch.nn.Parameter]], None]
) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    expected: list[tuple[float, float, float]] = []
    with ClipWriter(tmp_path, layer, histogram_every=1) as writer:
        for step in range(20):
            layer.zero_grad()
            (layer(torch.randn(8, 4)).square().mean() * (50 if step == 15 else 1)).backward()
            before = np.concatenate([p.grad.numpy().ravel().copy() for p in layer.parameters()])  # type: ignore[union-attr]
            with writer.clipping():
                clip(list(layer.parameters()))
            after = np.concatenate([p.grad.numpy().ravel() for p in layer.parameters()])  # type: ignore[union-attr]
            sizes = float(np.linalg.norm(before)), float(np.linalg.norm(after))
            expected.append((*sizes, float(before @ after) / (sizes[0] * sizes[1])))
            writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    before_after = np.column_stack((run.steps["norm_before"], run.steps["norm_after"]))
    np.testing.assert_allclose(before_after, [row[:2] for row in expected], rtol=1e-5)
    assert [histogram.cosine for histogram in run.histograms] == pytest.approx([row[2] for row in expected], abs=1e-5)
    assert run.rule.kind == "custom"
    assert run.steps["clipped"][15]
