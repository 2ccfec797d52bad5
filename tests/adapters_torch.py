"""How the contract suite trains through the PyTorch adapter: every loop is one of the variants of `Loop`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

from tb_gradclip.torch import ClipWriter, watch

Array = NDArray[np.float32]
Make = Callable[[torch.nn.Module, list[torch.optim.Optimizer]], Any]


class Model(torch.nn.Module):
    """One parameter for each array of gradients, whose loss has just these gradients."""

    def __init__(self, shapes: list[tuple[int, ...]], untrained: bool = False) -> None:
        super().__init__()
        self.trained = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(shape)) for shape in shapes])
        unused, frozen = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2), requires_grad=False)
        self.untrained = torch.nn.ParameterList([unused, frozen] if untrained else [])

    def forward(self, gradients: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack([(p * g).sum() for p, g in zip(self.trained, gradients, strict=True)]).sum()


class Library:
    """What a training loop calls when it has no writer."""

    clip_grad_norm_ = staticmethod(clip_grad_norm_)
    clip_grad_value_ = staticmethod(clip_grad_value_)

    def __init__(self, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        pass

    @contextlib.contextmanager
    def clipping(self) -> Iterator[None]:
        yield

    def log_loss(self, loss: torch.Tensor) -> None:
        pass

    def step(self, loss: torch.Tensor) -> None:
        pass

    def close(self) -> None:
        pass


class Pair(Library):
    """The two halves of `clip_grad_norm_`, for loops that do something in between."""

    @staticmethod
    def clip_grad_norm_(
        parameters: list[torch.nn.Parameter], max_norm: float, norm_type: float = 2.0, foreach: bool | None = None
    ) -> torch.Tensor:
        total = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type, foreach=foreach)
        clip_grads_with_norm_(parameters, max_norm, total, foreach)
        return total


def watched(calls: type[Library], logdir: str) -> Make:
    """A loop that makes these calls, and is watched."""

    def make(model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> Library:
        watcher, loop = watch(model, optimizers, logdir, histogram_every=1), calls(model, optimizers)
        loop.log_loss, loop.clipping, loop.close = watcher.log_loss, watcher.clipping, watcher.close
        return loop

    return make


def sgd(parameters: list[torch.nn.Parameter]) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(parameters, lr=0.1)]


def fused(parameters: list[torch.nn.Parameter]) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW(parameters, lr=0.1, fused=True)]


def two(parameters: list[torch.nn.Parameter]) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(parameters[:1], lr=0.1), torch.optim.Adam(parameters[1:], lr=0.1)]


def alone(model: Any) -> Any:
    return model


def whole(gradient: torch.Tensor) -> Array:
    """A copy of a gradient, of all its shards."""
    return (gradient.full_tensor() if isinstance(gradient, DTensor) else gradient).numpy().copy()


def share(gradient: Array) -> Array:
    """The gradient of one process, where the mean over all is to be this one: all comes from the first process."""
    if not torch.distributed.is_initialized():
        return gradient
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return gradient * np.float32(size) if rank == 0 else np.zeros_like(gradient)


@dataclass(frozen=True)
class Loop:
    """A training loop.

    `library`: what makes the clip calls of a loop that is watched; None for one that calls the writer.
    `over`: what several processes make of the model, each of which runs the loop, to train it together.
    `micro_batches`: backward passes for each step. `unscaled`: whether `unscale_` comes before clipping. `returned`
    collects what the clip calls return, `parameters` what the last training left.
    """

    optimizers: Callable[[list[torch.nn.Parameter]], list[torch.optim.Optimizer]] = sgd
    library: type[Library] | None = None
    over: Callable[[Any], Any] = alone
    norm_type: float = 2.0
    foreach: bool | None = None
    micro_batches: int = 1
    untrained: bool = False
    compiled: bool = False
    scaled: bool = False
    unscaled: bool = True
    returned: list[torch.Tensor] = field(default_factory=list, repr=False)
    parameters: list[torch.Tensor] = field(default_factory=list, repr=False)

    def record(
        self, logdir: str, kind: str, threshold: float, gradients: list[list[Array]], losses: list[float]
    ) -> list[list[Array]]:
        """Train with a writer; returns what clipping made of the gradients."""
        make: Make = lambda model, _: ClipWriter(logdir, model, histogram_every=1)  # noqa: E731
        if self.library is not None:
            make = watched(self.library, logdir)
        return self.train(make, kind, threshold, gradients, losses)

    def train(
        self, make: Make, kind: str, threshold: float, gradients: list[list[Array]], losses: list[float]
    ) -> list[list[Array]]:
        """Train with what `make` makes of the model."""
        model: Any = Model([g.shape for g in gradients[0]], self.untrained)
        inner, model = model, self.over(model)
        if self.compiled:
            model = torch.compile(model, backend="eager")
        trained = list(inner.trained)
        optimizers = self.optimizers(trained)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=self.scaled)
        writer, clipped = make(model, optimizers), []
        for loss, step in zip(losses, gradients, strict=True):
            for optimizer in optimizers:
                optimizer.zero_grad()
            for _ in range(self.micro_batches):
                parts = [torch.from_numpy(share(gradient / np.float32(self.micro_batches))) for gradient in step]
                scaler.scale(model(parts)).backward()
            if self.unscaled and kind != "none":
                for optimizer in optimizers:
                    scaler.unscale_(optimizer)
            self.clip(writer, list(model.parameters()), kind, threshold)
            clipped.append(step if kind == "none" else [whole(p.grad) for p in trained])
            if self.library is not None:
                writer.log_loss(torch.tensor(loss))
            for optimizer in optimizers:
                scaler.step(optimizer)
            scaler.update()
            writer.step(torch.tensor(loss))
        writer.close()
        self.parameters[:] = [parameter.detach().clone() for parameter in trained]
        return clipped

    def clip(self, writer: Any, parameters: list[torch.nn.Parameter], kind: str, threshold: float) -> None:
        """One step's clipping."""
        order = {"norm_type": self.norm_type, "foreach": self.foreach}
        if kind == "value":
            writer.clip_grad_value_(parameters, threshold, foreach=self.foreach)
        elif kind == "global_norm":
            self.returned.append(writer.clip_grad_norm_(parameters, threshold, **order))
        elif kind == "groups":
            self.returned.append(writer.clip_grad_norm_(parameters[:2], threshold, **order))
            self.returned.append(writer.clip_grad_norm_(parameters[2:], 2 * threshold, **order))
        elif kind == "custom":
            with writer.clipping():
                for parameter in parameters:
                    if parameter.grad is not None:
                        parameter.grad.mul_(threshold)


