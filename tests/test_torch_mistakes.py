"""What the PyTorch adapter says to wrong settings and failing disks."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tb_gradclip.torch import ClipWriter
from tests.test_torch import model, parameters

MISTAKES: list[tuple[str, Callable[[Path], object]]] = [
    (r"`max_norm` must be 0 or more, got -1", lambda p: ClipWriter(p, n := model()).clip_grad_norm_(parameters(n), -1)),
    (
        r"`clip_value` must be 0 or more, got nan",
        lambda p: ClipWriter(p, n := model()).clip_grad_value_(parameters(n), math.nan),
    ),
    (
        r"`parameters` must belong to the model .* shape \(2,\)",
        lambda p: ClipWriter(p, model()).clip_grad_norm_(torch.zeros(2), 1),
    ),
    (r"`model` must have parameters, got none", lambda p: ClipWriter(p, torch.nn.ReLU())),
    (r"`loss` must have one element, got shape \(3,\)", lambda p: ClipWriter(p, model()).step(torch.zeros(3))),
    (r'`on_alert` must be None, .*"raise", a function', lambda p: ClipWriter(p, model(), on_alert="stop")),
    (r"`histogram_every` must be a whole number .* got -5", lambda p: ClipWriter(p, model(), histogram_every=-5)),
    (r"`start_step` must be a whole number .* got 1.5", lambda p: ClipWriter(p, model(), start_step=1.5)),
]


@pytest.mark.parametrize(("message", "mistake"), MISTAKES, ids=[message[:24] for message, _ in MISTAKES])
def test_a_wrong_setting_fails_with_rule_value_and_remedy(
    tmp_path: Path, message: str, mistake: Callable[[Path], object]
) -> None:
    with pytest.raises(ValueError, match=message):
        mistake(tmp_path)


def test_a_logdir_that_cannot_be_written_fails_in_the_constructor(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="`logdir` must be a directory that can be written, got .*file/run"):
        ClipWriter(tmp_path / "file" / "run", model())


def test_something_else_than_a_path_or_a_writer_is_refused() -> None:
    with pytest.raises(TypeError, match="`logdir` must be a path or a torch.utils.tensorboard.SummaryWriter, got int"):
        ClipWriter(3, model())


def test_a_disk_that_fails_during_training_warns_once_and_training_goes_on(tmp_path: Path) -> None:
    named = model()
    writer = ClipWriter(tmp_path, named)
    writer.flush()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._recorder._sink._file.fileno())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(100):
            writer.clip_grad_norm_(parameters(named), 1.0)
            writer.step(1.0)
        writer.flush()
        writer.close()
    assert len([w for w in caught if "stopped recording" in str(w.message)]) == 1
