"""What `watch` sees of a loop that knows nothing of it, and that it leaves no trace there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

import tb_gradclip
from tb_gradclip.torch import watch
from tests.adapters_torch import LOOPS, Library, Loop, Model
from tests.contract import healthy
from tests.test_torch import bits


def trained(size: int = 3) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Linear(size, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def backward(model: torch.nn.Module, scale: float = 10.0) -> torch.Tensor:
    torch.manual_seed(1)
    loss = (model(torch.randn(4, 3)) * scale).square().mean()
    loss.backward()
    return loss


def norm_of(model: torch.nn.Module) -> float:
    return float(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm())


def recorded(logdir: Path) -> Any:
    return tb_gradclip.read(logdir)["."]


def test_several_watches_of_one_model_measure_the_same(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path / "a"), watch(model, optimizer, tmp_path / "b"):
        backward(model)
        before = norm_of(model)
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    for name in ("a", "b"):
        row = recorded(tmp_path / name).steps[0]
        assert row["norm_before"] == pytest.approx(before, rel=1e-5)
        assert row["norm_after"] == pytest.approx(1.0, rel=1e-5)
        assert row["clipped"]


def test_clipping_of_another_model_is_none_of_its_business(tmp_path: Path) -> None:
    model, optimizer = trained()
    other, its_optimizer = trained()
    with watch(model, optimizer, tmp_path):
        backward(other)
        clip_grad_norm_(other.parameters(), 1.0)
        its_optimizer.step()
        backward(model)
        optimizer.step()
    run = recorded(tmp_path)
    assert run.rule.kind == "none"
    assert len(run.steps) == 1


@pytest.mark.parametrize("clip", ["norm", "value", "pair"])
@pytest.mark.parametrize("threshold", [1.0, -1.0])
def test_two_models_clipped_together_are_measured_each(tmp_path: Path, clip: str, threshold: float) -> None:
    results, left = [], []
    for watched in (False, True):
        pairs = [trained(), trained()]
        watchers = [watch(*pair, tmp_path / str(i)) for i, pair in enumerate(pairs)] if watched else []
        for model, _ in pairs:
            backward(model)
        both = [parameter for model, _ in pairs for parameter in model.parameters()]
        returned = torch.zeros(())
        if clip == "norm":
            returned = clip_grad_norm_(both, threshold)
        elif clip == "value":
            clip_grad_value_(both, threshold)
        else:
            returned = get_total_norm([p.grad for p in both if p.grad is not None])
            clip_grads_with_norm_(both, threshold, returned)
        results.append(bits([returned, *(p.grad for p in both if p.grad is not None)]))
        left = [norm_of(model) for model, _ in pairs]
        for _, optimizer in pairs:
            optimizer.step()
        for watcher in watchers:
            watcher.close()
    assert results[0] == results[1]
    for number, norm in enumerate(left):
        run = recorded(tmp_path / str(number))
        assert run.rule.kind == "custom"
        assert run.steps["norm_after"][0] == pytest.approx(norm, rel=1e-5)


def test_a_norm_from_elsewhere_is_the_one_that_counts(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path):
        backward(model)
        own = norm_of(model)
        clip_grads_with_norm_(model.parameters(), 1.0, torch.tensor(4.0))  # of several processes together, say
        optimizer.step()
    row = recorded(tmp_path).steps[0]
    assert (row["norm_before"], row["coefficient"]) == (4.0, pytest.approx(0.25))
    window = recorded(tmp_path).windows[0].rows
    assert np.linalg.norm(window["norm_before_mean"]) == pytest.approx(own, rel=1e-5)


def test_micro_batches_that_are_clipped_one_by_one_leave_the_last_call(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path, histogram_every=1) as watcher:
        for _ in range(3):
            for _ in range(4):
                watcher.log_loss(backward(model))
                before = norm_of(model)
                clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    run = recorded(tmp_path)
    assert len(run.steps) == 3
    assert run.rule.kind == "global_norm"
    assert run.steps["norm_before"][-1] == pytest.approx(before, rel=1e-5)
    assert run.histograms[0].before().size == 8


def test_clipping_twice_in_a_row_is_joined(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path):
        backward(model)
        before = norm_of(model)
        clip_grad_value_(model.parameters(), 2.0)
        clip_grad_norm_(model.parameters(), 1.0)
        after = norm_of(model)
        optimizer.step()
    run = recorded(tmp_path)
    assert run.rule.kind == "custom"
    assert run.steps["norm_before"][0] == pytest.approx(before, rel=1e-5)
    assert run.steps["norm_after"][0] == pytest.approx(after, rel=1e-5)


def test_the_loss_of_a_step_is_the_mean_of_what_was_logged_before_it(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path) as watcher:
        for losses in ([1.0, 3.0], [torch.tensor(2.0), 4.0], [torch.tensor([5.0])], []):
            for loss in losses:
                watcher.log_loss(loss)
            backward(model)
            optimizer.step()
        with pytest.raises(ValueError, match="`loss` must have one element"):
            watcher.log_loss(torch.zeros(2))
    np.testing.assert_array_equal(recorded(tmp_path).steps["loss"], [2.0, 3.0, 5.0, math.nan])


@pytest.mark.parametrize("clips", [True, False])
def test_an_optimizer_that_calls_for_its_gradients_is_seen_after_it_has_them(tmp_path: Path, clips: bool) -> None:
    model, optimizer = trained()
    norms = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = backward(model)
        norms.append(norm_of(model))
        if clips:
            clip_grad_norm_(model.parameters(), 1.0)
        return loss

    with watch(model, optimizer, tmp_path):
        optimizer.step(closure)
        optimizer.step(closure=closure)
    run = recorded(tmp_path)
    assert run.rule.kind == ("global_norm" if clips else "none")
    np.testing.assert_allclose(run.steps["norm_before"], norms, rtol=1e-5)


def test_one_optimizer_that_steps_more_often_ends_a_step_each_time(tmp_path: Path) -> None:
    model = Model([g.shape for g in healthy(1)[0][0]])
    often, rarely = (torch.optim.SGD(part, lr=0.1) for part in (list(model.trained)[:2], list(model.trained)[2:]))
    with watch(model, [often, rarely], tmp_path):
        for step in range(6):
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            often.step()
            if step % 3 == 2:
                rarely.step()
    assert len(recorded(tmp_path).steps) == 6


class Wrapping(torch.optim.Optimizer):
    """As Accelerate wraps an optimizer: it is one, without its state."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)


