"""Counts of PyTorch gradients on the host, against the codes of every element."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tb_gradclip.core.histogram import CODES, codes
from tb_gradclip.torch import counts
from tb_gradclip.torch.counts import Room, begin

SPECIAL = [0.0, -0.0, 1e-42, -1e-42, 1.2e-38, 1e-7, -3.0, 1.5, 6e4, math.inf, -math.inf, math.nan]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "one": [(7,)],
    "nothing": [(0,)],
    "nothing among others": [(0,), (5, 5), (0, 3), (0,), (2,), (0,)],
    "many small": [(11,)] * 7000,
    "matrices": [(64, 64)] * 30,
    "one large": [(300_000,)],
    "large among small": [(3,), (70_000,), (), (90, 1000), (1,)],
    "as long as a piece": [(1 << 15,), ((1 << 15) - 1,), ((1 << 15) - 1,), (1,)],
}


def reference(tensor: torch.Tensor) -> list[int]:
    wide = tensor if tensor.dtype == torch.float64 else tensor.float()
    found: list[int] = np.bincount(codes(wide.reshape(-1).numpy()), minlength=CODES).tolist()
    return found


def gradients(shapes: list[tuple[int, ...]], dtype: torch.dtype, special: float) -> list[torch.Tensor]:
    """Normal numbers, of which so large a part is replaced by special ones."""
    generator = torch.Generator().manual_seed(1)
    values = torch.tensor([*SPECIAL, 1e300, -1e300], dtype=torch.float64)
    made = []
    for shape in shapes:
        plain = torch.randn(shape, generator=generator, dtype=torch.float64) * 1e-3
        drawn = values[torch.randint(len(values), shape, generator=generator)]
        made.append(torch.where(torch.rand(shape, generator=generator) < special, drawn, plain).to(dtype))
    return made


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("special", [0.0, 0.01, 1.0])
def test_counts_are_those_of_the_codes(shapes: list[tuple[int, ...]], dtype: torch.dtype, special: float) -> None:
    tensors = gradients(shapes, dtype, special)
    expected = [reference(tensor) for tensor in tensors]
    beyond = [int((tensor.abs() > 0.5).sum()) for tensor in tensors]
    counting = begin(tensors, Room(), bound=0.5)
    for tensor in tensors:
        tensor.fill_(7.0)  # what happens to a gradient afterwards does not matter
    found, cut = counting.finish([])
    assert found.tolist() == expected
    assert cut.tolist() == beyond


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_too_large_to_be_copied_is_counted_at_once(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_COPIED", 100)
    tensors = gradients([(40,), (0,), (9, 9)], dtype, 0.5)
    counting = begin(tensors, Room())
    assert counting.finish([])[0].tolist() == [reference(tensor) for tensor in tensors]


def test_gradients_of_several_types_are_counted_together() -> None:
    tensors = [torch.full((3,), 0.1, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)]
    assert begin(tensors, Room()).finish([])[0].sum(axis=1).tolist() == [3, 3, 3]


def test_zeros_that_a_sparse_gradient_does_not_store_are_counted() -> None:
    dense = torch.tensor([[0.0, 0.0], [1.5, -2.0], [0.0, 0.0]])
    (found,) = begin([dense.to_sparse()], Room()).finish([])[0].tolist()
    assert found == reference(dense)
