"""A convolutional network in PyTorch: `clip_grad_value_(1.0)`, `clip_grad_norm_(2.0)`, and no clipping.

By default it learns scikit-learn's digits, 8 x 8 pixels. `--data cifar10` has torchvision download CIFAR-10, 32 x 32 in
colour; `--data DIRECTORY` takes it from there, as https://www.cs.toronto.edu/~kriz/cifar.html has it (python version).
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from tqdm import tqdm

from demo.options import experiment
from tb_gradclip.torch import ClipWriter

RUNS = ("unclipped", "value_1", "norm_2")
STEPS = 500
BATCH = 64
LEARNING_RATE = 0.1

Data = tuple[torch.Tensor, torch.Tensor]
"""Images, shape [n, channels, height, width], values from 0 to 1, and what is on them, shape [n]."""


def load(data: str | None) -> Data:
    """The data of a name or a directory.

    Raises:
      SystemExit: there are none; says what to do.
    """
    if data in (None, "digits"):
        digits = load_digits()
        return torch.tensor(digits.images).float()[:, None] / 16, torch.tensor(digits.target)
    if data == "cifar10":
        return _from_torchvision()
    return cifar10(Path(str(data)))


def _from_torchvision() -> Data:
    try:
        from torchvision.datasets import CIFAR10
    except ImportError as error:
        raise SystemExit(
            "--data cifar10 needs torchvision, which is not installed. Install it: pip install torchvision. "
            "Or download CIFAR-10 yourself and give --data its directory."
        ) from error
    found = CIFAR10("runs/data", download=True)
    return torch.tensor(found.data).permute(0, 3, 1, 2).float() / 255, torch.tensor(found.targets)


def cifar10(directory: Path) -> Data:
    """CIFAR-10 from the files `data_batch_1` to `data_batch_5`, in the directory or in `cifar-10-batches-py` below it.

    Raises:
      SystemExit: they are not there.
    """
    files = sorted(directory.glob("data_batch_*")) or sorted((directory / "cifar-10-batches-py").glob("data_batch_*"))
    if not files:
        raise SystemExit(
            f"--data must be digits, cifar10, or a directory with data_batch_1 to data_batch_5 of CIFAR-10, "
            f"got {str(directory)!r}, where there are none."
        )
    batches = [pickle.loads(file.read_bytes(), encoding="bytes") for file in files]
    images = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch[b"labels"] for batch in batches])
    return torch.tensor(images).float() / 255, torch.tensor(labels)


def network(channels: int, size: int) -> nn.Sequential:
    """Two convolutions and two dense layers."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def train(logdir: Path, run: str, data: str | None = None, steps: int = STEPS) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/convnet/`run`."""
    images, labels = load(data)
    torch.manual_seed(0)
    if data is None:
        torch.set_num_threads(1)  # so small a model gains nothing from more
    model = network(images.shape[1], images.shape[2])
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=0.9)

    with ClipWriter(logdir / "convnet" / run, model) as writer:
        for _ in tqdm(range(steps), f"convnet/{run}", disable=None):
            chosen = torch.randint(len(labels), (BATCH,))
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch does not say
            if run == "value_1":
                writer.clip_grad_value_(model.parameters(), clip_value=1.0)
            elif run == "norm_2":
                writer.clip_grad_norm_(model.parameters(), max_norm=2.0)
            optimizer.step()
            writer.step(loss)


if __name__ == "__main__":
    experiment(train, RUNS, data="digits (the default), cifar10 (through torchvision), or a directory with CIFAR-10")
