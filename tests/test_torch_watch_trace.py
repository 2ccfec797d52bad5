"""That `watch` leaves no trace in what it watches, and what it says to wrong arguments."""

from __future__ import annotations

import copy
import gc
import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

import tb_gradclip
from tb_gradclip.torch import ClipWriter, clip_calls, patches, watch
from tests.test_torch import bits
from tests.test_torch_watch import backward, norm_of, recorded, trained


def test_closing_undoes_everything(tmp_path: Path) -> None:
    functions = [clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm]
    inner = [function.__closure__[0].cell_contents for function in functions]
    scaler = torch.amp.GradScaler.step, torch.amp.GradScaler.unscale_
    model, optimizer = trained()
    first, second = watch(model, optimizer, tmp_path / "a"), watch(model, optimizer, tmp_path / "b")
    for watcher in (first, second):
        assert all(f.__closure__[0].cell_contents is not i for f, i in zip(functions, inner, strict=True))
        assert optimizer._optimizer_step_pre_hooks
        watcher.close()
        watcher.close()
    assert [function.__closure__[0].cell_contents for function in functions] == inner
    assert (torch.amp.GradScaler.step, torch.amp.GradScaler.unscale_) == scaler
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize("threshold", [-1.0, math.nan])
def test_a_threshold_that_the_writer_would_refuse_does_what_it_does_in_the_library(
    tmp_path: Path, clip: Callable[..., Any], threshold: float
) -> None:
    results = []
    for watched in (False, True):
        model, optimizer = trained()
        watcher = watch(model, optimizer, tmp_path) if watched else None
        backward(model)
        clip(model.parameters(), threshold)
        results.append(bits([p.grad for p in model.parameters() if p.grad is not None]))
        optimizer.step()
        if watcher is not None:
            watcher.close()
    assert results[0] == results[1]
    assert recorded(tmp_path).rule.kind == "custom"


def test_an_error_the_loop_asked_for_reaches_it(tmp_path: Path) -> None:
    model, optimizer = trained()
    with watch(model, optimizer, tmp_path):
        backward(model, math.inf)
        with pytest.raises(RuntimeError, match="non-finite"):
            clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        optimizer.zero_grad()
        backward(model)
        clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        optimizer.step()
    run = recorded(tmp_path)
    assert (len(run.steps), run.steps["nonfinite"][0]) == (1, 0)


def checkpoint(*parts: Any) -> bytes:
    file = io.BytesIO()
    torch.save([part.state_dict() for part in parts], file)
    return file.getvalue()


def test_checkpoints_copies_and_pickles_are_what_they_are_without(tmp_path: Path) -> None:
    model, optimizer = trained()
    before = checkpoint(model, optimizer)
    with watch(model, optimizer, tmp_path):
        assert checkpoint(model, optimizer) == before
        for copied in (copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))):
            assert checkpoint(*copied) == before
            backward(copied[0])
            clip_grad_norm_(copied[0].parameters(), 1.0)
            copied[1].step()
        assert [name for name, _ in model.named_buffers()] == []
    assert not (runs := tb_gradclip.read(tmp_path)) or len(runs["."].steps) == 0


def test_a_watch_that_nobody_keeps_goes_on_until_its_optimizer_is_gone(tmp_path: Path) -> None:
    model, optimizer = trained()
    watch(model, optimizer, tmp_path)
    for _ in range(5):
        backward(model)
        clip_grad_norm_(model.parameters(), 1.0)
        gc.collect()
        optimizer.step()
    users = [patch._users for patch in clip_calls.PATCHES]
    del optimizer
    gc.collect()
    assert [patch._users for patch in clip_calls.PATCHES] == [count - 1 for count in users]
    assert len(recorded(tmp_path).steps) == 5


def test_a_compiled_function_that_clips_is_not_disturbed(tmp_path: Path) -> None:
    model, optimizer = trained()

    @torch.compile(backend="eager")
    def clip() -> None:
        clip_grad_norm_(model.parameters(), 1.0)

    with watch(model, optimizer, tmp_path):
        for _ in range(2):
            backward(model)
            clip()
            after = norm_of(model)
            optimizer.step()
            optimizer.zero_grad()
    assert after == pytest.approx(1.0, rel=1e-4)
    run = recorded(tmp_path)
    assert len(run.steps) == 2
    np.testing.assert_allclose(run.steps["norm_after"], after, rtol=1e-5)


def test_where_the_library_hides_its_calls_the_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "_wrapped_by", lambda function: None)
    original = torch.nn.utils.clip_grad_norm_
    model, optimizer = trained()
    with pytest.warns(UserWarning, match="calls of clip_grad_norm_, .* are only seen as torch.nn.utils.NAME"):
        watcher = watch(model, optimizer, tmp_path)
    backward(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    watcher.close()
    assert torch.nn.utils.clip_grad_norm_ is original
    assert recorded(tmp_path).rule.kind == "global_norm"


def test_who_patches_the_same_name_later_keeps_his_patch(tmp_path: Path) -> None:
    model, optimizer = trained()
    cell = clip_grad_value_.__closure__[0]
    original, seen = cell.cell_contents, []
    watcher = watch(model, optimizer, tmp_path / "a")
    ours = cell.cell_contents

    def theirs(*args: Any, **kwargs: Any) -> None:
        seen.append(1)
        ours(*args, **kwargs)

    cell.cell_contents = theirs
    watcher.close()
    assert cell.cell_contents is theirs
    with watch(model, optimizer, tmp_path / "b"):
        backward(model)
        clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
    cell.cell_contents = original
    assert seen == [1]
    assert recorded(tmp_path / "b").rule.kind == "value"


MODEL, ONE = trained()[0], torch.nn.Parameter(torch.zeros(2))
MISTAKES: list[tuple[type[Exception], str, Callable[[Path], object]]] = [
    (
        TypeError,
        "`optimizer` must be a torch.optim.Optimizer, or several, got int",
        lambda p: watch(*trained()[:1], 3, p),
    ),
    (TypeError, "`optimizer` must be .* got str", lambda p: watch(MODEL, ["adam"], p)),
    (ValueError, "`optimizer` must not be empty", lambda p: watch(MODEL, [], p)),
    (
        ValueError,
        "`optimizer` must update parameters of `model`, got SGD at position 0",
        lambda p: watch(trained()[0], trained()[1], p),
    ),
    (
        ValueError,
        "`model` must not have an entry twice, got 'a' and 'b'",
        lambda p: ClipWriter(p, [(n, SAME) for n in "ab"]),
    ),
]
SAME = torch.nn.Parameter(torch.zeros(2))


@pytest.mark.parametrize(("kind", "message", "mistake"), MISTAKES, ids=[message[:40] for _, message, _ in MISTAKES])
def test_a_wrong_argument_fails_with_rule_value_and_remedy(
    tmp_path: Path, kind: type[Exception], message: str, mistake: Callable[[Path], object]
) -> None:
    patched = [patch._users for patch in clip_calls.PATCHES]
    with pytest.raises(kind, match=message):
        mistake(tmp_path)
    assert [patch._users for patch in clip_calls.PATCHES] == patched
