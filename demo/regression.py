"""Regression in Keras on inputs of very uneven size: the loss becomes NaN within a few steps, unless `fit` clips.

The target is linear in inputs that are normally distributed. The network gets them raised to the third power, as
heavy-tailed as data that nobody has scaled: now and then one example gives a gradient thousands of times as large as
the others do. At power 1 the same network trains without clipping.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
from sklearn.datasets import make_regression
from tqdm import tqdm

from tb_gradclip.keras import ClipCallback

RUNS: dict[str, dict[str, float]] = {
    "unclipped": {},
    "clipnorm_1": {"clipnorm": 1.0},
    "clipvalue_3": {"clipvalue": 3.0},
}
POWER = 3
EPOCHS = 5
BATCH = 64


def train(logdir: Path, run: str, epochs: int = EPOCHS) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/regression/`run`."""
    keras.utils.set_random_seed(1)
    inputs, targets = make_regression(n_samples=10_000, n_features=30, noise=0.1, random_state=1)
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(learning_rate=1e-3, momentum=0.9, **RUNS[run])
    model.compile(optimizer, loss="mean_squared_error")
    model.fit(
        inputs**POWER,
        targets,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[ClipCallback(logdir / "regression" / run), Progress(f"regression/{run}")],
    )


class Progress(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A progress bar over all batches of all epochs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def on_train_begin(self, logs: Any = None) -> None:
        """Draw it."""
        self.bar = tqdm(desc=self.name, total=self.params["epochs"] * self.params["steps"], disable=None)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move it on."""
        self.bar.update()

    def on_train_end(self, logs: Any = None) -> None:
        """Leave it complete."""
        self.bar.close()


if __name__ == "__main__":
    for name in RUNS:
        train(Path(sys.argv[1]), name)
