"""Gradients of a PyTorch model and what is read off them, in operations that do not grow in number with the tensors."""

from __future__ import annotations

import math
from collections import defaultdict
from operator import attrgetter

import torch

from tb_gradclip.core.rules import TORCH_EPSILON
from tb_gradclip.torch.counts import Counting, Room, begin
from tb_gradclip.torch.norms import Norms

_dtype, _is_sparse, _is_cpu, _is_cuda = map(attrgetter, ("dtype", "is_sparse", "is_cpu", "is_cuda"))


class Gradients:
    """Gradients of some of the model's parameters, and those parameters' places in it."""

    def __init__(self, indices: list[int], tensors: list[torch.Tensor], norms: Norms) -> None:
        self.indices = indices
        self._norms = norms
        self.tensors = tensors
        self.fused = _fused(tensors)

    def norms(self, norm_type: float = 2.0) -> torch.Tensor:
        """Norm of each as one vector, shape [k], computed as `clip_grad_norm_` does where that is fused."""
        if not self.tensors:
            return torch.zeros(0)
        if self.fused:
            return self._norms.take(self.indices, self.tensors, norm_type)
        device = self.tensors[0].device
        return torch.stack([torch.linalg.vector_norm(_values(g), norm_type).to(device) for g in self.tensors])

    def scale_(self, max_norm: float, total: torch.Tensor) -> None:
        """Multiply each by min(1, max_norm / (total + 1e-6)), by the operations of `clip_grads_with_norm_`."""
        torch._foreach_mul_(self.tensors, torch.clamp(max_norm / (total + TORCH_EPSILON), max=1.0))

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


def _values(grad: torch.Tensor) -> torch.Tensor:
    """The stored elements of a gradient, flat. A sparse one stores no zeros."""
    return (grad.coalesce().values() if grad.is_sparse else grad).detach().reshape(-1)