LOOPS = {
    "torch": Loop(),
    "torch_slow": Loop(foreach=False),
    "torch_custom": Loop(),
    "torch_groups": Loop(),
    "torch_order_1": Loop(norm_type=1),
    "torch_order_infinity": Loop(norm_type=float("inf")),
    "torch_order_0": Loop(norm_type=0),
    "torch_accumulating": Loop(micro_batches=2),
    "torch_frozen": Loop(untrained=True),
    "torch_fused": Loop(optimizers=fused),
    "torch_two_optimizers": Loop(optimizers=two),
    "torch_compiled": Loop(compiled=True),
    "torch_scaled": Loop(scaled=True),
    "torch_scaled_fused": Loop(scaled=True, optimizers=fused),
    "watch": Loop(library=Library),
    "watch_slow": Loop(library=Library, foreach=False),
    "watch_pair": Loop(library=Pair),
    "watch_order_1": Loop(library=Library, norm_type=1),
    "watch_pair_order_infinity": Loop(library=Pair, norm_type=float("inf")),
    "watch_accumulating": Loop(library=Library, micro_batches=2),
    "watch_frozen": Loop(library=Library, untrained=True),
    "watch_fused": Loop(library=Library, optimizers=fused),
    "watch_two_optimizers": Loop(library=Library, optimizers=two),
    "watch_compiled": Loop(library=Library, compiled=True),
    "watch_scaled": Loop(library=Library, scaled=True),
    "watch_scaled_fused": Loop(library=Library, scaled=True, optimizers=fused),
    "watch_scaled_two_optimizers": Loop(library=Library, scaled=True, optimizers=two),
}


def __getattr__(name: str) -> Any:
    """`record_NAME` for every loop."""
    if (loop := LOOPS.get(name.removeprefix("record_"))) is None:
        raise AttributeError(name)
    return loop.record
