"""What `tb_gradclip.lightning.ClipCallback` records of a `Trainer`, and that it leaves no trace in training."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as lightning
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.plugins.precision import MixedPrecision
from pytorch_lightning.utilities import grad_norm
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tb_gradclip
from tb_gradclip.lightning import ClipCallback
from tests.contract import Array, assert_recorded, joint
from tests.test_torch import bits

BATCHES, THRESHOLD = 9, 0.5
ALGORITHMS = {"global_norm": "norm", "value": "value", "none": "norm"}

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning", "ignore:.*LeafSpec:FutureWarning"),
]
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


class Net(lightning.LightningModule):
    """Notes what it saw of every update; its loss at the batch of number `breaks_at` is infinite."""

    threshold: float | None = THRESHOLD

    def __init__(self, breaks_at: int = -1) -> None:
        super().__init__()
        self.breaks_at = breaks_at
        self.first = torch.nn.Linear(5, 7)
        self.second = torch.nn.Linear(7, 1)
        self.norms: list[float] = []
        self.before: list[list[Array]] = []
        self.after: list[list[Array]] = []
        self.batches: list[float] = []

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        broken = len(self.batches) == self.breaks_at
        loss = (self.second(self.first(batch).tanh()) - batch.sum(1, keepdim=True)).square().mean()
        loss = loss * math.inf if broken else loss
        self.batches.append(loss.item())
        return loss

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("loss", loss)
        return loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.norms.append(float(grad_norm(self, 2)["grad_2.0_norm_total"]))

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        self.before.append(gradients(self))
        super().configure_gradient_clipping(optimizer, *args, **kwargs)
        self.after.append(gradients(self))

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


class Adversaries(Net):
    """Two optimizers, each with a loss and a clip call of its own, in a loop of its own."""

    threshold = None  # the trainer must not clip then

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        before, after = [], []
        parts = zip((self.first, self.second), self.optimizers(), ("norm", "value"), strict=True)
        for part, optimizer, algorithm in parts:
            self.toggle_optimizer(optimizer)
            self.manual_backward(self.loss(batch))
            before += gradients(part)
            self.clip_gradients(optimizer, gradient_clip_val=THRESHOLD, gradient_clip_algorithm=algorithm)
            after += gradients(part)
            optimizer.step()
            optimizer.zero_grad()
            self.untoggle_optimizer(optimizer)
        self.before.append(before)
        self.after.append(after)

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(part.parameters(), lr=0.01) for part in (self.first, self.second)]


def gradients(module: torch.nn.Module) -> list[Array]:
    return [parameter.grad.numpy().copy() for parameter in module.parameters()]


def loader() -> torch.utils.data.DataLoader[Any]:
    batches = torch.randn(4 * BATCHES, 5, generator=torch.Generator().manual_seed(1))
    return torch.utils.data.DataLoader(batches, batch_size=4)


def net(kind: Callable[..., Net] = Net, **settings: Any) -> Net:
    torch.manual_seed(0)
    return kind(**settings)


def trainer(directory: Path, *callbacks: Any, **settings: Any) -> lightning.Trainer:
    chosen = {
        "max_epochs": 1,
        "gradient_clip_val": THRESHOLD,
        "logger": TensorBoardLogger(directory, "", ""),
        **settings,
    }
    return lightning.Trainer(
        default_root_dir=directory,
        accelerator="cpu",
        callbacks=list(callbacks),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **chosen,
    )


def event_files(directory: Path) -> list[Path]:
    return list(directory.rglob("*tfevents*"))


@pytest.mark.parametrize(("precision", "accumulate"), [("32-true", 1), ("32-true", 3), ("bf16-mixed", 3)])
@pytest.mark.parametrize("clip", ALGORITHMS)
def test_every_update_is_recorded_as_lightning_made_it(
    tmp_path: Path, clip: str, precision: Any, accumulate: int
) -> None:
    module = net()
    trainer(
        tmp_path,
        ClipCallback(),
        gradient_clip_val=None if clip == "none" else THRESHOLD,
        gradient_clip_algorithm=ALGORITHMS[clip],
        precision=precision,
        accumulate_grad_batches=accumulate,
    ).fit(module, loader())
    run = tb_gradclip.read(tmp_path)["."]
    losses = np.reshape(module.batches, (-1, accumulate)).mean(axis=1)
    assert_recorded(run, clip, module.before, module.after, losses.tolist())
    np.testing.assert_allclose(run.steps["norm_before"], module.norms, rtol=1e-6)
    assert len(run.steps) == BATCHES // accumulate
    assert run.steps["clipped"].any() == (clip != "none")
    if clip == "global_norm":
        assert run.rule.threshold == THRESHOLD


def test_batches_left_over_at_the_end_of_an_epoch_are_a_step(tmp_path: Path) -> None:
    module = net()
    trainer(tmp_path, ClipCallback(), accumulate_grad_batches=4).fit(module, loader())
    run = tb_gradclip.read(tmp_path)["."]
    losses = [float(np.mean(module.batches[first : first + 4])) for first in (0, 4, 8)]
    assert_recorded(run, "global_norm", module.before, module.after, losses)


def test_two_optimizers_of_a_manual_loop_make_a_step_together(tmp_path: Path) -> None:
    module = net(Adversaries)
    trainer(tmp_path, ClipCallback(), gradient_clip_val=module.threshold).fit(module, loader())
    run = tb_gradclip.read(tmp_path)["."]
    losses = np.reshape(module.batches, (-1, 2)).mean(axis=1)
    assert_recorded(run, "custom", module.before, module.after, losses.tolist())
    assert len(run.steps) == BATCHES


def test_a_loss_scale_is_left_out_and_what_it_skips_is_recorded(tmp_path: Path) -> None:
    module = net(breaks_at=4)
    scaled = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=256.0))
    trainer(tmp_path, ClipCallback(), plugins=[scaled]).fit(module, loader())
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["skipped"].tolist() == [step == 4 for step in range(BATCHES)]
    np.testing.assert_allclose(run.steps["loss"], module.batches, rtol=1e-6)
    np.testing.assert_allclose(run.steps["norm_before"], module.norms, rtol=1e-6)


def test_it_shares_the_event_file_of_the_tensorboard_logger(tmp_path: Path) -> None:
    trainer(tmp_path, ClipCallback()).fit(net(), loader())
    assert len(event_files(tmp_path)) == 1
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()
    assert "loss" in tags["scalars"]
    assert "gradclip/norm_before" in tags["tensors"]


@pytest.mark.parametrize("kind", [Net, Adversaries])
def test_it_changes_no_bit_of_training_and_nothing_in_a_checkpoint(tmp_path: Path, kind: type[Net]) -> None:
    found = []
    for name, callbacks in (("alone", []), ("recorded", [ClipCallback(histogram_every=1)])):
        module = net(kind)
        made = trainer(tmp_path / name, *callbacks, gradient_clip_val=kind.threshold, max_epochs=2)
        made.fit(module, loader())
        made.save_checkpoint(tmp_path / name / "checkpoint")
        found.append((bits(module.parameters()), module.norms, module.batches))
    assert found[0] == found[1]
    assert (tmp_path / "alone" / "checkpoint").read_bytes() == (tmp_path / "recorded" / "checkpoint").read_bytes()


def test_another_fit_goes_on_with_the_run(tmp_path: Path) -> None:
    module, made = net(), trainer(tmp_path, ClipCallback())
    made.fit(module, loader())
    made.fit_loop.max_epochs = 2
    made.fit(module, loader())
    run = tb_gradclip.read(tmp_path)["."]
    assert_recorded(run, "global_norm", module.before, module.after, module.batches)
    assert len(run.steps) == 2 * BATCHES


@pytest.mark.parametrize("kind", [Net, Adversaries])
def test_a_fit_from_a_checkpoint_goes_on_with_its_steps(tmp_path: Path, kind: type[Net]) -> None:
    first = trainer(tmp_path / "first", gradient_clip_val=kind.threshold)
    first.fit(net(kind), loader())
    first.save_checkpoint(tmp_path / "checkpoint")
    second = trainer(tmp_path / "second", ClipCallback(), gradient_clip_val=kind.threshold, max_epochs=2)
    second.fit(module := net(kind), loader(), ckpt_path=tmp_path / "checkpoint", weights_only=False)
    run = tb_gradclip.read(tmp_path)["second"]
    assert run.steps["step"].tolist() == list(range(BATCHES, 2 * BATCHES))
    np.testing.assert_allclose(run.steps["norm_before"], list(map(joint, module.before)), rtol=1e-5)


def test_an_exception_in_training_keeps_the_steps_and_is_not_hidden(tmp_path: Path) -> None:
    class Fails(Net):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            if batch_idx == 5:
                raise LookupError("no more")
            return super().training_step(batch, batch_idx)

    module = net(Fails)
    made = trainer(tmp_path, ClipCallback())
    with pytest.raises(LookupError, match="no more"):
        made.fit(module, loader())
    run = tb_gradclip.read(tmp_path)["."]
    assert_recorded(run, "global_norm", module.before, module.after, module.batches)
    torch.nn.utils.clip_grad_norm_(module.parameters(), THRESHOLD)
    made.optimizers[0].step()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 5


@pytest.mark.parametrize(
    ("logger", "logdir", "where"), [(None, None, "."), ("csv", None, "csv/version_0"), ("csv", "own", "own")]
)
def test_without_a_tensorboard_logger_it_writes_where_training_does(
    tmp_path: Path, logger: str | None, logdir: str | None, where: str
) -> None:
    callback = ClipCallback(logdir and tmp_path / logdir)
    trainer(tmp_path, callback, logger=logger is not None and CSVLogger(tmp_path, logger)).fit(net(), loader())
    assert len(tb_gradclip.read(tmp_path)[where].steps) == BATCHES


def test_a_fast_development_run_leaves_nothing(tmp_path: Path) -> None:
    module = net()
    trainer(tmp_path, ClipCallback(tmp_path), fast_dev_run=3).fit(module, loader())
    assert len(module.before) == 3
    assert event_files(tmp_path) == []


def test_an_alert_ends_fit_with_an_error_if_that_is_asked_for(tmp_path: Path) -> None:
    module = net(breaks_at=3)
    with pytest.raises(tb_gradclip.DivergenceError, match="step 3: nonfinite"):
        trainer(tmp_path, ClipCallback(on_alert="raise")).fit(module, loader())
    assert len(tb_gradclip.read(tmp_path)["."].steps) == len(module.before) == 4


def test_an_alert_stops_training_as_lightning_does_if_that_is_asked_for(tmp_path: Path) -> None:
    module = net(breaks_at=3)
    made = trainer(tmp_path, ClipCallback(on_alert="stop"), max_epochs=5)
    with pytest.warns(UserWarning, match="step 3: nonfinite"):
        made.fit(module, loader())
    assert made.should_stop
    assert made.state.finished
    assert len(tb_gradclip.read(tmp_path)["."].steps) == len(module.before) == 4


def test_one_of_several_processes_is_not_to_stop_them_all(tmp_path: Path) -> None:
    several = trainer(tmp_path, devices=2)
    with pytest.raises(ValueError, match='`on_alert` must not be "stop" where several processes train, got 2'):
        ClipCallback(on_alert="stop").on_train_start(several, net())


def test_settings_are_checked_at_once() -> None:
    with pytest.raises(
        ValueError, match='`on_alert` must be None, "log", "warn", "raise", "stop", a function .* \'quit\''
    ):
        ClipCallback(on_alert="quit")
