"""What two processes of `tests.processes` do together: they train one network, each on its half of a batch."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, SequenceParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from tb_gradclip.torch import ClipWriter, watch
from tests.test_torch import bits

BATCHES, SIZE, THRESHOLD = 6, 8, 0.2


def network(hidden: int = 7) -> torch.nn.Module:
    """Rows that two processes cannot share evenly, and parameters that have fewer of them than there are processes."""
    torch.manual_seed(0)
    layers = torch.nn.LayerNorm(5), torch.nn.Linear(5, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1)
    return torch.nn.Sequential(*layers)


def batches() -> Iterator[torch.Tensor]:
    """Inputs of six steps, the same in every process."""
    generator = torch.Generator().manual_seed(1)
    for step in range(BATCHES):
        yield torch.randn((SIZE, 4, 5), generator=generator) * 2.0 ** (step - 2)


def loss_of(model: Any, batch: torch.Tensor) -> torch.Tensor:
    return (model(batch) - batch.sum(-1, keepdim=True)).square().mean()


def mesh(*shape: int) -> Any:
    return init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard")[-len(shape) :])


def sharded(model: torch.nn.Module, *shape: int, **options: Any) -> torch.nn.Module:
    for layer in model:  # type: ignore[attr-defined]
        fully_shard(layer, mesh=mesh(*shape), **options)
    return fully_shard(model, mesh=mesh(*shape), **options)


def sharded_in_two_ways(model: torch.nn.Module) -> torch.nn.Module:
    """Layers on meshes of their own, between which the library does not clip."""
    for layer, shape in zip(model, [(2,), (1, 2), (2,), (2,)], strict=True):  # type: ignore[call-overload]
        fully_shard(layer, mesh=mesh(*shape))
    return model


def split(model: torch.nn.Module) -> torch.nn.Module:
    """Tensor parallelism, over sequences for the normalisation: its gradients are sums still to be made."""
    over, rows = mesh(2), Shard(1)

    def in_rows(_: Any, given: tuple[torch.Tensor]) -> DTensor:
        return DTensor.from_local(*given, over, [Replicate()]).redistribute(over, [rows])

    model.register_forward_pre_hook(in_rows)
    return parallelize_module(
        model, over, {"0": SequenceParallel(), "1": ColwiseParallel(input_layouts=rows), "3": RowwiseParallel()}
    )


WRAPS: dict[str, Callable[[torch.nn.Module], Any]] = {
    "DDP": DistributedDataParallel,
    "FSDP2": lambda model: sharded(model, 2),
    "HSDP, replicated": lambda model: sharded(model, 2, 1),
    "HSDP, sharded": lambda model: sharded(model, 1, 2),
    "FSDP2, bf16 compute": lambda model: sharded(model, 2, mp_policy=MixedPrecisionPolicy(torch.bfloat16)),
    "FSDP2, bf16 parameters": lambda model: sharded(model.bfloat16(), 2),
    "tensor parallel": split,
    "two meshes": sharded_in_two_ways,
}


@dataclass(frozen=True)
class Plan:
    """How to train, and how that is recorded: by "writer", by "watch", or not at all."""

    wrap: str
    rule: str = "global_norm"
    by: str = ""
    order: float = 2.0
    micro_batches: int = 1
    poisoned: int | None = None  # batch that is NaN in the second process alone
    closed: int | None = None  # step before which the first process closes its writer
    full: int | None = None  # step before which its disk is full

    def __str__(self) -> str:
        return f"{self.wrap}, {self.rule}, p={self.order:g}, {self.by}, {self.micro_batches}"

    @property
    def hidden(self) -> int:
        """Width of the network, which tensor parallelism wants to be even."""
        return 8 if self.wrap == "tensor parallel" else 7


class Library:
    """The library's calls, seen by nobody or by `watch`."""

    clip_grad_norm_ = staticmethod(clip_grad_norm_)
    clip_grad_value_ = staticmethod(clip_grad_value_)
    clipping = staticmethod(contextlib.nullcontext)

    def step(self, loss: torch.Tensor) -> None:
        """Do nothing."""


def train(plan: Plan, logdir: Path) -> list[list[Any]]:
    """What every step came to in this process: bits of its gradients, and what the clip call returned."""
    model = WRAPS[plan.wrap](network(plan.hidden))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    recorder: Any = contextlib.nullcontext()
    if plan.by == "writer":
        recorder = ClipWriter(logdir, model, histogram_every=2)
    elif plan.by == "watch":
        recorder = watch(model, optimizer, logdir, histogram_every=2)
    calls: Any = recorder if plan.by == "writer" else Library()
    trained = []
    with recorder:
        for number, batch in enumerate(batches()):
            if dist.get_rank() == 0 and number == plan.closed:
                recorder.close()
            if dist.get_rank() == 0 and number == plan.full:
                fill_disk(recorder)
            loss = backward(plan, model, batch, number)
            total = clip(plan, calls, model)
            trained.append([bits([local(p.grad) for p in model.parameters()]), *described(total)])
            optimizer.step()
            calls.step(loss)
            optimizer.zero_grad()
    return [*trained, [bits([local(p) for p in model.parameters()])]]


