"""A clip call: what is measured of it on the device, and what that says once it is on the host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tb_gradclip.core.rules import TORCH_EPSILON, Floats, Rule, joint_norm, outcome

HALF = {torch.float16, torch.bfloat16}


@dataclass
class Call:
    """One clip call: the parameters it saw, and vectors of their norms."""

    rule: Rule
    indices: list[int]
    norms: torch.Tensor  # [k]
    total: torch.Tensor | None = None  # joint norm, where the library computed it
    after: torch.Tensor | None = None  # [k], where no formula gives it
    changed: torch.Tensor | None = None  # [k], where a norm would not show it
    lengths: torch.Tensor | None = None  # [k], L2 norms, where the others are of another order
    scale: torch.Tensor | None = None  # what a loss scaler had multiplied gradients by
    rounded: bool = False  # whether the library computes with less precise norms than ours
    superseded: bool = False  # by a later call for the same parameters, whose gradients have changed
    seen: tuple[int, int] = (0, 0)  # what tells whether its gradients have changed since

    def vectors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        given = (self.norms, self.total, self.after, self.changed, self.lengths, self.scale)
        return [vector.reshape(-1) for vector in given if vector is not None]

    @property
    def signature(self) -> tuple[object, ...]:
        """Calls that agree in this are read together; thresholds may differ."""
        rule = self.rule
        bounds = (rule.low, rule.high) if rule.kind == "value" else ()
        given = [vector is not None for vector in (self.after, self.changed, self.lengths, self.scale)]
        computed = None if self.total is None else self.total.dtype
        return rule.kind, bounds, rule.norm_type, given, computed, self.rounded, self.indices

    def read(self, numbers: Numbers, thresholds: Floats, parameters: int) -> HostCall:
        """Take the numbers of T such calls off the front of `numbers`."""

        def take() -> Floats:
            whole = np.zeros((len(thresholds), parameters))
            whole[:, self.indices] = numbers.take(len(self.indices)).T
            return whole

        norms = take()
        computed = numbers.take(1)[0] if self.total is not None else None
        totals = computed
        if totals is None or self.rounded:
            totals = joint_norm(norms[:, self.indices], self.rule.norm_type)
        after = take() if self.after is not None else None
        changed = take() != 0 if self.changed is not None else None
        lengths = take() if self.lengths is not None else None
        counts = lengths is not None and self.rule.norm_type == 0
        if lengths is not None and counts:  # which are finite whatever they count
            norms, totals = _shown(norms, lengths), _shown(totals, joint_norm(lengths))
        call = HostCall(self.rule, thresholds, self.indices, norms, totals, after, changed, lengths)
        if computed is not None and self.total is not None and (counts or self.rounded or self.scale is not None):
            call.factors = _factors(computed, thresholds, self.total.dtype)
            # In half precision rounding alone can make the factor less than 1, and that is no small change.
            above = self.total.dtype in HALF or computed > thresholds
            did = (call.factors < 1) & above
            call.changed = np.broadcast_to(did[:, None], norms.shape)
        return call if self.scale is None else call.unscaled(numbers.take(1)[0])


@dataclass
class Numbers:
    """Numbers that arrived on the host, to be taken off the front of the first axis."""

    values: Floats
    taken: int = 0

    def take(self, count: int) -> Floats:
        """The next so many."""
        start, self.taken = self.taken, self.taken + count
        return self.values[start : self.taken]


@dataclass
class HostCall:
    """The same clip call at T steps, on the host; matrices have a column for each of the model's parameters."""

    rule: Rule
    thresholds: Floats
    indices: list[int]
    norms: Floats
    totals: Floats
    after: Floats | None
    changed: NDArray[np.bool_] | None
    lengths: Floats | None = None
    factors: Floats | None = None

    def unscaled(self, scales: Floats) -> HostCall:
        """What it would have been with the gradients, and the threshold, that a loss scaler did not multiply."""

        def divided(numbers: Floats | None) -> Any:
            return None if numbers is None else numbers / scales.reshape(-1, *(1,) * (numbers.ndim - 1))

        scaled = {name: divided(getattr(self, name)) for name in ("after", "lengths")}
        if self.rule.norm_type != 0:  # which counts, and so sees no scale
            scaled |= {name: divided(getattr(self, name)) for name in ("thresholds", "norms", "totals")}
        return replace(self, **scaled)


def _shown(counts: Floats, lengths: Floats) -> Floats:
    return np.where(np.isfinite(lengths), counts, lengths)


def _factors(totals: Floats, thresholds: Floats, dtype: torch.dtype) -> Floats:
    """What `clip_grads_with_norm_` multiplies by, computed as it does, in the type it has."""
    norms = torch.from_numpy(np.ascontiguousarray(totals)).to(dtype)
    pairs = zip(norms, thresholds.tolist(), strict=True)
    return np.array([float(torch.clamp(limit / (norm + TORCH_EPSILON), max=1.0)) for norm, limit in pairs])


def joined(calls: list[HostCall]) -> HostCall:
    """The calls of a step as one: before the first of them and after the last, parameter by parameter.

    Where they measure norms of different orders, the joint one is L2.
    """
    orders = {call.rule.norm_type for call in calls}
    order = orders.pop() if len(orders) == 1 else 2.0
    shape = calls[0].norms.shape
    before, after = np.zeros(shape), np.zeros(shape)
    changed, seen = np.zeros(shape, bool), np.zeros(shape[1], bool)
    for call in calls:
        result = outcome(call.rule, call.thresholds, call.totals, call.norms, call.after, call.changed, call.factors)
        norms, norms_after = call.norms, result.norms_after
        if call.lengths is not None and order == 2.0:
            norms, norms_after = call.lengths, result.coefficient[:, None] * call.lengths
        fresh = [i for i in call.indices if not seen[i]]
        before[:, fresh] = norms[:, fresh]
        after[:, call.indices] = norms_after[:, call.indices]
        changed[:, call.indices] |= result.parameters_clipped[:, call.indices]
        seen[call.indices] = True
    kind = "none" if all(call.rule.kind == "none" for call in calls) else "custom"
    rule, none = Rule(kind, norm_type=order), np.full(shape[0], np.nan)
    return HostCall(rule, none, [], before, joint_norm(before, order), after, changed)
