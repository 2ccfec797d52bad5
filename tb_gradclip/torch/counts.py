"""Histograms of PyTorch gradients: what has to be done during the step, and what can wait.

On a CPU the step copies the gradients, at the speed of memory, and another thread counts the copy. On a device all
gradients are counted by the same few kernels, and only counts are fetched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tb_gradclip.core.histogram import CODES, SHIFT, ZERO, count_each

Counts = NDArray[np.int64]
Result = tuple[Counts, Counts]
"""Counts of k gradients, shape [k, CODES], and how many elements of each are beyond the bound, shape [k]."""

MOST_COPIED = 1 << 26
"""Elements that are copied to be counted later; a larger model on a CPU is counted during its step, without a copy."""

MOST_KEPT, MOST_FREE = 1 << 23, 2
"""Elements of a copy whose memory is kept for the next one, and how many of those are kept."""

PIECE = 1 << 24
"""Elements counted together on a device, where their codes take 128 MiB for a moment."""


@dataclass(frozen=True)
class Counting:
    """Counts that are not known yet: `finish` makes them of `tensors`, once those are on the host.

    `held`: bytes of memory that wait with it.
    """

    tensors: list[torch.Tensor]
    finish: Callable[[Sequence[torch.Tensor]], Result]
    held: int


class Room:
    """Memory for copies of gradients, used again and again: the first touch of new memory takes longer than copying."""

    def __init__(self) -> None:
        self._free: list[tuple[list[torch.Size], torch.Tensor, list[torch.Tensor]]] = []

    def copy(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
        """One flat copy of dense tensors on the host, and what to call when it is not needed any more."""
        shapes = [tensor.shape for tensor in tensors]
        if len({tensor.dtype for tensor in tensors}) > 1 or sum(map(torch.Size.numel, shapes)) > MOST_KEPT:
            return torch.cat([tensor.reshape(-1) for tensor in tensors]), lambda: None
        room = self._taken(shapes, tensors[0].dtype)
        torch._foreach_copy_(room[2], list(tensors))
        return room[1], lambda: self._free.append(room) if len(self._free) < MOST_FREE else None

    def _taken(
        self, shapes: list[torch.Size], dtype: torch.dtype
    ) -> tuple[list[torch.Size], torch.Tensor, list[torch.Tensor]]:
        while self._free:
            room = self._free.pop()
            if room[0] == shapes and room[1].dtype == dtype:
                return room
        sizes = list(map(torch.Size.numel, shapes))
        flat = torch.empty(sum(sizes), dtype=dtype)
        return shapes, flat, [part.view(shape) for part, shape in zip(torch.split(flat, sizes), shapes, strict=True)]


def begin(gradients: Sequence[torch.Tensor], room: Room, bound: float = math.inf) -> Counting:
    """Do what cannot wait; the gradients may change as soon as this returns.

    Args:
      gradients: one or more, on one device, dense or sparse, of any float type.
      room: for copies on the host.
      bound: elements beyond ±bound are counted apart, as `clamp` would see them.
    """
    stored = [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in gradients]
    sizes = [tensor.numel() for tensor in stored]
    absent = [gradient.numel() - size for gradient, size in zip(gradients, sizes, strict=True)]  # zeros not stored
    if stored[0].device.type != "cpu":
        found = list(count_now(stored, bound))
        return Counting(
            found, lambda arrived: _with_absent(arrived[0].numpy(), arrived[1].numpy(), absent), found[0].nbytes
        )
    if sum(sizes) > MOST_COPIED:
        parts = [_count_on_host(tensor.reshape(-1), [size], bound) for tensor, size in zip(stored, sizes, strict=True)]
        counts, beyond = (np.concatenate(blocks) for blocks in zip(*parts, strict=True))
        known = _with_absent(counts, beyond, absent)
        return Counting([], lambda _: known, counts.nbytes)
    copied, release = room.copy(stored)

    def finish(_: Sequence[torch.Tensor]) -> Result:
        counts, beyond = _count_on_host(copied, sizes, bound)
        release()
        return _with_absent(counts, beyond, absent)

    return Counting([], finish, copied.nbytes)


def _count_on_host(flat: torch.Tensor, sizes: list[int], bound: float) -> Result:
    wide = flat.float() if flat.dtype in (torch.float16, torch.bfloat16) else flat
    beyond = np.zeros(len(sizes), np.int64)
    if bound < math.inf:
        places = np.flatnonzero((flat.abs() > bound).numpy())
        beyond = np.bincount(np.searchsorted(np.cumsum(sizes), places, side="right"), minlength=len(sizes))
    return count_each(wide.numpy(), sizes, _bincount), beyond


def _bincount(code: NDArray[np.uint32], minlength: int) -> Counts:
    """`np.bincount`, except that training goes on meanwhile: NumPy's keeps the interpreter to itself."""
    counts: Counts = torch.bincount(torch.from_numpy(code.view(np.int32)), minlength=minlength).numpy()
    return counts


def _with_absent(counts: Counts, beyond: Counts, absent: list[int]) -> Result:
    counts[:, ZERO] += absent
    return counts, beyond


def count_now(stored: list[torch.Tensor], bound: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts, and how many are beyond ±bound, on the device the dense gradients are on, and at once.

    By scattering ones: `bincount` would wait for the device to learn the largest code.
    """
    device = stored[0].device
    counts = torch.zeros(len(stored) * CODES, dtype=torch.int64, device=device)
    beyond = torch.zeros(len(stored), dtype=torch.int64, device=device)
    one = torch.ones((), dtype=torch.int64, device=device)
    for rows, sizes, flat in _pieces(stored):
        owner = torch.tensor(rows).to(device, non_blocking=True)
        repeats = torch.tensor(sizes).to(device, non_blocking=True)
        row = owner.repeat_interleave(repeats, output_size=len(flat))
        bits = _single(flat).view(torch.int32)
        code = (bits >> SHIFT).bitwise_and_(1023).masked_fill_(bits & 0x7FFFFFFF == 0, ZERO)
        counts.scatter_add_(0, row * CODES + code, one.expand_as(row))
        if bound < math.inf:
            beyond.scatter_add_(0, row, (flat.abs() > bound).long())
    return counts.view(len(stored), CODES), beyond


def _pieces(stored: list[torch.Tensor]) -> Iterator[tuple[list[int], list[int], torch.Tensor]]:
    """All elements, at most `PIECE` at a time: from which tensors they are, how many from each, and they themselves."""
    slices = [(row, part) for row, tensor in enumerate(stored) for part in torch.split(tensor.reshape(-1), PIECE)]
    while slices:
        size = taken = 0
        while taken < len(slices) and (not taken or size + len(slices[taken][1]) <= PIECE):
            size += len(slices[taken][1])
            taken += 1
        group, slices = slices[:taken], slices[taken:]
        rows, parts = [row for row, _ in group], [part for _, part in group]
        yield rows, [len(part) for part in parts], torch.cat(parts)


def _single(values: torch.Tensor) -> torch.Tensor:
    """As float32; a finite float64 beyond its range is limited to it, so that it never counts as infinite."""
    if values.dtype == torch.float64:
        limit = torch.finfo(torch.float32).max
        values = torch.where(values.abs() < math.inf, values.clamp(-limit, limit), values)
    return values.float()
