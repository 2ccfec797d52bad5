"""Loops that Accelerate clips and steps for, seen by `watch`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import pytest
import torch

import tb_gradclip
from tb_gradclip.torch import watch
from tests.contract import Array, assert_recorded
from tests.test_torch import bits

MICRO_BATCHES, THRESHOLD = 9, 0.5

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


class Loop:
    """A loop as Accelerate's manual has it, and what it saw itself of every update."""

    def __init__(self, clip: str, precision: str = "no", accumulate: int = 1) -> None:
        torch.manual_seed(0)
        self.clip = clip
        self.accelerator = accelerate.Accelerator(
            cpu=True, mixed_precision=precision, gradient_accumulation_steps=accumulate
        )
        model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1))
        loader = torch.utils.data.DataLoader(torch.randn(4 * MICRO_BATCHES, 5), batch_size=4)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            model, torch.optim.AdamW(model.parameters(), lr=0.01), loader
        )
        self.returned: list[float] = []
        self.before: list[list[Array]] = []
        self.after: list[list[Array]] = []
        self.losses: list[float] = []

    def run(self, watcher: Any = None) -> None:
        micro: list[float] = []
        for batch in self.loader:
            with self.accelerator.accumulate(self.model):
                loss = (self.model(batch) - batch.sum(1, keepdim=True)).square().mean()
                micro.append(loss.item())
                if watcher is not None:
                    watcher.log_loss(loss)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.clip_gradients()
                    self.losses.append(float(np.mean(micro)))
                    micro.clear()
                self.optimizer.step()
                self.optimizer.zero_grad()

    def clip_gradients(self) -> None:
        self.before.append(self.gradients())
        if self.clip == "value":
            self.accelerator.clip_grad_value_(self.model.parameters(), THRESHOLD)
        elif self.clip == "global_norm":
            self.returned.append(self.accelerator.clip_grad_norm_(self.model.parameters(), THRESHOLD).item())
        self.after.append(self.gradients())

    def gradients(self) -> list[Array]:
        return [parameter.grad.numpy().copy() for parameter in self.model.parameters()]


@pytest.mark.parametrize(("precision", "accumulate"), [("no", 1), ("no", 3), ("bf16", 3)])
@pytest.mark.parametrize("clip", ["global_norm", "value", "none"])
def test_every_update_is_recorded_as_accelerate_made_it(
    tmp_path: Path, clip: str, precision: str, accumulate: int
) -> None:
    loop = Loop(clip, precision, accumulate)
    with watch(loop.model, loop.optimizer, tmp_path) as watcher:
        loop.run(watcher)
    run = tb_gradclip.read(tmp_path)["."]
    assert_recorded(run, clip, loop.before, loop.after, loop.losses)
    assert len(run.steps) == MICRO_BATCHES // accumulate
    assert run.steps["clipped"].any() == (clip != "none")
    if clip == "global_norm":
        np.testing.assert_allclose(run.steps["norm_before"], loop.returned, rtol=1e-6)
        assert run.rule.threshold == THRESHOLD


def test_watching_changes_no_bit_of_training_and_nothing_in_a_checkpoint(
    tmp_path: Path, fresh_accelerate: Callable[[], None]
) -> None:
    saved = []
    for watched in (False, True):
        loop = Loop("global_norm", accumulate=3)
        if watched:
            with watch(loop.model, loop.optimizer, tmp_path / "run") as watcher:
                loop.run(watcher)
                loop.accelerator.save_state(str(tmp_path / "watched"))
        else:
            loop.run()
            loop.accelerator.save_state(str(tmp_path / "alone"))
        saved.append([*bits(loop.model.parameters()), loop.returned])
        fresh_accelerate()
    assert saved[0] == saved[1]
    alone, watched_too = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("alone", "watched")
    )
    assert "optimizer.bin" in alone
    assert alone == watched_too
