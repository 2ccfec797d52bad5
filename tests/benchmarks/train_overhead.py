"""What recording adds to a training step in PyTorch, beside what a user would do instead.

    python -m tests.benchmarks.train_overhead [--model lstm|mlp] [--rounds 7]

All contestants train copies of the same model in one process, in turns of a few steps each, so that a machine that
speeds up or slows down does it for all. Printed is the median time of a step, and its ratio to the bare loop's within
the same round: median and the quartiles around it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.tensorboard import SummaryWriter

from tb_gradclip.torch import ClipWriter

Step = Callable[[nn.Module, torch.Tensor, Callable[[], None]], None]


class LanguageModel(nn.Module):
    """A character LSTM of 1.4 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(96, 128)
        self.lstm = nn.LSTM(128, 320, num_layers=2, batch_first=True)
        self.head = nn.Linear(320, 96)

    def forward(self) -> torch.Tensor:
        characters = torch.randint(96, (16, 49))
        hidden, _ = self.lstm(self.embedding(characters[:, :-1]))
        return nn.functional.cross_entropy(self.head(hidden).transpose(1, 2), characters[:, 1:])


class SmallTensors(nn.Module):
    """160 matrices of 64 x 64, whose step costs little more than visiting them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ParameterList(torch.randn(64, 64) / 8 for _ in range(160))

    def forward(self) -> torch.Tensor:
        state = torch.randn(8, 64)
        for layer in self.layers:
            state = torch.tanh(state @ layer)
        return state.square().mean()


MODELS: dict[str, Callable[[], nn.Module]] = {"lstm": LanguageModel, "mlp": SmallTensors}


class Contestant:
    """A model with its optimizer, and the way it clips and records."""

    def __init__(self, make: Callable[[], nn.Module], way: str, logdir: Path) -> None:
        torch.manual_seed(0)
        self.model = make()
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01)
        every = {"ours": {}, "ours, no histograms": {"histogram_every": 0}, "ours, every step": {"histogram_every": 1}}
        self.writer = ClipWriter(logdir / way, self.model, **every[way]) if way in every else None
        self.board = SummaryWriter(str(logdir / way)) if way.startswith("add_histogram") else None
        self.every = 50 if way.endswith("50 steps") else 1
        self.done = 0

    def train(self, steps: int) -> float:
        """Seconds a step takes."""
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = self.model()
            loss.backward()
            self.clip()
            self.optimizer.step()
            if self.writer is not None:
                self.writer.step(loss)
            self.done += 1
        return (time.perf_counter() - start) / steps

    def clip(self) -> None:
        if self.writer is not None:
            self.writer.clip_grad_norm_(self.model.parameters(), 0.25)
            return
        self.histograms("before")
        norm = clip_grad_norm_(self.model.parameters(), 0.25)
        self.histograms("after")
        if self.board is not None:
            self.board.add_scalar("norm", norm, self.done)

    def histograms(self, when: str) -> None:
        if self.board is not None and self.done % self.every == 0:
            for name, parameter in self.model.named_parameters():
                self.board.add_histogram(f"{when}/{name}", parameter.grad, self.done)


WAYS = (
    "bare",
    "ours",
    "ours, no histograms",
    "ours, every step",
    "add_histogram, 50 steps",
    "add_histogram, every step",
)


def main() -> None:
    """Run the contest and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="lstm")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=50, help="steps of each contestant in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        contestants = {way: Contestant(MODELS[options.model], way, Path(directory)) for way in WAYS}
        for contestant in contestants.values():
            contestant.train(5)
        times = {way: np.empty(options.rounds) for way in WAYS}
        for turn in range(options.rounds):
            for way, contestant in contestants.items():
                # What happens at every step is seen in ten; what happens at one in fifty needs fifty.
                times[way][turn] = contestant.train(10 if "every" in way else options.steps)
    print(f"{options.model}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for way in WAYS:
        low, ratio, high = np.percentile(times[way] / times["bare"], [25, 50, 75])
        print(f"{way:27} {1e3 * np.median(times[way]):8.2f} ms   {ratio:6.3f} x   ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
