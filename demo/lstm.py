"""A character LSTM in PyTorch that explodes, and two ways to keep it from that.

All three runs start from the same weights, see the same batches and raise the learning rate the same way. Without
clipping, loss falls until the learning rate gets high; then large gradients throw the weights far away from
everything learned, sooner or later for good. Clipped, the same learning rate does no harm.
"""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

import torch
from torch import nn
from tqdm import tqdm

from demo.options import experiment
from tb_gradclip import Alert
from tb_gradclip.torch import ClipWriter

RUNS = ("unclipped", "global_norm", "value")
STEPS = 700
PEAK_LEARNING_RATE = 45.0
WARM_UP_STEPS = 350
BATCH, LENGTH = 20, 48

TEXT = "\n".join(text for _, text in sorted(topics.items()))  # half a megabyte of English about Python
CHARACTERS = sorted(set(TEXT))
DATA = torch.tensor([CHARACTERS.index(character) for character in TEXT])


class CharacterModel(nn.Module):
    """Predicts the next character of a text at each of its places."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), 32)
        self.lstm = nn.LSTM(32, 128, batch_first=True)
        self.head = nn.Linear(128, len(CHARACTERS))

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """Logits [batch, place, character] for characters [batch, place]."""
        hidden, _ = self.lstm(self.embedding(characters))
        logits: torch.Tensor = self.head(hidden)
        return logits


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Random stretches of the text, and the same moved on by one character."""
    starts = torch.randint(len(DATA) - LENGTH, (BATCH, 1))
    characters = DATA[starts + torch.arange(LENGTH + 1)]
    return characters[:, :-1], characters[:, 1:]


def train(logdir: Path, run: str, steps: int = STEPS) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/lstm/`run`."""
    torch.set_num_threads(1)  # so small a model gains nothing from more
    torch.manual_seed(0)
    model = CharacterModel()
    optimizer = torch.optim.SGD(model.parameters(), PEAK_LEARNING_RATE)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP_STEPS))

    def notify(alert: Alert) -> None:
        """Say at once that the loss jumped, above the progress bar."""
        tqdm.write(f"lstm/{run}: step {alert.step}: {alert.message}")

    with ClipWriter(logdir / "lstm" / run, model, on_alert=[(("spike", "divergence", "nonfinite"), notify)]) as writer:
        for _ in tqdm(range(steps), f"lstm/{run}", disable=None):
            inputs, targets = batch()
            loss = nn.functional.cross_entropy(model(inputs).transpose(1, 2), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch does not say
            if run == "global_norm":
                writer.clip_grad_norm_(model.parameters(), max_norm=0.25)
            elif run == "value":
                writer.clip_grad_value_(model.parameters(), clip_value=0.003)
            optimizer.step()
            warm_up.step()
            writer.step(loss)


if __name__ == "__main__":
    experiment(train, RUNS)
