"""Processes that train one model together: how many there are, and which of them writes.

How that is known, of a writer that is made after the model was wrapped:

- Parameters that are `DTensor`s (`fully_shard`, tensor parallelism) name the mesh of processes they are spread over.
- `DistributedDataParallel` leaves no mark on parameters. A writer is often given the model inside it, so all objects of
  the program are gone through for one that has its parameters; once, and only where several processes talk.
- Any other model is trained by its process alone, which writes, even if others are there.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tb_gradclip.torch.sharded import Shards, Whole, is_sharded


@dataclass(frozen=True)
class Team:
    """The processes that train a model.

    `size`: how many. `writes`: whether this one does, the first. `shards`: what it holds of the parameters.
    """

    size: int = 1
    writes: bool = True
    shards: Whole | Shards = field(default_factory=Whole)

    @classmethod
    def of(cls, parameters: Sequence[torch.Tensor]) -> Team:
        """Those that train these parameters, all of a model's."""
        if any(map(is_sharded, parameters)):
            shards = Shards(parameters)
            return cls(shards.processes, shards.first, shards)
        groups = [model.process_group for model in averaging(parameters)]
        size = max((dist.get_world_size(group) for group in groups), default=1)
        return cls(size, all(dist.get_rank(group) == 0 for group in groups))

    @property
    def idle(self) -> bool:
        """Whether this process has nothing to measure: the one that writes has the same gradients."""
        return not (self.writes or self.shards.spread)


def averaging(parameters: Iterable[torch.Tensor]) -> list[DistributedDataParallel]:
    """What averages gradients of any of these parameters over processes."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return []
    ids = set(map(id, parameters))
    # Not `isinstance`, which asks an object for its class: some import a module when asked for anything.
    models = [thing for thing in gc.get_objects() if issubclass(type(thing), DistributedDataParallel)]
    return [model for model in models if not ids.isdisjoint(map(id, model.parameters()))]


def refuse_unreadable(model: object, named: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Refuse a model whose gradients nobody but its own engine can put together."""
    owners = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if "deepspeed" in owners or any(hasattr(parameter, "ds_id") for _, parameter in named):
        raise TypeError(
            "`model` must keep its gradients in `.grad`, got one that DeepSpeed trains, which clips gradients of its "
            "own within `step`. Train with torch.distributed.fsdp.fully_shard or DistributedDataParallel to record it."
        )
    for name, _ in named:
        if "_fsdp_wrapped_module" in name or "_flat_param" in name:
            raise TypeError(
                f"`model` must have the gradients of its own parameters, got {name!r} of FullyShardedDataParallel, "
                "which clips flattened ones by a method of its own. Use torch.distributed.fsdp.fully_shard, whose "
                "gradients torch.nn.utils clips."
            )
