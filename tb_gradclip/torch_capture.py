"""Measurements of gradients on the device, and their way to the host; the lower half of `tb_gradclip.torch`.

A clip call leaves vectors of norms on the device. A step joins them to one vector, several steps to one copy that
nothing waits for. On the host the vectors are taken apart again and become `Measurements`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import TORCH_EPSILON, Floats, Rule, joint_norm, outcome
from tb_gradclip.recorder import HistogramCounts

try:
    import torch
except ImportError as error:
    raise ImportError('tb_gradclip.torch needs PyTorch. Install it with: pip install "tb_gradclip[torch]"') from error


@dataclass
class Call:
    """One clip call: the parameters it saw, and vectors of their norms."""

    rule: Rule
    indices: list[int]
    norms: torch.Tensor  # [k]
    total: torch.Tensor | None = None  # joint norm, where the library computed it
    after: torch.Tensor | None = None  # [k], where no formula gives it
    changed: torch.Tensor | None = None  # [k], where a norm would not show it

    def vectors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        given = (self.norms, self.total, self.after, self.changed)
        return [vector.reshape(-1) for vector in given if vector is not None]

    def read(self, values: Iterator[float], parameters: int) -> HostCall:
        """Take this call's numbers off the front of `values`."""

        def take() -> Floats:
            whole = np.zeros(parameters)
            whole[self.indices] = np.fromiter(values, np.float64, len(self.indices))
            return whole

        norms = take()
        total = next(values) if self.total is not None else float(joint_norm(norms, self.rule.norm_type))
        after = take() if self.after is not None else None
        changed = take() != 0 if self.changed is not None else None
        return HostCall(self.rule, self.indices, norms, total, after, changed)


@dataclass
class HostCall:
    """A clip call on the host; vectors have one number for each of the model's parameters."""

    rule: Rule
    indices: list[int]
    norms: Floats
    total: float
    after: Floats | None
    changed: NDArray[np.bool_] | None


@dataclass
class Counts:
    """Histogram counts of one step, shape [P, CODES], still on the device."""

    before: torch.Tensor | None = None
    after: torch.Tensor | None = None
    clipped: torch.Tensor | None = None  # [P]


@dataclass
class Step:
    """One optimizer step: what the host knows of it, and the calls whose numbers are on the device."""

    step: int
    wall_time: float
    loss: torch.Tensor | float | None
    calls: list[Call]
    counts: Counts = field(default_factory=Counts)

    def vectors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        vectors = [vector for call in self.calls for vector in call.vectors()]
        if isinstance(self.loss, torch.Tensor):
            vectors.append(self.loss.detach().reshape(1))
        return vectors


