"""What every adapter must record, worked out by brute force from the gradients themselves.

An adapter supplies one function that feeds given gradients through its clip calls and returns what came out. The rest
is the same for all: `Expected` computes with NumPy, on whole arrays and in float64, what the log has to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tb_gradclip
from tb_gradclip.core.histogram import Distribution, count, distribution

Array = NDArray[np.float32]
Steps = list[list[Array]]
Record = Callable[[str, str, float, Steps, list[float]], Steps]

SHAPES = ((7, 5), (11,), (1,), (3, 2, 2))


def healthy(steps: int = 40, seed: int = 0) -> tuple[Steps, list[float]]:
    """Gradients of four parameters and losses: some steps above any threshold of the suite, some below, some zero."""
    rng = np.random.default_rng(seed)
    gradients = []
    for step in range(steps):
        size = 0.0 if step == 3 else 10.0 ** rng.uniform(-3, 1.5)
        gradients.append([(rng.standard_t(3, shape) * size).astype(np.float32) for shape in SHAPES])
    return gradients, np.abs(rng.normal(2, 0.1, steps)).astype(np.float32).tolist()


def broken() -> tuple[Steps, list[float]]:
    """One NaN, one infinity, one overflowing norm and one NaN loss among healthy steps."""
    gradients, losses = healthy(12, seed=1)
    gradients[3][0][2, 1] = np.nan
    gradients[5][1][4] = -np.inf
    gradients[7][3][:] = 1e30
    losses[9] = float("nan")
    return gradients, losses


@np.errstate(invalid="ignore")
def apply(kind: str, threshold: float, step: list[Array], order: float = 2.0) -> list[NDArray[np.float64]]:
    """Clip one step's gradients by the definition, in float64; `order` is the p of the norm."""
    wide = [g.astype(np.float64) for g in step]
    if kind == "value":
        return [np.clip(g, -threshold, threshold) for g in wide]
    if kind == "norm":
        return [g * min(1.0, threshold / max(np.linalg.norm(g), 1e-300)) for g in wide]
    if kind == "global_norm":
        return [g * min(1.0, threshold / max(joint(wide, order), 1e-300)) for g in wide]
    if kind == "custom":
        return [g * threshold for g in wide]
    if kind == "groups":
        return apply("global_norm", threshold, step[:2], order) + apply("global_norm", 2 * threshold, step[2:], order)
    return wide


def joint(step: Sequence[NDArray[np.floating]], order: float = 2.0) -> float:
    """Norm of all gradients of a step together; with p = 0, the number of those that are not zero everywhere."""
    if order == 0:
        return float(sum(g.any() for g in step))
    return float(np.linalg.norm(np.concatenate([g.ravel() for g in step]).astype(np.float64), order))


@dataclass(frozen=True)
class Expected:
    """What the log must say of one step."""

    norm_before: float
    norm_after: float
    coefficient: float
    clipped: bool
    nonfinite: int

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, kind: str, threshold: float, step: list[Array], order: float = 2.0) -> Expected:
        """Worked out from the gradients before and after."""
        wide = [g.astype(np.float64) for g in step]
        after = apply(kind, threshold, step, order)
        before = joint(wide, order)
        return cls(
            norm_before=before,
            norm_after=joint(after, order),
            coefficient=1.0
            if not before
            else joint(after) / joint(wide)
            if order == 0
            else joint(after, order) / before,
            clipped=any((a != b).any() for a, b in zip(wide, after, strict=True)),
            # In float32, as the libraries do. A count, p = 0, is finite whatever is counted, so there L2 tells.
            nonfinite=sum(not np.isfinite((np.square(g) if order in (0, 2) else np.abs(g)).sum()) for g in step),
        )


def assert_recorded(run: tb_gradclip.Run, kind: str, before: Steps, after: Steps, losses: list[float]) -> None:
    """Check every row of a run against gradients, before and after clipping, and losses that its loop saw."""
    assert run.complete
    assert run.rule.kind == kind
    assert run.steps["step"].tolist() == list(range(len(before)))
    np.testing.assert_allclose(run.steps["loss"], losses, rtol=1e-6)
    np.testing.assert_allclose(run.steps["norm_before"], list(map(joint, before)), rtol=1e-5)
    np.testing.assert_allclose(run.steps["norm_after"], list(map(joint, after)), rtol=1e-5)
    changed = [any((a != b).any() for a, b in zip(*step, strict=True)) for step in zip(before, after, strict=True)]
    assert run.steps["clipped"].tolist() == changed


def assert_holds(found: Distribution, values: NDArray[np.float32], tolerance: float = 1e-5) -> None:
    """Check a distribution against the values it is of; bins may be off by rounding at their edges."""
    exact = distribution(count(values))
    assert (found.size, found.nan) == (exact.size, exact.nan)
    assert (found.positive_infinity, found.negative_infinity) == (exact.positive_infinity, exact.negative_infinity)
    assert found.zero == exact.zero
    finite = np.sort(values[np.isfinite(values) & (values != 0)].astype(np.float64))
    below = np.cumsum(found.counts)
    slack = tolerance * np.abs(found.high)
    assert (np.searchsorted(finite, found.high - slack) <= below + 1e-6).all()
    assert (np.searchsorted(finite, found.high + slack, side="right") >= below - 1e-6).all()
