"""What a `fit` of the tests' small model must record, worked out with NumPy: forward, backward, clipping and update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.contract import apply, joint

Array = NDArray[np.float64]


def gradients(weights: Sequence[Array], x: Array, y: Array) -> tuple[float, list[Array]]:
    """Mean squared error of `Dense(relu), Dense` and its gradients: kernel, bias, kernel, bias."""
    first, shift, second, offset = weights
    hidden = x @ first + shift
    active = np.maximum(hidden, 0)
    error = active @ second + offset - y
    back = 2 * error / error.size
    inner = (back @ second.T) * (hidden > 0)
    return float(np.mean(error**2)), [x.T @ inner, inner.sum(0), active.T @ back, back.sum(0)]


@dataclass
class Loop:
    """Plain gradient descent as Keras goes about it, one batch at a time.

    Args:
      weights: at first; what they become is found here too.
      kind, threshold: of the clipping.
      accumulate: batches whose gradients are averaged for one update.
      scaled: whether an update with a number that is not finite is skipped, as a `LossScaleOptimizer` does.
    """

    weights: list[Array]
    kind: str
    threshold: float
    accumulate: int = 1
    scaled: bool = False
    rate: float = 0.01
    losses: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    _waiting: list[tuple[float, list[Array]]] = field(default_factory=list)

    def train(self, x: Array, y: Array, batch: int) -> Loop:
        """Train on all batches in turn."""
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            self._batch(x[part].astype(np.float64), y[part].astype(np.float64))
        return self

    @np.errstate(invalid="ignore", over="ignore")
    def _batch(self, x: Array, y: Array) -> None:
        loss, found = gradients(self.weights, x, y)
        if self.scaled and not all(np.isfinite(g).all() for g in found):
            self._row(loss, found, found, True)
            return
        self._waiting.append((loss, found))
        if len(self._waiting) < self.accumulate:
            return
        losses, each = zip(*self._waiting, strict=True)
        mean = [np.mean(parts, axis=0) for parts in zip(*each, strict=True)]
        clipped = apply(self.kind, self.threshold, mean)
        self._row(float(np.mean(losses)), mean, clipped, False)
        self._waiting = []
        self.weights = [w - self.rate * g for w, g in zip(self.weights, clipped, strict=True)]

    def _row(self, loss: float, before: list[Array], after: list[Array], skipped: bool) -> None:
        self.losses.append(loss)
        self.before.append(joint(before))
        self.after.append(joint(after))
        self.skipped.append(skipped)