def backward(plan: Plan, model: Any, batch: torch.Tensor, number: int) -> torch.Tensor:
    """Gradients of the mean loss over the batch, of which each process has a part, or all where layers are split."""
    parts = batch
    if plan.wrap != "tensor parallel":
        parts = batch.chunk(dist.get_world_size())[dist.get_rank()]
    if number == plan.poisoned and dist.get_rank() == 1:
        parts = parts * float("nan")
    if "parameters" in plan.wrap:
        parts = parts.bfloat16()
    for micro, part in enumerate(parts.chunk(plan.micro_batches)):
        early = plan.wrap == "DDP" and micro < plan.micro_batches - 1
        with model.no_sync() if early else contextlib.nullcontext():
            loss = loss_of(model, part) / plan.micro_batches
            loss.backward()
        if early:
            clip_grad_value_(model.parameters(), 1e9)  # of what one process has; the next call is of the whole
    return loss


def clip(plan: Plan, calls: Any, model: Any) -> Any:
    if plan.rule == "global_norm":
        return calls.clip_grad_norm_(model.parameters(), THRESHOLD, plan.order)
    if plan.rule == "value":
        return calls.clip_grad_value_(model.parameters(), THRESHOLD / 10)
    if plan.rule == "custom":
        with calls.clipping():
            for parameter in model.parameters():
                parameter.grad.mul_(0.5)
    return None


def local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def described(total: Any) -> list[Any]:
    """What there is to know of the norm that a clip call returned."""
    if total is None:
        return [None]
    return [type(total).__name__, total.dtype, str(getattr(total, "placements", "")), bits([local(total)])]


def fill_disk(recorder: Any) -> None:
    recorder.flush()
    os.dup2(os.open("/dev/full", os.O_WRONLY), recorder._recorder._sink._file.fileno())


def compare(plan: Plan, logdir: Path) -> bool:
    """Whether this process trains to the same bits with a record as without."""
    with warnings.catch_warnings():
        if plan.full is not None:
            warnings.simplefilter("ignore")
        alone = Plan(**{**vars(plan), "by": "", "closed": None, "full": None})
        return train(alone, logdir) == train(plan, logdir)


def names(wrapped: str, logdir: Path) -> tuple[int, int]:
    """How many event files and threads a writer makes in this process; the model is given in several guises."""
    model: Any = DistributedDataParallel(network())
    guises = {
        "DDP": lambda: model,
        "inside DDP": lambda: model.module,
        "pairs": model.named_parameters,
        "compiled DDP": lambda: torch.compile(model, backend="eager"),
        "DDP of compiled": lambda: DistributedDataParallel(torch.compile(network(), backend="eager")),
        "alone": network,
    }
    before, own = threading.active_count(), logdir / str(dist.get_rank())
    given = guises[wrapped]()
    with ClipWriter(own, given) as writer:
        threads = threading.active_count() - before
        writer.step(1.0)
    return len(list(own.glob("events*"))), threads


def wrapped_too_late(logdir: Path) -> list[str]:
    """What a writer says that was made before the model was given to DDP."""
    model = network()
    with warnings.catch_warnings(record=True) as caught, ClipWriter(logdir / str(dist.get_rank()), model) as writer:
        warnings.simplefilter("always")
        together = DistributedDataParallel(model)
        for batch in batches():
            loss_of(together, batch).backward()
            writer.step(1.0)
    return [str(warning.message) for warning in caught]


def watch_inside_ddp(logdir: Path) -> tuple[bool, bool]:
    """Whether clip functions are replaced in this process, and whether its optimizer has hooks."""
    model = DistributedDataParallel(network())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gc.collect()  # watchers of other tests
    before: Any = clip_grad_norm_.__closure__[0].cell_contents  # type: ignore[index]
    with watch(model, optimizer, logdir):
        return clip_grad_norm_.__closure__[0].cell_contents is not before, bool(optimizer._optimizer_step_pre_hooks)  # type: ignore[index]


def refused(use_orig_params: bool, logdir: Path) -> list[str]:
    """What writer and watch say to FSDP of the first generation."""
    model = FullyShardedDataParallel(network(), device_id=torch.device("cpu"), use_orig_params=use_orig_params)
    said = []
    for make in (ClipWriter, lambda logdir, model: watch(model, torch.optim.SGD(model.parameters()), logdir)):
        try:
            make(logdir, model)
        except TypeError as error:
            said.append(str(error))
    return said


def heard(logdir: Path) -> list[str]:
    """Alerts that reach this process when the other one's batch is NaN."""
    alerts: list[str] = []
    model = WRAPS["FSDP2"](network())
    with ClipWriter(logdir, model, on_alert=lambda alert: alerts.append(alert.kind)) as writer:
        for number, batch in enumerate(batches()):
            loss = backward(Plan("FSDP2", poisoned=3), model, batch, number)
            writer.clip_grad_norm_(model.parameters(), THRESHOLD)
            writer.step(np.float32(loss.item()))
            model.zero_grad()
    return alerts