class Accelerator:
    """As Accelerate clips: unscale all optimizers, then call the library; scale and step behind the scenes."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.scaler = optimizer, torch.amp.GradScaler("cpu", init_scale=256.0)

    def backward(self, loss: torch.Tensor) -> None:
        self.scaler.scale(loss).backward()

    def clip_grad_norm_(self, parameters: Any, max_norm: float) -> torch.Tensor:
        self.scaler.unscale_(self.optimizer)
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type=2)

    def step(self) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()


def test_a_loop_like_that_of_accelerate(tmp_path: Path) -> None:
    model, optimizer = trained()
    accelerator, norms = Accelerator(optimizer), []
    with watch(model, Wrapping(optimizer), tmp_path) as watcher:
        for step in range(6):
            loss = (model(torch.randn(4, 3)) * (math.inf if step == 2 else 10.0)).square().mean()
            watcher.log_loss(loss)
            accelerator.backward(loss)
            norms.append(float(accelerator.clip_grad_norm_(model.parameters(), 1.0)))
            accelerator.step()
            optimizer.zero_grad()
    run = recorded(tmp_path)
    np.testing.assert_allclose(run.steps["norm_before"], norms, rtol=1e-6)
    assert run.steps["skipped"].tolist() == [step == 2 for step in range(6)]
    assert (run.rule.kind, run.rule.threshold) == ("global_norm", 1.0)
    assert run.complete


@pytest.mark.parametrize("optimizers", ["watch_scaled", "watch_scaled_fused"])
@pytest.mark.parametrize("kind", ["value", "global_norm"])
def test_a_loop_that_forgets_to_unscale_is_told_and_recorded_without_the_scale(
    tmp_path: Path, optimizers: str, kind: str
) -> None:
    gradients, losses = healthy(12)
    loop = Loop(LOOPS[optimizers].optimizers, library=Library, scaled=True, unscaled=False)
    with pytest.warns(UserWarning, match=r"GradScaler had scaled .* Call scaler.unscale_\(optimizer\) before clipping"):
        loop.record(str(tmp_path), kind, 2.0 * 1024.0, gradients, losses)
    LOOPS[optimizers].record(str(tmp_path / "right"), kind, 2.0, gradients, losses)
    found, expected = (tb_gradclip.read(tmp_path)[name] for name in (".", "right"))
    for column in ("norm_before", "norm_after", "coefficient", "threshold", "clipped"):
        np.testing.assert_allclose(found.steps[column], expected.steps[column], rtol=1e-4, err_msg=column)


def test_alerts_are_raised_from_the_update_they_are_about(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path, on_alert="raise"):
        backward(model, math.inf)
        with pytest.raises(tb_gradclip.DivergenceError, match="step 0: nonfinite"):
            optimizer.step()
