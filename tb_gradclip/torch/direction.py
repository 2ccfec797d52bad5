"""The angle by which clipping turns the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from tb_gradclip.torch.gradients import Gradients, norms_of

MOST_KEPT = 1 << 26
"""Elements of the largest model that is measured: between the two looks there is a copy of its gradients."""


class Direction:
    """Where all gradients together point before clipping.

    With u and v the gradients before and after: cosine = (|u|² + |v|² - |u - v|²) / 2|u||v|. Each is first divided by
    about its root mean square, so that nothing under- or overflows, in half precision either.

    Args:
      grads: dense gradients before clipping; they are copied.
      norms: L2 norm of each, shape [k].
    """

    def __init__(self, grads: Gradients, norms: torch.Tensor) -> None:
        self._size, self._groups = grads.size, grads.groups
        self._before = self._even(grads, norms)

    @classmethod
    def of(cls, grads: Gradients, norms: torch.Tensor) -> Direction | None:
        """The direction, or None where it is not measured: no gradients, sparse ones, or too many elements."""
        dense = not any(gradient.is_sparse for gradient in grads.tensors)
        return cls(grads, norms) if dense and 0 < grads.size <= MOST_KEPT else None

    def cosine(self, grads: Gradients, norms: torch.Tensor) -> torch.Tensor:
        """Cosine of the angle to the same gradients clipped, shape [1]; NaN if either is 0 or not finite."""
        after = self._even(grads, norms)
        moved = [list(torch._foreach_sub(old, new)) for old, new in zip(self._before, after, strict=True)]
        u, v, between = (_length(copies, norms.device) for copies in (self._before, after, moved))
        return ((u * u + v * v - between * between) / (2 * u * v)).clamp(-1, 1).reshape(1)

    def _even(self, grads: Gradients, norms: torch.Tensor) -> list[list[torch.Tensor]]:
        """Copies with a root mean square of about 1, all of them together."""
        factor = math.sqrt(self._size) / torch.linalg.vector_norm(norms)
        groups = [[grads.tensors[place] for place in places] for places in self._groups]
        return [list(torch._foreach_mul(group, factor.to(group[0].device))) for group in groups]


def _length(groups: Sequence[list[torch.Tensor]], device: torch.device) -> torch.Tensor:
    norms = [norm.to(device) for group in groups for norm in norms_of(group, 2.0)]
    return torch.linalg.vector_norm(torch.stack(norms))
