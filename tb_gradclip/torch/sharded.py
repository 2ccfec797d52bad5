"""Gradients of which each process holds a shard: FSDP2's, tensor parallelism's, all whose parameters are `DTensor`s.

Strategy: every process measures its own shards, plain tensors, as if they were all there is. What they find is added up
where a clip call ends: one all-reduce of a few numbers for each parameter, on the processes' own queue of collectives,
for which no host waits on a GPU. Histograms are counts, so their sum is exact; they take another one when they are due.

Nothing here may depend on what only one process knows: whether it writes, whether its disk is full, whether an alert
came up. All make the same calls with the same steps between histograms, so all meet in the same collectives.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from tb_gradclip.core.histogram import CODES
from tb_gradclip.torch.calls import Call
from tb_gradclip.torch.counts import Counting, Result, Room, count_now

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from tb_gradclip.torch.gradients import Gradients


class Whole:
    """Parameters of which this process has all."""

    spread = False

    def local(self, gradients: list[torch.Tensor], indices: list[int]) -> list[torch.Tensor]:
        """The gradients themselves."""
        return gradients

    def join(self, call: Call) -> Call:
        """The call itself."""
        return call

    def count(self, grads: Gradients, room: Room, bound: float = math.inf) -> list[tuple[list[int], Counting]]:
        """Begin to count gradients, as `Gradients.count` does."""
        return grads.count(room, bound)


class Shards:
    """The shards that this process holds of a model's parameters, some of which are whole, perhaps.

    Args:
      parameters: all of the model's.
    """

    spread = True

    def __init__(self, parameters: Sequence[Any]) -> None:
        self._parameters = parameters
        self._members: dict[DeviceMesh, set[int]] = {}
        for place, parameter in enumerate(parameters):
            if is_sharded(parameter):
                self._members.setdefault(parameter.device_mesh, set()).add(place)
        self._dimensions = {mesh: self._split_over(mesh) for mesh in self._members}
        self._owned = list(map(self._is_owned, parameters))

    @property
    def processes(self) -> int:
        """How many hold shards of the model."""
        return max(mesh.size() for mesh in self._members)

    @property
    def first(self) -> bool:
        """Whether this process is the first of them."""
        return all(not any(mesh.get_coordinate() or ()) for mesh in self._members)

    def local(self, gradients: list[torch.Tensor], indices: list[int]) -> list[torch.Tensor]:
        """What this process holds of the gradients of these parameters; a zero that does not count instead of nothing.

        A gradient that is a sum over processes still to be made is made, a collective.
        """
        shards = []
        gradient: Any
        for gradient, place in zip(gradients, indices, strict=True):
            if is_sharded(gradient) and any(how.is_partial() for how in gradient.placements):
                shard = local(gradient.redistribute(placements=self._parameters[place].placements))
            else:
                shard = local(gradient)
            shards.append(shard if shard.numel() else shard.new_zeros(1))
        return shards

    def join(self, call: Call) -> Call:
        """Turn what a call measured of shards into what holds for whole gradients; a collective.

        With x the p-norm of a shard, that of the gradient is (Σ xᵖ)^(1/p), in float64, so that no square overflows.
        """
        if call.total is not None:
            call.total = whole(call.total)
        if not call.indices:
            return call
        order = call.rule.norm_type
        given = {name: getattr(call, name) for name in ("norms", "after", "lengths", "changed")}
        orders = {"norms": order, "after": order, "lengths": 2.0, "changed": 0.0}
        found = {name: _power(vector, orders[name]) for name, vector in given.items() if vector is not None}
        sums = self._added(torch.stack(list(found.values()), dim=1), call.indices)
        for name, column in zip(found, sums.unbind(dim=1), strict=True):
            setattr(call, name, _root(column, orders[name]))
        if math.isinf(order):
            call.norms = self._extreme(given["norms"], call)
        return call

    def count(self, grads: Gradients, room: Room, bound: float = math.inf) -> list[tuple[list[int], Counting]]:
        """Count whole gradients; a collective, so that it cannot wait."""
        if not grads.tensors:
            return []
        counts, beyond = count_now(grads.tensors, bound)
        table = self._added(torch.cat((counts, beyond[:, None]), dim=1), grads.indices)

        def finish(arrived: Sequence[torch.Tensor]) -> Result:
            numbers = arrived[0].numpy()
            return numbers[:, :CODES], numbers[:, CODES]

        return [(grads.indices, Counting([table], finish, table.nbytes))]

    def _added(self, table: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
        """Sum over all processes of their numbers about each parameter, shape [k, n]."""
        return self._reduced(table, indices, 0, dist.ReduceOp.SUM)

    def _extreme(self, norms: torch.Tensor, call: Call) -> torch.Tensor:
        """Norms of infinite order, which no sum gives."""
        assert call.lengths is not None
        most = call.rule.norm_type > 0
        operation, none = (dist.ReduceOp.MAX, 0.0) if most else (dist.ReduceOp.MIN, math.inf)
        found = self._reduced(norms.double()[:, None], call.indices, none, operation)[:, 0]
        return torch.where(call.lengths.isnan(), math.nan, found)  # comparing would lose a NaN

    def _reduced(self, table: torch.Tensor, indices: Sequence[int], none: float, operation: Any) -> torch.Tensor:
        owned = [self._owned[place] for place in indices]
        if not all(owned):
            table = torch.where(_on(table, owned)[:, None], table, none)
        for mesh, members in self._members.items():
            rows = [row for row, place in enumerate(indices) if place in members]
            if len(rows) == len(indices):
                self._reduce(table, mesh, operation)
            elif rows:
                chosen = _on(table, rows)
                part = table.index_select(0, chosen)
                self._reduce(part, mesh, operation)
                table = table.index_copy(0, chosen, part)
        return table

    def _reduce(self, table: torch.Tensor, mesh: DeviceMesh, operation: Any) -> None:
        for dimension in self._dimensions[mesh]:
            dist.all_reduce(table, operation, mesh.get_group(dimension))

    def _split_over(self, mesh: DeviceMesh) -> list[int]:
        """Dimensions of a mesh along which any parameter is split. Along others all processes have the same."""
        layouts = [self._parameters[place].placements for place in self._members[mesh]]
        return [i for i in range(mesh.ndim) if not all(layout[i].is_replicate() for layout in layouts)]

    def _is_owned(self, parameter: Any) -> bool:
        """Whether this process's part counts: it holds something, and of those that hold the same it is the first."""
        if not is_sharded(parameter):
            return True
        mesh = parameter.device_mesh
        alike = [i for i in self._dimensions[mesh] if parameter.placements[i].is_replicate()]
        return local(parameter).numel() > 0 and not any(mesh.get_coordinate()[i] for i in alike)


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a `DTensor`. Where that was never imported, nothing is."""
    if type(tensor) in (torch.Tensor, torch.nn.Parameter):
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a tensor, in the same memory; the tensor itself if it is whole."""
    if not is_sharded(tensor):
        return tensor
    with torch.no_grad():
        return tensor.to_local()  # type: ignore[attr-defined]


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of which every process has all; where they have a part each, a collective."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def _on(tensor: torch.Tensor, values: list[Any]) -> torch.Tensor:
    """A vector beside a tensor, without a wait for its device."""
    return torch.tensor(values, device="cpu").to(tensor.device, non_blocking=True)


def _power(norms: torch.Tensor, order: float) -> torch.Tensor:
    wide = norms.double()
    return wide if order == 0 or math.isinf(order) else wide**order


def _root(sums: torch.Tensor, order: float) -> torch.Tensor:
    return sums if order == 0 or math.isinf(order) else sums ** (1 / order)
