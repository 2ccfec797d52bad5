"""Exploding and vanishing gradients in PyTorch: a deep network that starts with weights too large, or too small.

Backpropagation multiplies a gradient by the weights of every layer on its way down. In a network of 16 layers a factor
a little above 1 makes it explode, one a little below 1 makes it vanish. Clipping the norm tames the one; against the
other, whose gradients are gone before anything could clip them, it does nothing.

Two more runs start with weights that are somewhat too large, each with a learning rate that suits it: without clipping
a high one is not to be had, with clipping it is, and the loss falls sooner.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import nn
from tqdm import tqdm

from demo.options import experiment
from tb_gradclip.torch import ClipWriter


class Setting(NamedTuple):
    """How a run is trained.

    `scale`: of the weights, in multiples of those that keep a signal the size it is, √(2 / inputs). `max_norm`: what
    the norm of all gradients is clipped to; None for no clipping.
    """

    scale: float
    learning_rate: float
    max_norm: float | None = None


RUNS = {
    "exploding": Setting(1.35, 0.05),
    "exploding_clipped": Setting(1.35, 0.05, 1.0),
    "vanishing": Setting(0.4, 0.05),
    "vanishing_clipped": Setting(0.4, 0.05, 1.0),
    "slow_unclipped": Setting(1.2, 0.02),
    "fast_clipped": Setting(1.2, 0.1, 2.0),
}
LAYERS, WIDTH = 16, 64
STEPS = 600
BATCH = 64


def network(scale: float) -> nn.Sequential:
    """Many layers of ReLU, whose weights have this multiple of the right size."""
    layers: list[nn.Module] = []
    for _ in range(LAYERS):
        linear = nn.Linear(64 if not layers else WIDTH, WIDTH)
        nn.init.normal_(linear.weight, std=scale * (2 / linear.in_features) ** 0.5)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def train(logdir: Path, run: str, steps: int = STEPS) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/depth/`run`."""
    torch.set_num_threads(1)  # so small a model gains nothing from more
    torch.manual_seed(0)
    images, digits = (torch.tensor(array) for array in load_digits(return_X_y=True))
    setting = RUNS[run]
    model = network(setting.scale)
    optimizer = torch.optim.SGD(model.parameters(), setting.learning_rate)

    with ClipWriter(logdir / "depth" / run, model) as writer:
        for _ in tqdm(range(steps), f"depth/{run}", disable=None):
            chosen = torch.randint(len(digits), (BATCH,))
            loss = nn.functional.cross_entropy(model(images[chosen].float() / 16), digits[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch does not say
            if setting.max_norm is not None:
                writer.clip_grad_norm_(model.parameters(), setting.max_norm)
            optimizer.step()
            writer.step(loss)


if __name__ == "__main__":
    experiment(train, RUNS)
