"""A small PyTorch training that is recorded one way or another, or not at all, and what came out to the bit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tb_gradclip.torch import ClipWriter, watch

STEPS = 24
WAYS = ("writer", "watch")


class Training:
    """One training, from its beginning.

    Args:
      way: "bare", or how it is recorded: "writer" or "watch".
      logdir: where to.
      settings: those of the writer or the watch.
    """

    def __init__(self, way: str, logdir: Path | None = None, **settings: Any) -> None:
        self.random = torch.Generator().manual_seed(1)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.way, self.made = way, 0
        self.writer: ClipWriter | None = None
        self.recorder: Any = contextlib.nullcontext()
        if way == "writer":
            self.recorder = self.writer = ClipWriter(logdir or ".", self.model, **settings)
        elif way == "watch":
            self.recorder = watch(self.model, self.optimizer, logdir or ".", **settings)

    def step(self) -> bytes:
        """Make a step; the bits of its loss, and of what clipping returned."""
        x = torch.randn(4, 5, generator=self.random)
        loss = (self.model(x) - x.sum(1, keepdim=True)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        norm = self._clip()
        if self.way == "watch":
            self.recorder.log_loss(loss)
        self.optimizer.step()
        if self.writer is not None:
            self.writer.step(loss)
        self.made += 1
        return loss.detach().numpy().tobytes() + norm.detach().numpy().tobytes()

    def _clip(self) -> torch.Tensor:
        """Clip as the number of the step has it: by norm, by value, by hand, or not at all."""
        calls: Any = torch.nn.utils if self.writer is None else self.writer
        parameters, kind = list(self.model.parameters()), self.made % 4
        if kind == 0:
            return calls.clip_grad_norm_(parameters, 0.5)
        if kind == 1:
            calls.clip_grad_value_(parameters, 0.1)
        if kind == 2:
            with contextlib.nullcontext() if self.way == "bare" else self.recorder.clipping():
                for parameter in parameters:
                    parameter.grad.mul_(0.75)
        return torch.zeros(())

    @property
    def weights(self) -> bytes:
        """The bits of all weights."""
        return b"".join(parameter.detach().numpy().tobytes() for parameter in self.model.parameters())


def outcome(training: Training, steps: int = STEPS, before: Callable[[int], object] = lambda _: None) -> list[bytes]:
    """Train so many steps, with something before each of them; the bits of every step and of the weights."""
    seen = []
    with training.recorder:
        for number in range(steps):
            before(number)
            seen.append(training.step())
    return [*seen, training.weights]


def train(way: str, logdir: Path | None, begun: Callable[[], object], on_thread: bool) -> list[bytes]:
    """A training as `bugs.Train` has it."""
    settings: dict[str, Any] = {"histogram_every": 2} if on_thread else {"on_alert": [].append}
    training = Training("bare") if logdir is None else Training(way, logdir, **settings)
    begun()
    return outcome(training, before=lambda _: time.sleep(0.002 * on_thread))