class Copy:
    """Several steps on their way to the host: one transfer that nothing waits for."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        vectors = [vector for step in steps for vector in step.vectors()]
        devices = [vector.device for vector in vectors if vector.device.type != "cpu"]
        device = devices[0] if devices else torch.device("cpu")
        wide = torch.float64 if any(v.dtype == torch.float64 for v in vectors) else torch.float32
        parts = [vector.to(device=device, dtype=wide, non_blocking=True) for vector in vectors]
        self._event: torch.cuda.Event | None = None
        self._values = self._send(torch.cat(parts) if parts else torch.zeros(0))
        for step in steps:
            for name, counts in vars(step.counts).items():
                if counts is not None:
                    setattr(step.counts, name, self._send(counts))
        if device.type == "cuda":
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    @staticmethod
    def _send(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type != "cuda":
            return tensor.cpu()
        pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return pinned.copy_(tensor, non_blocking=True)

    def arrived(self, wait: bool) -> bool:
        """Whether the numbers are on the host; `wait` makes sure they are."""
        if self._event is not None and wait:
            self._event.synchronize()
        return self._event is None or self._event.query()  # type: ignore[no-untyped-call]

    def read(self, parameters: int) -> tuple[list[HistogramCounts], list[Measurements]]:
        """What arrived, for a model with this many parameters."""
        values = iter(self._values.tolist())
        rows = []
        for step in self._steps:
            calls = [call.read(values, parameters) for call in step.calls]
            loss = next(values) if isinstance(step.loss, torch.Tensor) else step.loss
            rows.append(_Row(step.step, step.wall_time, loss, _joined(calls, parameters)))
        return [_host_counts(step) for step in self._steps if step.counts.before is not None], _batched(rows)


@dataclass
class _Row:
    step: int
    wall_time: float
    loss: float | None
    call: HostCall

    @property
    def group(self) -> tuple[object, ...]:
        """Steps that agree in this can share one `Measurements`; thresholds may differ."""
        rule = self.call.rule
        bounds = (rule.low, rule.high) if rule.kind == "value" else ()
        return rule.kind, bounds, rule.norm_type, self.loss is None


def _joined(calls: list[HostCall], parameters: int) -> HostCall:
    """The calls of one step as one: before the first of them and after the last, parameter by parameter."""
    if len(calls) == 1:
        return calls[0]
    if not calls:
        return HostCall(Rule("none"), [], np.zeros(parameters), 0.0, None, None)
    before, after = np.zeros(parameters), np.zeros(parameters)
    changed, seen = np.zeros(parameters, bool), np.zeros(parameters, bool)
    for call in calls:
        result = outcome(
            call.rule,
            np.array([call.rule.threshold]),
            np.array([call.total]),
            call.norms[None],
            None if call.after is None else call.after[None],
            None if call.changed is None else call.changed[None],
        )
        fresh = [i for i in call.indices if not seen[i]]
        before[fresh] = call.norms[fresh]
        after[call.indices] = result.norms_after[0, call.indices]
        changed |= result.parameters_clipped[0]
        seen[call.indices] = True
    return HostCall(Rule("custom"), [], before, float(joint_norm(before)), after, changed)


def _batched(rows: list[_Row]) -> list[Measurements]:
    return [_measurements(list(group)) for _, group in groupby(rows, key=lambda row: row.group)]


def _measurements(rows: list[_Row]) -> Measurements:
    calls = [row.call for row in rows]
    last = calls[-1]
    return Measurements(
        rule=last.rule,
        steps=np.array([row.step for row in rows], np.int64),
        wall_times=np.array([row.wall_time for row in rows]),
        losses=None if rows[0].loss is None else np.array([row.loss for row in rows], np.float64),
        thresholds=np.array([call.rule.threshold for call in calls]),
        norm_before=np.array([call.total for call in calls]),
        norms_before=np.stack([call.norms for call in calls]),
        norms_after=None if last.after is None else np.stack([call.after for call in calls if call.after is not None]),
        changed=None
        if last.changed is None
        else np.stack([call.changed for call in calls if call.changed is not None]),
    )


def _host_counts(step: Step) -> HistogramCounts:
    counts = [None if c is None else c.numpy().astype(np.int64) for c in vars(step.counts).values()]
    before, after, clipped = counts
    assert before is not None
    return HistogramCounts(step.step, before, after, clipped)


@dataclass
class Gradients:
    """Gradients of some of the model's parameters, and those parameters' places in it."""

    indices: list[int]
    tensors: list[torch.Tensor]

    def __post_init__(self) -> None:
        # Whether the library takes them all in one fused call, in this order: plain dense tensors of one sort.
        sorts = {(type(g), g.dtype, g.device, g.layout) for g in self.tensors}
        self.fused = len(sorts) == 1 and all(
            kind is torch.Tensor and layout is torch.strided and device.type in ("cpu", "cuda")
            for kind, _, device, layout in sorts
        )

    def norms(self, norm_type: float = 2.0) -> torch.Tensor:
        """Norm of each as one vector, shape [k], computed as `clip_grad_norm_` does where that is fused."""
        if not self.tensors:
            return torch.zeros(0)
        if self.fused:
            return torch.stack(torch._foreach_norm(self.tensors, norm_type))
        device = self.tensors[0].device
        return torch.stack([torch.linalg.vector_norm(_values(g), norm_type).to(device) for g in self.tensors])

    def scale_(self, max_norm: float, total: torch.Tensor) -> None:
        """Multiply each by min(1, max_norm / (total + 1e-6)), by the operations of `clip_grads_with_norm_`."""
        torch._foreach_mul_(self.tensors, torch.clamp(max_norm / (total + TORCH_EPSILON), max=1.0))

    def count(self, parameters: int) -> torch.Tensor:
        """Histogram counts of each, shape [P, CODES]; rows of parameters without a gradient stay zero."""
        device = self.tensors[0].device if self.tensors else None
        counts = torch.zeros((parameters, CODES), dtype=torch.int64, device=device)
        for index, grad in zip(self.indices, self.tensors, strict=True):
            values = _single(_values(grad))
            code = (values.view(torch.int32) >> SHIFT).bitwise_and_(1023).masked_fill_(values == 0, ZERO)
            if code.device.type == "cpu":
                counts[index] = torch.bincount(code, minlength=CODES)
            else:  # bincount would wait for the device to learn the largest code
                one = torch.ones((), dtype=torch.int64, device=code.device)
                counts[index].scatter_add_(0, code.long(), one.expand_as(code))
            counts[index, ZERO] += grad.numel() - values.numel()
        return counts

    def count_cut(self, bound: float, parameters: int) -> torch.Tensor:
        """Number of elements of each beyond ±bound, shape [P]."""
        cut = torch.zeros(parameters, dtype=torch.int64, device=self.tensors[0].device if self.tensors else None)
        for index, grad in zip(self.indices, self.tensors, strict=True):
            cut[index] = (_values(grad).abs() > bound).sum()
        return cut


def _values(grad: torch.Tensor) -> torch.Tensor:
    """The stored elements of a gradient, flat. A sparse one stores no zeros."""
    return (grad.coalesce().values() if grad.is_sparse else grad).detach().reshape(-1)


def _single(values: torch.Tensor) -> torch.Tensor:
    """As float32; a finite float64 beyond its range is limited to it, so that it never counts as infinite."""
    if values.dtype == torch.float64:
        limit = torch.finfo(torch.float32).max
        values = torch.where(values.abs() < math.inf, values.clamp(-limit, limit), values)
    return values.float()
