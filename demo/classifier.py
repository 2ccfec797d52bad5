"""Handwritten digits in Keras: `fit` with the optimizer's own `clipnorm` and `clipvalue`, and without.

Adam with a learning rate that is a little too high. By default the digits are scikit-learn's, 1797 of 8 x 8 pixels;
`--data mnist` trains on MNIST, 60,000 of 28 x 28, which Keras downloads once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from sklearn.datasets import load_digits

from demo.options import experiment
from demo.progress import Progress
from tb_gradclip.keras import ClipCallback

RUNS: dict[str, dict[str, float]] = {
    "unclipped": {},
    "clipnorm": {"clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.01},
}
EPOCHS = 25
MNIST_EPOCHS = 2
BATCH = 64


def images_and_digits(data: str | None) -> tuple[Any, Any]:
    """Images with values from 0 to 1, shape [n, height, width], and the digits they show, shape [n].

    Raises:
      SystemExit: there are no such data.
    """
    if data in (None, "digits"):
        digits = load_digits()
        return digits.images / 16, digits.target
    if data == "mnist":
        (images, labels), _ = keras.datasets.mnist.load_data()
        return images / 255, labels
    raise SystemExit(f"--data of the classifier must be `digits` or `mnist`, got {data!r}.")


def train(logdir: Path, run: str, data: str | None = None) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/classifier/`run`."""
    keras.utils.set_random_seed(0)
    images, digits = images_and_digits(data)
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(0.01, **RUNS[run])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        images,
        digits,
        batch_size=BATCH,
        epochs=MNIST_EPOCHS if data == "mnist" else EPOCHS,
        verbose=0,
        callbacks=[ClipCallback(logdir / "classifier" / run), Progress(f"classifier/{run}")],
    )


if __name__ == "__main__":
    experiment(train, RUNS, data="digits (scikit-learn's, the default) or mnist (downloaded by Keras)")
