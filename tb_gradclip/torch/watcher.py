"""For training loops of others: record the clip calls that they make anyway."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch

from tb_gradclip.actions import OnAlert
from tb_gradclip.collector import CollectedWriter
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.telling import tell
from tb_gradclip.torch import amp, clip_calls
from tb_gradclip.torch.arguments import Model, Tensors, named_parameters
from tb_gradclip.torch.updates import UpdateWriter

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def watch(
    model: Model,
    optimizer: torch.optim.Optimizer | Iterable[torch.optim.Optimizer],
    logdir: str | os.PathLike[str] | SummaryWriter,
    *,
    on_alert: OnAlert = None,
    histogram_every: int = HISTOGRAM_EVERY,
    start_step: int = 0,
    immediate: bool = False,
) -> Watcher:
    """Record the clipping of a training loop that is not yours, without a change to it.

    Every update of the optimizer is a step. What the library's `clip_grad_norm_`, `clip_grad_value_` and
    `clip_grads_with_norm_` did to the model's gradients before it is recorded as by `ClipWriter`, wherever they were
    imported from, also through Accelerate or Lightning. Where none of them was called, the step is recorded as not
    clipped, with the gradients the optimizer got: what a compiled function did to them before cannot be seen. Nor can
    updates that `torch.compile` makes part of a graph. A clip call whose gradients are added to afterwards, as when
    every micro-batch is clipped, gives way to the next. Updates that a `GradScaler` skips are steps too, marked as
    skipped.

    No result changes by a bit, and no checkpoint: neither model nor optimizer gets a buffer or an entry.

    Args:
      model: the module that is trained, or (name, parameter) pairs as `named_parameters()` gives them.
      optimizer: what updates it, or several that do so together: a step then ends with the last one's update.
      logdir, on_alert, histogram_every, start_step, immediate: as in `ClipWriter`.

    Returns:
      What ends the watch with `close`, and takes the loss, which no hook can know, with `log_loss`. It need not be
      kept: the watch goes on until the optimizer is gone, or the program ends.

    Raises:
      TypeError: `optimizer` is none, or `model` one that `ClipWriter` refuses.
      ValueError: a setting is out of range, the model has no parameters, or an optimizer has none of the model's.
      OSError: `logdir` cannot be written.

    Example:
      >>> watcher = watch(trainer.model, trainer.optimizer, "runs/theirs")  # doctest: +SKIP
      >>> trainer.train()                                                    # doctest: +SKIP
      >>> watcher.close()                                                    # doctest: +SKIP
    """
    model = model if isinstance(model, torch.nn.Module) else list(model)
    known = set(map(id, named_parameters(model).values()))
    several = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else optimizer
    if not isinstance(several, Iterable):
        raise TypeError(_not_an_optimizer(several))
    optimizers = [_innermost(given) for given in several]
    for number, given in enumerate(optimizers):
        if known.isdisjoint(map(id, amp.updated(given))):
            raise ValueError(
                f"`optimizer` must update parameters of `model`, got {type(given).__name__} at position {number} that "
                "has none of them. Pass the model the optimizer was made for, after moving or wrapping it."
            )
    if not optimizers:
        raise ValueError("`optimizer` must not be empty. Pass what updates the model.")
    writer = UpdateWriter(
        logdir,
        model,
        on_alert=on_alert,
        histogram_every=histogram_every,
        start_step=start_step,
        immediate=immediate,
    )
    writer.observe(optimizers)
    if not writer._idle and (names := clip_calls.hidden()):
        tell(
            f"gradclip: in torch {torch.__version__} calls of {', '.join(names)} are only seen as torch.nn.utils.NAME, "
            "not where they were imported by name before. Call watch() before importing what trains.",
            stacklevel=2,
        )
    return Watcher(writer)


class Watcher(CollectedWriter):
    """A watch that is on, as `watch` returns it. Its `close` undoes it; it is a context manager too.

    Where processes hold shards of the model, its hooks stay, as the others count on them, until the optimizer is gone.
    """

    def __init__(self, writer: UpdateWriter) -> None:
        self._writer = writer
        self._recorder, self._collector = writer._recorder, writer._collector

    def log_loss(self, loss: torch.Tensor | float) -> None:
        """Take the loss of the update that comes next; of several, one for each micro-batch, it gets the mean.

        Waits for no device. Updates before which no loss was logged have none.

        Raises:
          ValueError: `loss` has more than one element.
        """
        self._writer.add_loss(loss)

    def clipping(self, parameters: Tensors | None = None) -> AbstractContextManager[None]:
        """Record clipping that is not the library's, as `ClipWriter.clipping` does."""
        return self._writer.clipping(parameters)


def _innermost(optimizer: Any) -> torch.optim.Optimizer:
    """The optimizer itself, where something like Accelerate's is wrapped around it: that one's hooks are called."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(_not_an_optimizer(optimizer))
    return optimizer


def _not_an_optimizer(given: Any) -> str:
    return (
        f"`optimizer` must be a torch.optim.Optimizer, or several, got {type(given).__name__}. "
        "Call a ClipWriter in the loop where another kind makes the updates."
    )
