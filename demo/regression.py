"""Regression in Keras on inputs raised to a power, until the loss without clipping is NaN; there also with clipping.

The target is linear in inputs that are normally distributed. Raised to the third power they are as heavy-tailed as data
that nobody has scaled: now and then one example gives a gradient thousands of times as large as the others do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import keras
from sklearn.datasets import make_regression

from demo.options import experiment
from demo.progress import Progress
from tb_gradclip.keras import ClipCallback


class Setting(NamedTuple):
    """The power that inputs are raised to, and what the optimizer is told to clip."""

    power: int
    clipping: dict[str, float]


RUNS = {
    "power_1": Setting(1, {}),
    "power_2": Setting(2, {}),
    "unclipped": Setting(3, {}),
    "clipnorm_1": Setting(3, {"clipnorm": 1.0}),
    "clipvalue_3": Setting(3, {"clipvalue": 3.0}),
}
EPOCHS = 5
BATCH = 64


def train(logdir: Path, run: str, epochs: int = EPOCHS) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/regression/`run`."""
    keras.utils.set_random_seed(1)
    power, clipping = RUNS[run]
    inputs, targets = make_regression(n_samples=10_000, n_features=30, noise=0.1, random_state=1)
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])
    optimizer: Any = keras.optimizers.SGD(learning_rate=1e-3, momentum=0.9, **clipping)
    model.compile(optimizer, loss="mean_squared_error")
    model.fit(
        inputs**power,
        targets,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[ClipCallback(logdir / "regression" / run), Progress(f"regression/{run}")],
    )


if __name__ == "__main__":
    experiment(train, RUNS)
