"""Norms of gradients, to the last bit those of `clip_grad_norm_`, in less time where gradients are small.

On a CPU `torch._foreach_norm` is a loop over the tensors, each of which costs more than a microsecond before its first
element is read. Small gradients of one shape are therefore stacked, a piece at a time, and one reduction over the rows
of a piece takes the norms of all in it: the copy, still in the processor's cache, costs less than the calls it saves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

import torch

PIECE = (1 << 15) - 1
"""Elements stacked together: of one more PyTorch would make work for several threads, who then wait for one another.
Source: `GRAIN_SIZE` in `aten/src/ATen/TensorIterator.h`."""

FEWEST = 6
"""Gradients that make a stack worth its own calls."""


class Norms:
    """Takes the norms of the same parameters' gradients step after step."""

    def __init__(self) -> None:
        self._indices: list[int] | None = None
        self._stacks: list[Callable[[Sequence[torch.Tensor]], tuple[torch.Tensor, ...]]] = []
        self._rest: list[int] = []
        self._order = torch.zeros(0, dtype=torch.int64)

    def take(self, indices: list[int], tensors: list[torch.Tensor], norm_type: float = 2.0) -> torch.Tensor:
        """Norm of each as one vector, shape [k], as `clip_grad_norm_` computes it: NaN and infinity as they come.

        Args:
          indices: places of their parameters in the model.
          tensors: one or more, of one type on one device, plain and dense.
          norm_type: the p of the p-norm.
        """
        if norm_type == 2.0 and tensors[0].dtype == torch.float32 and tensors[0].is_cpu:
            if indices != self._indices:
                self._plan(indices, tensors)
            # A reduction adds elements as they lie in memory: in another layout they lie in another order.
            if self._stacks and all(map(torch.Tensor.is_contiguous, tensors)):
                try:
                    return self._of_stacks(tensors)
                except RuntimeError:  # a parameter has another shape than it had
                    self._stacks = []
        return torch.stack(torch._foreach_norm(tensors, norm_type))

    def _of_stacks(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        parts = [_of_stack(pick(tensors)) for pick in self._stacks]
        if self._rest:
            parts.append(torch.stack(torch._foreach_norm([tensors[place] for place in self._rest])))
        return torch.cat(parts).index_select(0, self._order)

    def _plan(self, indices: list[int], tensors: list[torch.Tensor]) -> None:
        """Decide what to stack: what has the same norm, to the last bit, as by itself."""
        pieces = [piece for piece in _pieces(tensors) if _is_exact([tensors[place].shape for place in piece])]
        stacked = [place for piece in pieces for place in piece]
        self._indices = list(indices)
        self._stacks = [itemgetter(*piece) for piece in pieces]
        self._rest = sorted(set(range(len(tensors))) - set(stacked))
        self._order = torch.tensor(stacked + self._rest).argsort()


def _pieces(tensors: list[torch.Tensor]) -> Iterator[list[int]]:
    """Places of the tensors that are stacked together, stack by stack."""
    alike: dict[torch.Size, list[int]] = defaultdict(list)
    for place, tensor in enumerate(tensors):
        alike[tensor.shape].append(place)
    for shape, places in alike.items():
        if 0 < shape.numel() <= PIECE // FEWEST:
            together = PIECE // shape.numel()
            pieces = (places[start : start + together] for start in range(0, len(places), together))
            yield from (piece for piece in pieces if len(piece) >= FEWEST)


def _of_stack(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.linalg.vector_norm(torch.stack(tuple(tensors)).view(len(tensors), -1), dim=1)


def _is_exact(shapes: list[torch.Size]) -> bool:
    """Whether this PyTorch adds up a row of such a stack as it adds up one tensor, told by numbers of all sizes."""
    numbers = torch.arange(1, 1 + len(shapes) * shapes[0].numel(), dtype=torch.float32).square().sin()
    tensors = list(numbers.view(len(shapes), *shapes[0]))
    return _of_stack(tensors).numpy().tobytes() == torch.stack(torch._foreach_norm(tensors)).numpy().tobytes()
