"""Norms of gradients, to the last bit those of `clip_grad_norm_`, in less time where gradients are small.

On a CPU `torch._foreach_norm` is a loop over the tensors, each of which costs more than a microsecond before its first
element is read. Small gradients of one shape are therefore stacked, a piece at a time, and one reduction over the rows
of a piece takes the norms of all in it: the copy, still in the processor's cache, costs less than the calls it saves.
The largest elements are taken that way too; as norms of order infinity they would take thirty times as long as lengths.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

import torch

PIECE = (1 << 15) - 1
"""Elements stacked together: of one more PyTorch would make work for several threads, who then wait for one another.
Source: `GRAIN_SIZE` in `aten/src/ATen/TensorIterator.h`."""

FEWEST = 6
"""Gradients that make a stack worth its own calls."""

MOST_STACKS = 32
"""Stacks of one step, those that save most. With more the operations of a step would grow with the model: what is left
over is one operation, however much it is."""

COPIED = 1 << 15
"""Elements of the largest tensor that is copied, with others, to save it calls of its own."""

OfRows = Callable[[torch.Tensor], torch.Tensor]
OfEach = Callable[[list[torch.Tensor]], torch.Tensor]


class Norms:
    """Takes the norms of the same parameters' gradients step after step.

    Methods are given the places of these parameters in the model, and one gradient or more, of one type on one device,
    plain and dense.
    """

    def __init__(self) -> None:
        self._indices: list[int] | None = None
        self._stacks: list[Callable[[Sequence[torch.Tensor]], tuple[torch.Tensor, ...]]] = []
        self._rest: list[int] = []
        self._order = torch.zeros(0, dtype=torch.int64)

    def take(self, indices: list[int], tensors: list[torch.Tensor], norm_type: float = 2.0) -> torch.Tensor:
        """p-norm of each as one vector, shape [k], as `clip_grad_norm_` computes it: NaN and infinity as they come."""
        if norm_type == 2.0:
            return self._stacked(indices, tensors, _lengths_of_rows, _lengths)
        return torch.stack(torch._foreach_norm(tensors, norm_type))

    def largest(self, indices: list[int], tensors: list[torch.Tensor]) -> torch.Tensor:
        """Largest magnitude in each as one vector, shape [k]; NaN where there is one, 0 of no elements on a CPU."""
        if not tensors[0].is_cpu:
            return torch.stack(torch._foreach_norm(tensors, math.inf))
        return self._stacked(indices, tensors, _largest_of_rows, _largest)

    def _stacked(
        self, indices: list[int], tensors: list[torch.Tensor], of_rows: OfRows, of_each: OfEach
    ) -> torch.Tensor:
        """What `of_each` finds in each, by `of_rows` where they can be stacked."""
        if tensors[0].dtype == torch.float32 and tensors[0].is_cpu:
            if indices != self._indices:
                self._plan(indices, tensors)
            # A reduction adds elements as they lie in memory: in another layout they lie in another order.
            if self._stacks and all(map(torch.Tensor.is_contiguous, tensors)):
                try:
                    parts = [of_rows(_rows(pick(tensors))) for pick in self._stacks]
                except RuntimeError:  # a parameter has another shape than it had
                    self._stacks = []
                else:
                    if self._rest:
                        parts.append(of_each([tensors[place] for place in self._rest]))
                    return torch.cat(parts).index_select(0, self._order)
        return of_each(tensors)

    def _plan(self, indices: list[int], tensors: list[torch.Tensor]) -> None:
        """Decide what to stack: what has the same norm, to the last bit, as by itself."""
        pieces = [piece for piece in _pieces(tensors) if _is_exact(tensors[piece[0]].shape, len(piece))]
        pieces = sorted(pieces, key=len, reverse=True)[:MOST_STACKS]
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


def _rows(tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.stack(tensors).view(len(tensors), -1)


def _lengths_of_rows(rows: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(rows, dim=1)


def _lengths(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(torch._foreach_norm(tensors))


def _largest_of_rows(rows: torch.Tensor) -> torch.Tensor:
    return rows.abs_().amax(dim=1)  # in a copy


def _largest(tensors: list[torch.Tensor]) -> torch.Tensor:
    filled = [tensor for tensor in tensors if tensor.numel()]
    small = [tensor for tensor in filled if tensor.numel() <= COPIED]
    below = iter(torch._foreach_max(torch._foreach_neg(small)) if small else ())
    lowest = [next(below) if tensor.numel() <= COPIED else tensor.amin().neg() for tensor in filled]
    found = iter(torch._foreach_maximum(torch._foreach_max(filled), lowest) if filled else ())
    none = tensors[0].new_zeros(())
    return torch.stack([next(found) if tensor.numel() else none for tensor in tensors])


@functools.lru_cache(1024)
def _is_exact(shape: torch.Size, count: int) -> bool:
    """Whether this PyTorch adds up a row of such a stack as it adds up one tensor, told by numbers of all sizes."""
    numbers = torch.arange(1, 1 + count * shape.numel(), dtype=torch.float32).square().sin()
    tensors = numbers.view(count, *shape).unbind()
    return _lengths_of_rows(_rows(tensors)).numpy().tobytes() == _lengths(list(tensors)).numpy().tobytes()
