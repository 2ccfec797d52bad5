"""How gradients are clipped, and what that does to their norms.

A `Rule` says what a clip call did; `outcome` derives what follows for the norms, so that an adapter has to measure
gradients once, before clipping. Where *after* cannot be derived (`value`, `adaptive`, `custom`) the adapter measures
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KINDS = ("none", "value", "norm", "global_norm", "adaptive", "custom")
"""Every kind of rule; its position is its code in a ring of measurements."""

TORCH_EPSILON = 1e-6
"""`torch.nn.utils.clip_grad_norm_` divides by norm + 1e-6; TensorFlow and Keras add nothing."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One way of clipping.

    Args:
      kind: one of `KINDS`. `value` limits each element to [low, high]; `norm` scales each variable whose own norm
        exceeds the threshold; `global_norm` scales all gradients by one factor when their joint norm does;
        `adaptive` has thresholds of its own; `custom` is any other change; `none` leaves gradients alone.
      threshold: largest norm (`norm`, `global_norm`) or largest magnitude (symmetric `value`); NaN where there is none.
      low, high: the bounds of `value`; NaN for every other kind.
      epsilon: what the library adds to the norm before it divides.
      norm_type: the p of the p-norm that is compared with the threshold.
      nan_at_limits: whether the library's formula gives NaN where others give a limit: for an infinite global norm,
        and for a norm of 0 at a threshold of 0. TensorFlow and Keras do.
    """

    kind: str
    threshold: float = math.nan
    low: float = math.nan
    high: float = math.nan
    epsilon: float = 0.0
    norm_type: float = 2.0
    nan_at_limits: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, got {self.kind!r}.")

    @classmethod
    def by_value(cls, low: float, high: float) -> Rule:
        """Clamp every element to [low, high]; the threshold is `high` when the bounds are symmetric."""
        return cls("value", threshold=high if low == -high else math.nan, low=low, high=high)

    def __eq__(self, other: object) -> bool:
        """Whether all is the same; so is a bound that neither has, which as NaN is unequal to itself."""
        return isinstance(other, Rule) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return tuple(None if value != value else value for value in vars(self).values())  # noqa: PLR0124 - NaN is not

    def at(self, threshold: float) -> Rule:
        """The same rule with the threshold it had at some step; a symmetric `value` moves its bounds along."""
        if math.isnan(threshold):
            return self
        if self.kind == "value":
            return replace(self, threshold=threshold, low=-threshold, high=threshold)
        return replace(self, threshold=threshold)

    @property
    def measures_after(self) -> bool:
        """Whether norms after clipping have to be measured because no formula gives them."""
        return self.kind in ("value", "adaptive", "custom")

    @property
    def text(self) -> str:
        """The rule in a few characters, for people."""
        if self.kind == "value":
            if not math.isnan(self.threshold):
                return f"value ± {self.threshold:g}"
            return f"value in [{self.low:g}, {self.high:g}]"
        if self.kind in ("norm", "global_norm"):
            order = "" if self.norm_type == 2.0 else f" (p = {self.norm_type:g})"
            return f"{'norm of each' if self.kind == 'norm' else 'global norm'} ≤ {self.threshold:g}{order}"
        return self.kind

    def to_json(self) -> dict[str, Any]:
        """Fields that are set, ready for JSON: it has neither NaN, which is left out, nor infinity, which is text."""
        fields = asdict(self)
        numbers = {key: value for key, value in fields.items() if isinstance(value, float)}
        fields.update({key: str(value) for key, value in numbers.items() if math.isinf(value)})
        return {key: value for key, value in fields.items() if not math.isnan(numbers.get(key, 0.0))}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Rule:
        """The rule that `to_json` wrote; fields of a newer version are ignored. `ValueError` if it is no rule."""
        known = cls.__dataclass_fields__
        kept = {key: value for key, value in fields.items() if key in known}
        typed: dict[str, Any] = {k: float(v) if known[k].type == "float" else v for k, v in kept.items()}
        rule = cls(**{**typed, "nan_at_limits": bool(typed.get("nan_at_limits"))})
        if not (0 <= rule.epsilon < math.inf and rule.norm_type >= 0):
            raise ValueError(f"`epsilon` and `norm_type` must be 0 or more, got {rule.epsilon} and {rule.norm_type}.")
        return rule


class Outcome(NamedTuple):
    """What clipping did at T steps to P parameters."""

    coefficient: Floats  # [T]
    norm_after: Floats  # [T]
    clipped: NDArray[np.bool_]  # [T]
    norms_after: Floats  # [T, P]
    parameters_clipped: NDArray[np.bool_]  # [T, P]


def scale(norms: Floats, threshold: Floats | float, epsilon: float = 0.0) -> Floats:
    """Factor that brings a norm under a threshold: min(1, threshold / (norm + epsilon)).

    A norm of 0 gives 1 (also for threshold 0 without epsilon), infinity gives 0, NaN gives NaN.
    Sources: `torch/nn/utils/clip_grad.py` (epsilon 1e-6), `tensorflow/python/ops/clip_ops.py` (0).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.divide(threshold, norms + epsilon)
    return np.where(norms == 0, 1.0, np.minimum(1.0, factor))


