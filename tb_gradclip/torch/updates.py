"""A writer whose steps are those of the optimizer, told by the optimizer's own hooks."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch

from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.torch import amp, clip_calls
from tb_gradclip.torch.calls import Call
from tb_gradclip.torch.writer import ClipWriter


class UpdateWriter(ClipWriter):
    """Records a step once every optimizer has made its update, or when one begins its next.

    A `GradScaler` that finds gradients which are not finite does not call an optimizer at all; that is a step too.
    """

    def observe(self, optimizers: list[torch.optim.Optimizer]) -> None:
        """Watch these until the writer is closed. They keep it alive."""
        self._losses: list[torch.Tensor | float] = []
        self._done: set[int] = set()
        self._optimizers = len(optimizers)
        self._followed: set[int] = set()
        self._updated = self._followed
        if self._idle:
            return
        for optimizer in optimizers:
            self.follow(optimizer)
        self._undo.callback(clip_calls.observe(self))

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Take updates of this optimizer for steps too."""
        known = (self._index.get(id(parameter)) for parameter in amp.updated(optimizer))
        self._followed.update(place for place in known if place is not None)
        self._undo.callback(optimizer.register_step_pre_hook(self._before_update).remove)
        self._undo.callback(optimizer.register_step_post_hook(self._after_update).remove)

    def add_loss(self, loss: torch.Tensor | float) -> None:
        """Take a loss of the step that is open."""
        given = self._one_number(loss)
        if given is not None and not self._idle:
            self._losses.append(given)

    def _before_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_compiling():  # what becomes part of a graph cannot be recorded
            return
        if id(optimizer) in self._done:
            self._end_step()  # not below: what it raises the user asked for
        with self._harmless(), self._own, torch.no_grad():
            if not _has_closure(args, kwargs):  # which makes the gradients only now, and clips them perhaps
                self._see_gradients(optimizer)

    def _see_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Take what the optimizer is about to use, if no call has clipped it."""
        scale, _ = amp.Update.of(optimizer)
        if self._open.calls and scale is None and self._optimizers == 1:
            return
        parameters = [parameter for parameter in amp.updated(optimizer) if id(parameter) in self._index]
        own = {self._index[id(parameter)] for parameter in parameters}
        if all(own.isdisjoint(call.indices) for call in self._open.calls):
            self._open.end(self._unclipped(parameters, scale))
        elif scale is not None:
            amp.mark_scaled(self, optimizer, functools.partial(scale.to, non_blocking=True))

    def _after_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_compiling():
            return
        with self._harmless(), self._own, torch.no_grad():
            if _has_closure(args, kwargs):
                self._see_gradients(optimizer)
            _, skipped = amp.Update.of(optimizer)
            self._open.skips.append(False if skipped is None else skipped.detach().clone())
        self._end_update(optimizer)

    def _after_scaler_step(self, optimizer: torch.optim.Optimizer, update: amp.Update | None) -> None:
        if update is None:  # or the hooks have seen it
            with self._harmless(), self._own, torch.no_grad():
                self._see_gradients(optimizer)
                self._open.skips.append(True)
            self._end_update(optimizer)

    def _end_update(self, optimizer: torch.optim.Optimizer) -> None:
        self._done.add(id(optimizer))
        if len(self._done) == self._optimizers:
            self._end_step()

    def _end_step(self) -> None:
        losses, self._losses = self._losses, []
        self._done.clear()
        loss = None
        with self._harmless():
            loss = _mean(losses)
        self.step(loss)

    @contextlib.contextmanager
    def _scaling(
        self, parameters: list[torch.Tensor], max_norm: float, total: torch.Tensor, norm_type: float
    ) -> Iterator[None]:
        """Record `clip_grads_with_norm_`, which is told the norm."""
        begun = self._begun(parameters)
        if begun is None:
            yield
            return
        grads, counted = begun
        call = None
        with self._harmless(), self._own, torch.no_grad():
            self._lint.look_at_call(self._step, grads)
            rule = Rule("global_norm", max_norm, epsilon=TORCH_EPSILON, norm_type=norm_type)
            call = Call(rule, grads.indices, grads.norms(norm_type), total.detach().clone(), rounded=grads.half)
            call.lengths = None if norm_type == 2.0 else grads.norms()
            self._count_before(grads, call)
        with self._open.uncounted_if_it_fails(counted):
            yield
        if call is not None:
            with self._harmless(), self._own, torch.no_grad():
                self._open.end(self._shards.join(call))


def _has_closure(args: Any, kwargs: Any) -> bool:
    return any(argument is not None for argument in (*args[1:], kwargs.get("closure")))


def _mean(losses: list[torch.Tensor | float]) -> torch.Tensor | float | None:
    """Mean of the losses of a step's micro-batches, without a wait for the device."""
    if len(losses) < 2:
        return losses[0] if losses else None
    if not any(isinstance(loss, torch.Tensor) for loss in losses):
        return sum(map(float, losses)) / len(losses)
    tensors = [torch.as_tensor(loss).reshape(()) for loss in losses]
    device = next(loss.device for loss in losses if isinstance(loss, torch.Tensor))
    return torch.stack([tensor.to(device, torch.float32, non_blocking=True) for tensor in tensors]).mean()
