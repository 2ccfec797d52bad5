"""Gradients of a PyTorch model and what is read off them, in operations that do not grow in number with the tensors."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import torch

from tb_gradclip.core.rules import TORCH_EPSILON
from tb_gradclip.torch.arguments import places
from tb_gradclip.torch.calls import HALF
from tb_gradclip.torch.counts import Counting, Room, begin
from tb_gradclip.torch.norms import Norms

_dtype, _is_sparse, _is_cpu, _is_cuda = map(attrgetter, ("dtype", "is_sparse", "is_cpu", "is_cuda"))


MOST_GROUPS = 64
"""Groups of parameters that are remembered; more come only of lists that are never the same."""


@dataclass
class Group:
    """Parameters that are clipped together, step after step."""

    ids: list[int]
    indices: list[int]  # places in the model
    repeated: bool  # whether one of them comes twice
    clipped: bool = False  # whether a clip call was given them
    norms: Norms = field(default_factory=Norms)


class Groups:
    """Finds the group of some parameters, so that the same ones are looked up in the model only once."""

    def __init__(self, index: Mapping[int, int]) -> None:
        self._index = index
        self._known: dict[tuple[int, ...], Group] = {}

    def of(self, parameters: Sequence[torch.Tensor]) -> Group:
        """Their group; `ValueError` if one is not of the model."""
        ids = list(map(id, parameters))
        key = (len(ids), *ids[:1], *ids[-1:])
        group = self._known.get(key)
        if group is None or group.ids != ids:
            group = Group(ids, places(parameters, self._index), len(set(ids)) < len(ids))
            if len(self._known) >= MOST_GROUPS:
                self._known.clear()
            self._known[key] = group
        return group


class Gradients:
    """Gradients of some of the model's parameters, and those parameters' places in it."""

    def __init__(self, indices: list[int], tensors: list[torch.Tensor], group: Group) -> None:
        self.indices = indices
        self.group = group
        self.tensors = tensors
        self.fused = _fused(tensors)
        self.half = not HALF.isdisjoint(map(_dtype, tensors[:1] if self.fused else tensors))

    @property
    def size(self) -> int:
        """Number of elements."""
        return sum(map(torch.Tensor.numel, self.tensors))

    @property
    def groups(self) -> list[list[int]]:
        """Places of the tensors that one operation may take together; what is not a plain dense one stands alone."""
        if self.fused:
            return [list(range(len(self.tensors)))]
        alike: dict[object, list[int]] = defaultdict(list)
        for place, tensor in enumerate(self.tensors):
            plain = type(tensor) is torch.Tensor and not tensor.is_sparse
            alike[(tensor.device, tensor.dtype) if plain else place].append(place)
        return list(alike.values())

    def norms(self, norm_type: float = 2.0) -> torch.Tensor:
        """Norm of each as one vector, shape [k], in float32 at least.

        Where `fused` and not `half`, these are the very norms of `clip_grad_norm_`.
        """
        if not self.tensors:
            return torch.zeros(0)
        if self.fused and not self.half:
            return self.group.norms.take(self.indices, self.tensors, norm_type)
        device, norms = self.tensors[0].device, [torch.zeros(())] * len(self.tensors)
        for alike in self.groups:
            group = [self.tensors[place] for place in alike]
            for place, norm in zip(alike, norms_of(group, norm_type), strict=True):
                norms[place] = norm.to(device)
        return torch.stack(norms)

    def beyond(self, bound: float) -> torch.Tensor:
        """Whether any element of each lies beyond ±bound, shape [k], which is rounded to their type as `clamp` does.

        Where a gradient holds NaN it says nothing; its norm does.
        """
        if self.fused and not self.half:
            return self.group.norms.largest(self.indices, self.tensors) > bound
        largest = self.norms(math.inf)
        bounds = {dtype: _rounded(bound, dtype) for dtype in set(map(_dtype, self.tensors))}
        if len(set(bounds.values())) < 2:
            return largest > next(iter(bounds.values()), bound)
        limits = torch.tensor([bounds[tensor.dtype] for tensor in self.tensors], dtype=largest.dtype, device="cpu")
        return largest > limits.to(largest.device, non_blocking=True)

    def scale_(self, max_norm: float, total: torch.Tensor) -> None:
        """Multiply each by min(1, max_norm / (total + 1e-6)), by the operations of `clip_grads_with_norm_`."""
        torch._foreach_mul_(self.tensors, torch.clamp(max_norm / (total + TORCH_EPSILON), max=1.0))

    def divided(self, scale: torch.Tensor) -> Gradients:
        """Copies divided by a number, shape []."""
        tensors = list(self.tensors)
        for alike in self.groups:
            group = [self.tensors[place] for place in alike]
            for place, quotient in zip(alike, torch._foreach_div(group, scale.to(group[0].device)), strict=True):
                tensors[place] = quotient
        return self.replaced(tensors)

    def replaced(self, tensors: list[torch.Tensor]) -> Gradients:
        """Other gradients of the same parameters."""
        return Gradients(self.indices, tensors, self.group)

    def count(self, room: Room, bound: float = math.inf) -> list[tuple[list[int], Counting]]:
        """Begin to count them, device by device; elements beyond ±bound apart."""
        by_device: dict[torch.device, list[int]] = defaultdict(list)
        for position, tensor in enumerate(self.tensors):
            by_device[tensor.device].append(position)
        return [
            ([self.indices[i] for i in positions], begin([self.tensors[i] for i in positions], room, bound))
            for positions in by_device.values()
        ]


def _fused(tensors: list[torch.Tensor]) -> bool:
    """Whether the library takes them all in one call, in this order: plain dense tensors of one type on one device."""
    plain = set(map(type, tensors)) == {torch.Tensor} and len(set(map(_dtype, tensors))) == 1
    if not plain or any(map(_is_sparse, tensors)):
        return False
    # Making device objects to compare them takes longer than the rest.
    return all(map(_is_cpu, tensors)) or (all(map(_is_cuda, tensors)) and len({t.device for t in tensors}) == 1)


@functools.lru_cache(256)
def _rounded(bound: float, dtype: torch.dtype) -> float:
    return float(torch.tensor(bound, dtype=dtype, device="cpu"))


def norms_of(group: list[torch.Tensor], norm_type: float) -> Sequence[torch.Tensor]:
    """Norm of each tensor of a group that is alike, in float32 at least."""
    dtype = torch.float32 if group[0].dtype in HALF else None
    if type(group[0]) is torch.Tensor and not group[0].is_sparse:
        return torch._foreach_norm(group, norm_type, dtype=dtype)
    return [torch.linalg.vector_norm(_values(gradient), norm_type, dtype=dtype) for gradient in group]


def _values(grad: torch.Tensor) -> torch.Tensor:
    """The stored elements of a gradient, flat. A sparse one stores no zeros."""
    return (grad.coalesce().values() if grad.is_sparse else grad).detach().reshape(-1)
