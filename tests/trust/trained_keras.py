"""A small `fit` on whatever backend Keras has, recorded or not, and what came out to the bit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from tb_gradclip.keras import ClipCallback

STEPS = 12
SPOILT = 7
"""Batch with an infinite input where the loss is scaled, so that its update is skipped."""


def fitted(
    callback: Any,
    before: Callable[[int], object] = lambda _: None,
    fits: int = 1,
    *,
    scaled: bool = False,
    begun: Callable[[], object] = lambda: None,
    **compiled: Any,
) -> list[bytes]:
    """The bits of every loss and of the weights.

    Args:
      callback: what records it, or None.
      before: called with the number of a batch before it.
      fits: how many of them, one after the other.
      scaled: whether to scale the loss, and to accumulate gradients over two batches.
      begun: called when all is ready for the first batch of a fit.
      compiled: other settings of `compile`.
    """
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(4 * STEPS, 5)).astype("float32")
    y = x.sum(1)
    optimizer: Any = keras.optimizers.Adam(0.01, clipnorm=0.1)
    if scaled:
        inner = keras.optimizers.Adam(0.01, clipvalue=0.1, gradient_accumulation_steps=2)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=64.0)
        x[4 * SPOILT, 3] = np.inf
    model.compile(optimizer, loss="mse", **compiled)
    seen = []

    class Batches(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            before(batch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(np.float64(logs["loss"]).tobytes())

    class Begun(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            begun()

    callbacks = [Batches(), *([callback] if callback else []), Begun()]
    for _ in range(fits):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=callbacks)
    return [*seen, *(np.asarray(weight).tobytes() for weight in model.get_weights())]


def train(settings: dict[str, Any], logdir: Path | None, begun: Callable[[], object], on_thread: bool) -> list[bytes]:
    """A training as `bugs.Train` has it."""
    recorded: dict[str, Any] = {"histogram_every": 1} if on_thread else {"on_alert": [].append, "histogram_every": 2}
    callback = ClipCallback(logdir, **recorded) if logdir else None
    return fitted(callback, lambda _: time.sleep(0.005 * on_thread), begun=begun, **settings)
