"""What a `fit` of the tests' small model must record, worked out with NumPy: forward, backward, clipping and update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.contract import apply, joint

Array = NDArray[np.float64]
COLUMNS = {"loss": "losses", "norm_before": "before", "norm_after": "after"}


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
      replicas: how many share a batch. Each clips gradients of its share of the loss, and what they leave is added up.
        Only the first one is recorded, and asked whether its gradients are finite.
    """

    weights: list[Array]
    kind: str
    threshold: float
    accumulate: int = 1
    scaled: bool = False
    replicas: int = 1
    rate: float = 0.01
    losses: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    _waiting: list[tuple[float, list[list[Array]]]] = field(default_factory=list)

    def train(self, x: Array, y: Array, batch: int) -> Loop:
        """Train on all batches in turn."""
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            self._batch(x[part].astype(np.float64), y[part].astype(np.float64))
        return self

    @np.errstate(invalid="ignore", over="ignore")
    def _batch(self, x: Array, y: Array) -> None:
        parts = zip(np.array_split(x, self.replicas), np.array_split(y, self.replicas), strict=True)
        losses, found = zip(*(gradients(self.weights, *part) for part in parts), strict=True)
        loss, each = float(np.mean(losses)), [[g / self.replicas for g in own] for own in found]
        if self.scaled and not all(np.isfinite(g).all() for g in each[0]):
            self._row(loss, each[0], each[0], True)
            return
        self._waiting.append((loss, each))
        if len(self._waiting) < self.accumulate:
            return
        losses, waited = zip(*self._waiting, strict=True)
        means = [[np.mean(g, axis=0) for g in zip(*own, strict=True)] for own in zip(*waited, strict=True)]
        clipped = [apply(self.kind, self.threshold, mean) for mean in means]
        self._row(float(np.mean(losses)), means[0], clipped[0], False)
        self._waiting = []
        self.weights = [w - self.rate * sum(g) for w, *g in zip(self.weights, *clipped, strict=True)]

    def _row(self, loss: float, before: list[Array], after: list[Array], skipped: bool) -> None:
        self.losses.append(loss)
        self.before.append(joint(before))
        self.after.append(joint(after))
        self.skipped.append(skipped)


def assert_recorded(run: Any, loop: Loop, weights: list[Any]) -> None:
    """Check every step and the weights at the end against those of the loop."""
    assert run.complete
    assert run.rule.kind == loop.kind
    assert run.steps["step"].tolist() == list(range(len(loop.losses)))
    assert run.steps["skipped"].tolist() == loop.skipped
    finite = ~np.array(loop.skipped)
    for column in ("loss", "norm_before", "norm_after"):
        found, wanted = run.steps[column], np.array(getattr(loop, COLUMNS[column]))
        assert np.isfinite(found).tolist() == finite.tolist(), column
        np.testing.assert_allclose(found[finite], wanted[finite], rtol=1e-4, err_msg=column)
    for found, wanted in zip(weights, loop.weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
