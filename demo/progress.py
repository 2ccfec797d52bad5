"""A progress bar for Keras, in place of its own, which takes a line an epoch."""

from __future__ import annotations

from typing import Any

import keras
from tqdm import tqdm


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
