"""What only the PyTorch adapter does: the library's calls to the last bit, shared event files, alerts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import tb_gradclip
from tb_gradclip.core.alert import Alert
from tb_gradclip.storage.events import event_files, read_events
from tb_gradclip.torch import ClipWriter
from tests.contract import assert_holds

SHAPES = [(64, 32), (33,), (1,), (5, 4, 3)]


def model(dtype: torch.dtype = torch.float32, size: float = 1.0, seed: int = 0) -> list[tuple[str, torch.nn.Parameter]]:
    generator = torch.Generator().manual_seed(seed)
    named = []
    for i, shape in enumerate(SHAPES):
        parameter = torch.nn.Parameter(torch.zeros(shape, dtype=dtype))
        parameter.grad = (torch.randn(shape, generator=generator) * size).to(dtype)
        named.append((f"p{i}", parameter))
    return named


def parameters(named: list[tuple[str, torch.nn.Parameter]]) -> list[torch.nn.Parameter]:
    return [parameter for _, parameter in named]


def bits(tensors: list[torch.Tensor]) -> list[bytes]:
    return [t.detach().contiguous().view(torch.uint8).numpy().tobytes() for t in map(torch.atleast_1d, tensors)]


def grads(named: list[tuple[str, torch.nn.Parameter]]) -> list[torch.Tensor]:
    return [p.grad for _, p in named if p.grad is not None]


def failure(call: Callable[[], None]) -> str | None:
    """What a call raises: `clip_grad_value_` of the library cannot do without gradients."""
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return None


def poison(value: float) -> Callable[[list[tuple[str, torch.nn.Parameter]]], None]:
    def spoil(named: list[tuple[str, torch.nn.Parameter]]) -> None:
        assert named[0][1].grad is not None
        named[0][1].grad[0, 0] = value

    return spoil


EDGES: dict[str, Callable[[list[tuple[str, torch.nn.Parameter]]], object]] = {
    "plain": lambda named: None,
    "nan": poison(math.nan),
    "infinity": poison(math.inf),
    "overflowing norm": poison(3e38),
    "zeros": lambda named: [p.grad.zero_() for _, p in named if p.grad is not None],
    "no gradient": lambda named: setattr(named[1][1], "grad", None),
    "no gradients at all": lambda named: [setattr(p, "grad", None) for _, p in named],
}


@pytest.fixture(params=EDGES)
def edge(request: pytest.FixtureRequest) -> Callable[[list[tuple[str, torch.nn.Parameter]]], object]:
    return EDGES[request.param]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_clip_grad_norm_gives_the_bits_of_the_library(
    tmp_path: Path, edge: Callable[[Any], object], dtype: torch.dtype
) -> None:
    ours = model(dtype)
    with ClipWriter(tmp_path, ours) as writer:
        for max_norm, norm_type, foreach in product([0.0, 0.5, 1e6, math.inf], [2.0, 1, math.inf], [None, True, False]):
            theirs = model(dtype)
            for (_, parameter), (_, other) in zip(ours, theirs, strict=True):
                parameter.grad = other.grad.clone()
            edge(ours)
            edge(theirs)
            found = writer.clip_grad_norm_((p for _, p in ours), max_norm, norm_type, foreach=foreach)
            expected = clip_grad_norm_(parameters(theirs), max_norm, norm_type, foreach=foreach)
            writer.step(1.0)
            assert bits([found]) == bits([expected])
            assert found.dtype == expected.dtype
            assert bits(grads(ours)) == bits(grads(theirs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("clip_value", [0.0, 0.3, math.inf])
def test_clip_grad_value_gives_the_bits_of_the_library(
    tmp_path: Path, edge: Callable[[Any], object], dtype: torch.dtype, clip_value: float
) -> None:
    ours, theirs = model(dtype), model(dtype)
    edge(ours)
    edge(theirs)
    with ClipWriter(tmp_path, ours) as writer:
        found = failure(lambda: writer.clip_grad_value_(parameters(ours), clip_value))
        writer.step(1.0)
    assert found == failure(lambda: clip_grad_value_(parameters(theirs), clip_value))
    assert bits(grads(ours)) == bits(grads(theirs))


def test_gradients_of_several_dtypes_are_clipped_as_by_the_library(tmp_path: Path) -> None:
    mixed = [model(torch.float32), model(torch.float32)]
    for named in mixed:
        named[1] = ("half", model(torch.bfloat16)[1][1])
        named[2] = ("double", model(torch.float64)[2][1])
    ours, theirs = mixed
    with ClipWriter(tmp_path, ours) as writer:
        found = writer.clip_grad_norm_(parameters(ours), 0.5)
        writer.step(1.0)
    assert bits([found]) == bits([clip_grad_norm_(parameters(theirs), 0.5)])
    assert bits(grads(ours)) == bits(grads(theirs))
    row = tb_gradclip.read(tmp_path)["."].steps[0]
    np.testing.assert_allclose(row["norm_before"], float(found), rtol=1e-2)


def test_one_tensor_may_stand_for_a_list(tmp_path: Path) -> None:
    ours, theirs = model(), model()
    with ClipWriter(tmp_path, ours) as writer:
        found = writer.clip_grad_norm_(ours[0][1], 0.5)
        writer.step(1.0)
    assert bits([found]) == bits([clip_grad_norm_(theirs[0][1], 0.5)])
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["norm_before"][0] == pytest.approx(float(found))


def test_error_if_nonfinite_raises_as_the_library_does_and_leaves_gradients_alone(tmp_path: Path) -> None:
    ours = model()
    poison(math.nan)(ours)
    before = bits(grads(ours))
    with ClipWriter(tmp_path, ours) as writer:
        with pytest.raises(RuntimeError, match="non-finite"):
            writer.clip_grad_norm_(parameters(ours), 1.0, error_if_nonfinite=True)
        assert bits(grads(ours)) == before


def test_a_parameter_without_a_gradient_counts_as_zero(tmp_path: Path) -> None:
    named = model()
    named[1][1].grad = None
    with ClipWriter(tmp_path, named) as writer:
        writer.clip_grad_norm_(parameters(named), 0.1)
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.windows[0].rows["norm_before_mean"][1] == 0
    assert run.histograms[0].before("p1").size == 0


def test_a_step_without_a_clip_call_is_recorded_as_not_clipped(tmp_path: Path) -> None:
    named = model()
    joint = float(torch.linalg.vector_norm(torch.cat([g.reshape(-1) for g in grads(named)])))
    with ClipWriter(tmp_path, named) as writer:
        writer.step(torch.tensor(1.0))
    run = tb_gradclip.read(tmp_path)["."]
    assert run.rule.kind == "none"
    assert run.steps["norm_before"][0] == pytest.approx(joint)
    assert run.steps["norm_after"][0] == run.steps["norm_before"][0]


def test_two_calls_in_one_step_are_joined(tmp_path: Path) -> None:
    named = model()
    original = [g.clone() for g in grads(named)]
    with ClipWriter(tmp_path, named) as writer:
        writer.clip_grad_value_(parameters(named), 0.5)
        writer.clip_grad_norm_(parameters(named)[:2], 1.0)
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    norm = lambda tensors: float(torch.linalg.vector_norm(torch.cat([t.reshape(-1) for t in tensors])))  # noqa: E731
    assert run.steps["norm_before"][0] == pytest.approx(norm(original), rel=1e-5)
    assert run.steps["norm_after"][0] == pytest.approx(norm(grads(named)), rel=1e-5)
    assert run.steps["clipped"][0]


def test_two_calls_in_one_step_show_in_its_distribution(tmp_path: Path) -> None:
    named = model()
    first, second = parameters(named)[:2], parameters(named)[2:]
    raw = torch.cat([g.flatten() for g in grads(named)]).numpy()
    with ClipWriter(tmp_path, named) as writer:
        writer.clip_grad_norm_(first, 0.5)
        writer.clip_grad_value_(second, 0.1)
        left = torch.cat([g.flatten() for g in grads(named)]).numpy()
        writer.step(1.0)
    (histogram,) = tb_gradclip.read(tmp_path)["."].histograms
    assert_holds(histogram.before(), raw)
    assert_holds(histogram.after(), left)
    assert_holds(histogram.after("p2"), named[2][1].grad.numpy())


def test_clipping_that_replaces_gradients_is_measured(tmp_path: Path) -> None:
    named = model()
    with ClipWriter(tmp_path, named) as writer:
        with writer.clipping():
            for _, parameter in named:
                assert parameter.grad is not None
                parameter.grad = parameter.grad * 0.1
            named[2][1].grad = None
        writer.step(1.0)
    run = tb_gradclip.read(tmp_path)["."]
    left = [g.reshape(-1) for g in grads(named)]
    assert run.steps["norm_after"][0] == pytest.approx(float(torch.linalg.vector_norm(torch.cat(left))), rel=1e-5)


def test_events_go_into_the_file_of_the_summary_writer_that_was_given(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(tmp_path))
    named = model()
    with ClipWriter(board, named) as writer:
        for step in range(40):
            writer.step(float(step))
            board.add_scalar("loss", step, step)
    board.close()
    (files,) = event_files(tmp_path).values()
    assert len(files) == 1
    tags = {value.tag for event in read_events(files[0]) for value in event.summary.value}
    assert "loss" in tags
    assert tb_gradclip.read(tmp_path)["."].steps["loss"].tolist() == list(range(40))


def test_a_summary_writer_that_was_closed_first_is_not_opened_again(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(tmp_path))
    writer = ClipWriter(board, model())
    writer.step(1.0)
    board.close()
    writer.step(2.0)
    writer.close()
    assert board.file_writer is None
    _, rest = sorted(tmp_path.iterdir())
    assert rest.name.endswith(".gradclip")
    assert tb_gradclip.read(tmp_path)["."].steps["loss"].tolist() == [1.0, 2.0]


def losses_that_break() -> Iterator[float]:
    yield from (2.0 + 0.01 * (i % 7) for i in range(100))
    yield math.nan


@pytest.mark.parametrize("action", ["raise", "warn", "call"])
def test_an_alert_reaches_the_training_loop_at_the_step_it_is_about(tmp_path: Path, action: str) -> None:
    heard: list[Alert] = []
    named = model()
    with ClipWriter(tmp_path, named, on_alert=heard.append if action == "call" else action) as writer:
        for step, loss in enumerate(losses_that_break()):
            if step < 100:
                writer.step(torch.tensor(loss))
            elif action == "raise":
                with pytest.raises(tb_gradclip.DivergenceError, match="step 100: nonfinite: loss is NaN") as raised:
                    writer.step(torch.tensor(loss))
                assert raised.value.alert.step == 100
            elif action == "warn":
                with pytest.warns(UserWarning, match="step 100: nonfinite: loss is NaN"):
                    writer.step(torch.tensor(loss))
            else:
                writer.step(torch.tensor(loss))
    if action == "call":
        assert [(alert.step, alert.kind) for alert in heard] == [(100, "nonfinite")]
    assert [alert.kind for alert in tb_gradclip.read(tmp_path)["."].alerts] == ["nonfinite"]


def test_a_resumed_run_goes_on_where_it_is_told_to(tmp_path: Path) -> None:
    for start in (0, 3):
        with ClipWriter(tmp_path, model(), start_step=start) as writer:
            for step in range(start, start + 5):
                writer.step(100.0 * start + step)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(8))
    assert run.steps["loss"].tolist() == [0, 1, 2, 303, 304, 305, 306, 307]
    assert run.complete


def test_the_writer_neither_keeps_the_graph_nor_changes_the_loss(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 1)
    writer = ClipWriter(tmp_path, layer)
    loss = layer(torch.ones(2, 3)).sum()
    loss.backward()
    writer.step(loss)
    recorded = float(loss.detach())
    assert loss.requires_grad
    with torch.no_grad():
        loss.add_(100)
    writer.close()
    assert tb_gradclip.read(tmp_path)["."].steps["loss"][0] == pytest.approx(recorded)
