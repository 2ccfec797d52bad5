"""What Hugging Face's own `Trainer` saves is imported as what `ClipCallback` recorded of the same training."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip.cli import main
from tb_gradclip.transformers import ClipCallback
from tests.test_transformers import THRESHOLD, Trainer

pytestmark = pytest.mark.usefixtures("fresh_accelerate", "one_thread")


@pytest.mark.parametrize("every", [1, 3])
def test_what_the_trainer_saved_is_what_was_recorded(tmp_path: Path, every: int) -> None:
    output = tmp_path / "model"
    trainer = Trainer(output, max_steps=12, save_strategy="steps", save_steps=6, report_to="none")
    trainer.args.logging_steps = trainer.state.logging_steps = every
    trainer.add_callback(ClipCallback(trainer, tmp_path / "runs" / "recorded"))
    trainer.train()
    assert main(["import", str(output), "--logdir", str(tmp_path / "runs")]) == 0
    runs = tb_gradclip.read(tmp_path / "runs")
    recorded, imported = runs["recorded"].steps, runs["model"].steps
    assert imported["step"].tolist() == list(range(every, 13, every))  # ours counts updates from 0, theirs from 1
    same = recorded[every - 1 :: every]
    np.testing.assert_allclose(imported["norm_before"], same["norm_before"], rtol=1e-6)
    np.testing.assert_allclose(imported["norm_after"], same["norm_after"], rtol=1e-6)
    np.testing.assert_array_equal(imported["clipped"], same["clipped"])
    np.testing.assert_allclose(imported["loss"], recorded["loss"].reshape(-1, every).mean(axis=1), rtol=1e-3)
    assert runs["model"].rule.threshold == THRESHOLD  # out of the arguments beside the checkpoint
