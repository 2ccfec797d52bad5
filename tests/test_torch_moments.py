"""What PyTorch's gradients are like at the very step at which something happens, before clipping and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tb_gradclip
from tb_gradclip.core.schedule import histogram_due
from tb_gradclip.core.standout import FIRST, GAP, SCHEDULED_PER_EXTRA
from tb_gradclip.torch import ClipWriter, watch
from tests.moments import MOMENT, SHAPES, Array, assert_holds_moment, gradients, histograms

Parameters = list[torch.nn.Parameter]


def model() -> list[tuple[str, torch.nn.Parameter]]:
    return [(f"p{i}", torch.nn.Parameter(torch.zeros(shape))) for i, shape in enumerate(SHAPES)]


def fill(parameters: Parameters, arrays: list[Array]) -> None:
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.grad = torch.from_numpy(array.copy()).to(parameter.dtype)


def left(parameters: Parameters) -> list[Array]:
    return [p.grad.float().numpy().copy() for p in parameters if p.grad is not None]


def own_clipping(writer: ClipWriter, parameters: Parameters) -> None:
    with writer.clipping():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.copy_(parameter.grad.tanh() * 0.9)


CLIPS: dict[str, Callable[[ClipWriter, Parameters], Any]] = {
    "global_norm": lambda writer, p: writer.clip_grad_norm_(p, 0.5),
    "global_norm, p = 1": lambda writer, p: writer.clip_grad_norm_(p, 0.5, 1.0),
    "global_norm, p = inf": lambda writer, p: writer.clip_grad_norm_(p, 0.5, float("inf")),
    "global_norm by the library": lambda writer, p: writer.clip_grad_norm_(p, 0.5, foreach=False),
    "parameters given twice": lambda writer, p: writer.clip_grad_norm_([*p, *p], 0.5),
    "value": lambda writer, p: writer.clip_grad_value_(p, 0.05),
    "custom": own_clipping,
    "none": lambda writer, p: None,
}


def train(
    logdir: Path, clip: Callable[[ClipWriter, Parameters], Any], steps: list[list[Array]], **settings: Any
) -> list[list[Array]]:
    """Train on these gradients, each step recorded before the next; returns what clipping left of them."""
    named, clipped = model(), []
    parameters = [parameter for _, parameter in named]
    looks, losses = settings.pop("looks", True), settings.pop("losses", [1.0] * len(steps))
    with ClipWriter(logdir, named, **settings) as writer:
        writer._looks = looks
        for arrays, loss in zip(steps, losses, strict=True):
            fill(parameters, arrays)
            clip(writer, parameters)
            clipped.append(left(parameters))
            writer.step(loss)
            writer._collector.collect()
    return clipped


@pytest.mark.filterwarnings("ignore:gradclip. a parameter was given twice")
@pytest.mark.parametrize("clip", CLIPS)
def test_a_gradient_that_stands_out_is_in_the_log_before_and_after(tmp_path: Path, clip: str) -> None:
    steps = gradients()
    clipped = train(tmp_path, CLIPS[clip], steps)
    assert_holds_moment(tmp_path, steps[MOMENT], clipped[MOMENT])


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.filterwarnings("ignore:gradclip. a parameter was given twice")
def test_a_gradient_that_is_not_finite_is_in_the_log_before_and_after(tmp_path: Path, clip: str, value: float) -> None:
    steps = gradients(1.0)[:20]
    steps[7][1][3] = value
    clipped = train(tmp_path, CLIPS[clip], steps)
    assert_holds_moment(tmp_path, steps[7], clipped[7], step=7)


@pytest.mark.parametrize("clip", ["global_norm", "value", "none"])
def test_half_precision_is_looked_at_too(tmp_path: Path, clip: str) -> None:
    steps = gradients()
    named = [(name, torch.nn.Parameter(parameter.to(torch.bfloat16))) for name, parameter in model()]
    parameters = [parameter for _, parameter in named]
    with ClipWriter(tmp_path, named) as writer:
        for arrays in steps:
            fill(parameters, arrays)
            CLIPS[clip](writer, parameters)
            writer.step()
            writer._collector.collect()
    fill(parameters, steps[MOMENT])
    found = histograms(tmp_path)
    assert list(found) == [MOMENT]
    assert found[MOMENT].before().counts.sum() == sum(array.size for array in steps[MOMENT])


def in_parts(writer: ClipWriter, parameters: Parameters) -> None:
    writer.clip_grad_norm_(parameters[:1], 0.5)
    writer.clip_grad_norm_(parameters[1:], 0.5)


def test_of_a_step_with_several_calls_all_parameters_are_counted_or_none(tmp_path: Path) -> None:
    for place, step in ((0, MOMENT), (1, MOMENT + 1)):  # the first call has been made when the second stands out
        steps = gradients(1.0)
        steps[MOMENT][place] *= np.float32(1000)
        clipped = train(tmp_path / str(place), in_parts, steps)
        assert_holds_moment(tmp_path / str(place), steps[step], clipped[step], step)


def test_of_calls_that_give_way_to_a_later_one_only_that_one_is_counted(tmp_path: Path) -> None:
    steps, named = gradients(), model()
    parameters = [parameter for _, parameter in named]
    with ClipWriter(tmp_path, named) as writer:
        for arrays in steps:
            fill(parameters, [array * np.float32(0.01) for array in arrays])
            writer.clip_grad_norm_(parameters, 0.5)
            fill(parameters, arrays)
            writer.clip_grad_norm_(parameters, 0.5)
            if arrays is steps[MOMENT]:
                after = left(parameters)
            writer.step()
            writer._collector.collect()
    assert_holds_moment(tmp_path, steps[MOMENT], after)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.filterwarnings("ignore:gradclip. a parameter was given twice")
def test_where_a_device_would_have_to_be_waited_for_the_next_step_is_counted(tmp_path: Path, clip: str) -> None:
    steps = gradients()
    clipped = train(tmp_path, CLIPS[clip], steps, looks=False)
    assert_holds_moment(tmp_path, steps[MOMENT + 1], clipped[MOMENT + 1], MOMENT + 1)


@pytest.mark.parametrize("scaling", [False, True])
def test_the_clipping_of_a_loop_that_is_watched_is_looked_at(tmp_path: Path, scaling: bool) -> None:
    steps, named, clipped = gradients(), model(), []
    parameters = [parameter for _, parameter in named]
    optimizer = torch.optim.SGD(parameters, 0.1)
    with watch(named, optimizer, tmp_path) as watcher:
        for arrays in steps:
            fill(parameters, arrays)
            if scaling:
                total = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
                torch.nn.utils.clip_grads_with_norm_(parameters, 0.5, total)
            clipped.append(left(parameters))
            optimizer.step()
            watcher._collector.collect()
    assert_holds_moment(tmp_path, steps[MOMENT], clipped[MOMENT])


@pytest.mark.parametrize("kind", [float, torch.tensor])
@pytest.mark.parametrize("clip", ["none", "global_norm"])
def test_where_only_the_loss_stands_out_its_step_is_counted_or_the_next_if_that_was_clipped(
    tmp_path: Path, clip: str, kind: Callable[[float], Any]
) -> None:
    steps = gradients(1.0)
    losses = [kind(10.0 if step == MOMENT else 1.0) for step in range(len(steps))]
    clipped = train(tmp_path, CLIPS[clip], steps, losses=losses)
    step = MOMENT if clip == "none" else MOMENT + 1
    assert_holds_moment(tmp_path, steps[step], clipped[step], step)
    assert [alert.start for alert in tb_gradclip.read(tmp_path)["."].alerts] == [MOMENT]


def test_after_an_event_that_no_number_stands_out_at_the_next_step_is_counted(tmp_path: Path) -> None:
    steps, rng = gradients(1.0), np.random.default_rng(0)
    losses = np.exp(rng.normal(0, 0.1, len(steps)))
    losses[MOMENT:] *= 1.7  # a divergence that is no jump
    told: list[int] = []
    named = model()
    with ClipWriter(tmp_path, named, on_alert=lambda alert: told.append(writer._step)) as writer:
        for arrays, loss in zip(steps, losses.tolist(), strict=True):
            fill([parameter for _, parameter in named], arrays)
            writer.step(loss)
    assert [alert.kind for alert in tb_gradclip.read(tmp_path)["."].alerts] == ["divergence"]
    assert list(histograms(tmp_path)) == told


def test_no_histograms_are_no_histograms(tmp_path: Path) -> None:
    train(tmp_path, CLIPS["global_norm"], gradients(), histogram_every=0)
    assert len(tb_gradclip.read(tmp_path)["."].histograms) == 0


def test_histograms_stay_few_however_often_something_happens(tmp_path: Path) -> None:
    named, steps = model(), 5000
    calm, nan = [np.ones(shape, np.float32) for shape in SHAPES], [np.full(shape, np.nan) for shape in SHAPES]
    parameters = [parameter for _, parameter in named]
    with ClipWriter(tmp_path, named) as writer:
        for step in range(steps):
            fill(parameters, nan if step % 2 else calm)
            writer.clip_grad_norm_(parameters, 1.0)
            writer.step(1.0)
            if step % 16 == 0:
                writer._collector.collect()
    extra = list(histograms(tmp_path))
    assert min(np.diff(extra)) >= GAP
    assert FIRST <= len(extra) <= FIRST + sum(map(histogram_due, range(steps))) // SCHEDULED_PER_EXTRA + 1
