"""Handwritten digits in TensorFlow: a `GradientTape` loop with Adam, clipped by value, by norm, and not at all.

Adam divides each gradient by its own recent size, so clipping changes little here: most steps are clipped, and the
loss is much the same as without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from sklearn.datasets import load_digits
from tqdm import tqdm

from demo.options import experiment
from tb_gradclip.tensorflow import ClipWriter

RUNS = ("unclipped", "clip_by_value", "clip_by_norm")
STEPS = 800
BATCH = 64


def batches() -> tf.data.Dataset:
    """Endless shuffled batches of 1797 images of 8 x 8 pixels, and the digits they show."""
    images, digits = load_digits(return_X_y=True)
    data = tf.data.Dataset.from_tensor_slices(((images / 16).astype("float32"), digits))
    return data.shuffle(len(digits), seed=0).repeat().batch(BATCH)


def train(logdir: Path, run: str, steps: int = STEPS) -> None:
    """Train one of `RUNS` from scratch and record it in `logdir`/digits/`run`."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-3)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = model.trainable_variables
    writer = ClipWriter(logdir / "digits" / run, variables)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def train_step(images: Any, digits: Any) -> None:
        with tf.GradientTape() as tape:
            loss = loss_of(digits, model(images, training=True))
        gradients = tape.gradient(loss, variables)
        if run == "clip_by_value":
            gradients = writer.clip_by_value(gradients, -0.05, 0.05)
        elif run == "clip_by_norm":
            gradients = writer.clip_by_norm(gradients, 0.25)
        else:
            writer.observe(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        writer.step(loss)

    for images, digits in tqdm(batches().take(steps), f"digits/{run}", steps, disable=None):
        train_step(images, digits)
    writer.close()


if __name__ == "__main__":
    experiment(train, RUNS)
