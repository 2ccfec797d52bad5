"""How the contract suite trains through the PyTorch adapter."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from tb_gradclip.torch import ClipWriter

Array = NDArray[np.float32]


def record(
    logdir: str,
    losses: list[float],
    gradients: list[list[Array]],
    clip: Callable[[ClipWriter, list[torch.nn.Parameter]], object],
) -> list[list[Array]]:
    """Feed gradients step by step; returns what clipping made of them."""
    parameters = [torch.nn.Parameter(torch.zeros(g.shape)) for g in gradients[0]]
    writer = ClipWriter(logdir, [(f"p{i}", p) for i, p in enumerate(parameters)], histogram_every=1)
    clipped = []
    for loss, step in zip(losses, gradients, strict=True):
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        clip(writer, parameters)
        clipped.append([p.grad.numpy().copy() for p in parameters if p.grad is not None])
        writer.step(torch.tensor(loss))
    writer.close()
    return clipped


def record_torch(
    logdir: str, kind: str, threshold: float, gradients: list[list[Array]], losses: list[float]
) -> list[list[Array]]:
    """Clip with the writer's own calls."""

    def clip(writer: ClipWriter, parameters: list[torch.nn.Parameter]) -> None:
        if kind == "value":
            writer.clip_grad_value_(parameters, threshold)
        elif kind == "global_norm":
            writer.clip_grad_norm_(parameters, threshold)

    return record(logdir, losses, gradients, clip)


def record_torch_custom(
    logdir: str, kind: str, threshold: float, gradients: list[list[Array]], losses: list[float]
) -> list[list[Array]]:
    """Clip with code of the user's own, inside `writer.clipping()`: each tensor to half its size."""

    def clip(writer: ClipWriter, parameters: list[torch.nn.Parameter]) -> None:
        with writer.clipping():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(threshold)

    return record(logdir, losses, gradients, clip)
