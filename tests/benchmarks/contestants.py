"""Ways to record gradients of a PyTorch model in training: ours, and what people use instead."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_
from torch.utils.tensorboard import SummaryWriter

from tb_gradclip.torch import ClipWriter
from tests.benchmarks.models import Task

MAX_NORM = 0.25


class Contestant:
    """Trains a copy of the model and clips it with `clip_grad_norm_`; records nothing."""

    slow = False
    """Whether fewer steps will do, because every one costs the same and much."""

    def __init__(self, task: Task, directory: Path) -> None:
        self.task = task
        self.directory = directory
        directory.mkdir()
        self.model = task.make()
        # The cheapest optimizer makes for the shortest step, of which recording is the largest part.
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01)
        self.done = 0

    def train(self, steps: int) -> float:
        """Seconds a training step takes.

        The flush at the end counts: what is left to a background thread would fall on whoever comes next.
        """
        self.task.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = self.task.loss(self.model)
            loss.backward()
            norm = self.clip()
            self.optimizer.step()
            self.record(loss, norm)
            self.done += 1
        return self._ended(start, steps)

    def clip_only(self, steps: int) -> float:
        """Seconds it takes to clip and record alone; gradients are those of one step, made before."""
        self.prepare()
        self.optimizer.zero_grad()
        loss = self.task.loss(self.model)
        loss.backward()
        loss = loss.detach()
        self.task.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self.record(loss, self.clip())
            self.done += 1
        return self._ended(start, steps)

    def _ended(self, start: float, steps: int) -> float:
        self.flush()
        self.task.synchronize()
        return (time.perf_counter() - start) / steps

    def prepare(self) -> None:
        """Get ready for a round; not timed."""

    def clip(self) -> torch.Tensor:
        """Clip, and record what can only be recorded around it."""
        return clip_grad_norm_(self.model.parameters(), MAX_NORM)

    def record(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Record a step; gradients are still there."""

    def flush(self) -> None:
        """Finish what is under way."""

    def close(self) -> None:
        """Give up what is open."""


class Ours(Contestant):
    """`ClipWriter`."""

    def __init__(self, task: Task, directory: Path, **settings: int) -> None:
        super().__init__(task, directory)
        self.settings = settings
        self.writer: ClipWriter | None = None

    def prepare(self) -> None:
        # Histograms thin out as a run grows: only a new run has them as often as it was asked to.
        self.close()
        self.writer = ClipWriter(self.directory / str(self.done), self.model, **self.settings)

    def clip(self) -> torch.Tensor:
        return self.writer.clip_grad_norm_(self.model.parameters(), MAX_NORM)

    def record(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        self.writer.step(loss)

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class Board(Contestant):
    """`SummaryWriter`: loss and norm of every step as scalars."""

    def __init__(self, task: Task, directory: Path) -> None:
        super().__init__(task, directory)
        self.board = SummaryWriter(str(directory))

    def record(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        self.board.add_scalar("loss", loss.item(), self.done)
        self.board.add_scalar("norm", norm.item(), self.done)

    def flush(self) -> None:
        self.board.flush()

    def close(self) -> None:
        self.board.close()


class Histograms(Board):
    """And `add_histogram` of every gradient before and after clipping, at every so many steps."""

    def __init__(self, task: Task, directory: Path, every: int) -> None:
        super().__init__(task, directory)
        self.every = every
        self.slow = every == 1

    def clip(self) -> torch.Tensor:
        self._histograms("before")
        norm = super().clip()
        self._histograms("after")
        return norm

    def _histograms(self, when: str) -> None:
        if self.done % self.every == 0:
            for name, parameter in self.model.named_parameters():
                self.board.add_histogram(f"{when}/{name}", parameter.grad, self.done)


class NormScalars(Board):
    """And the norm of every gradient as a scalar, read off the device one by one."""

    def clip(self) -> torch.Tensor:
        for name, parameter in self.model.named_parameters():
            self.board.add_scalar(f"norm/{name}", parameter.grad.norm().item(), self.done)
        return super().clip()


class LightningNorms(Board):
    """And Lightning's `grad_norm`, logged at every step.

    A LightningModule calls it at every step as well; its logger then writes one step in `log_every_n_steps`.
    """

    def __init__(self, task: Task, directory: Path) -> None:
        super().__init__(task, directory)
        self.grad_norm = importlib.import_module(f"{_lightning()}.utilities").grad_norm

    def clip(self) -> torch.Tensor:
        for name, norm in self.grad_norm(self.model, 2).items():
            self.board.add_scalar(name, norm, self.done)
        return super().clip()


class WandbWatch(Contestant):
    """`wandb.watch(log="gradients")`: histograms before clipping only; loss and norm of every step as scalars.

    Offline, so that no network is waited for, and without its capture of the console and the hardware, which ask for
    time that gradients do not need. Its files are written by a process of its own, which cannot be waited for.
    """

    def __init__(self, task: Task, directory: Path, every: int) -> None:
        super().__init__(task, directory)
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it goes to the network even when offline
        wandb = importlib.import_module("wandb")
        # One run for all: hooks of a watched model write to the run that was opened last, whichever is theirs.
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
        self.run = wandb.run or wandb.init(mode="offline", dir=self.directory, settings=settings)
        self.run.watch(self.model, log="gradients", log_freq=every, idx=every)
        self.slow = every == 1

    def record(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        self.run.log({"loss": loss.item(), "norm": norm.item()})

    def close(self) -> None:
        self.run.finish()


def _lightning() -> str | None:
    """The package to import: Lightning comes under two names, of which both have the same utilities."""
    for package, module in (("pytorch_lightning", "pytorch_lightning"), ("lightning", "lightning.pytorch")):
        if importlib.util.find_spec(package):
            return module
    return None


Make = Callable[[Task, Path], Contestant]
BARE = "bare loop with clip_grad_norm_"
OURS: dict[str, Make] = {
    "ours, default settings": Ours,
    "ours, scalars only": partial(Ours, histogram_every=0),
}
BEFORE_AND_AFTER = "SummaryWriter, histograms before and after"


def contestants() -> dict[str, Make]:
    """Those whose package is installed; a line is printed for each that is not.

    wandb's own default is a histogram in 1000 batches. It is asked for one in 50 instead, as all others are, and for
    one at every step.
    """
    everyone: dict[str, Make] = {
        BARE: Contestant,
        **OURS,
        "ours, histograms every step": partial(Ours, histogram_every=1),
        f"{BEFORE_AND_AFTER}, 50 steps": partial(Histograms, every=50),
        f"{BEFORE_AND_AFTER}, every step": partial(Histograms, every=1),
        "SummaryWriter, norm of each parameter": NormScalars,
    }
    if _lightning():
        everyone["Lightning's grad_norm to SummaryWriter"] = LightningNorms
    else:
        print("left out: Lightning's grad_norm, because neither lightning nor pytorch-lightning is installed")
    if importlib.util.find_spec("wandb"):
        everyone["wandb.watch, histograms before, 50 steps"] = partial(WandbWatch, every=50)
        everyone["wandb.watch, histograms before, every step"] = partial(WandbWatch, every=1)
    else:
        print("left out: wandb.watch, because wandb is not installed")
    return everyone


def clippers() -> dict[str, Make]:
    """Those whose clip call is compared alone."""
    return {BARE: Contestant, **OURS, "ours, histograms every 10 steps": partial(Ours, histogram_every=10)}
