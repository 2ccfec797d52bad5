"""What is said of real trainings: nothing of healthy ones, and who is to blame for those made to fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tb_gradclip
from tb_gradclip.core.alert import Alert
from tb_gradclip.torch import ClipWriter
from tests.benchmarks.failures import BATCH, TASKS, one_thread

Clip = Callable[[ClipWriter, nn.Module], object]
CLIPS: dict[str, Clip] = {
    "none": lambda writer, model: None,
    "norm": lambda writer, model: writer.clip_grad_norm_(model.parameters(), 1.0),
    "tight": lambda writer, model: writer.clip_grad_norm_(model.parameters(), 0.05),
    "value": lambda writer, model: writer.clip_grad_value_(model.parameters(), 0.1),
    "loose": lambda writer, model: writer.clip_grad_norm_(model.parameters(), 100.0),
}


@one_thread()
def train(
    logdir: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    clip: Clip,
    *,
    steps: int,
    task: str = "digits",
    seed: int = 0,
) -> list[Alert]:
    x, y = TASKS[task].data()
    order = np.random.default_rng(seed)
    with ClipWriter(logdir, model, histogram_every=0) as writer:
        for _ in range(steps):
            chosen = torch.from_numpy(order.integers(0, len(x), BATCH))
            loss = TASKS[task].loss(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            clip(writer, model)
            optimizer.step()
            writer.step(loss)
    return tb_gradclip.read(logdir)["."].alerts


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)
@pytest.mark.parametrize("task", ["digits", "regression"])
def test_a_healthy_training_raises_no_warning(tmp_path: Path, task: str, clip: Clip, seed: int) -> None:
    torch.manual_seed(seed)
    model = TASKS[task].model()
    optimizer = TASKS[task].optimizer(model.parameters())
    found = train(tmp_path, model, optimizer, clip, steps=900, task=task, seed=seed)
    assert [alert for alert in found if alert.kind != "lint" and alert.severity != "info"] == []


def layers(activation: Callable[[], nn.Module], depth: int) -> nn.Sequential:
    inner = [part for _ in range(depth) for part in (nn.Linear(48, 48), activation())]
    return nn.Sequential(nn.Linear(64, 48), activation(), *inner, nn.Linear(48, 10))


@pytest.mark.parametrize("wrong", [0, 2, 4, 6])
def test_a_layer_whose_initial_weights_are_a_thousand_times_too_large_is_named(tmp_path: Path, wrong: int) -> None:
    torch.manual_seed(0)
    model = layers(nn.ReLU, 2)
    with torch.no_grad():
        model[wrong].weight.mul_(1000)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    found = train(tmp_path, model, optimizer, CLIPS["none"], steps=60)
    assert found
    assert {alert.kind for alert in found} <= {"spike", "divergence", "nonfinite"}
    for alert in found:
        assert alert.departures[0] == (f"{wrong}.weight", alert.step)
        assert alert.parameter == f"{wrong}.weight"


def test_weights_that_no_gradient_reaches_through_many_sigmoids_are_named(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = layers(nn.Sigmoid, 12)
    found = train(tmp_path, model, torch.optim.SGD(model.parameters(), 0.1), CLIPS["none"], steps=80)
    (alert,) = [alert for alert in found if alert.kind == "vanishing"]
    assert "0.weight" in dict(alert.departures)
    assert "26.weight" not in dict(alert.departures)
    assert alert.start == 0


def test_an_update_that_clipping_made_zero_because_a_norm_overflowed_is_told(tmp_path: Path) -> None:
    model = nn.Linear(30, 10, dtype=torch.float16)
    with ClipWriter(tmp_path, model) as writer:
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, 10_000.0)  # float16 ends at 65,504
            writer.clip_grad_norm_(model.parameters(), 1.0)
            assert all(not parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)
            writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    (alert,) = [alert for alert in run.alerts if alert.kind != "lint"]
    assert (alert.kind, alert.step, alert.severity, alert.start, alert.end) == ("zero_step", 0, "error", 0, None)
    assert run.steps["coefficient"].tolist() == [0.0] * 3


def test_gains_of_weights_are_recorded_when_a_run_begins(tmp_path: Path) -> None:
    model = layers(nn.ReLU, 1)
    train(tmp_path, model, torch.optim.SGD(model.parameters(), 0.0), CLIPS["none"], steps=2)
    for parameter in tb_gradclip.read(tmp_path)["."].parameters:
        weight = model.get_parameter(parameter.name).detach().numpy()
        if weight.ndim == 2:
            assert parameter.gain == pytest.approx(np.sqrt((weight**2).mean() * weight.shape[1]), rel=1e-5)
        else:
            assert parameter.gain is None
