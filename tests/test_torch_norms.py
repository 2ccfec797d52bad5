"""Norms of many small gradients: the bits of the library, whatever the shapes, the layouts and the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from tb_gradclip.torch import norms
from tb_gradclip.torch.gradients import Gradients, Group
from tb_gradclip.torch.norms import Norms
from tests.test_torch_cost import Operations

Tensors = list[torch.Tensor]

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "one shape": [(64, 64)] * 160,
    "weights and biases": [(64, 64), (64,)] * 40,
    "large among small": [(33,), (7, 5), (300, 300)] * 12,
    "scalars and nothing": [(), (0,), (3, 0), (2,)] * 10,
    "too few": [(3, 2)] * 5,
    "remainder": [(5000,)] * 13,
    "small": [(5,)] * 300,
}


def tensors(shapes: list[tuple[int, ...]], size: float = 1.0) -> Tensors:
    generator = torch.Generator().manual_seed(len(shapes))
    return [torch.randn(shape, generator=generator) * size for shape in shapes]


def expected(of: Tensors, norm_type: float = 2.0) -> bytes:
    return torch.stack(torch._foreach_norm(of, norm_type)).numpy().tobytes()


def taken(by: Norms, of: Tensors, norm_type: float = 2.0) -> bytes:
    return by.take(list(range(len(of))), of, norm_type).numpy().tobytes()


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e-42, 3e19, 1e38, math.inf, math.nan, 0.0])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf])
def test_norms_are_those_of_the_library(shapes: list[tuple[int, ...]], size: float, norm_type: float) -> None:
    if norm_type == math.inf:
        shapes = [shape for shape in shapes if 0 not in shape]  # the library has no largest of nothing
    by = Norms()
    first = tensors(shapes)
    assert taken(by, first, norm_type) == expected(first, norm_type)
    later = tensors(shapes, size)
    assert taken(by, later, norm_type) == expected(later, norm_type)


CHANGES: dict[str, Callable[[Tensors], Tensors]] = {
    "another layout": lambda of: [*of[:7], of[7].t().contiguous().t(), *of[8:]],
    "another layout of all": lambda of: [tensor.t().contiguous().t() for tensor in of],
    "expanded": lambda of: [*of[:7], torch.ones(()).expand(8, 8), *of[8:]],
    "another shape": lambda of: [*of[:7], of[7][:3], *of[8:]],
    "another shape of all": lambda of: [tensor[:3] for tensor in of],
    "another type": lambda of: [tensor.double() for tensor in of],
    "half precision": lambda of: [tensor.bfloat16() for tensor in of],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_gradients_may_change_in_everything_from_step_to_step(change: Callable[[Tensors], Tensors]) -> None:
    by, first = Norms(), tensors([(8, 8)] * 20)
    for of in (first, change(first), first):
        found = by.take(list(range(20)), of)
        assert found.tolist() == torch.stack(torch._foreach_norm(of)).tolist()


def test_other_parameters_are_planned_anew() -> None:
    by = Norms()
    for count in (20, 7, 3, 40):
        of = tensors([(4, 4)] * count)
        assert taken(by, of) == expected(of)


def test_many_small_gradients_take_few_operations() -> None:
    by, of = Norms(), tensors([(5,)] * 300)
    taken(by, of)
    with Operations() as operations:
        taken(by, of)
    assert "_foreach_norm" not in operations.seen
    assert sum(operations.seen.values()) < 10


def test_a_library_whose_rows_depend_on_one_another_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    of = tensors([(5,)] * 20)
    monkeypatch.setattr(norms.torch.linalg, "vector_norm", lambda rows, dim: rows.square().sum(dim).sqrt() * 1.001)
    assert taken(Norms(), of) == expected(of)


BOUND = 0.3
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def edge_cases(dtype: torch.dtype) -> Tensors:
    """At the bound and by the last bit beyond it, on either side; NaN, infinities, nothing, and among many elements."""
    at = torch.tensor(BOUND, dtype=dtype)
    above = torch.nextafter(at, torch.tensor(math.inf, dtype=dtype))
    single = [at, above, -at, -above, at * 0, torch.tensor(math.inf, dtype=dtype), torch.tensor(-math.inf, dtype=dtype)]
    large = torch.zeros((300, 300), dtype=dtype)
    below = large.clone()
    large[7, 7], below[250, 3] = above, -above
    return [*single, torch.zeros((0, 3), dtype=dtype), large, below, torch.full((64, 64), float(at), dtype=dtype)]


@pytest.mark.parametrize("dtypes", [*([dtype] for dtype in DTYPES), DTYPES], ids=str)
def test_what_lies_beyond_a_bound_is_what_a_clamp_changes(dtypes: list[torch.dtype]) -> None:
    of = [tensor for dtype in dtypes for tensor in edge_cases(dtype)]
    if dtypes not in ([torch.float32], [torch.float64]):
        of = [tensor for tensor in of if tensor.numel()]  # the library has no largest of nothing
    places = list(range(len(of)))
    changed = [bool((tensor.clamp(-BOUND, BOUND) != tensor).any()) for tensor in of]
    assert Gradients(places, of, Group(places, places, repeated=False)).beyond(BOUND).tolist() == changed
    assert 0 < sum(changed) < len(changed)
