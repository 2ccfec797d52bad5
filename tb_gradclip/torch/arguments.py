"""What users of PyTorch pass to a writer, checked before anything is done with it."""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tb_gradclip.core.parameter import Parameter, gain
from tb_gradclip.harmless import UsageError
from tb_gradclip.storage.write import EventFile, SharedFile, Sink
from tb_gradclip.torch.processes import refuse_unreadable
from tb_gradclip.torch.sharded import whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Tensors = torch.Tensor | Iterable[torch.Tensor]
Model = torch.nn.Module | Iterable[tuple[str, torch.Tensor]]


def named_parameters(model: Model) -> dict[str, torch.Tensor]:
    """Parameters by name: the one they have in the model itself, whatever is wrapped around it."""
    named = list(model.named_parameters() if isinstance(model, torch.nn.Module) else model)
    if not named:
        raise ValueError("`model` must have parameters, got none. Make its layers before the writer.")
    refuse_unreadable(model, named)
    found: dict[str, torch.Tensor] = {}
    owners: dict[int, str] = {}
    for name, (_, parameter) in zip(_bare([name for name, _ in named]), named, strict=True):
        if owners.setdefault(id(parameter), name) != name or name in found:
            raise ValueError(
                f"`model` must not have an entry twice, got {owners[id(parameter)]!r} and {name!r}: "
                "its gradient would count twice. Pass each once."
            )
        found[name] = parameter
    return found


def _bare(names: list[str]) -> list[str]:
    """Names without what `torch.compile` and `DistributedDataParallel` put before all of them."""
    names = [name.replace("_orig_mod.", "") for name in names]
    while all(name.startswith("module.") for name in names):
        names = [name.removeprefix("module.") for name in names]
    return names


def sink_of(logdir: str | os.PathLike[str] | SummaryWriter) -> Sink:
    """Where the events of a run go."""
    if isinstance(logdir, (str, os.PathLike)):
        return EventFile(logdir)
    if is_summary_writer(logdir):
        return SharedFile(logdir)
    raise TypeError(
        f"`logdir` must be a path or a torch.utils.tensorboard.SummaryWriter, got {type(logdir).__name__}. "
        "Pass the directory of the run."
    )


def is_summary_writer(given: object) -> bool:
    """Whether this is PyTorch's own, whose event file can be shared."""
    tensorboard = sys.modules.get("torch.utils.tensorboard")  # importing it takes seconds where TensorFlow is installed
    return tensorboard is not None and isinstance(given, tensorboard.SummaryWriter)


def check_threshold(name: str, value: Any) -> None:
    """Refuse a threshold that cannot be meant."""
    if not value >= 0:
        raise ValueError(f"`{name}` must be 0 or more, got {value!r}. A negative one would turn gradients around.")


def one_number(loss: torch.Tensor | float | None) -> torch.Tensor | float | None:
    """The loss as it is now; what it becomes afterwards, a running sum perhaps, is not this step's."""
    if not isinstance(loss, torch.Tensor):
        return loss
    if loss.numel() != 1:
        raise UsageError(f"`loss` must have one element, got shape {tuple(loss.shape)}. Pass loss.mean().")
    return whole(loss.detach()).clone()


@torch.no_grad()
def described(named: Mapping[str, torch.Tensor]) -> list[Parameter]:
    """What a run record says of parameters. Waits for their devices, to read gains."""
    return [
        Parameter(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), _gain(tensor))
        for name, tensor in named.items()
    ]


def _gain(tensor: torch.Tensor) -> float | None:
    """Gain of a weight. A layer's outputs are its first dimension; of what is no plain tensor nothing is read."""
    if tensor.dim() < 2 or type(tensor) not in (torch.Tensor, torch.nn.Parameter) or not tensor.is_floating_point():
        return None
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    with contextlib.suppress(Exception):  # one without data, say
        return gain(float(torch.linalg.vector_norm(tensor, dtype=wide)), len(tensor))
    return None


def read(parameters: Tensors) -> tuple[list[torch.Tensor], Tensors]:
    """The tensors, and what to pass on in their place: a generator, which can be read once, stays one."""
    tensors = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    return tensors, (tensor for tensor in tensors) if isinstance(parameters, types.GeneratorType) else tensors


def distinct(parameters: Tensors) -> list[torch.Tensor]:
    """A list of the tensors, each once."""
    tensors = [parameters] if isinstance(parameters, torch.Tensor) else parameters
    return list({id(tensor): tensor for tensor in tensors}.values())


def places(parameters: Sequence[torch.Tensor], index: Mapping[int, int]) -> list[int]:
    """Where in the model the parameters are, by their identity."""
    for place, parameter in enumerate(parameters):
        if id(parameter) not in index:
            raise UsageError(
                f"`parameters` must belong to the model given to ClipWriter, got at position {place} a tensor "
                f"of shape {tuple(parameter.shape)} that does not. Give ClipWriter that model."
            )
    return [index[id(parameter)] for parameter in parameters]
