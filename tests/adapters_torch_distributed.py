"""How the contract suite trains in two processes: the loops of one, over a model that they have together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from tests.adapters_torch import Array, Library, Loop, Pair, two
from tests.processes import PROCESSES, together


def averaged(model: Any) -> Any:
    return torch.nn.parallel.DistributedDataParallel(model)


def sharded(model: Any) -> Any:
    return fully_shard(model, mesh=init_device_mesh("cpu", (PROCESSES,)))


LOOPS = {
    "ddp": Loop(over=averaged),
    "fsdp": Loop(over=sharded),
    "fsdp_accumulating": Loop(over=sharded, micro_batches=2),
    "fsdp_scaled": Loop(over=sharded, scaled=True),
    "watch_ddp": Loop(over=averaged, library=Library),
    "watch_fsdp": Loop(over=sharded, library=Library),
    "watch_fsdp_pair": Loop(over=sharded, library=Pair),
    "watch_fsdp_two_optimizers": Loop(over=sharded, library=Library, optimizers=two),
}


def __getattr__(name: str) -> Callable[..., list[list[Array]]]:
    """`record_NAME` for every loop."""
    if (loop := name.removeprefix("record_")) not in LOOPS:
        raise AttributeError(name)
    return functools.partial(record, loop)


def record(loop: str, *args: Any) -> list[list[Array]]:
    """Run a loop in every process; returns what clipping made of the gradients, in all of them the same."""
    clipped, *others = together(record_here, loop, *args)
    for other in others:
        np.testing.assert_equal(clipped, other)
    return clipped


def record_here(loop: str, *args: Any) -> list[list[Array]]:
    """Run a loop in this process."""
    return LOOPS[loop].record(*args)