def _scale_by(rule: Rule, norms: Floats, thresholds: Floats) -> Floats:
    """Factor of a norm kind, with what the rule says of limits."""
    factor = scale(norms, thresholds, rule.epsilon)
    if not rule.nan_at_limits:
        return factor
    undefined = (norms == 0) & (thresholds == 0)
    if rule.kind == "global_norm":
        undefined = undefined | np.isinf(norms)
    return np.where(undefined, np.nan, factor)


def _times(factors: Floats, norms: Floats, norm_type: float) -> Floats:
    """Norms of what was multiplied by the factors. The norm with p = 0 counts, and only a factor of 0 changes that."""
    with np.errstate(invalid="ignore"):
        products = np.asarray(factors * norms)
    return np.where((factors > 0) & np.isfinite(norms), norms, products) if norm_type == 0 else products


def parameter_coefficients(
    rule: Rule, thresholds: Floats, norm_before: Floats, norms_before: Floats, factors: Floats | None = None
) -> Floats | None:
    """Factor that each parameter was scaled by, shape [T, P]; None for rules that do not scale. See `outcome`."""
    if rule.kind == "global_norm":
        factor = _scale_by(rule, norm_before, thresholds) if factors is None else factors
        return np.broadcast_to(factor[:, None], norms_before.shape)
    if rule.kind == "norm":
        return _scale_by(rule, norms_before, thresholds[:, None])
    return None


def outcome(
    rule: Rule,
    thresholds: Floats,
    norm_before: Floats,
    norms_before: Floats,
    norms_after: Floats | None = None,
    changed: NDArray[np.bool_] | None = None,
    factors: Floats | None = None,
) -> Outcome:
    """Derive what a rule did at T steps from norms measured before it (and after it, where it `measures_after`).

    Args:
      rule: its kind, epsilon and norm type; the thresholds of the steps come apart because they may be scheduled.
      thresholds: shape [T].
      norm_before: joint norms, shape [T], as the library itself computed them, or more precisely.
      norms_before: norms of each parameter, shape [T, P]; P may be 0.
      norms_after: the same after clipping; required where `rule.measures_after`.
      changed: shape [T, P], whether clipping changed any element; by default, whether it changed the norm. A clamp
        that cuts one element in a million leaves the norm as it was, so `value` adapters measure this.
      factors: shape [T], for `global_norm`: what the library multiplied by, where that does not follow from
        `norm_before`, because it computes in half precision, say. It comes with what was `changed`.

    Returns:
      `coefficient` is the factor applied under `global_norm`; elsewhere no single factor exists and it is the ratio
      norm_after / norm_before, 1 for a norm of 0. `clipped` is norm > threshold (strictly: a factor of 0.9999999 that
      comes from epsilon is no clipping) for `global_norm`, any parameter's norm > threshold for `norm`, and any
      parameter `changed` for the measured kinds. A step whose norm is NaN or infinite is never `clipped`; its
      after-norms follow the arithmetic (infinity x 0 = NaN).
    """
    finite = np.isfinite(norm_before)
    each = parameter_coefficients(rule, thresholds, norm_before, norms_before, factors)
    if rule.kind == "global_norm" and each is not None:
        factor = _scale_by(rule, norm_before, thresholds) if factors is None else factors
        clipped = finite & (norm_before > thresholds if changed is None else changed.any(axis=1))
        after, norms_after = (
            _times(factor, norm_before, rule.norm_type),
            _times(each, norms_before, rule.norm_type),
        )
        return Outcome(factor, after, clipped, norms_after, clipped[:, None] & (norms_before != 0))
    if each is not None:
        norms_after, changed = _times(each, norms_before, rule.norm_type), norms_before > thresholds[:, None]
    elif not rule.measures_after:
        norms_after, changed = norms_before, np.zeros(norms_before.shape, bool)
    elif norms_after is None:
        raise ValueError(f"a rule of kind {rule.kind!r} needs norms measured after clipping, got none.")
    if changed is None:
        changed = np.asarray(norms_after != norms_before)
    changed = changed & finite[:, None]
    clipped = np.asarray(changed.any(axis=1))
    # Unclipped steps keep the library's own norm to the last bit instead of one summed in another order.
    after = np.where(clipped | ~finite, joint_norm(norms_after, rule.norm_type), norm_before)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratio = np.where(norm_before == 0, 1.0, after / norm_before)
    return Outcome(ratio, after, clipped, norms_after, changed)


def joint_norm(norms: Floats, norm_type: float = 2.0) -> Floats:
    """p-norm over the last axis: the norm of all parameters together, from the norms of each. Empty gives 0."""
    if norms.shape[-1] == 0:
        return np.zeros(norms.shape[:-1])
    return np.asarray(np.linalg.norm(norms, ord=norm_type, axis=-1), np.float64)
